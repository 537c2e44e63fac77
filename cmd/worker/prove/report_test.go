package prove

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestALineIsCutBetweenCharacters: at the length that is the most, where characters have two, three and four bytes.
func TestALineIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"a", "é", "界", "🦊", "\xff", "\x1b", "\u202e"} {
		for before := range 5 {
			got := line1(strings.Repeat("x", before) + strings.Repeat(c, 400))
			if !utf8.ValidString(got) || len(got) > 300 || len(got) < 297 && c != "\xff" || strings.ContainsAny(got, "\x1b\u202e") {
				t.Errorf("%d bytes before %q: %d bytes, %q", before, c, len(got), got)
			}
		}
	}
}
