package apply_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/digest"
	"forager/hive"
	"forager/hive/hivetest"
)

// pages are the contents of the pages of detections of all cases.
func (s *site) pages() (all []string) {
	for _, c := range s.hive.Snapshot().Cases {
		for _, p := range c.Pages {
			if p.Category == "Forager" && p.Title == "Detections" {
				all = append(all, p.Content)
			}
		}
	}
	return all
}

// quiet lets two quiet minutes pass, after which what is behind is written.
func quiet(t *testing.T, workers ...*apply.Applier) {
	t.Helper()
	wait(t.Context(), 2*time.Minute)
	for _, e := range workers {
		if err := e.FlushComments(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// says fails where the one page does not say something.
func (s *site) says(t *testing.T, want ...string) string {
	t.Helper()
	all := s.pages()
	if len(all) != 1 {
		t.Fatalf("%d pages of detections", len(all))
	}
	for _, w := range want {
		if !strings.Contains(all[0], w) {
			t.Errorf("the page lacks %q:\n%s", w, all[0])
		}
	}
	if _, intact := digest.Parse(all[0]); !intact {
		t.Errorf("the page cannot be read back:\n%s", all[0])
	}
	if dup := s.hive.Stats(0).Duplicates; dup.Pages != 0 || dup.Comments != 0 {
		t.Errorf("duplicates %+v", dup)
	}
	return all[0]
}

// of is a detection of a rule.
func of(rule, id string, at time.Time) detection.Detection {
	d := seen("web01", id, at)
	d.Rule = detection.Rule{ID: rule, Name: "Rule " + rule}
	return d
}

// TestFortyRulesAndFiveThousandDetectionsAreReadable: at most 20 comments, one page of less than 64 KiB that counts all of
// them, and few calls.
func TestFortyRulesAndFiveThousandDetectionsAreReadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t)
		const rules, all, group = 40, 5000, 250
		for first := 0; first < all; first += group {
			var some []detection.Detection
			for i := first; i < first+group; i++ {
				some = append(some, of(fmt.Sprint("r", i%rules), fmt.Sprint("id-", i), day(9).Add(time.Duration(i)*time.Second)))
			}
			mustApply(t, e, plan(t, uint64(first+1), some...))
			wait(t.Context(), time.Second)
		}
		quiet(t, e)
		c := s.hive.Snapshot().Cases[0]
		if n := len(c.Comments); n > 20 {
			t.Errorf("%d comments", n)
		}
		if lines := strings.Count(c.Description, "\n"); lines > 120 {
			t.Errorf("a description of %d lines", lines)
		}
		page := s.says(t, "**At least 5000 detections** of 40 rules, first seen 2026-03-14 09:00:00 UTC, last seen 2026-03-14 10:23:19 UTC", "| Rule r7 | high | 125 |")
		if len(page) > digest.MaxText {
			t.Errorf("a page of %d bytes", len(page))
		}
		if calls := s.hive.Stats(0).Total; float64(calls) > 0.02*all {
			t.Errorf("%d calls for %d detections", calls, all)
		}
	})
}

func TestADetectionIsCountedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e, other := s.worker(t), s.worker(t)
		for i := range 3 {
			mustApply(t, e, plan(t, uint64(10*i+1), of("r1", "a", day(9)), of("r1", "b", day(9)), of("r2", "c", day(10))))
			mustApply(t, other, plan(t, uint64(10*i+5), of("r1", "b", day(9)), of("r2", fmt.Sprint("d", i), day(10))))
			letter := plan(t, uint64(100+i), of("r1", "a", day(9)))
			letter[0].Origin.Requeued = true
			mustApply(t, e, letter)
		}
		quiet(t, e, other)
		s.says(t, "**At least 6 detections** of 2 rules", "| Rule r1 | high | 2 |", "| Rule r2 | high | 4 |", "| `d2` |")
	})
}

func TestThePageIsWrittenAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t)
		writes := 0
		s.hive.On(hivetest.BeforeEffect, "PATCH /api/v1/case/{id}/page/{page}", func(hivetest.Call) hivetest.Action { writes++; return hivetest.Action{} })
		for i := range 240 { // four minutes
			mustApply(t, e, plan(t, uint64(i+1), of("r1", fmt.Sprint(i), day(9).Add(time.Duration(i)*time.Second))))
			wait(t.Context(), time.Second)
		}
		if writes < 3 || writes > 4 {
			t.Errorf("%d writes in four minutes", writes)
		}
		quiet(t, e)
		s.says(t, "**At least 240 detections**")
	})
}

func TestWhatAnAnalystDoesToThePageStays(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(d desk, c hive.Case, p hive.Page) error{
		"edited": func(d desk, c hive.Case, p hive.Page) error {
			return d.analyst.UpdatePage(d.t.Context(), c.ID, p.ID, p.Content+"\nSeen.")
		},
		"written anew": func(d desk, c hive.Case, p hive.Page) error {
			return d.analyst.UpdatePage(d.t.Context(), c.ID, p.ID, "Mine.")
		},
		"deleted": func(d desk, c hive.Case, p hive.Page) error { return d.analyst.DeletePage(d.t.Context(), c.ID, p.ID) },
	} {
		for _, lost := range []bool{false, true} { // the ledger, afterwards
			if lost && name == "deleted" {
				continue // removals are lost with the ledger
			}
			for _, known := range []bool{false, true} { // the page was listed before
				t.Run(fmt.Sprint(name, lost, known), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						d := newDesk(t)
						e := d.worker(t)
						mustApply(t, e, plan(t, 1, of("r1", "a", day(9))))
						if known {
							mustApply(t, e, plan(t, 2, of("r1", "b", day(9))))
							quiet(t, e)
						}
						c := d.theCase("1")
						var page hive.Page
						for p, err := range d.analyst.CasePages(t.Context(), c.ID) {
							d.must(err)
							page = p
						}
						d.must(act(d, c, page))
						before := d.pages()
						if lost {
							d.forget(c.ID)
							e = d.worker(t)
						}
						for i := range 3 {
							mustApply(t, e, plan(t, uint64(10+i), of("r1", fmt.Sprint("x", i), day(10)), of(fmt.Sprint("s", i), fmt.Sprint("y", i), day(10))))
							quiet(t, e)
						}
						if after := d.pages(); len(before) != len(after) || len(after) > 0 && before[0] != after[0] {
							t.Errorf("before\n%s\nafter\n%s", before, after)
						}
					})
				})
			}
		}
	}
}

func TestAPageGoesOnWhereTheLedgerIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		mustApply(t, e, plan(t, 1, of("r1", "a", day(9)), of("r2", "b", day(9))))
		for i := range 100 {
			mustApply(t, e, plan(t, uint64(10+i), of("r1", fmt.Sprint(i), day(10))))
		}
		quiet(t, e)
		d.forget(d.theCase("1").ID)
		e = d.worker(t)
		mustApply(t, e, plan(t, 200, of("r1", "a", day(9)), of("r2", "new", day(11)), of("r3", "c", day(11))))
		quiet(t, e)
		d.says(t, "**At least 104 detections** of 3 rules, first seen 2026-03-14 09:00:00 UTC, last seen 2026-03-14 11:00:00 UTC", "| Rule r1 | high | 101 |", "| Rule r2 | high | 2 |", "| `99` |")
	})
}

func TestAMergedCaseHasOnePage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t)
		one, two := of("r1", "a", day(9)), of("r2", "b", day(9))
		two.Host = "db02"
		mustApply(t, e, plan(t, 1, one))
		mustApply(t, e, plan(t, 2, two))
		_, err := d.analyst.MergeCases(t.Context(), d.theCase("1").ID, d.theCase("2").ID)
		d.must(err)
		wait(t.Context(), 2*time.Minute)
		mustApply(t, e, plan(t, 3, of("r1", "c", day(10))))
		quiet(t, e)
		d.says(t, "**At least 3 detections** of 2 rules", "| Rule r1 | high | 2 |", "| `b` |", "| `c` |")
	})
}

// TestNoneWritesNeitherPageNorComment: then every rule and day has its comment.
func TestNoneWritesNeitherPageNorComment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t, undigested)
		mustApply(t, e, plan(t, 1, of("r1", "a", day(9)), of("r1", "b", day(9).AddDate(0, 0, 1))))
		mustApply(t, e, plan(t, 3, of("r1", "c", day(9).AddDate(0, 0, 1))))
		mustApply(t, e, plan(t, 4, of("r1", "d", day(9).AddDate(0, 0, 2))))
		quiet(t, e)
		if n := len(s.pages()) + len(s.counting()); n != 0 {
			t.Errorf("%d pages and comments that count", n)
		}
		if c := s.hive.Snapshot().Cases[0]; telling(c, "forager: rule=") != 1 {
			t.Errorf("comments %s", c.Comments)
		}
	})
}

// TestALostAnswerLeavesOnePage: of its creation with the case, of a change, and of its creation in a case that is older.
func TestALostAnswerLeavesOnePage(t *testing.T) {
	t.Parallel()
	for _, at := range []hivetest.Stage{hivetest.BeforeEffect, hivetest.AfterEffect} {
		for _, route := range []string{"POST /api/v1/case", "PATCH /api/v1/case/{id}/page/{page}", "POST /api/v1/case/{id}/page"} {
			t.Run(fmt.Sprint(at, route), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t)
					lost := 0
					d.hive.On(at, route, func(hivetest.Call) hivetest.Action {
						if lost++; lost > 1 {
							return hivetest.Action{}
						}
						return hivetest.Action{Status: 502, Message: "bad gateway"}
					})
					e := d.worker(t)
					if strings.HasSuffix(route, "/page") { // a case without a page
						old := d.worker(t, undigested)
						mustApply(t, old, plan(t, 1, of("r1", "a", day(9))))
						d.forget(d.theCase("1").ID)
					} else {
						mustApply(t, e, plan(t, 1, of("r1", "a", day(9))))
					}
					wait(t.Context(), 2*time.Hour) // so that a page that came with the case would surely be listed
					for i := range 3 {
						mustApply(t, e, plan(t, uint64(2+i), of("r1", fmt.Sprint(i), day(9))))
						quiet(t, e)
					}
					if lost == 0 {
						t.Fatal("no answer was lost")
					}
					d.says(t, "**At least 4 detections** of 1 rule,", "| high | 4 |")
				})
			})
		}
	}
}

// TestACaseFoundWithoutAPageGetsOne: who created it is dead, and may have sent a page with it. It comes within ten minutes, by who looked
// first or by another, and not before any list shows what was sent.
func TestACaseFoundWithoutAPageGetsOne(t *testing.T) {
	t.Parallel()
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprintf("other worker %t", other), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				dead := d.worker(t, undigested)
				mustApply(t, dead, plan(t, 1, of("r1", "a", day(9))))
				d.forget(d.theCase("1").ID)
				e := d.worker(t)
				mustApply(t, e, plan(t, 2, of("r2", "b", day(9))))
				quiet(t, e)
				if n := len(d.pages()); n != 0 {
					t.Errorf("%d pages after two minutes: one that was sent could not show yet", n)
				}
				wait(t.Context(), time.Minute)
				if other {
					e = d.worker(t)
					mustApply(t, e, plan(t, 3, of("r2", "c", day(10))))
				}
				for range 4 {
					quiet(t, e)
				}
				d.says(t, "| Rule r2 | high |", "| `b` |")
			})
		})
	}
}

// TestAPageThatComesLateIsWrittenAgain: an update that has no answer may take effect after that of another worker, whose rows it has not.
func TestAPageThatComesLateIsWrittenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		one, two := d.worker(t), d.worker(t)
		mustApply(t, one, plan(t, 1, of("r1", "a", day(9))))
		wait(t.Context(), 2*time.Minute)
		d.late("PATCH /api/v1/case/{id}/page/{page}")
		mustApply(t, one, plan(t, 2, of("r1", "b", day(9))))
		mustApply(t, two, plan(t, 3, of("r1", "c", day(9))))
		quiet(t, one, two)
		quiet(t, one, two)
		d.says(t, "| `b` |", "| `c` |")
	})
}

// TestAPageThatADeadWorkerLeftBehindCatchesUp: with the sweep, as no detection comes any more.
func TestAPageThatADeadWorkerLeftBehindCatchesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		dead := s.worker(t)
		mustApply(t, dead, plan(t, 1, of("r1", "a", day(9))))
		mustApply(t, dead, plan(t, 2, of("r1", "b", day(9))))
		e := s.worker(t)
		quiet(t, e)
		s.says(t, "**1 detection** of 1 rule")
		if _, err := e.Sweep(t.Context(), keysOf(s.ledger.Keys()), apply.SweepOptions{Organisations: []string{plan(t, 3, of("r1", "c", day(9)))[0].Organisation}, Keep: time.Hour}); err != nil {
			t.Fatal(err)
		}
		quiet(t, e)
		s.says(t, "**At least 2 detections** of 1 rule", "| `b` |")
	})
}
