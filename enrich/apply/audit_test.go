package apply_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"
)

// The analyst has an account of her own, so that the worker's changes can be told from hers.
const (
	analystLogin = "analyst@thehive.local"
	analystKey   = "analyst-key"
)

func newAuditDesk(t *testing.T) desk {
	s := newSite(t, hivetest.Options{Users: []hivetest.User{{
		Login: analystLogin, Name: "Analyst", APIKey: analystKey,
		Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "analyst"}},
	}}})
	return desk{site: s, analyst: s.clientAs(t, analystKey), t: t}
}

// openedDesk is a desk with a worker that has opened the first case, of web01.
func openedDesk(t *testing.T, change ...func(*apply.Options)) (desk, *apply.Applier, hive.Case) {
	t.Helper()
	d := newAuditDesk(t)
	e := d.learner(change...)
	mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
	return d, e, d.theCase("1")
}

// learner is a worker that knows its own account.
func (d desk) learner(change ...func(*apply.Options)) *apply.Applier {
	c := d.client(d.t)
	return d.worker(d.t, append([]func(*apply.Options){func(o *apply.Options) {
		o.Login = func(ctx context.Context) (string, error) {
			u, err := c.CurrentUser(ctx)
			return u.Login, err
		}
	}}, change...)...)
}

// learn teaches a worker one document, and tells what it learnt.
func (d desk) learn(e *apply.Applier, a hive.Audit) apply.AuditEffect {
	d.t.Helper()
	effect, err := e.NoteAudit(d.t.Context(), a)
	d.must(err)
	return effect
}

// tell delivers all documents that the simulator has, in a version, and counts what was learnt.
func (d desk) tell(e *apply.Applier, version int) map[apply.AuditEffect]int {
	d.t.Helper()
	learnt := map[apply.AuditEffect]int{}
	for _, document := range d.hive.Documents(version) {
		a, err := hive.ParseAudit(document)
		d.must(err)
		learnt[d.learn(e, a)]++
	}
	return learnt
}

func (d desk) recall(e *apply.Applier, id string) apply.CaseEntry {
	d.t.Helper()
	m, err := e.ReadEntry(d.t.Context(), id)
	d.must(err)
	return m
}

func carrying(d detection.Detection, ids ...string) detection.Detection {
	d.Techniques = nil
	for _, id := range ids {
		d.Techniques = append(d.Techniques, detection.Reference{Text: id})
	}
	return d
}

// realDocument is a captured document, with ids of the simulator's instead of its own.
func realDocument(t *testing.T, name string, ids ...string) hive.Audit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "thehive", "webhooks", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the webhook documents are not here (../shared/data/thehive/webhooks)")
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := hive.ParseAudit([]byte(strings.NewReplacer(ids...).Replace(string(text))))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestP5TheCapturedRemovalOfATechniqueKeepsItAway(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v0", "v1"} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newAuditDesk(t)
				e := d.learner()
				mustApply(t, e, plan(t, 1, carrying(seen("web01", "a", day(9)), "T1589.003", "T1110")))
				c := d.theCase("1")
				before := d.ledger.Keys()
				added, removed := version+"-procedure-ttp-added-to-a-case.json", version+"-procedure-ttp-removed-from-a-case.json"
				d.learn(e, realDocument(t, added))
				d.learn(e, realDocument(t, removed))
				if after := d.ledger.Keys(); len(after) != len(before) {
					t.Fatalf("documents of an unknown case changed the ledger: %v", after)
				}
				id := d.removeProcedure(c.ID, "T1589.003")
				ids := []string{"~40976512", c.ID, "~37016", id}
				d.learn(e, realDocument(t, added, ids...))
				d.learn(e, realDocument(t, removed, ids...))
				if got := d.recall(e, c.ID).Removed; !slices.Equal(got, []apply.Removal{{Kind: "procedure", Item: "T1589.003/reconnaissance"}}) {
					t.Fatalf("removed: %v", got)
				}
				mustApply(t, d.learner(), plan(t, 2, carrying(seen("web01", "b", day(10)), "T1589.003", "T1486")))
				if got := techniques(d.hive.Snapshot().Cases[0]); !slices.Equal(got, []string{"T1110", "T1486"}) {
					t.Errorf("procedures %v: want the removed one away, the other of the same detection there", got)
				}
			})
		})
	}
}

func TestP5DocumentsKeepWhatAnalystsRemovedAwayEvenFromAnotherMemory(t *testing.T) {
	t.Parallel()
	for version := range 2 {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, e, c := openedDesk(t)
				other := seen("web01", "b", day(10))
				other.Rule.ID = "r2"
				mustApply(t, e, plan(t, 2, other))
				d.removeProcedure(c.ID, "T1110")
				d.removeObservables(c.ID, "ip")
				for m, err := range d.analyst.CaseComments(t.Context(), c.ID) {
					d.must(err)
					d.must(d.analyst.DeleteComment(t.Context(), m.ID))
				}
				d.tell(e, version)
				if got := d.recall(e, c.ID).Removed; len(got) != 3 {
					t.Fatalf("removed: %v", got)
				}
				third := seen("web01", "c", day(11))
				third.Rule.ID = "r2"
				mustApply(t, d.learner(), plan(t, 3, third))
				got := d.hive.Snapshot().Cases[0]
				if !slices.Equal(techniques(got), []string{"T1059.001"}) || len(got.Observables) != 1 || len(got.Comments) != 0 {
					t.Errorf("the case has %+v", got)
				}
			})
		})
	}
}

func TestP5LoweredSeverityAndRemovedTagsStayWithDocumentsToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, e, c := openedDesk(t)
		severity, tlp := 1, 1
		d.must(d.analyst.UpdateCase(t.Context(), c.ID, hive.CaseUpdate{Severity: &severity, TLP: &tlp, RemoveTags: []string{"native"}}))
		d.tell(e, 1)
		mustApply(t, e, plan(t, 2, seen("web01", "b", day(10))))
		got := d.hive.Snapshot().Cases[0]
		if got.Severity != 1 || got.TLP != 1 || slices.Contains(got.Tags, "native") {
			t.Errorf("severity %d, TLP %d, tags %v", got.Severity, got.TLP, got.Tags)
		}
	})
}

// A document that says "added" may be older than a removal that a look has noticed.
func TestALateAdditionTakesNoRemovalBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, e, c := openedDesk(t)
		d.removeProcedure(c.ID, "T1110")
		_, err := d.analyst.AddProcedure(t.Context(), c.ID, hive.NewProcedure{
			PatternID: "T1110", Tactic: "credential-access", OccurDate: hive.MillisOf(day(9)),
		})
		d.must(err)
		d.removeProcedure(c.ID, "T1110")
		mustApply(t, e, plan(t, 2, carrying(seen("web01", "b", day(10)), "T1486"))) // looks
		d.tell(e, 1)
		mustApply(t, e, plan(t, 3, carrying(seen("web01", "c", day(11)), "T1110", "T1105")))
		if got := techniques(d.hive.Snapshot().Cases[0]); !slices.Equal(got, []string{"T1059.001", "T1105", "T1486"}) {
			t.Errorf("procedures %v", got)
		}
	})
}

func TestWhatTheWorkerItselfRemovesIsNoRemovalOfAnAnalyst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, e, c := openedDesk(t)
		d.analyst = d.client(t) // the worker's own account
		d.removeProcedure(c.ID, "T1110")
		d.tell(e, 1)
		if got := d.recall(e, c.ID).Removed; len(got) != 0 {
			t.Errorf("removed: %v", got)
		}
	})
}

func TestLearnFailsWhileItCannotKnowWhoItIs(t *testing.T) {
	t.Parallel()
	d := newAuditDesk(t)
	down := errors.New("down")
	e := d.worker(t, func(o *apply.Options) {
		o.Login = func(context.Context) (string, error) { return "", down }
	})
	a := hive.Audit{Action: hive.AuditDelete, ObjectType: hive.AuditProcedure, ObjectID: "~1", RootID: "~2", By: "x"}
	if _, err := e.NoteAudit(t.Context(), a); !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
}
