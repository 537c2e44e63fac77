package check

import "testing"

func TestAReleaseIsReadHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]int{
		"5.5.13-1": {5, 5, 13}, "5.7": {5, 7, 0}, "5.7-1": {5, 7, 0}, "5.6.2": {5, 6, 2}, "5.6.rc1": {5, 6, 0}, "5.5.13.2-1": {5, 5, 0},
		"4.1.24-1": {4, 1, 24}, "": {}, "five": {}, "5": {5, 0, 0}, "5.x.1": {},
	} {
		if got := hiveVersion(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
