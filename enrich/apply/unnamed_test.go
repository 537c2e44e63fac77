package apply_test

import (
	"context"
	"encoding/json"
	"errors"
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

const (
	observableRoute = "POST /api/v1/case/{id}/observable"
	procedureRoute  = "POST /api/v1/case/{id}/procedures"
	commentRoute    = "POST /api/v1/case/{id}/comment"
	caseRoute       = "POST /api/v1/case"
)

// ledgerOf gives the lists that the case's entry holds.
func ledgerOf(t *testing.T, d desk) (observables, procedures, comments int) {
	t.Helper()
	value, _, err := d.ledger.Get(t.Context(), "case."+d.theCase("1").ID)
	d.must(err)
	var body struct {
		Observables []string                   `json:"observables"`
		Procedures  map[string]json.RawMessage `json:"procedures"`
		Comments    map[string]json.RawMessage `json:"comments"`
	}
	d.must(json.Unmarshal(value, &body))
	return len(body.Observables), len(body.Procedures), len(body.Comments)
}

// first makes an action of the first call alone.
func first(a hivetest.Action) func(hivetest.Call) hivetest.Action {
	done := false
	return func(hivetest.Call) hivetest.Action {
		if done {
			return hivetest.Action{}
		}
		done = true
		return a
	}
}

// always makes an action of every call.
func always(a hivetest.Action) func(hivetest.Call) hivetest.Action {
	return func(hivetest.Call) hivetest.Action { return a }
}

// values are the observables of the first case, sorted.
func values(s *site) (all []string) {
	for _, o := range s.hive.Snapshot().Cases[0].Observables {
		all = append(all, o.Data)
	}
	slices.Sort(all)
	return all
}

// second applies a first detection, then what is wrong, then one with two more values.
func second(t *testing.T, d desk, wrong func(e *apply.Applier)) error {
	t.Helper()
	e := d.worker(t)
	mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
	wrong(e)
	two := seen("web01", "b", day(9))
	two.Observables = []detection.Observable{{DataType: "other", Data: "one"}, {DataType: "other", Data: "two"}}
	plans := plan(t, 2, two)
	return e.Apply(t.Context(), enrich.BatchOf(plans...))[0]
}

// TestOfObservablesOnlyWhatIsNamedOrListedIsRemembered: whatever the answer says.
func TestOfObservablesOnlyWhatIsNamedOrListedIsRemembered(t *testing.T) {
	t.Parallel()
	after, before := hivetest.AfterEffect, hivetest.BeforeEffect
	for name, c := range map[string]struct {
		stage  hivetest.Stage
		action func(hivetest.Call) hivetest.Action
		mine   bool     // an analyst added "one" himself
		want   []string // besides the two of the first detection
		failed string   // what the refusal names
	}{
		"a double without a name":        {after, always(hivetest.Action{Wrong: hivetest.Nameless}), true, []string{"one", "two"}, ""},
		"another value":                  {after, always(hivetest.Action{Wrong: hivetest.Other}), false, []string{"one", "two"}, ""},
		"fewer objects":                  {after, always(hivetest.Action{Wrong: hivetest.Fewer}), false, []string{"one", "two"}, ""},
		"nothing was done, it says 200":  {before, always(hivetest.Action{Status: 200, Message: "ok"}), false, nil, "one"},
		"it was not done for once":       {before, first(hivetest.SaysExists()), false, []string{"one", "two"}, ""},
		"it exists, and never does":      {before, always(hivetest.SaysExists()), false, nil, "one"},
		"it exists, and an analyst's is": {before, always(hivetest.SaysExists()), true, []string{"one"}, "two"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				err := second(t, d, func(*apply.Applier) {
					if c.mine {
						_, err := d.analyst.AddObservables(t.Context(), "1", hive.NewObservable{DataType: "other", Data: []string{"one"}})
						d.must(err)
					}
					d.hive.On(c.stage, observableRoute, c.action)
				})
				if (err != nil) != (c.failed != "") || err != nil && !strings.Contains(err.Error(), c.failed) {
					t.Errorf("error %v", err)
				}
				want := append([]string{"198.51.100.7"}, append(slices.Clone(c.want), "web01")...)
				got := values(d.site)
				n, _, _ := ledgerOf(t, d)
				if !slices.Equal(got, want) || n != len(got) {
					t.Errorf("values %v, want %v; %d in the entry", got, want, n)
				}
			})
		})
	}
}

// TestProceduresAndCommentsThatTheHiveNamesOtherwise: they are listed, and not written twice; what is not there is
// refused by name.
func TestProceduresAndCommentsThatTheHiveNamesOtherwise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		route  string
		stage  hivetest.Stage
		action hivetest.Action
		failed string
		lag    time.Duration // of the case's lists
	}{
		"another technique":          {procedureRoute, hivetest.AfterEffect, hivetest.Action{Wrong: hivetest.Other}, "", 0},
		"another technique, late":    {procedureRoute, hivetest.AfterEffect, hivetest.Action{Wrong: hivetest.Other}, "", 5 * time.Second},
		"fewer techniques":           {procedureRoute, hivetest.AfterEffect, hivetest.Action{Wrong: hivetest.Fewer}, "", 0},
		"fewer techniques, late":     {procedureRoute, hivetest.AfterEffect, hivetest.Action{Wrong: hivetest.Fewer}, "", 5 * time.Second},
		"another comment":            {commentRoute, hivetest.AfterEffect, hivetest.Action{Wrong: hivetest.Other}, "", 0},
		"another comment, late":      {commentRoute, hivetest.AfterEffect, hivetest.Action{Wrong: hivetest.Other}, "", 5 * time.Second},
		"another of both, and never": {"", hivetest.BeforeEffect, hivetest.Action{}, "another", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t, func(o *apply.Options) {
					if c.failed != "" {
						o.Hive = func(string) apply.Hive { return deceiver{d.analyst} }
					}
				})
				one := seen("web01", "a", day(9))
				one.Techniques = nil
				mustApply(t, e, plan(t, 1, one))
				if c.route != "" {
					d.hive.On(c.stage, c.route, always(c.action))
				}
				d.hive.Set(hivetest.Misbehaviour{Lag: c.lag, LagChildren: true})
				two := seen("web01", "b", day(9))
				two.Rule.ID = "r2"
				plans := plan(t, 2, two)
				err := e.Apply(t.Context(), enrich.BatchOf(plans...))[0]
				var refused *enrich.RejectedError
				if (err != nil) != (c.failed != "") || err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.failed) || refused.Items[0].Step != "procedure") {
					t.Errorf("error %v", err)
				}
				got := d.hive.Snapshot().Cases[0]
				wantP, wantC := 2, 1
				if c.failed != "" {
					wantP, wantC = 0, 0
				}
				_, p, m := ledgerOf(t, d)
				if len(got.Procedures) != wantP || len(got.Comments) != wantC || p != wantP || m != wantC+1 { // the description names r1
					t.Errorf("%d procedures and %d comments, %d and %d in the entry", len(got.Procedures), len(got.Comments), p, m)
				}
			})
		})
	}
}

// deceiver answers as if it had written something else, and writes nothing.
type deceiver struct{ apply.Hive }

func (deceiver) AddProcedures(context.Context, string, []hive.NewProcedure) ([]hive.Procedure, error) {
	return []hive.Procedure{}, nil
}

func (deceiver) AddComment(context.Context, string, string) (hive.Comment, error) {
	return hive.Comment{ID: "~1", Message: "other"}, nil
}

// TestACommentThatIsRefusedStandsUnderANeutralHeadline: only whose words were refused is charged.
func TestACommentThatIsRefusedStandsUnderANeutralHeadline(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404, 500} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				e := s.worker(t)
				mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
				bad, same, good := seen("web01", "b", day(9)), seen("web01", "c", day(9)), seen("web01", "d", day(9))
				bad.Rule.ID, bad.Title = "r2", "forbidden words"
				same.Rule.ID, good.Rule.ID = "r2", "r3"
				refuseWord(s, "forbidden", status)
				plans := plan(t, 2, bad, same, good)
				errs := e.Apply(t.Context(), enrich.BatchOf(plans...))
				if errs[0] == nil || !strings.Contains(errs[0].Error(), "forbidden") || errs[1] != nil || errs[2] != nil {
					t.Errorf("errors %v", errs)
				}
				got := s.hive.Snapshot().Cases[0].Comments
				if len(got) != 2 || !slices.ContainsFunc(got, func(text string) bool {
					return strings.Contains(text, "ids=b,c") && strings.Contains(text, "Suspicious logon")
				}) {
					t.Errorf("comments %q", got)
				}
				alone := seen("web01", "e", day(9))
				alone.Rule.ID, alone.Title = "r4", "forbidden words"
				plans = plan(t, 5, alone)
				if err := e.Apply(t.Context(), enrich.BatchOf(plans...))[0]; err == nil || !strings.Contains(err.Error(), "forbidden") {
					t.Errorf("error %v", err)
				}
				got = s.hive.Snapshot().Cases[0].Comments
				if len(got) != 3 || !slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, "ids=e") && strings.Contains(text, "Detections") }) {
					t.Errorf("comments %q", got)
				}
			})
		})
	}
}

// TestASecondNameOfTheSameContentBecomesATag: TheHive knows a file by its content alone.
func TestASecondNameOfTheSameContentBecomesATag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, e := withFiles(t)
		for i, name := range []string{"invoice.pdf", "payment.pdf", "payment.pdf", "invoice.pdf"} {
			d := seen("web01", string(rune('a'+i)), day(9))
			d.Files = []detection.File{{Name: name, Data: []byte("same")}}
			mustApply(t, e, plan(t, uint64(i+1), d))
		}
		files, tags := 0, []string{}
		for _, o := range s.hive.Snapshot().Cases[0].Observables {
			if o.File.Name != "" {
				files, tags = files+1, append(tags, o.Tags...)
			}
		}
		if files != 1 || !slices.Equal(tags, []string{"name:payment.pdf"}) {
			t.Errorf("%d files, tags %v", files, tags)
		}
	})
}
