// Package alert says what the alerts are called and hold by which detections come into cases, purely.
//
// # Promise
//
// TheHive takes one alert of a type, source and reference in an organisation. The names that are made here follow from
// what every replica knows before it writes, so that two that want the same want it under one name: whoever comes second
// is refused, and finds what the first one made. So nobody needs to wait until a lost request shows.
//
// # The way
//
// [Opening] names the alert that becomes a case, [Addition] one that is imported into a case. [New] is an alert with
// everything, and [Brought] what techniques that is; [Rest] is what only its promotion can say.
package alert

import (
	"strconv"
	"strings"

	"forager/hive"
)

// Name is what an alert is known by in its organisation.
type Name struct{ Type, Source, Ref string }

// Type and Source are those of all alerts by which detections come into cases.
const (
	Type   = "forager"
	Source = "forager"
)

// Opening names the alert that becomes the case which a key opens after its case of a number; 0 is the first one. A name
// that is taken by something else gives way to the next try, from 0.
func Opening(hash string, after, try int) Name {
	ref := hash + "-" + strconv.Itoa(after)
	if try > 0 {
		ref += "-" + strconv.Itoa(try)
	}
	return Name{Type, Source, ref}
}

// Addition names the n-th alert that is imported into a case, by TheHive's id of that, from 0.
func Addition(caseID string, n int) Name {
	return Name{Type, Source, caseID + "-" + strconv.Itoa(n)}
}

// Items are what an alert brings into a case.
type Items struct {
	Observables []hive.NewObservable
	Procedures  []hive.NewProcedure
}

// New is the alert of a name that is to become a case, with what comes with it.
func New(name Name, c hive.NewCase, items Items) hive.NewAlert {
	return hive.NewAlert{
		Type: name.Type, Source: name.Source, SourceRef: name.Ref,
		Title: c.Title, Description: c.Description + brings(items.Procedures), Severity: c.Severity, TLP: c.TLP, PAP: c.PAP, Date: c.StartDate, Tags: c.Tags,
		Observables: items.Observables, Procedures: items.Procedures,
	}
}

// What an alert brings of techniques is the last line of its description: whoever finds the alert by its name knows by it what
// TheHive, which takes every double, may not list yet. Doubled observables it refuses, or merges, itself.
const bringsWord = "`forager brings"

func brings(procedures []hive.NewProcedure) string {
	var b strings.Builder
	b.WriteString("\n\n" + bringsWord)
	for _, p := range procedures {
		b.WriteString(" " + p.PatternID + "/" + p.Tactic)
	}
	return b.String() + "`"
}

// Brought are the techniques that an alert brings, by its description: each with its tactic, which may be empty. Nothing
// where the description is not as [New] made it.
func Brought(description string) (techniques [][2]string) {
	last := description[strings.LastIndexByte(description, '\n')+1:]
	words, ok := strings.CutPrefix(strings.TrimSuffix(last, "`"), bringsWord)
	if !ok {
		return nil
	}
	for w := range strings.FieldsSeq(words) {
		id, tactic, _ := strings.Cut(w, "/")
		techniques = append(techniques, [2]string{id, tactic})
	}
	return techniques
}

// Rest is the case that an alert becomes: whole, since what TheHive takes from the alert by itself differs by release.
func Rest(c hive.NewCase) hive.CaseFromAlert {
	return hive.CaseFromAlert{
		Title: c.Title, Description: c.Description, Severity: c.Severity, TLP: c.TLP, PAP: c.PAP, StartDate: c.StartDate,
		Tags: c.Tags, Assignee: c.Assignee, CaseTemplate: c.CaseTemplate, CustomFields: c.CustomFields, Tasks: c.Tasks, Pages: c.Pages,
	}
}
