// Package alert says what Forager's alerts are called and hold, purely: those by which detections come into cases, and those for
// the analysts' queue.
//
// # Promise
//
// TheHive takes one alert of a type, source and reference in an organisation. The names that are made here follow from
// what every replica knows before it writes, so that two that want the same want it under one name: whoever comes second
// is refused, and finds what the first one made. So nobody needs to wait until a lost request shows.
//
// # The way
//
// [Opening] names the alert that becomes a case, [Addition] one that is imported into a case; [Event] and [Nth] name those for the
// queue, and [Queued] is one. [New] is an alert with
// everything, and [Brought] what techniques that is; [Rest] is what only its promotion can say.
package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"forager/enrich/detection/canon"
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

// Event names the alert of one event, by its product, what sent it, and its own id. What TheHive does not take as it is, or
// could not be asked for by name, is told apart by a digest.
func Event(product, source, id string) Name {
	name := Name{part(product, hive.MaxAlertType), part(source, hive.MaxAlertType), part(id, hive.MaxSourceRef)}
	if name.Source == "" {
		name.Source = Source
	}
	return name
}

// Nth names the n-th alert of a group of a product's detections, from 0, by the group's hash.
func Nth(product, hash string, n int) Name {
	return Name{part(product, hive.MaxAlertType), Source, hash + "-" + strconv.Itoa(n)}
}

// part is a part of a name within so many units, without what separates the parts.
func part(text string, most int) string {
	clean := strings.ReplaceAll(canon.Clean(text, most), ";", ",")
	if clean == text {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	digest := "-" + hex.EncodeToString(sum[:6])
	return strings.TrimRight(canon.Clean(clean, most-len(digest)), ".… ") + digest
}

// Queued is the alert of a name for the analysts' queue, as a case would be, with what comes with it and the way back to the
// product; a link that TheHive does not take is left out.
func Queued(name Name, c hive.NewCase, items Items, link string) hive.NewAlert {
	n := New(name, c, items)
	n.Assignee, n.CaseTemplate, n.CustomFields = c.Assignee, c.CaseTemplate, c.CustomFields
	if len(link) <= hive.MaxExternalLink {
		n.ExternalLink = link
	}
	return n
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
