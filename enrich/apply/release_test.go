package apply_test

import (
	"encoding/json"
	"errors"
	"fmt"
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
)

// workerAs is a worker of an account of its own.
func (s *site) workerAs(t *testing.T, key string, change ...func(*apply.Options)) *apply.Applier {
	t.Helper()
	c := s.clientAs(t, key)
	return s.worker(t, append([]func(*apply.Options){func(o *apply.Options) { o.Hive = func(string) apply.Hive { return c } }}, change...)...)
}

// withAccounts are a server with an account of the profile analyst, and one that may all but reopen.
func withAccounts(t *testing.T, o hivetest.Options) *site {
	t.Helper()
	o.Users = append(o.Users,
		hivetest.User{Login: "forager@x.example", APIKey: "forager-key", Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "analyst"}}},
		hivetest.User{Login: "few@x.example", APIKey: "few-key", Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "few"}}})
	o.Profiles = map[string][]string{"few": {"manageCase/create", "manageCase/update", "manageObservable", "manageProcedure", "manageComment", "managePage"}}
	return newSite(t, o)
}

// TestARestrictedCaseCostsNothing: it is out of the worker's sight, as TheHive itself hides it, or refused to it. Nothing is
// dropped; a new case takes what comes, and once the first is visible again there is nothing doubled.
func TestARestrictedCaseCostsNothing(t *testing.T) {
	t.Parallel()
	for _, how := range []hivetest.Sight{hivetest.Hidden, hivetest.Refused} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := withAccounts(t, hivetest.Options{Quirks: hivetest.Quirks{Restricted: how}})
				w := s.workerAs(t, "forager-key")
				send := func(sequence uint64, id string, hour int) error {
					d := seen("web01", id, day(hour))
					d.Observables = []detection.Observable{{DataType: "ip", Data: "192.0.2.7"}, {DataType: "domain", Data: id + ".example.org"}}
					plans := plan(t, sequence, d)
					return w.Apply(t.Context(), enrich.BatchOf(plans...))[0]
				}
				access := func(kind string) {
					s.administer(t, "case/1/access", hivetest.DefaultOrganisation, `{"access":`+kind+`}`)
				}
				must := func(err error) {
					if err != nil {
						t.Fatal(err)
					}
				}
				must(send(1, "a", 6))
				access(`{"_kind":"UserAccessKind","users":["admin@thehive.local"]}`)
				var failed error
				for range 4 {
					if failed = send(2, "b", 7); failed == nil {
						break
					}
					if class := enrich.ClassOf(failed); class == enrich.Dropped || class == enrich.Blocked {
						t.Fatalf("%v: %v", class, failed)
					}
					time.Sleep(time.Minute)
				}
				must(failed)
				access(`{"_kind":"OrganisationAccessKind"}`)
				must(send(2, "b", 7)) // delivered again
				must(send(3, "c", 8))
				d := s.hive.Stats(hivetest.DefaultWindow).Duplicates
				if d.Observables+d.Procedures+d.Comments+d.Files+d.Tasks+d.Pages != 0 {
					t.Errorf("doubled: %+v", d)
				}
				found := map[string]int{}
				for _, c := range s.hive.Snapshot().Cases {
					for _, o := range c.Observables {
						found[o.Data]++
					}
				}
				for _, id := range []string{"a", "b", "c"} {
					if found[id+".example.org"] == 0 {
						t.Errorf("%s is lost: %v", id, found)
					}
				}
			})
		})
	}
}

// TestARightToReopenThatLacksCostsOneStep: the detection's other parts are there, other detections go on, the gate stays open.
func TestARightToReopenThatLacksCostsOneStep(t *testing.T) {
	t.Parallel()
	for version, refused := range map[string]bool{"5.2.5-1": false, "5.5.13-1": true, "5.7.3-1": true} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := withAccounts(t, hivetest.Options{Version: version})
				w := s.workerAs(t, "few-key")
				send := func(sequence uint64, host, id string, hour int) error {
					d := seen(host, id, day(hour))
					d.Tags = []string{"tag-" + id}
					d.Observables = []detection.Observable{{DataType: "domain", Data: id + ".example.org"}}
					plans := plan(t, sequence, d)
					for i := range plans {
						plans[i].Closed = rules.ClosedReopen
					}
					return w.Apply(t.Context(), enrich.BatchOf(plans...))[0]
				}
				if err := send(1, "web01", "a", 6); err != nil {
					t.Fatal(err)
				}
				closed := hive.CaseUpdate{Status: new("TruePositive"), EndDate: new(hive.MillisOf(day(7)))}
				if err := s.client(t).UpdateCase(t.Context(), "1", closed); err != nil {
					t.Fatal(err)
				}
				err := send(2, "web01", "b", 9)
				if _, rejected := errors.AsType[*enrich.RejectedError](err); rejected != refused || !refused && err != nil {
					t.Fatalf("%v: %v", enrich.ClassOf(err), err)
				}
				if err := send(3, "web02", "c", 9); err != nil {
					t.Errorf("another detection: %v", err)
				}
				cases := s.hive.Snapshot().Cases
				if len(cases) != 2 || !slices.Contains(cases[0].Tags, "tag-b") || len(cases[0].Observables) != 2 || (cases[0].Stage == "Closed") != refused {
					t.Errorf("%d cases, the first %s with %v, %v", len(cases), cases[0].Stage, cases[0].Tags, cases[0].Observables)
				}
			})
		})
	}
}

// TestATemplatesTagsAreThere: whether TheHive adds them beside those of the request or not; the template is asked for once.
func TestATemplatesTagsAreThere(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"5.5.13-1", "5.7.3-1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{Version: version})
				s.administer(t, "caseTemplate", hivetest.DefaultOrganisation, `{"name":"triage","tags":["playbook","tier 1"]}`)
				w := s.worker(t)
				asked := 0
				s.hive.On(hivetest.BeforeEffect, "POST /api/v1/query", func(c hivetest.Call) hivetest.Action {
					if queryOf(c) == "getCaseTemplate" {
						asked++
					}
					return hivetest.Action{}
				})
				for i, host := range []string{"web01", "web02"} {
					plans := plan(t, uint64(i+1), seen(host, host, day(6)))
					for i := range plans {
						plans[i].Shape.Template = "triage"
					}
					if err := w.Apply(t.Context(), enrich.BatchOf(plans...))[0]; err != nil {
						t.Fatal(err)
					}
				}
				for _, c := range s.hive.Snapshot().Cases {
					if !slices.Contains(c.Tags, "playbook") || !slices.Contains(c.Tags, "tier 1") || slices.Contains(c.Tags, "forager:degraded") {
						t.Errorf("case %d: %v", c.Number, c.Tags)
					}
				}
				if asked != 1 {
					t.Error(fmt.Sprint("the template was asked for ", asked, " times"))
				}
			})
		})
	}
}

// queryOf is how a query begins.
func queryOf(c hivetest.Call) string {
	var body struct {
		Query []struct {
			Name string `json:"_name"`
		} `json:"query"`
	}
	if json.Unmarshal(c.Body, &body) != nil || len(body.Query) == 0 {
		return ""
	}
	return body.Query[0].Name
}
