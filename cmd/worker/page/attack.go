package page

import (
	"net/url"
	"slices"
	"strconv"

	g "maragu.dev/gomponents"
)

// attack shows the matrix of a release, shaded by how often procedures were recorded.
func attack(m Matrix) g.Node {
	chosen := url.Values{"domain": {m.Domain}, "release": {m.Release}}.Encode()
	return g.Group{
		el("form", attr("id", "matrix-choice"), attr("method", "get"), attr("action", "./#attack"), aria("label", "Choice of the matrix"),
			choice("domain", "Domain", m.Domain, domains(m.Choices)),
			choice("release", "Release", m.Release, releases(m.Choices, m.Domain)),
			el("button", attr("type", "submit"), say("Show")),
			el("a", attr("href", "page/layer.json?"+chosen), attr("download", ""), say("Navigator layer")),
			el("span", attr("class", "only"), el("input", attr("id", "only"), attr("type", "checkbox")), el("label", attr("for", "only"), say("only what was recorded"))),
		),
		counted(m),
		when(len(m.Tactics) > 0, el("div", attr("class", "matrix"), attr("tabindex", "0"), attr("role", "region"), aria("label", "ATT&CK matrix, scrolls sideways"),
			el("a", attr("class", "skip"), attr("href", "#promises"), say("Past the matrix")),
			el("div", attr("class", "columns"), g.Map(m.Tactics, column)),
		)),
	}
}

func choice(name, label, chosen string, of []string) g.Node {
	return g.Group{el("label", attr("for", name), say(label)), el("select", attr("id", name), attr("name", name), g.Map(of, func(o string) g.Node {
		return el("option", attr("value", o), when(o == chosen, flag("selected")), say(o))
	}))}
}

func domains(all []Choice) (names []string) {
	for _, c := range all {
		if !slices.Contains(names, c.Domain) {
			names = append(names, c.Domain)
		}
	}
	return names
}

// releases are those of a domain, the newest first.
func releases(all []Choice, domain string) (names []string) {
	for _, c := range all {
		if c.Domain == domain {
			names = append(names, c.Release)
		}
	}
	slices.Reverse(names)
	return names
}

// counted says what the shades count.
func counted(m Matrix) g.Node {
	switch {
	case m.Trouble != "":
		return trouble("How often techniques were recorded", m.Trouble)
	case m.Counted.IsZero():
		return empty("Procedures are being counted: reload in a moment.")
	}
	says := thousands(m.Total) + " procedures in TheHive, as of " + clock(m.Counted) + " UTC"
	if m.Beside > 0 {
		says += "; " + thousands(m.Beside) + " are of other domains or releases"
	}
	if !m.Whole {
		says += "; there are more, the newest were counted"
	}
	return el("p", say(says+"."))
}

func column(t Tactic) g.Node {
	n := 0
	for _, x := range t.Techniques {
		n += x.all()
	}
	return el("section", attr("class", "tactic"), aria("label", t.Name),
		el("h3", say(t.Name), when(n > 0, el("span", attr("class", "count"), say(thousands(n))))),
		el("ul", g.Map(t.Techniques, func(x Technique) g.Node { return el("li", attr("class", shade(x.all())), technique(x)) })),
	)
}

// technique is a cell; with sub-techniques it folds out.
func technique(x Technique) g.Node {
	if len(x.Subs) == 0 {
		return el("span", attr("class", "cell"), attr("tabindex", "0"), names(x, x.Count))
	}
	return el("details",
		el("summary", attr("class", "cell"), names(x, x.all())),
		el("ul", g.Map(x.Subs, func(s Technique) g.Node {
			return el("li", attr("class", shade(s.Count)), el("span", attr("class", "cell"), attr("tabindex", "0"), names(s, s.Count)))
		})),
	)
}

// names are the id, the name, which is shown whole on focus, and the count.
func names(x Technique, n int) g.Node {
	return g.Group{el("span", attr("class", "id"), say(x.ID)), say(" "), el("span", attr("class", "name"), say(x.Name)), when(n > 0, el("span", attr("class", "count"), say(strconv.Itoa(n))))}
}

// shade is one of five, by orders of magnitude.
func shade(n int) string {
	level := 0
	for ; n > 0 && level < 4; n /= 10 {
		level++
	}
	return "shade-" + strconv.Itoa(level)
}
