package apply_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"
)

// hiding is TheHive as an account sees it that may lose sight of a case, or that stands behind
// something which answers 404 by itself.
type hiding struct {
	apply.Hive
	hidden map[string]error // by id
}

func (h *hiding) Case(ctx context.Context, id string) (hive.Case, error) {
	if err := h.hidden[id]; err != nil {
		return hive.Case{}, err
	}
	return h.Hive.Case(ctx, id)
}

func (h *hiding) FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error] {
	return func(yield func(hive.Case, error) bool) {
		for c, err := range h.Hive.FindCases(ctx, q) {
			if h.hidden[c.ID] == nil && !yield(c, err) {
				return
			}
		}
	}
}

func (h *hiding) wrap(o *apply.Options) {
	inner := o.Hive("")
	h.Hive = inner
	o.Hive = func(string) apply.Hive { return h }
}

// notFound are the answers 404: TheHive's own, and those of something before it.
func notFound(text bool) error {
	e := &hive.Error{Op: "get case", Method: http.MethodGet, Status: http.StatusNotFound, Sent: true, Type: "NotFoundError", Message: "Case not found"}
	if text {
		e.Type, e.Message = "", "404 page not found"
	}
	return e
}

// hidingDesk is a desk with a worker whose sight of cases can be taken.
func hidingDesk(t *testing.T) (desk, *hiding, *apply.Applier, *heardEvents) {
	d, h, heard := newAuditDesk(t), &hiding{hidden: map[string]error{}}, &heardEvents{}
	return d, h, d.learner(h.wrap, func(o *apply.Options) { o.Events = heard }), heard
}

func applied(t *testing.T, e *apply.Applier, sequence uint64, all ...detection.Detection) []error {
	t.Helper()
	plans := plan(t, sequence, all...)
	return e.Apply(t.Context(), enrich.BatchOf(plans...))
}

// TestACaseOutOfSightIsNotDeleted: nothing is dropped, a new case says which it follows, and what is
// seen again takes what happened in its time.
func TestACaseOutOfSightIsNotDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, h, e, heard := hidingDesk(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9)), seen("web01", "b", day(12))))
		h.hidden[d.theCase("1").ID] = notFound(false)
		if err := applied(t, e, 2, seen("web01", "c", day(13)))[0]; err != nil {
			t.Fatalf("error %v", err)
		}
		got := d.hive.Snapshot().Cases
		if len(got) != 2 || !strings.Contains(got[1].Description, "Follows case #1,") || heard.count(apply.EventUnseen) != 1 {
			t.Fatalf("%d cases, %d told: %q", len(got), heard.count(apply.EventUnseen), got[len(got)-1].Description)
		}
		began := time.Now()
		mustApply(t, e, plan(t, 3, seen("web01", "d", day(14))))
		mustApply(t, e, plan(t, 4, carrying(seen("web01", "e", day(10)), "T1486")))
		if took := time.Since(began); took > time.Second || heard.count(apply.EventUnseen) != 1 {
			t.Errorf("the second look took %v, told %d times", took, heard.count(apply.EventUnseen))
		}
		clear(h.hidden)
		mustApply(t, e, plan(t, 5, carrying(seen("web01", "f", day(11)), "T1105")))
		got = d.hive.Snapshot().Cases
		if len(got) != 2 || !slices.Contains(techniques(got[0]), "T1105") || slices.Contains(techniques(got[1]), "T1105") {
			t.Errorf("%d cases, procedures %v and %v", len(got), techniques(got[0]), techniques(got[1]))
		}
	})
}

// TestATombstoneWhoseCaseAnswersIsLifted, also one of a version that made them of any 404.
func TestATombstoneWhoseCaseAnswersIsLifted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		told, back bool
		dropped    bool
		cases      int
	}{
		"deleted, as a document says": {told: true, dropped: true, cases: 1},
		"it answers again":            {told: true, back: true, cases: 1},
		"nothing ever said so":        {cases: 2},
		"nothing said so, answers":    {back: true, cases: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, h, e, _ := hidingDesk(t)
				mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
				first := d.theCase("1")
				d.tombstone(first)
				e = d.learner(h.wrap)
				if c.told {
					d.learn(e, hive.Audit{Action: hive.AuditDelete, ObjectType: hive.AuditCase, ObjectID: first.ID, RootID: first.ID, By: "somebody"})
				}
				if !c.back {
					h.hidden[first.ID] = notFound(false)
				}
				err := applied(t, e, 2, seen("web01", "b", day(10)))[0]
				dropped, _ := errors.AsType[*enrich.DroppedError](err)
				if (dropped != nil) != c.dropped || dropped == nil && err != nil || len(d.hive.Snapshot().Cases) != c.cases {
					t.Errorf("error %v, %d cases", err, len(d.hive.Snapshot().Cases))
				}
			})
		})
	}
}

// tombstone makes the entry of web01 say that its case is gone, as the first versions wrote it.
func (d desk) tombstone(c hive.Case) {
	d.t.Helper()
	key := "key." + enrich.Key{Kind: "host", Value: "web01"}.Hash(hivetest.DefaultOrganisation)
	value, revision, err := d.ledger.Get(d.t.Context(), key)
	d.must(err)
	start := fmt.Sprint(int64(c.StartDate))
	i := strings.Index(string(value), `"cases":[[`)
	end := i + strings.Index(string(value)[i:], "]]")
	changed := string(value)[:i] + `"cases":[["` + c.ID + `",` + fmt.Sprint(c.Number) + "," + start + "," + start + ",0,true" + string(value)[end:]
	_, err = d.ledger.Put(d.t.Context(), key, []byte(changed), revision)
	d.must(err)
}

// TestA404OfSomethingElseSaysNothingOfACase: a proxy's answers are no verdict, whatever their share.
func TestA404OfSomethingElseSaysNothingOfACase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, h, e, heard := hidingDesk(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		h.hidden[d.theCase("1").ID] = notFound(true)
		for i := range 5 {
			err := applied(t, e, uint64(2+i), seen("web01", fmt.Sprint(i), day(10)))[0]
			if enrich.ClassOf(err) != enrich.Transient {
				t.Errorf("error %v", err)
			}
		}
		clear(h.hidden)
		mustApply(t, e, plan(t, 9, seen("web01", "z", day(10))))
		if n := len(d.hive.Snapshot().Cases); n != 1 || heard.count(apply.EventUnseen) != 0 {
			t.Errorf("%d cases, %d out of sight", n, heard.count(apply.EventUnseen))
		}
	})
}

// TestAKeyOpensOnlySoManyCasesAnHour: what closes each case at once does not make a host fill
// TheHive; another host, another hour and a backfill of a year are not held up.
func TestAKeyOpensOnlySoManyCasesAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		var heard heardEvents
		e := d.worker(t, func(o *apply.Options) { o.Events = &heard })
		send := func(i int, host string, at time.Time) {
			t.Helper()
			mustApply(t, e, plan(t, uint64(1+i), seen(host, fmt.Sprint(host, i), at)))
			status, end := "TruePositive", hive.MillisOf(at.Add(time.Millisecond))
			for c, err := range d.analyst.FindCases(t.Context(), hive.Query{Filter: hive.Ne("stage", "Closed")}) {
				d.must(err)
				d.must(d.analyst.UpdateCase(t.Context(), c.ID, hive.CaseUpdate{Status: &status, EndDate: &end}))
			}
		}
		for i := range 50 {
			if i%10 == 9 {
				e = d.worker(t, func(o *apply.Options) { o.Events = &heard }) // over all replicas
			}
			send(i, "web01", day(9).Add(time.Duration(i)*time.Minute))
		}
		got := d.hive.Snapshot().Cases
		over := got[len(got)-1]
		if len(got) != 21 || over.Title != "Too many new cases: host:web01" || !slices.Contains(over.Tags, "forager:overflow") {
			t.Errorf("%d cases, the last is %q with %v", len(got), over.Title, over.Tags)
		}
		if n := heard.count(apply.EventCrowded); n != 30 {
			t.Errorf("told %d times, want 30", n)
		}
		send(100, "db01", day(9))
		send(101, "web01", day(10))
		if n := len(d.hive.Snapshot().Cases); n != 23 {
			t.Errorf("%d cases after another host and another hour, want 23", n)
		}
		var year []detection.Detection
		for i := range 365 {
			year = append(year, seen("mail01", fmt.Sprint("y", i), day(9).Add(time.Duration(25*(i-365))*time.Hour)))
		}
		mustApply(t, e, plan(t, 1000, year...))
		if n := len(d.hive.Snapshot().Cases); n != 23+365 {
			t.Errorf("%d cases after a year, want %d", n, 23+365)
		}
	})
}
