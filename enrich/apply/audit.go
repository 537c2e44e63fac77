package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"forager/enrich/claim"
	"forager/hive"
)

// AuditEffect is what a document changed in the ledger; the list is closed, so that it can label a metric.
type AuditEffect string

// The effects of a document.
const (
	AuditNothing     AuditEffect = "nothing"      // that the ledger wants to know, or that it did not know
	AuditOwnChange   AuditEffect = "own change"   // of the worker's own account
	AuditRemoval     AuditEffect = "removal"      // of what the worker added
	AuditCaseDeleted AuditEffect = "case deleted" // and with it all that was in it
	AuditCaseMerged  AuditEffect = "case merged"
	AuditResult      AuditEffect = "analysis result" // of a job that is waited for, whoever's account it stands under
)

// NoteAudit merges what an audit document of TheHive says into the marks of its case, so that what an
// analyst removed stays away, a deleted case counts as deleted at once, and a merged one is
// followed at once. Nil means that the document is dealt with, which for most is to do nothing:
// changes of the worker's own account, cases that no entry of the ledger knows, and all that the
// next look at the case shows anyway (closing, reopening, severity, TLP, PAP, tags). What an analyzer said is looked at soon, by
// whoever reads [Applier.News].
//
// Documents may come late, twice, in any order, or never. Therefore NoteAudit only notes what a look
// would find too: the removal of what the case's entry lists. It never takes a removal back: a
// document that says "added" may be older than a removal that was already noticed, and only a
// look under the case's claim can put the item onto the entry at the same time.
//
// Errors: those of the ledger, and of the question whose account the worker has; try again later.
// Safe for concurrent use, with applies and other replicas.
func (a *Applier) NoteAudit(ctx context.Context, d hive.Audit) (AuditEffect, error) {
	switch {
	case saysResult(d): // TheHive writes it as whoever asked for the job
		return a.noteResult(ctx, d.CaseID())
	case !mayMatter(d):
		return AuditNothing, nil
	}
	own, err := a.isOwn(ctx, d.By)
	switch {
	case err != nil:
		return AuditNothing, err
	case own:
		return AuditOwnChange, nil
	case d.Action == hive.AuditMerge:
		return a.noteMerge(ctx, d)
	}
	id := d.CaseID()
	known, body, err := readCase(ctx, a.options.Ledger, id)
	if err != nil || known == nil {
		return AuditNothing, err
	}
	if d.ObjectType == hive.AuditCase {
		now := time.Now().UnixMilli()
		return a.note(ctx, id, AuditCaseDeleted, func(m *marksBody) bool {
			if m.Gone != 0 {
				return false
			}
			m.Gone = now
			return true
		})
	}
	items := body.removedBy(d)
	if len(items) == 0 {
		return AuditNothing, nil
	}
	return a.note(ctx, id, AuditRemoval, func(m *marksBody) bool {
		anew := slices.DeleteFunc(slices.Clone(items), func(it [2]string) bool { return slices.Contains(m.Lifted, it) })
		return m.add(anew...)
	})
}

// note changes a case's marks; where they stay as they were, nothing was learnt.
func (a *Applier) note(ctx context.Context, id string, effect AuditEffect, change func(*marksBody) bool) (AuditEffect, error) {
	changed := false
	err := changeMarks(ctx, a.options.Ledger, id, func(m *marksBody) bool {
		changed = change(m)
		return changed
	})
	if err != nil || !changed {
		return AuditNothing, err
	}
	return effect, nil
}

// mayMatter tells whether a document can mean anything to the ledger.
func mayMatter(a hive.Audit) bool {
	switch {
	case a.CaseID() == "":
		return false
	case a.Action == hive.AuditMerge:
		return a.ObjectType == hive.AuditCase && len(a.Details.MergedFrom) > 0
	case a.Action != hive.AuditDelete:
		return false
	}
	switch a.ObjectType {
	case hive.AuditCase, hive.AuditObservable, hive.AuditProcedure, hive.AuditComment:
		return true
	default:
		return false
	}
}

// saysResult tells whether a document says how a job of an analyzer ended.
func saysResult(a hive.Audit) bool {
	if a.CaseID() == "" || a.Action != hive.AuditUpdate {
		return false
	}
	return a.ObjectType == hive.AuditObservable && a.Details.Reports || a.ObjectType == hive.AuditJob && a.Details.Status == "Failure"
}

// isOwn tells whether the worker itself made a change.
func (a *Applier) isOwn(ctx context.Context, by string) (bool, error) {
	if a.options.Login == nil {
		return false, nil
	}
	if own := a.login.Load(); own != nil {
		return *own == by, nil
	}
	login, err := a.options.Login(ctx)
	if err != nil {
		return false, fmt.Errorf("ask for the worker's own account: %w", err)
	}
	a.login.Store(&login)
	return login == by, nil
}

// noteMerge notes on each source that it became part of another case. A document of its removal
// that TheHive may send besides means nothing then.
func (a *Applier) noteMerge(ctx context.Context, d hive.Audit) (AuditEffect, error) {
	learnt := AuditNothing
	for _, from := range d.Details.MergedFrom {
		if from == d.ObjectID {
			continue
		}
		known, _, err := readCase(ctx, a.options.Ledger, from)
		if err != nil {
			return learnt, err
		}
		if known == nil {
			continue
		}
		effect, err := a.note(ctx, from, AuditCaseMerged, func(m *marksBody) bool {
			changed := m.Moved != d.ObjectID
			m.Moved = d.ObjectID
			return changed
		})
		if err != nil {
			return learnt, err
		}
		if effect != AuditNothing {
			learnt = effect
		}
	}
	return learnt, nil
}

// removedBy gives, as they stand in marks, the items that a deletion took, of those that the
// entry lists. A deleted procedure or comment is known by its id alone.
func (b caseBody) removedBy(a hive.Audit) [][2]string {
	d := a.Details
	switch a.ObjectType {
	case hive.AuditProcedure:
		if ref, ok := b.Procedures[a.ObjectID]; ok && !b.twin(a.ObjectID, ref) {
			return [][2]string{procedureItem(ref[0], ref[1])}
		}
	case hive.AuditObservable:
		if items := b.removedFile(fileHash(d.File, d.FileName)); d.File != "" && items != nil {
			return items
		}
		if h := observableHash(d.DataType, d.Data); d.Data != "" && slices.Contains(b.Observables, h) {
			return [][2]string{{kindObservable, h}}
		}
	case hive.AuditComment:
		if b.Digest != nil && b.Digest.Comment && b.Digest.Page == a.ObjectID {
			return [][2]string{{kindPage, digestTitle}}
		}
		for name, ref := range b.Comments {
			if ref.ID == a.ObjectID {
				return [][2]string{{kindComment, name}}
			}
		}
	}
	return nil
}

// twin tells whether the entry lists the same procedure once more: people may double one, and
// whoever removes the double leaves the other.
func (b caseBody) twin(id string, ref procedureRef) bool {
	for other, same := range b.Procedures {
		if other != id && same == ref {
			return true
		}
	}
	return false
}

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
func (a *Applier) ReadEntry(ctx context.Context, caseID string) (CaseEntry, error) {
	known, body, err := readCase(ctx, a.options.Ledger, caseID)
	if err != nil {
		return CaseEntry{}, err
	}
	marked, _, err := loadMarks(ctx, a.options.Ledger, caseID)
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
func (a *Applier) LiftRemoval(ctx context.Context, caseID, technique string) ([]Removal, error) {
	_, body, err := readCase(ctx, a.options.Ledger, caseID)
	if err != nil {
		return nil, err
	}
	var items [][2]string
	for _, ref := range body.Procedures {
		if a.isTechnique(ref[0], ref[1], technique) {
			items = append(items, procedureItem(ref[0], ref[1]))
		}
	}
	var lifted [][2]string
	err = changeMarks(ctx, a.options.Ledger, caseID, func(m *marksBody) bool {
		lifted = slices.Clone(items)
		for _, it := range slices.Concat(m.Removed, m.Lifted) {
			if id, tactic, _ := strings.Cut(it[1], "/"); it[0] == kindProcedure && a.isTechnique(id, tactic, technique) {
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
func (a *Applier) isTechnique(id, tactic, meant string) bool {
	if strings.EqualFold(id, meant) {
		return true
	}
	have, _ := a.target().Key(id, tactic)
	wanted, _ := a.target().Key(strings.ToUpper(meant), tactic)
	return have == wanted
}

// SourceAlert is a detection as its source names it.
type SourceAlert struct {
	Source string // name of the format that read it
	ID     string // the source's own, up to 200 bytes; a digest where it is longer, or there is none
}

// SourceAlerts are those of one case.
type SourceAlerts struct {
	Known        bool          // the ledger has an entry of the case
	Organisation string        // that the case is in; "" is the account's own
	Alerts       []SourceAlert // in the order in which they came; what is there stays where it is
	LeftOut      int           // for which there was no room, about
}

// ReadSourceAlerts tells which alerts of sources a case has, as far as they are remembered ([Options].SourceAlerts).
// What a holder has not released yet is not in it. Errors: of the ledger, or of an entry that cannot be read.
func ReadSourceAlerts(ctx context.Context, ledger claim.Store, caseID string) (SourceAlerts, error) {
	known, body, err := readCase(ctx, ledger, caseID)
	if err != nil || known == nil {
		return SourceAlerts{}, err
	}
	s := SourceAlerts{Known: true, LeftOut: body.AlertsOut, Alerts: make([]SourceAlert, 0, len(body.SourceAlerts))}
	if body.Organisation != nil {
		s.Organisation = *body.Organisation
	}
	for _, a := range body.SourceAlerts {
		s.Alerts = append(s.Alerts, SourceAlert{Source: a[0], ID: a[1]})
	}
	return s, nil
}
