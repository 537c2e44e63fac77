package page

import (
	"io"

	g "maragu.dev/gomponents"
)

// These stand between the page and gomponents for one reason: the compiler puts a copy of each of its functions
// where one is called, and the page would take four times as much of the binary.

//go:noinline
func el(name string, children ...g.Node) g.Node { return g.El(name, children...) }

//go:noinline
func attr(name, value string) g.Node { return g.Attr(name, value) }

//go:noinline
func flag(name string) g.Node { return g.Attr(name) }

//go:noinline
func aria(name, value string) g.Node { return g.Attr("aria-"+name, value) }

// say is a text, escaped.
//
//go:noinline
func say(s string) g.Node { return g.Text(s) }

// when is a node on a condition.
//
//go:noinline
func when(is bool, node g.Node) g.Node { return g.If(is, node) }

// doctype comes before everything.
func doctype(sibling g.Node) g.Node {
	return g.NodeFunc(func(w io.Writer) error {
		if _, err := io.WriteString(w, "<!doctype html>"); err != nil {
			return err
		}
		return sibling.Render(w)
	})
}
