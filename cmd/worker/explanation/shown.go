package explanation

import (
	"fmt"
	"strings"

	"forager/cmd/worker/terminal"
	"forager/enrich"
	"forager/enrich/detection/canon"
)

// mostShown bounds a text of an event that is shown, in UTF-16 units; scripts see all of it.
const mostShown = 500

// Show writes a line for people: what the detection is, what becomes of it and why, and what would be added.
func (l Line) Show(to *terminal.Screen) {
	to.Line(2, terminal.Heading.Of(canon.Line(l.File, mostShown)), terminal.Plain.Of(": "), l.verdict(), terminal.Plain.Of(l.because()))
	list := terminal.NewList(2)
	row := func(name string, text ...string) {
		if all := canon.Line(strings.Join(text, " "), mostShown); all != "" {
			list.Row(terminal.Heading.Of(name), terminal.Plain.Of(all))
		}
	}
	row("title", l.Title)
	row("format", l.Format)
	if l.Time != "" {
		row("severity", enrich.SeverityWord(l.Severity))
		row("time", l.Time)
	}
	row("id", l.ID)
	row("host", l.Host)
	row("user", l.User)
	row("link", l.Link)
	for _, part := range [][2]string{
		{"process", l.Happened.Process}, {"command line", l.Happened.CommandLine}, {"parent", l.Happened.Parent}, {"file", l.Happened.File},
		{"from", l.Happened.From}, {"to", l.Happened.To}, {"action", l.Happened.Action},
	} {
		row(part[0], part[1])
	}
	l.showRules(list)
	row("tags", strings.Join(l.Tags, ", "))
	for _, o := range l.Observables {
		row("observable", o.DataType, o.Data, bracketed(strings.Join(o.Tags, ", ")))
	}
	for _, t := range l.Techniques {
		meaning := terminal.Plain
		if t.ID == "" {
			meaning = terminal.Warning
		}
		list.Row(meaning.Of("technique"), terminal.Plain.Of(canon.Line(t.shown(), mostShown)))
	}
	for i, step := range l.Plan {
		row("step", fmt.Sprintf("%d. %s", i+1, step))
	}
	for _, w := range l.Why {
		row("found", w.Field, "at", w.Path+":", w.Value)
	}
	to.List(list)
}

// verdict is a word for what becomes of it.
func (l Line) verdict() terminal.Span {
	if l.Dropped != nil {
		return terminal.Warning.Of("no case")
	}
	return terminal.Good.Of("case")
}

// because says which case, or why none.
func (l Line) because() string {
	if l.Dropped != nil {
		return ", " + canon.Line(*l.Dropped, mostShown)
	}
	return " of " + canon.Line(l.CaseKey, mostShown)
}

// showRules says which rules decided, and what they asked for.
func (l Line) showRules(list *terminal.List) {
	if l.Route != "" {
		list.Row(terminal.Heading.Of("route"), terminal.Plain.Of(canon.Line(l.Route+" "+bracketed(l.RouteWhen), mostShown)))
	}
	if l.Silence != "" {
		list.Row(terminal.Warning.Of("silence"), terminal.Plain.Of(canon.Line(l.Silence, mostShown)))
	}
	for _, f := range l.Faults {
		list.Row(terminal.Bad.Of("fault"), terminal.Plain.Of(canon.Line(f, mostShown)))
	}
	for _, k := range l.Lookups {
		found := fmt.Sprintf("%s, row %s", k.Table, k.Key)
		if k.Row == nil {
			found += ": there is none"
		}
		list.Row(terminal.Heading.Of("lookup"), terminal.Plain.Of(canon.Line(found, mostShown)))
	}
	if l.Related == nil || len(l.Related.By) == 0 {
		return
	}
	by := make([]string, 0, len(l.Related.By))
	for _, v := range l.Related.By {
		by = append(by, v.DataType+" "+v.Data)
	}
	list.Row(terminal.Heading.Of("related by"), terminal.Plain.Of(canon.Line(strings.Join(by, ", "), mostShown)))
}

// shown is a technique in words.
func (t Technique) shown() string {
	if t.ID == "" {
		return t.Found + " is none that is known " + bracketed(t.Note)
	}
	text := t.ID + " " + t.Name
	if t.Tactic != "" {
		text += ", " + t.Tactic
	}
	if t.Found != t.ID {
		text += ", found as " + t.Found
	}
	return text + " " + bracketed(t.Note)
}

func bracketed(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}
