package apply_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/racedetector"
)

// The ledger is right without audit documents, only later: one history of detections and of what
// analysts do ends in one state, whether all documents come, some, doubled and shuffled, or none but
// of the cases that were deleted.

var auditRuns = flag.Int("audit.runs", racedetector.Fewer(6, 1), "random histories of analysts to try")

// act is one thing that happens: a detection, or something that an analyst does.
type act struct {
	kind      string
	host      int
	technique int
	other     int // a second host, for merges
	minute    int
}

// techniquesOf the histories, each with its one tactic.
func historicTechnique(i int) (id, tactic string) {
	all := [][2]string{
		{"T1059.001", "execution"}, {"T1110", "credential-access"}, {"T1105", "command-and-control"}, {"T1486", "impact"},
	}
	return all[i%len(all)][0], all[i%len(all)][1]
}

func historyOf(rng *rand.Rand, n int) (acts []act) {
	kinds := []string{
		"detect", "detect", "detect", "detect", "remove procedure", "remove procedure", "add procedure",
		"remove observable", "remove comment", "lower severity", "remove tag", "merge", "delete case",
	}
	for i := range n {
		a := act{kind: kinds[rng.IntN(len(kinds))], host: rng.IntN(3), technique: rng.IntN(4), other: rng.IntN(3), minute: i}
		if a.kind == "delete case" && rng.IntN(3) > 0 {
			a.kind = "detect" // rare, or nothing would be left to look at
		}
		acts = append(acts, a)
	}
	return acts
}

// post is how documents come.
type post struct {
	rng     *rand.Rand // nil: all at once and in order
	none    bool
	version int
	seen    int
	waiting []hive.Audit
}

// deliver takes what is new, and brings what is due.
func (p *post) deliver(d desk, e *apply.Applier, all bool) {
	d.t.Helper()
	documents := d.hive.Documents(p.version)
	for _, text := range documents[p.seen:] {
		a, err := hive.ParseAudit(text)
		d.must(err)
		if a.Action == hive.AuditDelete && a.ObjectType == hive.AuditCase {
			d.learn(e, a) // nothing else says that a case was deleted, and not hidden
		}
		for range p.copies() {
			p.waiting = append(p.waiting, a)
		}
	}
	p.seen = len(documents)
	due := len(p.waiting)
	if p.rng != nil {
		p.rng.Shuffle(len(p.waiting), func(i, j int) { p.waiting[i], p.waiting[j] = p.waiting[j], p.waiting[i] })
		if !all {
			due = p.rng.IntN(due + 1)
		}
	}
	for _, a := range p.waiting[:due] {
		d.learn(e, a)
	}
	p.waiting = slices.Clone(p.waiting[due:])
}

func (p *post) copies() int {
	switch {
	case p.none:
		return 0
	case p.rng == nil:
		return 1
	default:
		return []int{0, 1, 1, 2}[p.rng.IntN(4)]
	}
}

// casesByHost finds the open case of a host by its one hostname observable or title.
func (d desk) caseOf(host int) (hive.Case, bool) {
	d.t.Helper()
	tag := enrich.Key{Kind: "host", Value: fmt.Sprintf("host%d", host)}.Tag(hivetest.DefaultOrganisation)
	for c, err := range d.analyst.FindCases(d.t.Context(), hive.Query{Filter: hive.Eq("tags", tag)}) {
		d.must(err)
		return c, true
	}
	return hive.Case{}, false
}

// do carries an act out; an analyst does nothing to what is not there.
func (d desk) do(e *apply.Applier, a act, sequence uint64) {
	d.t.Helper()
	ctx := d.t.Context()
	id, tactic := historicTechnique(a.technique)
	if a.kind == "detect" {
		d.see(e, a, sequence, id)
		return
	}
	c, ok := d.caseOf(a.host)
	if !ok {
		return
	}
	switch a.kind {
	case "remove procedure":
		for _, p := range procedures(d.t, d, c.ID) {
			if p.PatternID == id {
				d.must(d.analyst.DeleteProcedure(ctx, p.ID))
			}
		}
	case "add procedure":
		if !slices.ContainsFunc(procedures(d.t, d, c.ID), func(p hive.Procedure) bool { return p.PatternID == id }) {
			_, err := d.analyst.AddProcedure(ctx, c.ID, hive.NewProcedure{PatternID: id, Tactic: tactic, OccurDate: hive.MillisOf(day(9))})
			d.must(err)
		}
	case "merge":
		if other, ok := d.caseOf(a.other); ok && other.ID != c.ID {
			_, err := d.analyst.MergeCases(ctx, c.ID, other.ID)
			d.must(err)
		}
	case "delete case":
		d.must(d.analyst.DeleteCase(ctx, c.ID))
	default:
		d.edit(a, c)
	}
}

func (d desk) edit(a act, c hive.Case) {
	d.t.Helper()
	ctx := d.t.Context()
	switch a.kind {
	case "remove observable":
		for o, err := range d.analyst.CaseObservables(ctx, c.ID) {
			d.must(err)
			if o.Data == fmt.Sprintf("198.51.100.%d", a.technique) {
				d.must(d.analyst.DeleteObservable(ctx, o.ID))
			}
		}
	case "remove comment":
		for m, err := range d.analyst.CaseComments(ctx, c.ID) {
			d.must(err)
			if marks := apply.MarkersIn(m.Message); len(marks) > 0 && a.technique%2 == 0 {
				d.must(d.analyst.DeleteComment(ctx, m.ID))
			}
		}
	case "lower severity":
		low := 1
		d.must(d.analyst.UpdateCase(ctx, c.ID, hive.CaseUpdate{Severity: &low}))
	case "remove tag":
		d.must(d.analyst.UpdateCase(ctx, c.ID, hive.CaseUpdate{RemoveTags: []string{"native"}}))
	}
}

// see applies a detection until it is settled.
func (d desk) see(e *apply.Applier, a act, sequence uint64, technique string) {
	d.t.Helper()
	host := fmt.Sprintf("host%d", a.host)
	one := carrying(seen(host, fmt.Sprint("id-", sequence), day(6).Add(time.Duration(a.minute)*time.Minute)), technique, "T1110")
	one.Rule.ID = fmt.Sprint("rule", a.technique%2)
	one.Severity = canon.Severity(1 + a.other)
	one.Observables = []detection.Observable{{DataType: "hostname", Data: host}, {DataType: "ip", Data: fmt.Sprintf("198.51.100.%d", a.other)}}
	plans := plan(d.t, sequence, one)
	for range 50 {
		err := e.Apply(d.t.Context(), enrich.BatchOf(plans...))[0]
		if class := enrich.ClassOf(err); class == enrich.None || class == enrich.Dropped {
			return
		}
		wait(d.t.Context(), time.Second)
	}
	d.t.Fatalf("detection %d is never settled", sequence)
}

// live runs a history with a way of delivery.
func liveHistory(t *testing.T, acts []act, p *post, faults hivetest.Misbehaviour) (end map[string]ending) {
	synctest.Test(t, func(t *testing.T) {
		d := newAuditDesk(t)
		d.analyst = d.clientAs(t, analystKey)
		e := d.learner()
		for i, a := range acts {
			if a.kind == "detect" {
				d.hive.Set(faults) // only the worker suffers
			}
			d.do(e, a, uint64(i+1))
			d.hive.Set(hivetest.Misbehaviour{})
			p.deliver(d, e, false)
			wait(t.Context(), 40*time.Second)
			if i%7 == 6 {
				e = d.learner() // a new replica knows only the ledger
			}
		}
		p.deliver(d, e, true)
		for host := range 3 { // a last look, with everything
			for technique := range 4 {
				a := act{kind: "detect", host: host, technique: technique, other: technique % 3, minute: len(acts)}
				d.do(e, a, uint64(len(acts)+4*host+technique+1))
			}
		}
		end = endings(d.hive.Snapshot())
	})
	return end
}

func TestTheSameHistoryEndsTheSameWithAllSomeAndNoDocuments(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*auditRuns) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			acts := historyOf(rand.New(rand.NewPCG(seed, 8)), 40)
			want := liveHistory(t, acts, &post{none: true}, hivetest.Misbehaviour{})
			for name, p := range map[string]*post{
				"all, version 0": {version: 0}, "all, version 1": {version: 1},
				"some, shuffled, doubled, late": {version: 1, rng: rand.New(rand.NewPCG(seed, 9))},
			} {
				if diff := cmp.Diff(want, liveHistory(t, acts, p, hivetest.Misbehaviour{})); diff != "" {
					t.Errorf("seed %d, none against %s (-none +got):\n%s", seed, name, diff)
				}
			}
			shaken := hivetest.Misbehaviour{Refuse: 0.05, Ambiguous: 0.1, LateCommit: 0.05, Latency: 20 * time.Millisecond}
			p := &post{version: 1, rng: rand.New(rand.NewPCG(seed, 10))}
			if diff := cmp.Diff(want, liveHistory(t, acts, p, shaken)); diff != "" {
				t.Errorf("seed %d, none against some under faults (-none +got):\n%s", seed, diff)
			}
		})
	}
}
