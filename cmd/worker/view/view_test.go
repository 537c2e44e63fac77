package view

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"forager/cmd/worker/page"
	"forager/cmd/worker/recent"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/hive"
	"forager/mitre"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// still is a worker that waits for TheHive.
type still struct{}

func (still) Ready() (bool, []string) {
	return false, []string{"gate is closed: TheHive does not answer"}
}
func (still) Notes() []string  { return nil }
func (still) Held() (int, int) { return 3, 400 }

var errAway = errors.New("nats is away")

func options(procedures ...hive.Procedure) Options {
	return Options{
		History: recent.New(time.Now), Worker: still{}, InFlight: func() int { return 2 }, Limit: func() int { return 8 }, Most: 32,
		Connect:   func(context.Context) (*stream.Link, error) { return nil, errAway },
		Catalogue: mitre.Embedded(), CaseURL: func(l enrich.Landing) string { return "https://hive.example/cases/" + l.ID },
		Procedures: func(context.Context, hive.Query) iter.Seq2[hive.Procedure, error] {
			return func(yield func(hive.Procedure, error) bool) {
				for _, p := range procedures {
					if !yield(p, nil) {
						return
					}
				}
			}
		},
		Replica: "forager-0", Rollbacks: func() int { return 0 },
	}
}

// TestAPageIsShownWhileEverythingIsAway: what the replica knows itself is there, the rest says why it is not.
func TestAPageIsShownWhileEverythingIsAway(t *testing.T) {
	o := options()
	v := New(o)
	defer v.Close()
	o.History.Settled(pipeline.Settlement{Stream: "DET", Sequence: 9, Cases: []enrich.Landing{{ID: "~4", Number: 12}}})
	o.History.Happened(apply.Event{Kind: apply.EventDoubled})
	s := v.Snapshot(t.Context())
	if s.Flow.Ready || len(s.Concerns) != 2 || s.Flow.InHand != 3 || s.Flow.Calls != (page.Calls{InFlight: 2, Limit: 8, Most: 32}) {
		t.Errorf("%+v", s.Flow)
	}
	if len(s.Recent) != 1 || s.Recent[0].Cases[0] != (page.Case{Number: 12, URL: "https://hive.example/cases/~4"}) {
		t.Errorf("%+v", s.Recent)
	}
	if s.Promises[0].N != 1 || s.Promises[0].Do == "" {
		t.Errorf("%+v", s.Promises[0])
	}
	if !strings.Contains(s.Flow.Trouble, "away") || !strings.Contains(s.Letters.Trouble, "away") {
		t.Errorf("replicas %q, letters %q", s.Flow.Trouble, s.Letters.Trouble)
	}
	if _, err := v.Open(t.Context(), 9); !errors.Is(err, errAway) {
		t.Errorf("%v", err)
	}
	if _, err := v.Open(t.Context(), 8); !errors.Is(err, page.ErrGone) {
		t.Errorf("a message that was never shown: %v", err)
	}
}

// TestTheMatrixIsOfTheChosenRelease: procedures of another release count as what the release calls them; sub-techniques
// lie below theirs.
func TestTheMatrixIsOfTheChosenRelease(t *testing.T) {
	v := New(options(
		hive.Procedure{PatternID: "T1059.001", Tactic: "execution"}, hive.Procedure{PatternID: "T1059.001", Tactic: "execution"},
		hive.Procedure{PatternID: "T1059", Tactic: "execution"}, hive.Procedure{PatternID: "T1562.001", Tactic: "defense-evasion"},
		hive.Procedure{PatternID: "T0803", Tactic: "inhibit-response-function"},
	))
	defer v.Close()
	for _, c := range []struct {
		domain, release string
		total, beside   int
	}{{"", "", 4, 1}, {"enterprise-attack", "18.1", 4, 1}, {"ics-attack", "", 1, 4}, {"nonsense", "0", 4, 1}} {
		m := v.Matrix(t.Context(), c.domain, c.release)
		if m.Total != c.total || m.Beside != c.beside || m.Counted.IsZero() || !m.Whole {
			t.Errorf("%s %s: %d and %d beside, want %d and %d", m.Domain, m.Release, m.Total, m.Beside, c.total, c.beside)
		}
	}
	old := v.Matrix(t.Context(), "enterprise-attack", "18.1")
	if old.Release != "18.1" || len(old.Tactics) != 14 || old.Tactics[0].Name != "Reconnaissance" || old.Tactics[3].Name != "Execution" {
		t.Fatalf("%s: %+v", old.Release, old.Tactics)
	}
	for _, x := range old.Tactics[3].Techniques {
		if x.ID != "T1059" {
			continue
		}
		if x.Count != 1 || len(x.Subs) < 8 || x.Subs[0].ID != "T1059.001" || x.Subs[0].Count != 2 || x.Subs[0].Name != "PowerShell" {
			t.Errorf("%+v", x)
		}
		layer, err := v.Layer(t.Context(), "enterprise-attack", "18.1")
		if err != nil || !strings.Contains(string(layer), `"T1059.001"`) {
			t.Errorf("%s, %v", layer, err)
		}
		return
	}
	t.Error("no T1059 under Execution")
}

// TestCountsAreAskedForOnceForAll, and failures are said.
func TestCountsAreAskedForOnceForAll(t *testing.T) {
	o, asked := options(), 0
	o.Procedures = func(context.Context, hive.Query) iter.Seq2[hive.Procedure, error] {
		asked++
		return func(yield func(hive.Procedure, error) bool) { yield(hive.Procedure{}, errAway) }
	}
	v := New(o)
	defer v.Close()
	for range 5 {
		if m := v.Matrix(t.Context(), "", ""); !strings.Contains(m.Trouble, "away") || len(m.Tactics) == 0 {
			t.Errorf("%+v", m.Trouble)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
