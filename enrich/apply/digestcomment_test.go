package apply_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/digest"
	"forager/enrich/rules"
	"forager/hive"
	"forager/hive/hivetest"
)

// counting are the comments of all cases that stand in place of a page of detections.
func (s *site) counting() (all []string) {
	for _, c := range s.hive.Snapshot().Cases {
		for _, text := range c.Comments {
			if digest.Sealed(text) {
				all = append(all, text)
			}
		}
	}
	return all
}

// counts fails where not one comment, and no page, says how many detections there are.
func (s *site) counts(t *testing.T, want ...string) {
	t.Helper()
	all := s.counting()
	if len(all) != 1 || len(s.pages()) != 0 {
		t.Fatalf("%d comments that count, %d pages", len(all), len(s.pages()))
	}
	for _, w := range want {
		if !strings.Contains(all[0], w) {
			t.Errorf("the comment lacks %q:\n%s", w, all[0])
		}
	}
	if _, intact := digest.Parse(all[0]); !intact {
		t.Errorf("the comment cannot be read back:\n%s", all[0])
	}
	if dup := s.hive.Stats(0).Duplicates; dup.Total() != 0 {
		t.Errorf("duplicates %+v", dup)
	}
}

// countingIn has workers count somewhere.
func countingIn(place apply.DigestPlace) func(*apply.Options) {
	return func(o *apply.Options) { o.Digest = place }
}

// withoutPages are workers whose account has a profile that may all that Forager needs, but for pages, and an analyst's desk.
func withoutPages(t *testing.T) (desk, func(*apply.Options)) {
	t.Helper()
	const key = "detector-0123456789abcdef"
	s := newSite(t, hivetest.Options{Users: []hivetest.User{{
		Login: "detector@thehive.local", Name: "Detector", APIKey: key,
		Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "detector"}},
	}}})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/profile", strings.NewReader(
		`{"name":"detector","permissions":["manageCase/create","manageCase/update","manageObservable","manageProcedure","manageComment"]}`))
	r.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Organisation", "admin")
	w := httptest.NewRecorder()
	s.hive.ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	c := s.clientAs(t, key)
	return desk{site: s, analyst: s.client(t), t: t}, func(o *apply.Options) { o.Hive = func(string) apply.Hive { return c } }
}

func TestACommentTakesThePlaceOfThePage(t *testing.T) {
	t.Parallel()
	for _, right := range []bool{false, true} { // the right lacks; or a comment is wanted
		t.Run(fmt.Sprint(right), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, option := newDesk(t), countingIn(apply.DigestComment)
				if !right {
					d, option = withoutPages(t)
				}
				e := d.worker(t, option)
				mustApply(t, e, plan(t, 1, of("r1", "a", day(9)), of("r2", "b", day(9))))
				quiet(t, e)
				d.counts(t, "**At least 2 detections** of 2 rules", "| Rule r2 | high | 1 |")
				for i := range 100 {
					mustApply(t, e, plan(t, uint64(10+i), of("r1", fmt.Sprint(i), day(10))))
				}
				quiet(t, e)
				d.counts(t, "**At least 102 detections** of 2 rules", "| Rule r1 | high | 101 |", "| `99` |")
				if c := d.hive.Snapshot().Cases[0]; len(c.Comments) != 1 {
					t.Errorf("%d comments", len(c.Comments))
				}
				d.forget(d.theCase("1").ID)
				e = d.worker(t, option)
				mustApply(t, e, plan(t, 200, of("r1", "a", day(9)), of("r3", "c", day(11))))
				quiet(t, e)
				d.counts(t, "**At least 103 detections** of 3 rules", "| Rule r1 | high | 101 |", "| `99` |")
			})
		})
	}
}

func TestWhatAnAnalystDoesToTheCommentInPlaceOfThePageStays(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(d desk, c hive.Comment) error{
		"edited": func(d desk, c hive.Comment) error {
			return d.analyst.UpdateComment(d.t.Context(), c.ID, c.Message+"\nSeen.")
		},
		"deleted": func(d desk, c hive.Comment) error { return d.analyst.DeleteComment(d.t.Context(), c.ID) },
	} {
		for _, lost := range []bool{false, true} {
			if lost && name == "deleted" {
				continue // removals are lost with the ledger
			}
			t.Run(fmt.Sprint(name, lost), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t)
					e := d.worker(t, countingIn(apply.DigestComment))
					mustApply(t, e, plan(t, 1, of("r1", "a", day(9))))
					quiet(t, e)
					c := d.theCase("1")
					d.must(act(d, d.comments(c.ID)[0]))
					before := d.counting()
					if lost {
						d.forget(c.ID)
						e = d.worker(t, countingIn(apply.DigestComment))
					}
					for i := range 3 {
						mustApply(t, e, plan(t, uint64(10+i), of("r1", fmt.Sprint("x", i), day(10)), of(fmt.Sprint("s", i), fmt.Sprint("y", i), day(10))))
						quiet(t, e)
					}
					if after := d.counting(); !slices.Equal(before, after) {
						t.Errorf("before\n%s\nafter\n%s", before, after)
					}
				})
			})
		}
	}
}

// TestALostAnswerLeavesOneCommentInPlaceOfThePage: of its creation, or of a change.
func TestALostAnswerLeavesOneCommentInPlaceOfThePage(t *testing.T) {
	t.Parallel()
	for _, stage := range []hivetest.Stage{hivetest.BeforeEffect, hivetest.AfterEffect} {
		for _, route := range []string{"POST /api/v1/case/{id}/comment", "PATCH /api/v1/comment/{id}"} {
			t.Run(fmt.Sprint(stage, route), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t)
					lost := 0
					d.hive.On(stage, route, func(hivetest.Call) hivetest.Action {
						if lost++; lost > 1 {
							return hivetest.Action{}
						}
						return hivetest.Action{Status: 502, Message: "bad gateway"}
					})
					e := d.worker(t, countingIn(apply.DigestComment))
					for i := range 4 {
						mustApply(t, e, plan(t, uint64(1+i), of("r1", fmt.Sprint(i), day(9))))
						quiet(t, e)
						quiet(t, e)
					}
					if lost == 0 {
						t.Fatal("no answer was lost")
					}
					d.counts(t, "**At least 4 detections** of 1 rule,")
				})
			})
		}
	}
}

// TestAMergedCaseHasOneDigestWhereverTheyStood: pages and comments in place of pages become one.
func TestAMergedCaseHasOneDigestWhereverTheyStood(t *testing.T) {
	t.Parallel()
	for _, places := range [][2]apply.DigestPlace{{apply.DigestComment, apply.DigestComment}, {apply.DigestPage, apply.DigestComment}, {apply.DigestComment, apply.DigestPage}} {
		t.Run(fmt.Sprint(places), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				one, two := of("r1", "a", day(9)), of("r2", "b", day(9))
				two.Host = "db02"
				e, other := d.worker(t, countingIn(places[0])), d.worker(t, countingIn(places[1]))
				mustApply(t, e, plan(t, 1, one))
				mustApply(t, other, plan(t, 2, two))
				quiet(t, e, other)
				_, err := d.analyst.MergeCases(t.Context(), d.theCase("1").ID, d.theCase("2").ID)
				d.must(err)
				wait(t.Context(), 2*time.Minute)
				mustApply(t, e, plan(t, 3, of("r1", "c", day(10))))
				quiet(t, e)
				all := append(d.pages(), d.counting()...)
				if len(all) != 1 {
					t.Fatalf("%d digests", len(all))
				}
				for _, w := range []string{"**At least 3 detections** of 2 rules", "| Rule r1 | high | 2 |", "| `b` |", "| `c` |"} {
					if !strings.Contains(all[0], w) {
						t.Errorf("lacks %q:\n%s", w, all[0])
					}
				}
			})
		})
	}
}

// digests are the digests of a case, wherever they stand.
func digests(c hivetest.Case) (all []string) {
	for _, p := range c.Pages {
		if p.Title == "Detections" {
			all = append(all, p.Content)
		}
	}
	for _, text := range c.Comments {
		if digest.Sealed(text) {
			all = append(all, text)
		}
	}
	return all
}

// hasOne fails where a case has not one digest that says something.
func (d desk) hasOne(number int, want ...string) {
	d.t.Helper()
	all := digests(d.hive.Snapshot().Cases[number-1])
	if len(all) != 1 {
		d.t.Fatalf("case %d has %d digests", number, len(all))
	}
	for _, w := range want {
		if !strings.Contains(all[0], w) {
			d.t.Errorf("case %d lacks %q:\n%s", number, w, all[0])
		}
	}
}

// TestOneDigestWhateverBecomesOfTheCase: closed, reopened, with the digest taken away, deleted, restricted.
func TestOneDigestWhateverBecomesOfTheCase(t *testing.T) {
	t.Parallel()
	reopen := func(d desk, sequence uint64, id string, at time.Time) []enrich.Plan {
		return under(d.t, rules.ClosedReopen, sequence, of("r1", id, at))
	}
	closed := func(d desk) {
		status, end := "TruePositive", hive.MillisOf(day(12))
		d.must(d.analyst.UpdateCase(d.t.Context(), "1", hive.CaseUpdate{Status: &status, EndDate: &end}))
	}
	takenAway := func(d desk) {
		c := d.theCase("1")
		for p, err := range d.analyst.CasePages(d.t.Context(), c.ID) {
			d.must(err)
			d.must(d.analyst.DeletePage(d.t.Context(), c.ID, p.ID))
		}
		for _, comment := range d.comments(c.ID) {
			if digest.Sealed(comment.Message) {
				d.must(d.analyst.DeleteComment(d.t.Context(), comment.ID))
			}
		}
	}
	for _, place := range []apply.DigestPlace{apply.DigestPage, apply.DigestComment} {
		for name, live := range map[string]func(d desk, h *hiding, e *apply.Applier){
			"closed": func(d desk, _ *hiding, e *apply.Applier) {
				closed(d)
				mustApply(d.t, e, reopen(d, 3, "c", day(11)))
				quiet(d.t, e)
				d.hasOne(1, "**At least 3 detections** of 1 rule", "| `c` |")
				if c := d.theCase("1"); c.Stage != hive.StageClosed {
					d.t.Error("its digest opened a closed case")
				}
			},
			"reopened": func(d desk, _ *hiding, e *apply.Applier) {
				closed(d)
				mustApply(d.t, e, reopen(d, 3, "c", day(13)))
				quiet(d.t, e)
				d.hasOne(1, "**At least 3 detections** of 1 rule", "| `c` |")
			},
			"taken away, then reopened": func(d desk, _ *hiding, e *apply.Applier) {
				takenAway(d)
				closed(d)
				for i := range uint64(3) {
					mustApply(d.t, e, reopen(d, 3+i, fmt.Sprint("c", i), day(13)))
					quiet(d.t, e)
				}
				if n := len(digests(d.hive.Snapshot().Cases[0])); n != 0 {
					d.t.Errorf("%d digests came back", n)
				}
			},
			"deleted": func(d desk, _ *hiding, e *apply.Applier) {
				d.must(d.analyst.DeleteCase(d.t.Context(), d.theCase("1").ID))
				quiet(d.t, e)
				wait(d.t.Context(), 10*time.Minute)
				mustApply(d.t, e, reopen(d, 3, "c", day(11)))
				quiet(d.t, e)
				d.hasOne(1, "**1 detection** of 1 rule", "| `c` |")
			},
			"restricted, and seen again": func(d desk, h *hiding, e *apply.Applier) {
				h.hidden[d.theCase("1").ID] = notFound(false)
				mustApply(d.t, e, reopen(d, 3, "c", day(11)))
				quiet(d.t, e)
				d.hasOne(1, "**At least 2 detections** of 1 rule")
				d.hasOne(2, "**1 detection** of 1 rule", "| `c` |")
				clear(h.hidden)
				mustApply(d.t, e, reopen(d, 4, "d", day(10)))
				quiet(d.t, e)
				d.hasOne(1, "**At least 3 detections** of 1 rule", "| `d` |")
				d.hasOne(2, "**1 detection** of 1 rule", "| `c` |")
			},
		} {
			t.Run(string(place)+"/"+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					d, h := newDesk(t), &hiding{hidden: map[string]error{}}
					e := d.worker(t, h.wrap, countingIn(place))
					mustApply(t, e, reopen(d, 1, "a", day(9)))
					mustApply(t, e, reopen(d, 2, "b", day(10)))
					quiet(t, e)
					d.hasOne(1, "**At least 2 detections** of 1 rule")
					live(d, h, e)
					if dup := d.hive.Stats(0).Duplicates; dup.Pages+dup.Comments != 0 {
						t.Errorf("duplicates %+v", dup)
					}
				})
			})
		}
	}
}
