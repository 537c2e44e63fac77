package spelling_test

import (
	"testing"

	"forager/spelling"
)

func TestDistanceCountsWhatMustBeChanged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"severity", "severity", 0}, {"severty", "severity", 1}, {"host", "hots", 2},
		{"kitten", "sitting", 3}, {"sitting", "kitten", 3},
	} {
		if got := spelling.Distance(c.a, c.b); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
