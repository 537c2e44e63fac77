package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// CaseEntry is what the ledger knows of one case: what Forager added, and what analysts did.
type CaseEntry struct {
	Case string // TheHive's id
	// Known is false when no entry of the case exists: Forager never added to it, or forgot it
	// long after its end.
	Known bool
	// Held: a worker has the case claimed now. Unsettled: the last one left without knowing what it
	// did, and the next one looks first. What a holder has not released yet is not in here.
	Held, Unsettled bool

	Procedures         []EntryProcedure // sorted by technique and tactic
	Observables, Files int              // how many are there
	Tags               []string
	Comments           []EntryComment // by day
	Severity, TLP, PAP int            // the highest that Forager wrote; -1: none
	LeftOut            map[string]int // by kind, what a limit left out

	Removed []Removal // what analysts removed: it stays away
	Lifted  []Removal // removals that were taken back, until the items are there again
	MovedTo string    // the case that this one was merged into, by an audit document; "" for none
	Gone    time.Time // when an audit document said that the case was deleted; zero for none
}

// EntryProcedure is a procedure that Forager added or found.
type EntryProcedure struct{ ID, Technique, Tactic string }

// EntryComment is the comment of one rule and UTC day.
type EntryComment struct {
	ID, Day     string // ID is TheHive's, or "description"
	First, Last time.Time
	Detections  int // at least so many
}

// Removal is one item that an analyst removed. Item is readable for procedures
// ("T1059.001/execution"), and a hash for all other kinds.
type Removal struct{ Kind, Item string }

// ErrNotRemoved says that there is no removal to lift: the case's entry names the technique
// neither as removed nor as there.
var ErrNotRemoved = errors.New("nothing of this technique was removed")

// ReadEntry tells what the ledger knows of a case, by TheHive's id. It claims and changes nothing.
func (e *Applier) ReadEntry(ctx context.Context, caseID string) (CaseEntry, error) {
	known, body, err := readCase(ctx, e.options.Ledger, caseID)
	if err != nil {
		return CaseEntry{}, err
	}
	marked, _, err := loadMarks(ctx, e.options.Ledger, caseID)
	if err != nil {
		return CaseEntry{}, err
	}
	m := CaseEntry{
		Case: caseID, Known: known != nil,
		Observables: len(body.Observables), Files: len(body.Files), Tags: body.Tags,
		Severity: body.High.Severity, TLP: body.High.TLP, PAP: body.High.PAP, LeftOut: body.LeftOut,
		Removed: removals(marked.Removed), Lifted: removals(marked.Lifted), MovedTo: marked.Moved,
	}
	if known != nil {
		m.Held, m.Unsettled = known.Held(), known.Abandoned()
	}
	if marked.Gone != 0 {
		m.Gone = time.UnixMilli(marked.Gone).UTC()
	}
	m.Procedures, m.Comments = rememberedProcedures(body), rememberedComments(body)
	return m, nil
}

func rememberedProcedures(body caseBody) (all []EntryProcedure) {
	for id, ref := range body.Procedures {
		all = append(all, EntryProcedure{ID: id, Technique: ref[0], Tactic: ref[1]})
	}
	slices.SortFunc(all, func(a, b EntryProcedure) int {
		return cmp.Or(strings.Compare(a.Technique, b.Technique), strings.Compare(a.Tactic, b.Tactic), strings.Compare(a.ID, b.ID))
	})
	return all
}

func rememberedComments(body caseBody) (all []EntryComment) {
	for _, name := range sortedKeys(body.Comments) {
		ref := body.Comments[name]
		_, day, _ := strings.Cut(name, "/")
		all = append(all, EntryComment{
			ID: ref.ID, Day: day, Detections: ref.N,
			First: time.UnixMilli(ref.First).UTC(), Last: time.UnixMilli(ref.Last).UTC(),
		})
	}
	slices.SortStableFunc(all, func(a, b EntryComment) int { return strings.Compare(a.Day, b.Day) })
	return all
}

func removals(items [][2]string) []Removal {
	all := make([]Removal, 0, len(items))
	for _, it := range items {
		all = append(all, Removal{Kind: it[0], Item: it[1]})
	}
	slices.SortFunc(all, func(a, b Removal) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Item, b.Item))
	})
	return all
}

// LiftRemoval lifts the removal of a technique ("T1059.001", under any of the ids that it had in any
// release) in a case, for all its tactics: the next detection that carries it adds it again. What
// the entry lists is lifted too, in case its removal was not noticed yet; what is there after all
// is found before anything is added. It tells what it lifted, and fails with [ErrNotRemoved].
func (e *Applier) LiftRemoval(ctx context.Context, caseID, technique string) ([]Removal, error) {
	_, body, err := readCase(ctx, e.options.Ledger, caseID)
	if err != nil {
		return nil, err
	}
	var items [][2]string
	for _, ref := range body.Procedures {
		if e.isTechnique(ref[0], ref[1], technique) {
			items = append(items, procedureItem(ref[0], ref[1]))
		}
	}
	var lifted [][2]string
	err = changeMarks(ctx, e.options.Ledger, caseID, func(m *marksBody) bool {
		lifted = slices.Clone(items)
		for _, it := range slices.Concat(m.Removed, m.Lifted) {
			if id, tactic, _ := strings.Cut(it[1], "/"); it[0] == kindProcedure && e.isTechnique(id, tactic, technique) {
				lifted = append(lifted, it)
			}
		}
		return m.lift(lifted...)
	})
	if err == nil && len(lifted) == 0 {
		err = fmt.Errorf("%w: %s", ErrNotRemoved, technique)
	}
	all := removals(lifted)
	return slices.Compact(all), err
}

// isTechnique tells whether a remembered technique is the one meant.
func (e *Applier) isTechnique(id, tactic, meant string) bool {
	if strings.EqualFold(id, meant) {
		return true
	}
	have, _ := e.target().Key(id, tactic)
	want, _ := e.target().Key(strings.ToUpper(meant), tactic)
	return have == want
}
