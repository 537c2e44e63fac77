package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/cmd/worker/terminal"
	"forager/enrich/apply"
	"forager/enrich/detection/canon"
	"forager/hive"
)

// shownCase is a case as JSON. The names of its keys are a contract with scripts.
type shownCase struct {
	Number      int              `json:"number,omitempty"` // none: TheHive has it no more
	ID          string           `json:"id"`
	Title       string           `json:"title,omitempty"`
	Known       bool             `json:"known"`
	Held        bool             `json:"held"`
	Unsettled   bool             `json:"unsettled"`
	Procedures  []shownProcedure `json:"procedures"`
	Observables int              `json:"observables"`
	Files       int              `json:"files"`
	Tags        []string         `json:"tags"`
	Comments    []shownComment   `json:"comments"`
	High        shownHigh        `json:"high"`
	LeftOut     map[string]int   `json:"leftOut,omitempty"`
	Removed     []shownItem      `json:"removed"`
	Lifted      []shownItem      `json:"lifted"`
	MovedTo     string           `json:"movedTo,omitempty"`
	Deleted     *time.Time       `json:"deleted,omitempty"`
}

type shownProcedure struct {
	ID        string `json:"id"`
	Technique string `json:"technique"`
	Tactic    string `json:"tactic"`
}

type shownComment struct {
	ID         string    `json:"id"`
	Day        string    `json:"day"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Detections int       `json:"detections"`
}

// shownHigh is the most that Forager wrote; -1 is nothing.
type shownHigh struct {
	Severity int `json:"severity"`
	TLP      int `json:"tlp"`
	PAP      int `json:"pap"`
}

type shownItem struct {
	Kind string `json:"kind"`
	Item string `json:"item"`
}

func shownCaseOf(c hive.Case, m apply.CaseEntry) shownCase {
	s := shownCase{
		Number: c.Number, ID: m.Case, Title: c.Title, Known: m.Known, Held: m.Held, Unsettled: m.Unsettled,
		Procedures: []shownProcedure{}, Comments: []shownComment{}, Tags: append([]string{}, m.Tags...),
		Observables: m.Observables, Files: m.Files, High: shownHigh{m.Severity, m.TLP, m.PAP}, LeftOut: m.LeftOut,
		Removed: shownItems(m.Removed), Lifted: shownItems(m.Lifted), MovedTo: m.MovedTo,
	}
	for _, p := range m.Procedures {
		s.Procedures = append(s.Procedures, shownProcedure(p))
	}
	for _, n := range m.Comments {
		s.Comments = append(s.Comments, shownComment{ID: n.ID, Day: n.Day, First: n.First, Last: n.Last, Detections: n.Detections})
	}
	if !m.Gone.IsZero() {
		s.Deleted = &m.Gone
	}
	return s
}

func shownItems(all []apply.Removal) []shownItem {
	items := []shownItem{}
	for _, r := range all {
		items = append(items, shownItem(r))
	}
	return items
}

// print writes the case for people.
func (s shownCase) print(to *terminal.Screen) error {
	l := terminal.NewList(0)
	line := func(name, format string, args ...any) {
		l.Row(terminal.Heading.Of(name), terminal.Plain.Of(fmt.Sprintf(format, args...)))
	}
	line("case", "%d  %s  %s", s.Number, s.ID, canon.Line(s.Title, 100))
	line("ledger", "%s", s.state())
	line("highest written", "severity %s, TLP %s, PAP %s", orNone(s.High.Severity), orNone(s.High.TLP), orNone(s.High.PAP))
	line("observables", "%d, files %d", s.Observables, s.Files)
	line("tags", "%s", canon.Line(strings.Join(s.Tags, ", "), 2000))
	for _, p := range s.Procedures {
		line("procedure", "%s  %s  %s", canon.Line(p.Technique, 40), canon.Line(p.Tactic, 40), canon.Line(p.ID, 40))
	}
	for _, c := range s.Comments {
		line("comment", "%s  %d detections until %s  %s", c.Day, c.Detections, c.Last.Format(time.RFC3339), canon.Line(c.ID, 40))
	}
	for _, kind := range slices.Sorted(maps.Keys(s.LeftOut)) {
		l.Row(terminal.Warning.Of("left out"), terminal.Plain.Of(fmt.Sprintf("%d %s over the limit", s.LeftOut[kind], kind)))
	}
	for _, r := range s.Removed {
		l.Row(terminal.Warning.Of("removed by analysts"), terminal.Plain.Of(r.Kind+"  "+canon.Line(r.Item, 120)))
	}
	for _, r := range s.Lifted {
		l.Row(terminal.Good.Of("may come back"), terminal.Plain.Of(r.Kind+"  "+canon.Line(r.Item, 120)))
	}
	to.List(l)
	return to.Failed()
}

// state says in words how the ledger stands to the case.
func (s shownCase) state() string {
	words := []string{"has an entry"}
	if !s.Known {
		words = []string{"has no entry: Forager never added to this case, or forgot it long after its end"}
	}
	for _, one := range []struct {
		is   bool
		word string
	}{
		{s.Held, "a worker is at it now"}, {s.Unsettled, "the next worker looks at TheHive first"},
		{s.MovedTo != "", "merged into " + s.MovedTo}, {s.Deleted != nil, "deleted by an analyst"},
	} {
		if one.is {
			words = append(words, one.word)
		}
	}
	return strings.Join(words, "; ")
}

func orNone(n int) string {
	if n < 0 {
		return "none"
	}
	return strconv.Itoa(n)
}
