package apply_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/hive/hivetest"
)

// junk are detections of one host that fill its case: a hundred tags, more observables and
// techniques than the limits.
func junk(observables int) (all []detection.Detection) {
	low := seen("web01", "junk", day(9))
	low.Severity, low.Observables, low.Techniques = canon.Low, nil, nil
	for i := range 100 {
		low.Tags = append(low.Tags, fmt.Sprintf("junk-%d", i))
	}
	for i := range observables {
		low.Observables = append(low.Observables, detection.Observable{DataType: "other", Data: fmt.Sprintf("j%d", i)})
	}
	return []detection.Detection{low}
}

// attack is what the junk shall hide.
func attack(id string, hour int) detection.Detection {
	d := seen("web01", id, day(hour))
	d.Severity, d.Title, d.Rule = canon.Critical, "Real attack", detection.Rule{ID: "real", Name: "Real"}
	d.Tags = []string{"ransomware"}
	d.Observables = []detection.Observable{
		{DataType: "ip", Data: "198.51.100.99", IOC: true},
		{DataType: "hash", Data: "9f68f5fc21270a06bb934b5f3fa5aee2068a56a1260d4e7e4b48f2dca501b8c9", IOC: true},
	}
	return d
}

func fullSite(t *testing.T, change ...func(*apply.Options)) (*site, *apply.Applier) {
	t.Helper()
	s := newSite(t, hivetest.Options{})
	return s, s.worker(t, append(change, func(o *apply.Options) { o.Limits = apply.Limits{Observables: 40, Procedures: 1} })...)
}

// TestJunkDoesNotSuppressEvidence: a case full of one sender's junk still takes the indicators, the
// tag and the mark of a critical detection, whether it comes with the junk or after it.
func TestJunkDoesNotSuppressEvidence(t *testing.T) {
	t.Parallel()
	for name, together := range map[string]bool{"after": false, "together": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, e := fullSite(t)
				if all := append(junk(100), attack("real", 10)); together {
					mustApply(t, e, plan(t, 1, all...))
				} else {
					mustApply(t, e, plan(t, 1, all[0]))
					mustApply(t, e, plan(t, 2, all[1]))
				}
				got := s.hive.Snapshot().Cases[0]
				for _, tag := range []string{"ransomware", "forager:limit-observable", "forager:limit-tag"} {
					if !slices.Contains(got.Tags, tag) {
						t.Errorf("tags lack %s", tag)
					}
				}
				indicators := 0
				for _, o := range got.Observables {
					if o.IOC {
						indicators++
					}
				}
				if indicators != 2 || len(got.Observables) > 40 || len(got.Observables) < 30 || len(got.Tags) > 100 {
					t.Errorf("%d indicators of %d observables, %d tags", indicators, len(got.Observables), len(got.Tags))
				}
			})
		})
	}
}

// TestWhatIsLeftOutIsSaidInTheNextComment: how many of which kind.
func TestWhatIsLeftOutIsSaidInTheNextComment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, e := fullSite(t)
		mustApply(t, e, plan(t, 1, junk(100)...))
		mustApply(t, e, plan(t, 2, attack("real", 10)))
		var text string
		for _, c := range s.hive.Snapshot().Cases[0].Comments {
			text += c
		}
		if want := "at least 70 of kind observable"; !strings.Contains(text, want) || !strings.Contains(text, "of kind tag") {
			t.Errorf("comments lack %q: %s", want, text)
		}
	})
}

// TestWhatIsLeftOutIsCountedOnce: the same message again leaves the same out.
func TestWhatIsLeftOutIsCountedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		heard := &heardEvents{}
		_, e := fullSite(t, func(o *apply.Options) { o.Events = heard })
		counted := func() int { return heard.count(apply.EventOverLimit) }
		mustApply(t, e, plan(t, 1, junk(100)...))
		first := counted()
		for range 3 {
			mustApply(t, e, plan(t, 1, junk(100)...))
		}
		if first != 70+41 || counted() != first { // 30 of 40 observables; of 80 tags 60, the format's among them
			t.Errorf("%d left out, after three repetitions %d", first, counted())
		}
	})
}

// TestOfManyIndicatorsTheNewestStay: within one apply, the newest first, then the most severe.
func TestOfManyIndicatorsTheNewestStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, e := fullSite(t)
		var all []detection.Detection
		for i := range 50 {
			d := attack(fmt.Sprint(i), 9)
			d.Time = day(9).Add(time.Duration(i) * time.Minute)
			d.Observables = []detection.Observable{{DataType: "ip", Data: fmt.Sprintf("203.0.113.%d", i), IOC: true}}
			all = append(all, d)
		}
		mustApply(t, e, plan(t, 1, all...))
		there := map[string]bool{}
		for _, o := range s.hive.Snapshot().Cases[0].Observables {
			there[o.Data] = true
		}
		for i := range 50 {
			if ip := fmt.Sprintf("203.0.113.%d", i); there[ip] != (i >= 10) {
				t.Errorf("%s: %v", ip, there[ip])
			}
		}
	})
}
