package apply_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/racedetector"
)

// History is not change: however many cases a key had, a detection finds or opens its own, at a
// cost that does not grow with their number.

// under plans detections of one host under a closed policy, one message each.
func under(t *testing.T, policy rules.ClosedPolicy, first uint64, all ...detection.Detection) (plans []enrich.Plan) {
	t.Helper()
	p := enrich.NewPlanner(enrich.PlannerOptions{Organisation: hivetest.DefaultOrganisation, Closed: policy, TLP: -1, PAP: -1})
	for i, d := range all {
		plans = append(plans, planned(t, p, first+uint64(i), d))
	}
	return plans
}

// bare is a detection that costs no more than its case.
func bare(id string, at time.Time) detection.Detection {
	d := seen("dc01", id, at)
	d.Observables, d.Techniques = nil, nil
	return d
}

// apart are detections of one host, three days apart.
func apart(from, n int) (all []detection.Detection) {
	for i := range n {
		all = append(all, bare(fmt.Sprint("k", from+i), day(9).AddDate(0, 0, 3*(from+i))))
	}
	return all
}

// past makes the cases of a history at TheHive without Forager's ledger, three days apart.
func (d desk) past(n int, closed bool) {
	d.t.Helper()
	tag := under(d.t, rules.ClosedNew, 1, bare("x", day(9)))[0].Tag()
	for i := range n {
		severity, at := 2, day(9).AddDate(0, 0, 3*i)
		c, err := d.analyst.CreateCase(d.t.Context(), hive.NewCase{Title: "Past", Description: "x", Severity: &severity, StartDate: hive.MillisOf(at), Tags: []string{tag}})
		d.must(err)
		if closed {
			status, end := "TruePositive", hive.MillisOf(at.Add(time.Hour))
			d.must(d.analyst.UpdateCase(d.t.Context(), c.ID, hive.CaseUpdate{Status: &status, EndDate: &end}))
		}
	}
}

// close ends all open cases of TheHive an hour after their start.
func (d desk) close() {
	d.t.Helper()
	for _, c := range d.hive.Snapshot().Cases {
		if c.Stage != "Closed" {
			status, end := "TruePositive", hive.Millis(c.StartDate)+hive.Millis(time.Hour/time.Millisecond)
			d.must(d.analyst.UpdateCase(d.t.Context(), fmt.Sprint(c.Number), hive.CaseUpdate{Status: &status, EndDate: &end}))
		}
	}
}

func TestAHostOpensCasesHoweverManyItHad(t *testing.T) {
	t.Parallel()
	for _, policy := range []rules.ClosedPolicy{rules.ClosedNew, rules.ClosedReopen, rules.ClosedComment} {
		for name, run := range map[string]func(d desk, e *apply.Applier){
			"one message of many": func(d desk, e *apply.Applier) {
				mustApply(d.t, e, under(d.t, policy, 1, apart(0, 60)...))
			},
			"one after the other": func(d desk, e *apply.Applier) {
				for i, one := range apart(0, 60) {
					mustApply(d.t, e, under(d.t, policy, uint64(1+i), one))
				}
			},
			"one after the other, closed meanwhile": func(d desk, e *apply.Applier) {
				for i, one := range apart(0, 60) {
					mustApply(d.t, e, under(d.t, policy, uint64(1+i), one))
					if i%20 == 19 {
						d.close()
					}
				}
			},
			"newest first": func(d desk, e *apply.Applier) {
				all := apart(0, 60)
				for i := range all {
					mustApply(d.t, e, under(d.t, policy, uint64(1+i), all[len(all)-1-i]))
				}
			},
			"by workers that know nothing": func(d desk, _ *apply.Applier) {
				for i := range 3 {
					d.ledger.Lose()
					d.ledger.Trust()
					mustApply(d.t, d.worker(d.t), under(d.t, policy, 1, apart(20*i, 20)...))
				}
			},
		} {
			t.Run(string(policy)+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t)
					run(d, d.worker(t))
					if got := d.hive.Snapshot().Cases; len(got) != 60 {
						t.Errorf("%d cases, want 60", len(got))
					}
				})
			})
		}
	}
}

// calls counts what some work asks of TheHive.
func (d desk) calls(work func()) int {
	before := d.hive.Stats(0).Total
	work()
	return d.hive.Stats(0).Total - before
}

// TestAThousandPastCasesCostNoMoreThanAFew: a detection after them, one in the middle of them, and
// a backfill before them; the worker's ledger is empty, as after its loss.
func TestAThousandPastCasesCostNoMoreThanAFew(t *testing.T) {
	t.Parallel()
	for _, policy := range []rules.ClosedPolicy{rules.ClosedNew, rules.ClosedComment} {
		for name, c := range map[string]struct {
			closed bool
			at     time.Time
			opens  bool
		}{
			"long after the last":               {false, day(9).AddDate(20, 0, 0), true},
			"long after the last, all closed":   {true, day(9).AddDate(20, 0, 0), true},
			"within one of the middle":          {false, day(10).AddDate(0, 0, 1500), false},
			"within one of the middle, closed":  {true, day(9).Add(time.Minute).AddDate(0, 0, 1500), false},
			"between two of the middle":         {false, day(9).Add(36*time.Hour).AddDate(0, 0, 1500), true},
			"between two of the middle, closed": {true, day(9).Add(36*time.Hour).AddDate(0, 0, 1500), true},
			"before the first":                  {false, day(9).AddDate(-1, 0, 0), true},
		} {
			t.Run(string(policy)+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t)
					const many = 1000
					d.past(many, c.closed)
					e := d.worker(t)
					sequence := uint64(0)
					once := func(at time.Time) int {
						sequence++
						return d.calls(func() { mustApply(t, e, under(t, policy, sequence, bare(fmt.Sprint(sequence), at))) })
					}
					first := once(c.at)
					want := many
					if c.opens {
						want++
					}
					if got := len(d.hive.Snapshot().Cases); got != want {
						t.Errorf("%d cases, want %d", got, want)
					}
					if again := once(c.at.Add(time.Minute)); first > 110 || again > 30 {
						t.Errorf("%d calls, then %d", first, again)
					}
					if got := len(d.hive.Snapshot().Cases); got != want {
						t.Errorf("%d cases after the second, want %d", got, want)
					}
				})
			})
		}
	}
}

// TestWhatTheSearchShowsLateIsFoundAmongManyCases: a message of many spans is delivered again while
// TheHive's search does not show yet what the first delivery opened.
func TestWhatTheSearchShowsLateIsFoundAmongManyCases(t *testing.T) {
	t.Parallel()
	for name, all := range map[string][]detection.Detection{
		"newer than the history": apart(20, 45), "older than the history": apart(-60, 45),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				mustApply(t, d.worker(t), under(t, rules.ClosedNew, 100, apart(0, 18)...))
				wait(t.Context(), time.Minute)
				d.hive.Set(hivetest.Misbehaviour{Lag: 20 * time.Second})
				for range 3 {
					mustApply(t, d.worker(t), under(t, rules.ClosedNew, 1, all...))
					wait(t.Context(), time.Second)
				}
				if got := len(d.hive.Snapshot().Cases); got != 18+45 {
					t.Errorf("%d cases, want %d", got, 18+45)
				}
			})
		})
	}
}

// TestALostAnswerAmongManyCasesOpensOne: what the lost call opened is told from what was there.
func TestALostAnswerAmongManyCasesOpensOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.past(100, false)
		e := d.worker(t)
		d.hive.Set(hivetest.Misbehaviour{Ambiguous: 0.3})
		left := under(t, rules.ClosedNew, 1, bare("x", day(9).AddDate(0, 0, 138).Add(36*time.Hour)))
		for try := 0; len(left) > 0 && try < 50; try++ {
			if e.Apply(t.Context(), enrich.BatchOf(left...))[0] == nil {
				left = nil
			}
		}
		if got := len(d.hive.Snapshot().Cases); got != 101 || len(left) != 0 {
			t.Errorf("%d cases, %d left", got, len(left))
		}
	})
}

// TestAnyOrderOfAYearEndsAlike: detections far apart, in any order and any batches, with the ledger
// lost now and then, and analysts who close cases: one case each, and each in its own.
func TestAnyOrderOfAYearEndsAlike(t *testing.T) {
	t.Parallel()
	for seed := range uint64(racedetector.Fewer(8, 2)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 11))
				policy := []rules.ClosedPolicy{rules.ClosedNew, rules.ClosedComment}[seed%2]
				d := newDesk(t)
				e := d.worker(t)
				all := apart(0, 120)
				rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				all = append(all, all[:60]...) // delivered twice
				for i := 0; i < len(all); {
					n := min(1+rng.IntN(12), len(all)-i)
					some := slices.Clone(all[i : i+n])
					for j := range some {
						some[j].Time = some[j].Time.Add(time.Duration(rng.IntN(50)) * time.Minute)
					}
					mustApply(t, e, under(t, policy, uint64(1+i), some...))
					i += n
					switch rng.IntN(6) {
					case 0:
						d.close()
					case 1:
						d.ledger.Lose()
						d.ledger.Trust()
						e = d.worker(t)
					}
				}
				days := map[int64]int{}
				for _, c := range d.hive.Snapshot().Cases {
					days[c.StartDate/(24*3600*1000)]++
				}
				if n := len(d.hive.Snapshot().Cases); len(days) != 120 || n != 120 {
					t.Errorf("seed %d: %d cases of %d days, want 120", seed, n, len(days))
				}
			})
		})
	}
}

// TestAnEventOfAnEvictedCaseGoesThereAndNotToTheNext: the entry of a key lists the newest cases
// only, and the next one begins less than a window later.
func TestAnEventOfAnEvictedCaseGoesThereAndNotToTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		at := func(n int) time.Time { return day(0).Add(time.Duration(30*n) * time.Hour) }
		for n := range 17 {
			mustApply(t, e, under(t, rules.ClosedNew, uint64(n+1), bare(fmt.Sprint(n), at(n))))
			wait(t.Context(), 5*time.Minute)
		}
		late := seen("dc01", "late", at(0).Add(10*time.Hour))
		mustApply(t, e, under(t, rules.ClosedNew, 99, late))
		got := d.hive.Snapshot().Cases
		if len(got) != 17 || len(got[0].Observables) != 2 {
			t.Errorf("%d cases, the first has %d observables", len(got), len(got[0].Observables))
		}
	})
}

// TestADeletedCaseIsNotTakenForTheSourceOfABackfilledOne.
func TestADeletedCaseIsNotTakenForTheSourceOfABackfilledOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newAuditDesk(t)
		e := d.learner()
		mustApply(t, e, under(t, rules.ClosedNew, 1, bare("newest", day(9))))
		for n := range 40 { // newest first: what is opened later began earlier
			mustApply(t, e, under(t, rules.ClosedNew, uint64(n+2), bare(fmt.Sprint(n), day(9).AddDate(0, 0, -7*(n+1)))))
			wait(t.Context(), time.Minute)
		}
		d.must(d.analyst.DeleteCase(t.Context(), d.theCase("1").ID))
		d.tell(e, 1)
		late := under(t, rules.ClosedNew, 99, bare("late", day(10)))
		err := e.Apply(t.Context(), enrich.BatchOf(late...))[0]
		if dropped, ok := errors.AsType[*enrich.DroppedError](err); !ok || dropped.Reason != "case deleted" {
			t.Errorf("error %v, %d cases", err, len(d.hive.Snapshot().Cases))
		}
	})
}

// TestAKeyOpensAThousandCases: in one message and one after the other, at a cost that stays.
func TestAKeyOpensAThousandCases(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(d desk, e *apply.Applier, all []enrich.Plan){
		"in one message": func(d desk, e *apply.Applier, all []enrich.Plan) { mustApply(d.t, e, all) },
		"one after the other": func(d desk, e *apply.Applier, all []enrich.Plan) {
			for i := range all {
				mustApply(d.t, e, all[i:i+1])
				wait(d.t.Context(), time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				e := d.worker(t)
				cases := racedetector.Fewer(1000, 200)
				all := under(t, rules.ClosedNew, 1, apart(0, cases)...)
				few := d.calls(func() { run(d, e, all[:100]) })
				late := d.calls(func() { run(d, e, all[100:]) })
				if n := len(d.hive.Snapshot().Cases); n != cases {
					t.Errorf("%d cases", n)
				}
				if most := few * (cases - 100) / 75; late > most {
					t.Errorf("%d calls for the first hundred of %d, %d for the others, at most %d are allowed", few, cases, late, most)
				}
			})
		})
	}
}
