package markdowntest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	ghtml "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
)

// Text is a Markdown text and what may be in it, rendered.
type Text struct {
	Name     string
	Markdown string
	// Says is what a reader must see, white space aside; empty is not compared.
	Says string
	// Tags are the elements that may be there beside p, code, br.
	Tags []string
	// Links are the addresses that may be led to.
	Links []string
}

// Check fails the test where a rendered text holds more than it may, or says something else. A word tells
// when markdown-it is not to be had: then goldmark alone was asked.
func Check(t testing.TB, texts []Text) {
	t.Helper()
	CheckQuickly(t, texts)
	for i, out := range MarkdownIt(t, texts) {
		texts[i].check(t, "markdown-it", out)
	}
}

// CheckQuickly is Check without markdown-it, which takes a process: for properties and fuzzing.
func CheckQuickly(t testing.TB, texts []Text) {
	t.Helper()
	for _, x := range texts {
		x.check(t, "goldmark", Goldmark(t, x.Markdown))
		for _, line := range outsideOfFences(x.Markdown) { // a container, whatever plugin reads it
			if strings.HasPrefix(strings.TrimLeft(line, " "), ":::") {
				t.Errorf("%s: a container begins: %q", x.Name, line)
			}
		}
	}
}

// Goldmark renders a text with all that goldmark knows.
func Goldmark(t testing.TB, markdown string) string {
	t.Helper()
	var out bytes.Buffer
	err := goldmark.New(
		goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList),
		goldmark.WithParserOptions(parser.WithAttribute()),
		goldmark.WithRendererOptions(ghtml.WithUnsafe()),
	).Convert([]byte(markdown), &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// script renders a list of texts as TheHive's family of renderers is set up.
const script = `
const md = require('markdown-it')({html: true, linkify: true, breaks: true, typographer: false});
md.linkify.set({fuzzyLink: true, fuzzyEmail: true, fuzzyIP: false});
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(texts.map(t => md.render(t))));
`

// MarkdownIt renders texts with markdown-it; none where it is not to be had, which is told.
func MarkdownIt(t testing.TB, texts []Text) []string {
	t.Helper()
	if err := node(t.Context(), "require('markdown-it')").Run(); err != nil {
		t.Log("markdown-it is not to be had (Debian: node-markdown-it): goldmark alone was asked")
		return nil
	}
	var all []string
	for _, x := range texts {
		all = append(all, x.Markdown)
	}
	in, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	cmd := node(t.Context(), script)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var rendered []string
	if err := json.Unmarshal(out, &rendered); err != nil {
		t.Fatal(err)
	}
	return rendered
}

// node runs a script with the modules that Debian's packages bring.
func node(ctx context.Context, script string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "node", "-e", script)
	cmd.Env = append(os.Environ(), "NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs")
	return cmd
}

// harmless are the elements that a text of words, values and lines is made of.
var harmless = map[string]bool{"p": true, "code": true, "br": true}

// check compares what was rendered with what may be there.
func (x Text) check(t testing.TB, renderer, rendered string) {
	t.Helper()
	tags, links, said := seen(rendered)
	may := map[string]bool{}
	for _, tag := range x.Tags {
		may[tag] = true
	}
	for _, tag := range tags {
		if !harmless[tag] && !may[tag] {
			t.Errorf("%s: %s makes <%s> of\n%s\n%s", x.Name, renderer, tag, x.Markdown, rendered)
			return
		}
	}
	for _, to := range links {
		if !slices.Contains(x.Links, to) {
			t.Errorf("%s: %s leads to %q:\n%s\n%s", x.Name, renderer, to, x.Markdown, rendered)
			return
		}
	}
	if x.Says != "" && Squeeze(said) != Squeeze(x.Says) {
		t.Errorf("%s: %s says\n%q of\n%q, want\n%q", x.Name, renderer, Squeeze(said), x.Markdown, Squeeze(x.Says))
	}
}

// seen are the elements of rendered HTML, the addresses that it leads to, and what a reader sees.
func seen(rendered string) (tags, links []string, said string) {
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(rendered))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return tags, links, b.String()
		case html.TextToken:
			b.WriteString(z.Token().Data)
		case html.CommentToken, html.DoctypeToken:
			tags = append(tags, "!")
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			if tok.Data == "a" || tok.Data == "img" {
				links = append(links, addressesOf(tok)...)
			}
			tags = append(tags, elementOf(tok))
		case html.EndTagToken:
		}
	}
}

// addressesOf are what an element leads to or loads.
func addressesOf(tok html.Token) (all []string) {
	for _, a := range tok.Attr {
		if a.Key == "href" || a.Key == "src" {
			all = append(all, a.Val)
		}
	}
	return all
}

// elementOf is an element, with what could act in it: a handler, a style.
func elementOf(tok html.Token) string {
	for _, a := range tok.Attr {
		if strings.HasPrefix(a.Key, "on") || a.Key == "id" {
			return tok.Data + " " + a.Key
		}
	}
	return tok.Data
}

// outsideOfFences are the lines of a text that are of no fenced block.
func outsideOfFences(markdown string) (all []string) {
	fence := ""
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\n")
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case fence == "" && len(ticks) >= 3 && !strings.Contains(line[len(ticks):], "`"):
			fence = ticks
		case fence != "" && len(ticks) >= len(fence) && line == ticks:
			fence = ""
		case fence == "":
			all = append(all, line)
		}
	}
	return all
}

// Said is what a reader sees of rendered HTML.
func Said(rendered string) string {
	_, _, said := seen(rendered)
	return said
}

// Squeeze makes white space comparable.
func Squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
