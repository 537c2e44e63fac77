package page

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
)

// filter chooses rows.
type filter struct{ text, outcome string }

// lets tells whether a row is shown.
func (f filter) lets(r Row) bool {
	return (f.outcome == "" || r.Outcome == f.outcome) && (f.text == "" || strings.Contains(strings.ToLower(r.words()), strings.ToLower(f.text)))
}

// words are what the text of a filter is looked for in.
func (r Row) words() string {
	all := append([]string{strconv.FormatUint(r.Sequence, 10), r.Format, r.Title, r.Host, r.Outcome, r.Reason, r.Detail}, r.Techniques...)
	for _, c := range r.Cases {
		all = append(all, "#"+strconv.Itoa(c.Number))
	}
	return strings.Join(all, " ")
}

// outcomes are what may be chosen.
func outcomes() []string { return []string{"applied", "dropped", "dead letter", "again"} }

// recent shows the last messages, and what chooses among them.
func recent(s Snapshot, f filter) g.Node {
	return g.Group{
		el("p", attr("class", "why"), say("What replica "+s.Replica+" settled since "+s.Flow.Since.UTC().Format("2 Jan 15:04")+", the last 200. Other replicas show theirs. "), el("code", say("worker case find")), say(" says of any message where it went.")),
		el("form", attr("id", "filter"), attr("method", "get"), attr("action", "./#recent"), attr("role", "search"), aria("label", "Filter of the recent messages"),
			el("label", attr("for", "q"), say("Text")), el("input", attr("id", "q"), attr("name", "q"), attr("type", "search"), attr("value", f.text), attr("autocomplete", "off")),
			el("label", attr("for", "outcome"), say("Outcome")),
			el("select", attr("id", "outcome"), attr("name", "outcome"), el("option", attr("value", ""), say("any")), g.Map(outcomes(), func(o string) g.Node {
				return el("option", attr("value", o), when(o == f.outcome, flag("selected")), say(o))
			})),
			el("button", attr("type", "submit"), say("Filter")),
			el("span", attr("id", "shown"), attr("role", "status"), say("")),
		),
		el("div", attr("class", "rows"), attr("tabindex", "0"), attr("role", "region"), aria("label", "The last messages, scrolls"),
			el("a", attr("class", "skip"), attr("href", "#letters"), say("Past the messages")),
			table("The last messages of this replica, the newest first", []string{"Time", "Outcome", "Severity", "Title", "Host", "Format", "Techniques", "Took", "Case"},
				el("tbody", attr("id", "live-recent"), attr("role", "rowgroup"), rows(s, f)))),
	}
}

// rows are the messages that a filter lets through.
func rows(s Snapshot, f filter) g.Node {
	shown := g.Group{}
	for _, r := range s.Recent {
		if f.lets(r) {
			shown = append(shown, messageRow(r))
		}
	}
	if len(shown) == 0 {
		return el("tr", attr("role", "row"), attr("class", "none"), el("td", attr("role", "cell"), attr("colspan", "9"), noRows(s)))
	}
	return shown
}

// noRows says why there are none.
func noRows(s Snapshot) g.Node {
	if n := len(s.Recent); n > 0 {
		return say("None of the " + thousands(n) + " messages fits the filter.")
	}
	return g.Group{say("No message has come since this replica started. If some should have: "), el("code", say("worker check --connect")), say(" says whether stream, subjects and permissions fit.")}
}

func messageRow(r Row) g.Node {
	sequence := strconv.FormatUint(r.Sequence, 10)
	title := r.Title
	if title == "" {
		title = "Message " + sequence
	}
	return el("tr", attr("role", "row"), attr("data-outcome", r.Outcome),
		cell("Time", stamp(r.At, "15:04:05")),
		cell("Outcome", el("span", attr("class", "chip o-"+class(r.Outcome)), say(r.Outcome))),
		cell("Severity", severity(r.Severity)),
		cell("Title", el("a", attr("id", "m-"+sequence), attr("class", "open"), attr("href", "page/message/"+sequence), say(title)), why(r)),
		cell("Host", say(r.Host)),
		cell("Format", say(r.Format)),
		cell("Techniques", say(techniques(r))),
		cell("Took", say(ago(r.Took))),
		cell("Case", g.Map(r.Cases, caseLink)),
	)
}

// why says what an outcome is due to.
func why(r Row) g.Node {
	text := r.Reason
	if r.Detail != "" && r.Detail != r.Reason {
		text = strings.TrimPrefix(text+": "+r.Detail, ": ")
	}
	if text == "" {
		return nil
	}
	return el("span", attr("class", "why"), say(text))
}

func techniques(r Row) string {
	text := strings.Join(r.Techniques, ", ")
	if r.More > 0 {
		text += " and " + strconv.Itoa(r.More) + " more"
	}
	return text
}

// severities are TheHive's words.
var severities = [...]string{"", "low", "medium", "high", "critical"}

func severity(n int) g.Node {
	if n < 1 || n >= len(severities) {
		return nil
	}
	return el("span", attr("class", "s-"+severities[n]), say(severities[n]))
}

// caseLink is a number that leads to TheHive; of no other scheme than those of the web.
func caseLink(c Case) g.Node {
	name := say("#" + strconv.Itoa(c.Number))
	if to := webLink(c.URL); to != "" {
		return g.Group{el("a", attr("href", to), attr("rel", "noopener noreferrer"), name), say(" ")}
	}
	return g.Group{name, say(" ")}
}

// webLink is an address, if it is one of the web or of this site.
func webLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || address == "" || !slices.Contains([]string{"http", "https", ""}, strings.ToLower(u.Scheme)) || u.Scheme == "" && (u.Host != "" || u.Opaque != "") {
		return ""
	}
	return u.String()
}

// class is a word as a name of a style.
func class(word string) string { return strings.ReplaceAll(word, " ", "-") }
