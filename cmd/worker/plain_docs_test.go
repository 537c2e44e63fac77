package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A sentence for everybody has thirty words at most; one in twenty may have more.
const (
	mostWords = 30
	mostLong  = 0.05
)

var (
	remark  = regexp.MustCompile(`(?s)<!--.*?-->`)
	point   = regexp.MustCompile(`^(?:[-*]|\d+\.)\s+`)
	sentEnd = regexp.MustCompile(`[.!?][)"”*]*\s+(?:[A-ZÄ“"(*]|code )`)
)

// TestDocumentsAreOfShortSentences counts those of README and docs. Code, tables, headings and what is written from the formats are left out.
func TestDocumentsAreOfShortSentences(t *testing.T) {
	all, long := 0, 0
	pages := tree(t, ".md")
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		if name != "README.md" && !strings.HasPrefix(name, "docs/") || name == "docs/reference/formats.md" {
			continue
		}
		for _, s := range sentences(pages[name]) {
			all++
			if words := len(strings.Fields(s)); words > mostWords {
				long++
				t.Logf("%s: %d words: %s", name, words, s)
			}
		}
	}
	if all < 300 {
		t.Errorf("only %d sentences were found", all)
	}
	if share := float64(long) / float64(all); share >= mostLong {
		t.Errorf("%d of %d sentences have more than %d words: %.1f %%, must be below %.0f %%", long, all, mostWords, 100*share, 100*mostLong)
	}
}

// sentences are those of the prose of a page. A colon or a semicolon ends none; a piece of code is a word.
func sentences(page string) (all []string) {
	page = remark.ReplaceAllString(fenced.ReplaceAllString(page, "\n\n"), "")
	var paragraph []string
	flush := func() {
		text := linkText.ReplaceAllString(code.ReplaceAllString(strings.Join(paragraph, " "), "code"), "$1")
		paragraph = nil
		for text != "" {
			end := sentEnd.FindStringIndex(text)
			if end == nil {
				all = append(all, text)
				break
			}
			cut := end[0] + 1
			all, text = append(all, text[:cut]), strings.TrimLeft(text[cut:], " )\"”*")
		}
	}
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "|") {
			flush()
			continue
		}
		if point.MatchString(line) {
			flush()
			line = point.ReplaceAllString(line, "")
		}
		paragraph = append(paragraph, line)
	}
	flush()
	return all
}

func TestSentencesAreThoseOfProse(t *testing.T) {
	got := sentences("# No\n\nOne `a. B` two. Three: four; five?\n- Six\n  seven. [Eight](x.y). \"Nine.\"\n\n| No. Table. |\n\n```sh\nno. No.\n```\n")
	if want := []string{"One code two.", "Three: four; five?", "Six seven.", "Eight.", "Nine.\""}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
