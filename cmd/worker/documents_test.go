package main

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"forager/cmd/worker/workertest"
)

var (
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	linked   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	code     = regexp.MustCompile("`[^`\n]*`")
	linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// TestLinksOfDocumentsLeadSomewhere: every file, folder and heading that a document links to is there.
func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	root, pages := workertest.Root(t), tree(t, ".md")
	seen := 0
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		for _, m := range linked.FindAllStringSubmatch(code.ReplaceAllString(fenced.ReplaceAllString(pages[name], ""), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, wantsAnchor := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			seen++
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: (%s): there is no %s", name, m[1], target)
			} else if page, isPage := pages[target]; wantsAnchor && isPage && !slices.Contains(anchors(page), anchor) {
				t.Errorf("%s: (%s): %s has no such heading", name, m[1], target)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d links were found", seen)
	}
}

// TestEveryDocumentIsListed: who comes to docs finds all of it.
func TestEveryDocumentIsListed(t *testing.T) {
	pages := tree(t, ".md")
	for name := range pages {
		if below, ours := strings.CutPrefix(name, "docs/"); ours && below != "README.md" && !strings.Contains(pages["docs/README.md"], "]("+below) {
			t.Errorf("docs/README.md does not list %s", below)
		}
	}
}

// anchors are the names by which the headings of a page are linked to, as GitHub makes them.
func anchors(page string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(page, ""), -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(linkText.ReplaceAllString(m[1], "$1")) {
			switch {
			case r == ' ':
				b.WriteRune('-')
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				b.WriteRune(r)
			}
		}
		all = append(all, b.String())
	}
	return all
}

func TestAnchorsAreThoseOfHeadings(t *testing.T) {
	got := anchors("# One `two`, three!\n```\n# no\n```\n## [A link](x.md) & more\n")
	if !slices.Equal(got, []string{"one-two-three", "a-link--more"}) {
		t.Errorf("%q", got)
	}
}
