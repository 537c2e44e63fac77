package apply_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/hive"
	"forager/hive/hivetest"
)

// practice is a TheHive of two customers that one account serves.
type practice struct {
	*site
	t       *testing.T
	clients map[string]*hive.Client
}

const (
	acme    = "acme"
	initech = "initech"
	keepFor = 90 * 24 * time.Hour
)

func newPractice(t *testing.T) practice {
	t.Helper()
	s := newSite(t, hivetest.Options{Organisations: []string{acme, initech}, Users: []hivetest.User{{
		Login: "forager", APIKey: "forager",
		Memberships: []hivetest.Membership{{Organisation: acme, Profile: "analyst"}, {Organisation: initech, Profile: "analyst"}},
	}}})
	p := practice{site: s, t: t, clients: map[string]*hive.Client{}}
	for _, organisation := range []string{acme, initech} {
		transport := &http.Transport{DialContext: s.pipes.dial}
		t.Cleanup(transport.CloseIdleConnections)
		c, err := hive.New(hive.Options{URL: "http://thehive.test", APIKey: "forager", Organisation: organisation, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		p.clients[organisation] = c
	}
	return p
}

func (p practice) worker() *apply.Applier {
	return p.site.worker(p.t, func(o *apply.Options) {
		o.Hive = func(organisation string) apply.Hive { return p.clients[organisation] }
	})
}

// open opens a case of a host in an organisation and closes it again.
func (p practice) open(e *apply.Applier, organisation, host string) {
	p.t.Helper()
	plan := p.planIn(organisation, host, host, time.Now())
	mustApply(p.t, e, []enrich.Plan{plan})
	closed := "TruePositive"
	for c, err := range p.clients[organisation].FindCases(p.t.Context(), hive.Query{Filter: hive.Eq("tags", plan.Tag())}) {
		p.must(err)
		p.must(p.clients[organisation].UpdateCase(p.t.Context(), c.ID, hive.CaseUpdate{Status: &closed}))
	}
}

func (p practice) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// forget takes the organisation out of all entries, as the first versions wrote them.
func (p practice) forget() {
	p.t.Helper()
	for _, key := range p.ledger.Keys() {
		value, revision, err := p.ledger.Get(p.t.Context(), key)
		p.must(err)
		var fields map[string]json.RawMessage
		p.must(json.Unmarshal(value, &fields))
		delete(fields, "organisation")
		value, err = json.Marshal(fields)
		p.must(err)
		_, err = p.ledger.Put(p.t.Context(), key, value, revision)
		p.must(err)
	}
}

func (p practice) sweep(e *apply.Applier, organisations ...string) apply.SweepResult {
	p.t.Helper()
	got, err := e.Sweep(p.t.Context(), keysOf(p.ledger.Keys()), apply.SweepOptions{Organisations: organisations, Keep: keepFor})
	p.must(err)
	return got
}

// kinds counts the entries that are left, by the part of their key before the dot.
func (p practice) kinds() map[string]int {
	all := map[string]int{}
	for _, key := range p.ledger.Keys() {
		kind, _, _ := strings.Cut(key, ".")
		all[kind]++
	}
	return all
}

// admit makes the worker a member of these organisations and no others, as an administrator would.
func (p practice) admit(organisations ...string) {
	p.t.Helper()
	type membership struct {
		Organisation string `json:"organisation"`
		Profile      string `json:"profile"`
	}
	var sent struct {
		Organisations []membership `json:"organisations"`
	}
	for _, o := range organisations {
		sent.Organisations = append(sent.Organisations, membership{o, "analyst"})
	}
	body, err := json.Marshal(sent)
	p.must(err)
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPut, "http://thehive.test/api/v1/user/forager/organisations", bytes.NewReader(body))
	p.must(err)
	r.Header = http.Header{"Authorization": {"Bearer " + hivetest.DefaultAPIKey}, "X-Organisation": {"admin"}, "Content-Type": {"application/json"}}
	transport := &http.Transport{DialContext: p.pipes.dial}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	p.must(err)
	defer func() { p.must(answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		p.t.Fatalf("%s: %s", answer.Status, text)
	}
}

// planIn plans one detection of an organisation.
func (p practice) planIn(organisation, host, id string, at time.Time) enrich.Plan {
	p.t.Helper()
	planner := enrich.NewPlanner(enrich.PlannerOptions{Organisation: organisation, TLP: -1, PAP: -1})
	plan, err := planner.Plan(seen(host, id, at), enrich.Origin{Stream: "S", Sequence: 1, Time: at})
	p.must(err)
	return plan
}

// page answers everything as a proxy does.
type page struct{ status int }

func (p page) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.NopCloser(strings.NewReader("<html>Forbidden</html>"))
	return &http.Response{StatusCode: p.status, Header: http.Header{"Content-Type": {"text/html"}}, Body: body, Request: r}, nil
}

// TestARefusalNamesTheOrganisationItConcerns, unless it is not TheHive's.
func TestARefusalNamesTheOrganisationItConcerns(t *testing.T) {
	t.Parallel()
	type refusal struct {
		organisation string
		credentials  bool
	}
	for name, c := range map[string]struct {
		make func(p practice)
		want map[string]*refusal // by the plan's organisation; nil: none is named
		fine string
	}{
		"no member of one": {
			func(p practice) { p.admit(initech) }, map[string]*refusal{acme: {acme, false}}, initech,
		},
		"credentials expired": {
			func(p practice) { p.hive.Set(hivetest.Misbehaviour{ExpiredKey: true}) },
			map[string]*refusal{acme: {acme, true}, initech: {initech, true}}, "",
		},
		"a proxy says no": {
			func(p practice) {
				for name := range p.clients {
					c, err := hive.New(hive.Options{URL: "http://thehive.test", APIKey: "forager", Organisation: name, Transport: page{http.StatusForbidden}})
					p.must(err)
					p.clients[name] = c
				}
			},
			map[string]*refusal{acme: nil, initech: nil}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPractice(t)
				e := p.worker()
				c.make(p)
				for organisation, want := range c.want {
					plan := p.planIn(organisation, "web01", "a", day(9))
					err := e.Apply(t.Context(), enrich.BatchOf(plan))[0]
					var got *refusal
					if r, ok := errors.AsType[*enrich.OrganisationError](err); ok {
						got = &refusal{r.Organisation, r.Credentials}
					}
					class := enrich.Blocked
					if want == nil {
						class = enrich.Transient // it is the message's, and no reason to hold up others
					}
					if enrich.ClassOf(err) != class || (got == nil) != (want == nil) || got != nil && *got != *want {
						t.Errorf("%s: %+v, want %+v: %v", organisation, got, want, err)
					}
				}
				if c.fine != "" {
					mustApply(t, e, []enrich.Plan{p.planIn(c.fine, "web01", "a", day(9))})
				}
			})
		})
	}
}
