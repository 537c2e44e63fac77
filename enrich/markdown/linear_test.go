package markdown_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"forager/enrich/markdown"
)

// TestALongTextCostsInProportion: of what senders repeat, sixteen times as much costs nowhere near the square.
func TestALongTextCostsInProportion(t *testing.T) {
	for _, piece := range []string{
		"+", "++ ", "_", "_ ", "=", "[", "]", "[a", "a]", "[^", "&", "&#", "a.", "1.", "1", "a@", "`", "\\", "<a", "*", "$", "#", "(", "[x] ", "1) ", "a&b;", "-", "~", "^", "|", "a|", "|a.b", "((a.b", "é.", "\n", " ",
	} {
		took := func(size int) time.Duration {
			s := strings.Repeat(piece, size/len(piece))
			least := time.Hour
			for range 3 {
				began := time.Now()
				markdown.Text(s)
				markdown.Cell(s)
				markdown.Block(s, "")
				least = min(least, time.Since(began))
			}
			return least
		}
		if few, many := took(16<<10), took(256<<10); many > 100*few+20*time.Millisecond {
			t.Errorf("%q: 16 KiB take %v, 256 KiB %v", piece, few, many)
		}
	}
}

// TestWordsStayAsTheyAre: letters, digits and single spaces need no escape.
func TestWordsStayAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.StringMatching(`[A-Za-z0-9]+( [A-Za-z0-9]+){0,4}`).Draw(t, "words")
		if got := markdown.Line(words); got != words {
			t.Fatalf("%q became %q", words, got)
		}
		if padded := markdown.Line(" " + words + "  "); padded != words {
			t.Fatalf("%q became %q", words, padded)
		}
	})
}
