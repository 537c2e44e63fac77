package page

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"

	"forager/cmd/worker/explanation"
)

// message shows what a message means and why, as it is read now.
func message(o Opened) g.Node {
	return g.Group{
		el("dl", attr("class", "facts"),
			fact("Message", say(strconv.FormatUint(o.Row.Sequence, 10)+" on "+o.Subject+", "+thousands(o.Bytes)+" bytes")),
			fact("Stored", stamp(o.Stored, "2006-01-02 15:04:05 UTC")),
			when(o.Row.Outcome != "", fact("Outcome", el("span", attr("class", "chip o-"+class(o.Row.Outcome)), say(o.Row.Outcome)), say(" "), why(o.Row))),
			when(len(o.Row.Cases) > 0, fact("Case", g.Map(o.Row.Cases, caseLink))),
		),
		g.Map(o.Lines, detection),
	}
}

func fact(name string, value ...g.Node) g.Node {
	return el("div", el("dt", say(name)), el("dd", value...))
}

// words is a fact that is left out when there is nothing to say.
func words(name, value string) g.Node {
	return when(value != "", fact(name, say(value)))
}

// detection shows one line of an explanation.
func detection(l explanation.Line) g.Node {
	title := l.Title
	if title == "" {
		title = "No detection"
	}
	return el("article", attr("class", "detection"),
		el("h3", say(title)),
		g.Iff(l.Dropped != nil, func() g.Node { return el("p", attr("class", "trouble"), say("No case: "+*l.Dropped)) }),
		el("dl", attr("class", "facts"),
			words("Format", l.Format), words("Time", l.Time), when(l.Severity > 0, fact("Severity", severity(l.Severity))), words("Host", l.Host), words("User", l.User),
			words("Process", l.Happened.Process), words("Command line", l.Happened.CommandLine), words("Parent", l.Happened.Parent), words("File", l.Happened.File),
			words("From", l.Happened.From), words("To", l.Happened.To), words("Action", l.Happened.Action),
			words("Case key", l.CaseKey), words("Route", strings.TrimSpace(l.Route+" "+l.RouteWhen)), words("Silence", l.Silence), words("Tags", strings.Join(l.Tags, ", ")),
			words("Rules that failed", strings.Join(l.Faults, "; ")), words("Steps", strings.Join(l.Plan, "; ")), words("Console", l.Link),
		),
		fold("Techniques", len(l.Techniques), techniquesTable(l.Techniques)),
		fold("Observables", len(l.Observables), observablesTable(l.Observables)),
		fold("Rows that rules asked for", len(l.Lookups), lookupsTable(l.Lookups)),
		g.Iff(l.Related != nil, func() g.Node {
			return fold("By what a new case of it is linked with others", len(l.Related.By)+len(l.Related.LeftOut), relatedTable(l.Related))
		}),
		fold("Where values were found", len(l.Why), whyTable(l.Why)),
		when(l.Opening != "", fold("Description, as it opens a case", 1, el("pre", attr("tabindex", "0"), say(l.Opening)))),
		when(l.Comment != "", fold("Comment, in a case that does not know the rule", 1, el("pre", attr("tabindex", "0"), say(l.Comment)))),
	)
}

// fold hides what is not always wanted.
func fold(name string, n int, inner g.Node) g.Node {
	if n == 0 {
		return nil
	}
	if n > 1 {
		name += " (" + strconv.Itoa(n) + ")"
	}
	return el("details", el("summary", say(name)), inner)
}

func techniquesTable(all []explanation.Technique) g.Node {
	return table("Techniques", []string{"Found", "Technique", "Tactic", "Note"}, body(g.Map(all, func(t explanation.Technique) g.Node {
		return row(cell("Found", say(t.Found)), cell("Technique", say(strings.TrimSpace(t.ID+" "+t.Name))), cell("Tactic", say(t.Tactic)), cell("Note", say(t.Note)))
	})))
}

func observablesTable(all []explanation.Observable) g.Node {
	return table("Observables", []string{"Type", "Value", "Tags"}, body(g.Map(all, func(o explanation.Observable) g.Node {
		return row(cell("Type", say(o.DataType)), cell("Value", say(o.Data)), cell("Tags", say(strings.Join(o.Tags, ", "))))
	})))
}

func lookupsTable(all []explanation.Lookup) g.Node {
	return table("Rows that rules asked for", []string{"Table", "Key", "Row"}, body(g.Map(all, func(l explanation.Lookup) g.Node {
		text := "there is none"
		if l.Row != nil {
			cells := make([]string, 0, len(l.Row))
			for _, column := range slices.Sorted(maps.Keys(l.Row)) {
				cells = append(cells, column+": "+l.Row[column])
			}
			text = strings.Join(cells, "; ")
		}
		return row(cell("Table", say(l.Table)), cell("Key", say(l.Key)), cell("Row", say(text)))
	})))
}

// relatedTable says by which values other open cases are looked for once a case is opened, and by which not.
func relatedTable(r *explanation.Related) g.Node {
	of := func(v explanation.Value, says string) g.Node {
		return row(cell("Type", say(v.DataType)), cell("Value", say(v.Data)), cell("Other cases", say(says)))
	}
	return table("By what a new case of it is linked with others", []string{"Type", "Value", "Other cases"}, body(
		g.Map(r.By, func(v explanation.Value) g.Node { return of(v, "those that have it, too") }),
		g.Map(r.LeftOut, func(l explanation.LeftOut) g.Node { return of(l.Value, "not looked for: "+l.Why) }),
	))
}

func whyTable(all []explanation.Origin) g.Node {
	return table("Where values were found", []string{"Value of", "Found at", "Is"}, body(g.Map(all, func(o explanation.Origin) g.Node {
		return row(cell("Value of", say(o.Field)), cell("Found at", el("code", say(o.Path))), cell("Is", say(o.Value)))
	})))
}
