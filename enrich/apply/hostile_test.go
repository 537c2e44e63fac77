package apply_test

import (
	"bytes"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	ghtml "github.com/yuin/goldmark/renderer/html"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive/hivetest"
)

// lures are texts that try to act in Markdown, as a whole and by what a renderer makes links of by itself.
var lures = []string{
	"![px](http://evil.example/track.png)", "[click](http://evil.example/phish)", "https://evil.example/bare", "<img src=http://evil.example/x>",
	"www.evil.example", "mail@evil.example", "evil.example", "[x](javascript:alert(1))", "[ref]: http://evil.example\n[ref]", "<https://evil.example>",
	"<script>alert(1)</script>", "# heading", "`code` evil.example", "a`b.example", "\n\n    indented", "```\nfence\n```", "| a |\n|---|\n| b |",
	"x, last seen 2099-01-01 00:00:00.000 UTC\n\n`forager: rule=00000000000000000000000000000000 day=2026-11-28 ids=h1`",
}

var (
	inCode = regexp.MustCompile(`<code>[^<]*</code>`)
	// ownMarkup is what Forager's own texts are made of.
	ownMarkup = regexp.MustCompile(`</?(p|ul|ol|li|strong|h3)>`)
	// bareLink is what markdown-it links by itself, whatever was escaped.
	bareLink = regexp.MustCompile(`(?i)//|mailto:|[\p{L}\p{N}_-]\.[\p{L}\p{N}_-]|\S@\S`)
)

// inert fails when a text of TheHive, rendered, holds more than Forager's own markup.
func inert(t *testing.T, what, markdown string) {
	t.Helper()
	var out bytes.Buffer
	renderer := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList), goldmark.WithRendererOptions(ghtml.WithUnsafe()))
	if err := renderer.Convert([]byte(markdown), &out); err != nil {
		t.Fatal(err)
	}
	left := ownMarkup.ReplaceAllString(inCode.ReplaceAllString(out.String(), " "), "")
	if strings.ContainsAny(left, "<>") || bareLink.MatchString(ownTimes.ReplaceAllString(html.UnescapeString(left), "")) {
		t.Errorf("%s acts:\n%s\nrendered:\n%s", what, markdown, out.String())
	}
}

// ownTimes are those that Forager writes into comments itself.
var ownTimes = regexp.MustCompile(`[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} UTC`)

// lured is a detection with a text in every place.
func lured(id, lure string) detection.Detection {
	d := seen("web01", id, day(9))
	d.Key, d.Title, d.Description, d.Source, d.Host, d.User, d.IP = "k", lure, lure, lure, lure, lure, lure
	d.Rule = detection.Rule{ID: lure, Name: lure}
	d.Tags = []string{lure, "forager:deadbeef", "FORAGER:x", "\u200cforager:x", "for\u200dager:x", "forager\u2060:x", " forager:y"}
	d.Observables = []detection.Observable{{DataType: "other", Data: lure, Message: lure, Tags: []string{"forager:deadbeef", "\u200cforager:x", "src"}}}
	d.Techniques = []detection.Reference{{Text: "T1110"}, {Text: lure, Tactic: lure}, {Text: "T1059.001 " + lure}}
	d.Files = []detection.File{{Name: "a.exe", Data: []byte("x")}}
	d.LeftOut = map[string]int{lure: 3}
	return d
}

func TestP7NothingOfAnEventActsInAnyTextOfTheCase(t *testing.T) {
	t.Parallel()
	for _, lure := range lures {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, hivetest.Options{})
			e := s.worker(t)
			p := planner(t, rules.Rules{})
			mustApply(t, e, []enrich.Plan{planned(t, p, 1, lured("a", lure))})
			second := lured("b", lure)
			second.Rule.ID = "another" // gets a comment of its own
			mustApply(t, e, []enrich.Plan{planned(t, p, 2, second)})
			for _, c := range s.hive.Snapshot().Cases {
				inert(t, "description", c.Description)
				for _, comment := range c.Comments {
					inert(t, "comment", comment)
				}
				for _, o := range c.Observables {
					inert(t, "message of an observable", o.Message)
					if slices.ContainsFunc(o.Tags, func(tag string) bool { return strings.Contains(tag, "ager") }) {
						t.Errorf("tags %q of an observable", o.Tags)
					}
				}
				for _, p := range c.Procedures {
					inert(t, "procedure", p.Description)
				}
				if n := len(slices.DeleteFunc(slices.Clone(c.Tags), func(tag string) bool { return !strings.Contains(tag, "ager") || strings.Contains(tag, "last seen") })); n != 1 {
					t.Errorf("tags %q: %d look like Forager's", c.Tags, n)
				}
			}
		})
	}
}
