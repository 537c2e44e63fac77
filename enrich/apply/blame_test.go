package apply_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf16"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive/hivetest"
	"forager/racedetector"
)

// poisoned is a detection with one item that TheHive refuses by its content.
func poisoned(d detection.Detection, kind, word string) detection.Detection {
	switch kind {
	case "observable":
		d.Observables = append(slices.Clone(d.Observables), detection.Observable{DataType: "other", Data: word})
	case "tag":
		d.Tags = append(slices.Clone(d.Tags), word)
	case "comment":
		d.Rule, d.Title = detection.Rule{ID: "rule of " + word, Name: word}, word
	case "procedure":
		i := len(word) + int(word[len(word)-2]) // any that no clean detection has
		d.Rule.Name = word
		d.Techniques = append(slices.Clone(d.Techniques), detection.Reference{Text: rare[i%len(rare)], Path: "techniques"})
	case "field":
		d.User = word
	case "file":
		d.Files = append(slices.Clone(d.Files), detection.File{Name: word + ".txt", Data: []byte(word)})
	}
	return d
}

// rare are techniques of TheHive that clean detections lack.
var rare = []string{"T1003", "T1027", "T1053.005", "T1055", "T1059.003", "T1059.006", "T1071", "T1105", "T1190", "T1486"}

// refuseWord makes TheHive refuse every write that holds a word.
func refuseWord(s *site, word string, status int) {
	s.hive.On(hivetest.BeforeEffect, "", func(c hivetest.Call) hivetest.Action {
		if c.Method == http.MethodGet || strings.HasSuffix(c.Path, "/query") || !strings.Contains(string(c.Body), word) {
			return hivetest.Action{}
		}
		return hivetest.Action{Status: status, Type: map[int]string{404: "NotFoundError", 500: "InternalError"}[status], Message: "no " + word}
	})
}

var poisonRuns = flag.Int("poison.runs", racedetector.Fewer(40, 4), "mixtures of refused items to live through")

// TestPoisonCostsItsOwnDetectionAlone: any mixture of refused items among detections of one group.
func TestPoisonCostsItsOwnDetectionAlone(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*poisonRuns) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 7))
				s := newSite(t, hivetest.Options{Seed: seed})
				n, kinds := 8+rng.IntN(40), map[int]string{}
				var all []detection.Detection
				for i := range n {
					d := seen("web01", fmt.Sprintf("id-%d", i), day(6))
					d.Tags = []string{fmt.Sprintf("tag%d", i)}
					d.Observables = []detection.Observable{{DataType: "other", Data: fmt.Sprintf("value %d", i)}}
					if i > 0 && rng.IntN(8) == 0 || i == 0 && rng.IntN(3) == 0 {
						kinds[i] = []string{"observable", "tag", "comment", "file", "procedure"}[rng.IntN(5)]
						if i == 0 {
							kinds[i] = "field" // of the case that it opens
						}
						word := fmt.Sprintf("poison%dx", i)
						refuseWord(s, word, []int{400, 404, 413, 422, 500}[rng.IntN(5)])
						d = poisoned(d, kinds[i], word)
					}
					all = append(all, d)
				}
				plans := planWithFields(t, s, all)
				before := s.hive.Stats(0).Total
				e := s.worker(t)
				errs := e.Apply(t.Context(), enrich.BatchOf(plans...))
				calls := s.hive.Stats(0).Total - before
				for i, err := range errs {
					var refused *enrich.RejectedError
					var failed *enrich.UnsettledError
					switch named := errors.As(err, &refused) || errors.As(err, &failed); {
					case kinds[i] == "" && err != nil:
						t.Errorf("clean detection %d: %v", i, err)
					case kinds[i] == "field" && err == nil:
						if !slices.Contains(s.hive.Snapshot().Cases[0].Tags, "forager:degraded") {
							t.Error("a field is missing, and the case does not say so")
						}
					case kinds[i] == "procedure" && err == nil: // another brought its technique, too
					case kinds[i] == "comment" && i > 10 && err == nil: // the description names its rule, and not its words
					case kinds[i] != "" && (!named || !strings.Contains(err.Error(), "poison") && !strings.Contains(err.Error(), "description")):
						t.Errorf("detection %d, poisoned by a %s: %v", i, kinds[i], err)
					}
				}
				again(t, e, plans, errs)
				complete(t, s, n)
				k := float64(len(kinds))
				if most := 60 + 40*k*math.Log2(float64(n)); float64(calls) > most {
					t.Errorf("%d calls for %v poisoned of %d", calls, k, n)
				}
			})
		})
	}
}

// planWithFields plans by a route that writes the user, and a fixed text, into custom fields.
func planWithFields(t *testing.T, s *site, all []detection.Detection) (plans []enrich.Plan) {
	t.Helper()
	for _, name := range []string{"user", "good"} {
		s.administer(t, "customField", "admin", `{"name":"`+name+`","group":"g","description":"d","type":"string"}`)
	}
	fields := []rules.Field{{Name: "user", Value: "{{ detection.user }}"}, {Name: "good", Value: "x"}}
	p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Fields: fields}}}})
	for i, d := range all {
		plans = append(plans, planned(t, p, uint64(i+1), d))
	}
	return plans
}

// again delivers once more what TheHive gave no verdict on: what could not open the case joins it.
func again(t *testing.T, e *apply.Applier, plans []enrich.Plan, errs []error) {
	t.Helper()
	var rest []enrich.Plan
	for i, err := range errs {
		if _, failed := errors.AsType[*enrich.UnsettledError](err); failed {
			rest = append(rest, plans[i])
		}
	}
	if len(rest) > 0 {
		e.Apply(t.Context(), enrich.BatchOf(rest...))
	}
}

// complete looks for all that is not poisoned, once each.
func complete(t *testing.T, s *site, n int) {
	t.Helper()
	got := s.hive.Snapshot()
	if len(got.Cases) != 1 || got.Cases[0].CustomFields["good"] != "x" {
		t.Fatalf("cases %+v", got.Cases)
	}
	ids := map[string]int{}
	for _, p := range got.Cases[0].Procedures {
		ids[p.PatternID]++
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	if ids["T1059.001"]+ids["T1110"] != 2 {
		t.Errorf("procedures %v", ids)
	}
	values := map[string]int{}
	for _, o := range got.Cases[0].Observables {
		values[o.Data]++
	}
	for i := range n {
		if values[fmt.Sprintf("value %d", i)] != 1 || !slices.Contains(got.Cases[0].Tags, fmt.Sprintf("tag%d", i)) {
			t.Errorf("of detection %d: value %d times, tags %v", i, values[fmt.Sprintf("value %d", i)], got.Cases[0].Tags)
		}
	}
}

// TestWhatTheHiveDidNotConfirmIsNotRemembered: a false "already exists".
func TestWhatTheHiveDidNotConfirmIsNotRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t)
		mustApply(t, e, plan(t, 1, seen("web01", "a", day(9))))
		d := seen("web01", "b", day(9))
		d.Observables = []detection.Observable{{DataType: "other", Data: "not there"}}
		remove := s.hive.On(hivetest.BeforeEffect, "POST /api/v1/case/{id}/observable", func(hivetest.Call) hivetest.Action {
			return hivetest.Action{Status: 400, Type: "CreateError", Message: "Observable already exists"}
		})
		plans := plan(t, 2, d)
		var refused *enrich.RejectedError
		if err := e.Apply(t.Context(), enrich.BatchOf(plans...))[0]; !errors.As(err, &refused) || refused.Items[0].Reason != "Observable already exists" {
			t.Errorf("error %v", err)
		}
		remove()
		mustApply(t, e, plans)
		if got := s.hive.Snapshot().Cases[0].Observables; !slices.ContainsFunc(got, func(o hivetest.Observable) bool { return o.Data == "not there" }) {
			t.Errorf("observables %+v", got)
		}
	})
}

// TestTextsAreCutByTheUnitsOfTheHive: seventy emoji are seventy runes, and 140 units.
func TestTextsAreCutByTheUnitsOfTheHive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		emoji := strings.Repeat("😀", 70)
		all := []detection.Detection{seen("web01", "a", day(9)), seen("web01", "b", day(9)), seen("web01", "c", day(9))}
		all[1].Techniques = []detection.Reference{{Text: emoji}}
		all[1].Tags, all[1].Title = []string{emoji}, strings.Repeat(emoji, 9)
		mustApply(t, s.worker(t), plan(t, 1, all...))
		for _, tag := range s.hive.Snapshot().Cases[0].Tags {
			if n := len(utf16.Encode([]rune(tag))); n > 128 {
				t.Errorf("a tag of %d units", n)
			}
		}
	})
}
