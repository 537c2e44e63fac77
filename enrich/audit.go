package enrich

import (
	"context"
	"fmt"
	"slices"
	"time"

	"forager/hive"
)

// Lesson is what the ledger learnt from a document; the list is closed, so that it can label a metric.
type Lesson string

// The lessons of [Enricher.Learn].
const (
	LearntNothing  Lesson = "nothing"      // that the ledger wants to know, or that it did not know
	LearntOwn      Lesson = "own change"   // of the worker's own account
	LearntRemoval  Lesson = "removal"      // of what the worker added
	LearntDeletion Lesson = "case deleted" // and with it all that was in it
	LearntMerge    Lesson = "case merged"
)

// Learn merges what an audit document of TheHive says into the marks of its case, so that what an
// analyst removed stays away, a deleted case leaves its tombstone at once, and a merged one is
// followed at once. Nil means that the document is dealt with, which for most is to do nothing:
// changes of the worker's own account, cases that no entry of the ledger knows, and all that the
// next look at the case shows anyway (closing, reopening, severity, TLP, PAP, tags).
//
// Documents may come late, twice, in any order, or never. Therefore Learn only notes what a look
// would find too: the removal of what the case's entry lists. It never takes a removal back: a
// document that says "added" may be older than a removal that was already noticed, and only a
// look under the case's claim can put the item onto the entry at the same time.
//
// Errors: those of the ledger, and of the question whose account the worker has; try again later.
// Safe for concurrent use, with applies and other replicas.
func (e *Enricher) Learn(ctx context.Context, a hive.Audit) (Lesson, error) {
	if !telling(a) {
		return LearntNothing, nil
	}
	own, err := e.isOwn(ctx, a.By)
	switch {
	case err != nil:
		return LearntNothing, err
	case own:
		return LearntOwn, nil
	case a.Action == hive.AuditMerge:
		return e.learnMerge(ctx, a)
	}
	id := a.CaseID()
	known, body, err := readCase(ctx, e.options.Ledger, id)
	if err != nil || known == nil {
		return LearntNothing, err
	}
	if a.ObjectType == hive.AuditCase {
		now := time.Now().UnixMilli()
		return e.note(ctx, id, LearntDeletion, func(m *marksBody) bool {
			if m.Gone != 0 {
				return false
			}
			m.Gone = now
			return true
		})
	}
	items := body.removedBy(a)
	if len(items) == 0 {
		return LearntNothing, nil
	}
	return e.note(ctx, id, LearntRemoval, func(m *marksBody) bool {
		anew := slices.DeleteFunc(slices.Clone(items), func(it [2]string) bool { return slices.Contains(m.Lifted, it) })
		return m.add(anew...)
	})
}

// note changes a case's marks; where they stay as they were, nothing was learnt.
func (e *Enricher) note(ctx context.Context, id string, lesson Lesson, change func(*marksBody) bool) (Lesson, error) {
	changed := false
	err := changeMarks(ctx, e.options.Ledger, id, func(m *marksBody) bool {
		changed = change(m)
		return changed
	})
	if err != nil || !changed {
		return LearntNothing, err
	}
	return lesson, nil
}

// telling tells whether a document can mean anything to the ledger.
func telling(a hive.Audit) bool {
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

// isOwn tells whether the worker itself made a change.
func (e *Enricher) isOwn(ctx context.Context, by string) (bool, error) {
	if e.options.Login == nil {
		return false, nil
	}
	if own := e.login.Load(); own != nil {
		return *own == by, nil
	}
	login, err := e.options.Login(ctx)
	if err != nil {
		return false, fmt.Errorf("ask for the worker's own account: %w", err)
	}
	e.login.Store(&login)
	return login == by, nil
}

// learnMerge notes on each source that it became part of another case. A document of its removal
// that TheHive may send besides means nothing then.
func (e *Enricher) learnMerge(ctx context.Context, a hive.Audit) (Lesson, error) {
	learnt := LearntNothing
	for _, from := range a.Details.MergedFrom {
		if from == a.ObjectID {
			continue
		}
		known, _, err := readCase(ctx, e.options.Ledger, from)
		if err != nil {
			return learnt, err
		}
		if known == nil {
			continue
		}
		lesson, err := e.note(ctx, from, LearntMerge, func(m *marksBody) bool {
			changed := m.Moved != a.ObjectID
			m.Moved = a.ObjectID
			return changed
		})
		if err != nil {
			return learnt, err
		}
		if lesson != LearntNothing {
			learnt = lesson
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
