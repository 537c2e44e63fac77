package page

import (
	"strconv"
	"time"

	g "maragu.dev/gomponents"
)

// livePart is a piece of the page that a script replaces by what the stream sends.
type livePart struct {
	name string
	make func() g.Node
}

// live are the pieces that change, by the id of what holds each.
func live(s Snapshot) []livePart {
	return []livePart{
		{"live-state", func() g.Node { return state(s) }},
		{"live-now", func() g.Node { return concerns(s) }},
		{"live-flow", func() g.Node { return flow(s.Flow) }},
		{liveRecent, func() g.Node { return rows(s, filter{}) }},
		{"live-letters", func() g.Node { return letters(s.Letters, s.At) }},
		{"live-promises", func() g.Node { return promises(s.Promises) }},
	}
}

// liveRecent holds the rows: by far the largest piece.
const liveRecent = "live-recent"

// document is the whole page.
func document(o Options, s Snapshot, m Matrix, f filter) g.Node {
	return shell(o, "", "Forager: "+s.Replica,
		el("header", attr("class", "top"),
			el("h1", say("Forager")),
			el("div", attr("id", "live-state"), attr("class", "state"), attr("role", "status"), state(s)),
			el("nav", aria("label", "Parts of this page"), el("ul",
				anchor("#flow", "Flow"), anchor("#recent", "Recent"), anchor("#letters", "Dead letters"), anchor("#attack", "ATT&CK"), anchor("#promises", "Promises"),
				g.Map(o.Links, func(l Link) g.Node { return anchor(l.Path, l.Name) }),
			)),
			el("div", attr("class", "live"),
				el("span", attr("id", "live"), attr("role", "status"), say("As of "+clock(s.At)+" UTC; reload for newer.")),
				el("button", attr("id", "pause"), attr("type", "button"), flag("hidden"), aria("pressed", "false"), say("Pause")),
			),
		),
		el("main", attr("id", "main"),
			when(o.Notice != "", el("p", attr("class", "notice"), say(o.Notice))),
			el("div", attr("id", "live-now"), concerns(s)),
			section("flow", "Flow", el("div", attr("id", "live-flow"), flow(s.Flow))),
			section("recent", "Recent", recent(s, f)),
			section("letters", "Dead letters", el("div", attr("id", "live-letters"), letters(s.Letters, s.At))),
			section("attack", "ATT&CK", attack(m)),
			section("promises", "Promises", el("div", attr("id", "live-promises"), promises(s.Promises))),
		),
		el("dialog", attr("id", "opened"), aria("labelledby", "opened-title"),
			el("div", attr("class", "dialog-top"), el("h2", attr("id", "opened-title"), say("Message")), el("button", attr("id", "close"), attr("type", "button"), say("Close"))),
			el("div", attr("id", "opened-body")),
		),
		el("footer", el("p", say("Forager "+s.Version+" · replica "+s.Replica+" · times are UTC · read only"))),
	)
}

// Document is a page that looks like this one and belongs to it. root is the way from its path to /, such as "../".
func Document(o Options, root, title string, body ...g.Node) g.Node {
	return shell(o, root, title,
		el("header", attr("class", "top"), el("h1", say(title)), el("nav", aria("label", "Pages"), el("ul",
			anchor(root+"./", "Overview"), g.Map(o.Links, func(l Link) g.Node { return anchor(root+l.Path, l.Name) })))),
		el("main", append([]g.Node{attr("id", "main")}, body...)...),
	)
}

// messagePage is one message where there is no script.
func messagePage(o Options, sequence uint64, body g.Node) g.Node {
	return Document(o, "../../", "Message "+strconv.FormatUint(sequence, 10), body)
}

// shell is what every page has.
func shell(_ Options, root, title string, body ...g.Node) g.Node {
	return doctype(el("html", attr("lang", "en"),
		el("head",
			el("meta", attr("charset", "utf-8")),
			el("meta", attr("name", "viewport"), attr("content", "width=device-width, initial-scale=1")),
			el("meta", attr("name", "color-scheme"), attr("content", "light dark")),
			el("title", say(title)),
			el("link", attr("rel", "icon"), attr("href", root+"page/icon.svg"), attr("type", "image/svg+xml")),
			el("link", attr("rel", "stylesheet"), attr("href", root+"page/style.css")),
			el("script", attr("src", root+"page/page.js"), flag("defer")),
		),
		el("body", append([]g.Node{el("a", attr("class", "skip"), attr("href", "#main"), say("To the content"))}, body...)...),
	))
}

func anchor(to, name string) g.Node { return el("li", el("a", attr("href", to), say(name))) }

func section(id, name string, body ...g.Node) g.Node {
	return el("section", attr("id", id), aria("labelledby", id+"-title"), el("h2", attr("id", id+"-title"), say(name)), g.Group(body))
}

// trouble says what is not known, and why.
func trouble(what, why string) g.Node {
	return el("p", attr("class", "trouble"), say(what+" cannot be shown: "+why))
}

// empty says that there is nothing.
func empty(text string) g.Node { return el("p", attr("class", "empty"), say(text)) }

// thousands writes a number for people.
func thousands[N int | uint64](n N) string {
	text := strconv.FormatUint(uint64(n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly) }

// stamp is a time for people and for machines.
func stamp(t time.Time, layout string) g.Node {
	if t.IsZero() {
		return say("–")
	}
	return el("time", attr("datetime", t.UTC().Format(time.RFC3339)), say(t.UTC().Format(layout)))
}

// ago is a duration in one unit.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 2*time.Minute:
		return strconv.FormatInt(int64(d.Seconds()), 10) + " s"
	case d < 2*time.Hour:
		return strconv.FormatInt(int64(d.Minutes()), 10) + " min"
	case d < 48*time.Hour:
		return strconv.FormatInt(int64(d.Hours()), 10) + " h"
	default:
		return strconv.FormatInt(int64(d.Hours()/24), 10) + " d"
	}
}

// cell is one of a table that is shown as a list of cards where it is narrow.
func cell(name string, body ...g.Node) g.Node {
	return el("td", attr("role", "cell"), attr("data-name", name), g.Group(body))
}

// table has roles of its own: shown as cards it would lose those that browsers give.
func table(caption string, columns []string, body ...g.Node) g.Node {
	return el("table", attr("role", "table"), aria("label", caption),
		el("thead", attr("role", "rowgroup"), el("tr", attr("role", "row"), g.Map(columns, func(c string) g.Node {
			return el("th", attr("role", "columnheader"), attr("scope", "col"), say(c))
		}))),
		g.Group(body),
	)
}

func body(of ...g.Node) g.Node {
	return el("tbody", append([]g.Node{attr("role", "rowgroup")}, of...)...)
}

func row(of ...g.Node) g.Node { return el("tr", append([]g.Node{attr("role", "row")}, of...)...) }

// Table is a table for pages that look like this one; each row has a cell for each column.
func Table(caption string, columns []string, rows [][]g.Node) g.Node {
	return table(caption, columns, body(g.Map(rows, func(cells []g.Node) g.Node {
		of := g.Group{}
		for i, c := range cells[:min(len(cells), len(columns))] {
			of = append(of, cell(columns[i], c))
		}
		return row(of)
	})))
}
