package rules

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	mdtext "github.com/yuin/goldmark/text"
)

// rendered is what a Markdown text becomes, as far as it can act.
type rendered struct {
	addresses []string // of links, images and references, used or not
	html      []string
	labels    []string // and titles, of links and references
	infos     []string // beside the fences of code blocks
	code      []string // spans, and blocks that a line of another kind ends
	fences    []string // fenced blocks that stand by themselves
	ticks     bool     // a backtick is neither escaped nor of code
}

// reader is made once: it costs more than a text.
var reader = sync.OnceValue(func() parser.Parser { return goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser() })

// loneTick finds a backtick that is not escaped.
var loneTick = regexp.MustCompile("^(?:[^\\\\`]|\\\\.)*`")

// renderedOf reads a Markdown text as CommonMark with GitHub's tables and bare links.
func renderedOf(source string) rendered {
	text, pc := []byte(source), parser.NewContext()
	root := reader().Parse(mdtext.NewReader(text), parser.WithContext(pc))
	var r rendered
	for _, ref := range pc.References() {
		r.addresses = append(r.addresses, string(ref.Destination()))
		r.labels = append(r.labels, string(ref.Label()), string(ref.Title()))
	}
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // it cannot fail: this never does
		if entering {
			r.note(n, text)
		}
		return ast.WalkContinue, nil
	})
	return r
}

// note takes from a node what can act.
func (r *rendered) note(n ast.Node, source []byte) {
	switch n := n.(type) {
	case *ast.Link:
		r.addresses, r.labels = append(r.addresses, string(n.Destination)), append(r.labels, string(n.Title))
	case *ast.Image:
		r.addresses, r.labels = append(r.addresses, string(n.Destination)), append(r.labels, string(n.Title))
	case *ast.AutoLink:
		r.addresses = append(r.addresses, string(n.URL(source)))
	case *ast.RawHTML:
		r.html = append(r.html, string(n.Segments.Value(source)))
	case *ast.HTMLBlock:
		r.html = append(r.html, string(n.Lines().Value(source)))
		if n.HasClosure() {
			r.html = append(r.html, string(n.ClosureLine.Value(source)))
		}
	case *ast.Text:
		r.ticks = r.ticks || n.Parent().Kind() != ast.KindCodeSpan && loneTick.Match(n.Value(source))
	case *ast.CodeSpan:
		r.code = append(r.code, spanText(n, source))
	case *ast.CodeBlock:
		r.code = append(r.code, string(n.Lines().Value(source)))
	case *ast.FencedCodeBlock:
		if n.Info != nil {
			r.infos = append(r.infos, string(n.Info.Value(source)))
		}
		if n.Parent().Kind() == ast.KindDocument {
			r.fences = append(r.fences, string(n.Lines().Value(source)))
		} else {
			r.code = append(r.code, string(n.Lines().Value(source)))
		}
	}
}

func spanText(n ast.Node, source []byte) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			b.Write(t.Value(source))
		}
	}
	return b.String()
}

// markBegins begins the words that stand for placeholders: no text holds it by chance.
const markBegins = "zqvforager"

// mark is the word that stands for a placeholder. It means nothing in Markdown, and is of letters
// alone, as the last label of a host name is.
func mark(i int) string {
	return markBegins + letters.Replace(strconv.Itoa(i)) + "vqz"
}

var letters = strings.NewReplacer("0", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7", "h", "8", "i", "9", "j")

// probe is a text with words in the place of its placeholders, rendered.
type probe struct {
	parts []part
	seen  rendered
}

func newProbe(parts []part) *probe {
	return &probe{parts, renderedOf(filledWith(parts, mark))}
}

// filledWith puts words in the place of placeholders.
func filledWith(parts []part, word func(int) string) string {
	var b strings.Builder
	for i, x := range parts {
		if x.expression == "" {
			b.WriteString(x.literal)
		} else {
			b.WriteString(word(i))
		}
	}
	return b.String()
}

// ticked tells whether what a placeholder among words gives, which may be a code span, could meet
// a backtick that is none of a code span, or the fence of another one.
func (p *probe) ticked(i int) bool {
	if p.seen.ticks {
		return true
	}
	before := i > 0 && strings.HasSuffix(p.parts[i-1].literal, "`")
	return before || i+1 < len(p.parts) && strings.HasPrefix(p.parts[i+1].literal, "`")
}

// allowed is what a text may lead to, whatever an event gives.
type allowed struct{ seen rendered }

var errActs = errors.New("what an event gave would act in Markdown")

// hold holds a filled text against what its template leads to: no other address, no other HTML.
// nil allows all: no Markdown.
func (a *allowed) hold(text string) error {
	if a == nil {
		return nil
	}
	got := renderedOf(text)
	if len(got.html) != len(a.seen.html) || slices.ContainsFunc(got.html, func(h string) bool { return !slices.Contains(a.seen.html, h) }) {
		return errActs
	}
	for _, to := range got.addresses {
		if !slices.ContainsFunc(a.seen.addresses, func(of string) bool { return leads(to, of) }) {
			return errActs
		}
	}
	return nil
}

// leads tells whether an address is one that a template names, up to its first placeholder.
func leads(to, of string) bool {
	before, _, more := strings.Cut(of, markBegins)
	return to == of || more && strings.HasPrefix(to, before)
}
