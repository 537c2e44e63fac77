package apply_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/rules"
	"forager/hive/hivetest"
)

// administer writes as an administrator.
func (s *site) administer(t *testing.T, path, organisation, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://thehive.test/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + hivetest.DefaultAPIKey}, "X-Organisation": {organisation}, "Content-Type": {"application/json"}}
	transport := &http.Transport{DialContext: s.pipes.dial}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode >= 300 {
		t.Fatal(answer.Status, err)
	}
}

// degradations are what an applier told of values that TheHive did not take.
func (h *heardEvents) degradations() (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.all {
		if e.Kind == apply.EventDegraded {
			all = append(all, e.Detail)
		}
	}
	return all
}

// configured is a site with a template and two fields, that says no more than a text of what it refuses.
func configured(t *testing.T, refuse bool, says string) *site {
	t.Helper()
	var q hivetest.Quirks
	if refuse {
		q.UnknownField = "refused"
	}
	s := newSite(t, hivetest.Options{Quirks: q})
	for _, f := range []string{"good", "fine"} {
		s.administer(t, "customField", "admin", `{"name":"`+f+`","group":"g","description":"d","type":"string"}`)
	}
	s.administer(t, "caseTemplate", hivetest.DefaultOrganisation, `{"name":"triage"}`)
	if says != "" {
		s.hive.On(hivetest.AfterEffect, caseRoute, func(call hivetest.Call) hivetest.Action {
			if call.Status < 300 {
				return hivetest.Action{}
			}
			return hivetest.Action{Status: 400, Type: "BadRequest", Message: says}
		})
	}
	return s
}

// degrading is a configuration of which TheHive takes all but what is lost.
type degrading struct {
	assignee, template string
	fields             []string
	says               string // TheHive's message; empty is its own
	lost               []string
}

// fits fails where the one case at a site lacks more than is lost, or less.
func (c degrading) fits(t *testing.T, s *site, told []string) {
	t.Helper()
	cases := s.hive.Snapshot().Cases
	if len(cases) != 1 {
		t.Fatalf("cases %+v", cases)
	}
	got := cases[0]
	if len(got.Tasks) != 2 || len(got.Pages) != 2 || got.Title != "Suspicious logon on web01" || len(got.Procedures) != 2 {
		t.Errorf("case %+v", got)
	}
	for _, f := range c.fields {
		if _, there := got.CustomFields[f]; there == (f == "bad") {
			t.Errorf("custom fields %v", got.CustomFields)
		}
	}
	if c.assignee == hivetest.DefaultUser && got.Assignee != hivetest.DefaultUser {
		t.Errorf("assignee %q", got.Assignee)
	}
	if slices.Contains(got.Tags, "forager:degraded") != (len(c.lost) > 0) || len(told) != min(len(c.lost), 1) {
		t.Fatalf("tags %v, told %q", got.Tags, told)
	}
	for _, l := range c.lost {
		if !strings.Contains(told[0], l) {
			t.Errorf("told %q, and not of %q", told, l)
		}
	}
}

// TestARefusedCaseLacksOneValueAndNoOther: what a person configured is dropped one at a time.
func TestARefusedCaseLacksOneValueAndNoOther(t *testing.T) {
	t.Parallel()
	const login = hivetest.DefaultUser
	fields := func(names ...string) (all []rules.Field) {
		for _, n := range names {
			all = append(all, rules.Field{Name: n, Value: "x"})
		}
		return all
	}
	for name, c := range map[string]degrading{
		"nothing":                         {login, "triage", []string{"good", "fine"}, "", nil},
		"an assignee who left":            {"gone@example.test", "triage", []string{"good"}, "", []string{"assignee gone@example.test"}},
		"an assignee, and no word of him": {"gone@example.test", "triage", []string{"good"}, "invalid input", []string{"assignee gone@example.test"}},
		"one unknown field of three":      {login, "triage", []string{"good", "bad", "fine"}, "", []string{"custom field bad"}},
		"one of three, not named":         {login, "triage", []string{"good", "bad", "fine"}, "invalid input", []string{"custom field bad"}},
		"a renamed template":              {login, "renamed", []string{"good"}, "", []string{"template renamed"}},
		"two bad values at once":          {"gone@example.test", "triage", []string{"good", "bad"}, "", []string{"assignee gone@example.test", "custom field bad"}},
		"two, and not named":              {"gone@example.test", "triage", []string{"good", "bad"}, "invalid input", []string{"assignee gone@example.test", "custom field bad"}},
	} {
		for _, silent := range []bool{false, true} { // of unknown fields
			t.Run(fmt.Sprint(name, silent), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := configured(t, !silent, c.says)
					shape := rules.CaseFields{
						Assignee: c.assignee, Template: c.template, Fields: fields(c.fields...),
						Tasks: []rules.Task{{Title: "look"}, {Title: "act"}}, Pages: []rules.Page{{Title: "notes", Category: "c", Content: "x"}},
					}
					heard := &heardEvents{}
					e := s.worker(t, func(o *apply.Options) { o.Events = heard })
					p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: shape}}})
					mustApply(t, e, []enrich.Plan{planned(t, p, 1, seen("web01", "a", day(9)))})
					c.fits(t, s, heard.degradations())
				})
			})
		}
	}
}

// TestFieldsThatTheAnswerLacksAreTold: the case is tagged as what it is.
func TestFieldsThatTheAnswerLacksAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		s.administer(t, "customField", "admin", `{"name":"good","group":"g","description":"d","type":"string"}`)
		s.hive.On(hivetest.AfterEffect, caseRoute, always(hivetest.Action{Wrong: hivetest.Other}))
		heard := &heardEvents{}
		e := s.worker(t, func(o *apply.Options) { o.Events = heard })
		p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Fields: []rules.Field{{Name: "good", Value: "x"}}}}}})
		mustApply(t, e, []enrich.Plan{planned(t, p, 1, seen("web01", "a", day(9)))})
		if got := s.hive.Snapshot().Cases[0]; !slices.Contains(got.Tags, "forager:degraded") || len(heard.degradations()) != 1 {
			t.Errorf("tags %v, told %q", got.Tags, heard.degradations())
		}
	})
}
