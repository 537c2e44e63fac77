package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/events"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/enrich/apply"
	"forager/hive/hivetest"
	"forager/mitre"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

const exampleFile = "../../deploy/examples/soc.yaml"

// exampleNow is when the example's silences are in force.
func exampleNow() time.Time { return time.Date(2026, 3, 2, 15, 0, 0, 0, time.UTC) }

// exampleEvent is an event and the subject that it comes on.
type exampleEvent struct {
	Subject string
	Event   json.RawMessage
}

func exampleEvents(t *testing.T) (all []exampleEvent) {
	t.Helper()
	text, err := os.ReadFile("testdata/soc/events.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e exampleEvent
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// golden compares with a file, or writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", "soc", name)
	if *Update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Error(d)
	}
}

func TestEveryRuleOfTheExampleIsExplained(t *testing.T) {
	t.Parallel()
	cfg, err := configFlag{Config: exampleFile}.load(&shell.Shell{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, e := range exampleEvents(t) {
		x, err := (&explainCmd{Subject: e.Subject}).explainer(&shell.Shell{Out: &out}, cfg)
		if err != nil {
			t.Fatal(err)
		}
		router, err := rulefiles.NewRouter(cfg, rulefiles.NewWitness())
		if err != nil {
			t.Fatal(err)
		}
		x.Planner = rulefiles.NewPlanner(cfg, mitre.Embedded(), nil, router, exampleNow)
		if err := x.explain(events.Event{File: e.Subject, Body: e.Event}); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "explain.golden", out.String())
	for _, r := range cfg.Routes {
		if !strings.Contains(out.String(), `"route":"`+r.Name+`"`) {
			t.Errorf("no event meets route %s", r.Name)
		}
	}
	for _, s := range cfg.Silences {
		if !strings.Contains(out.String(), `"silence":"`+s.Name+`"`) {
			t.Errorf("no event meets silence %s", s.Name)
		}
	}
}

// exampleSite is the example's worker between a NATS and a TheHive of its own.
type exampleSite struct {
	hive *hivetest.Hive
	logs *observer.ObservedLogs
}

// runExample carries the example's events, with custom fields in TheHive or without.
func runExample(t *testing.T, fields bool) exampleSite {
	t.Helper()
	nats, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	organisations := []string{"soc", "acme", "globex"}
	user := hivetest.User{Login: "forager@soc.example", Name: "Forager", APIKey: "key"}
	for _, o := range organisations {
		user.Memberships = append(user.Memberships, hivetest.Membership{Organisation: o, Profile: "analyst"})
	}
	site := exampleSite{hive: hivetest.New(hivetest.Options{
		Organisations: organisations, Users: []hivetest.User{user}, Patterns: servers.Patterns(mitre.Embedded()),
	})}
	server, err := hivetest.Listen("127.0.0.1:0", site.hive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if fields {
		addField(t, server.URL(), "sla-hours", "integer")
		addField(t, server.URL(), "asset", "string")
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"FORAGER_NATS_URL=" + nats.URL(), "FORAGER_NATS_MANAGE=true", "FORAGER_HIVE_URL=" + server.URL(), "FORAGER_HIVE_API_KEY_FILE=" + key}
	cfg, err := configFlag{Config: exampleFile}.load(&shell.Shell{Env: env}, config.ToNATS, config.ToHive)
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	site.logs = logs
	site.carry(t, cfg, zap.New(core), nats.URL())
	return site
}

// addField makes a custom field, as an administrator does.
func addField(t *testing.T, url, name, kind string) {
	t.Helper()
	body := fmt.Sprintf(`{"name":%q,"group":"soc","description":"of the example","type":%q}`, name, kind)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/v1/customField", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Organisation", "admin")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("custom field: %s", resp.Status)
	}
}

// carry runs the worker, one event after the other, until all are settled.
func (s exampleSite) carry(t *testing.T, cfg *config.Config, log *zap.Logger, nats string) {
	t.Helper()
	options := service.PipelineOptions(cfg, log)
	settled := &ends{}
	options.Observer = settled
	worker, err := service.New(t.Context(), cfg, rulefiles.NewWitness(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	router, err := rulefiles.NewRouter(cfg, rulefiles.NewWitness())
	if err != nil {
		t.Fatal(err)
	}
	worker.Use(worker.Decoder, rulefiles.NewPlanner(cfg, mitre.Embedded(), worker.Knowledge.Target, router, exampleNow))
	if err := stream.Ensure(t.Context(), worker.Link, options.Streams()); err != nil {
		t.Fatal(err)
	}
	forward, err := servers.NewForwarder(nats)
	if err != nil {
		t.Fatal(err)
	}
	defer forward.Close()
	var running conc.WaitGroup
	defer running.Wait()
	working, stop := context.WithCancel(t.Context())
	defer stop()
	running.Go(func() { _ = worker.Run(working) })
	for i, e := range exampleEvents(t) {
		confirm, err := forward.Send(e.Subject, e.Event)
		if err == nil {
			_, err = confirm(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		workertest.Eventually(t, fmt.Sprintf("the end of event %d", i), func() bool { return settled.count() > i })
	}
}

// exampleCase is what the example's rules decide of a case.
type exampleCase struct {
	Alert                         string `json:",omitempty"` // type and source, of what is one, for the queue
	Organisation, Title, Assignee string
	Severity, TLP, PAP            int64
	Tags                          []string // but Forager's own
	Tasks, Pages, Observables     []string
	Procedures                    int
	Fields                        map[string]any
	Links                         []string
}

func exampleCases(s hivetest.Snapshot) (all []exampleCase) {
	for _, c := range s.Cases {
		x := exampleCase{
			Organisation: c.Organisation, Title: c.Title, Assignee: c.Assignee, Severity: c.Severity, TLP: c.TLP, PAP: c.PAP,
			Tags:  slices.DeleteFunc(c.Tags, func(t string) bool { return len(t) == len("forager:")+32 && strings.HasPrefix(t, "forager:") }),
			Tasks: c.Tasks, Procedures: len(c.Procedures), Fields: c.CustomFields,
		}
		for _, p := range c.Pages {
			x.Pages = append(x.Pages, p.Category+"/"+p.Title)
		}
		for _, o := range c.Observables {
			x.Observables = append(x.Observables, o.DataType+" "+o.Data+o.File.Name)
		}
		for line := range strings.Lines(c.Description) {
			if strings.HasPrefix(line, "- [") {
				x.Links = append(x.Links, strings.TrimSpace(line))
			}
		}
		all = append(all, x)
	}
	for _, a := range s.Alerts {
		if a.Imported {
			continue
		}
		x := exampleCase{Alert: a.Type + ";" + a.Source, Title: a.Title, Severity: a.Severity, Procedures: len(a.Procedures)}
		x.Tags = slices.DeleteFunc(a.Tags, func(t string) bool { return len(t) == len("forager:")+32 && strings.HasPrefix(t, "forager:") })
		for _, o := range a.Observables {
			x.Observables = append(x.Observables, o.DataType+" "+o.Data)
		}
		all = append(all, x)
	}
	return all
}

func TestTheExampleEndsInItsCases(t *testing.T) {
	t.Parallel()
	s := runExample(t, true)
	out, err := json.MarshalIndent(exampleCases(s.hive.Snapshot()), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "cases.golden", string(out)+"\n")
	if n := s.logs.FilterMessage("rule failed on a detection and gave way to the default; further failures are only counted").Len(); n != 0 {
		t.Errorf("%d rules failed", n)
	}
}

// TestAConfigurationThatTheHiveRefusesCostsATagAndAWarning: the custom fields of a route do not exist.
func TestAConfigurationThatTheHiveRefusesCostsATagAndAWarning(t *testing.T) {
	t.Parallel()
	s := runExample(t, false)
	var degraded []string
	for _, c := range exampleCases(s.hive.Snapshot()) {
		if slices.Contains(c.Tags, "forager:degraded") {
			degraded = append(degraded, c.Title)
		}
	}
	if !slices.Equal(degraded, []string{"[Acme] Encoded PowerShell"}) {
		t.Errorf("degraded %q", degraded)
	}
	if n := s.logs.FilterMessage(string(apply.EventDegraded)).FilterLevelExact(zap.WarnLevel).Len(); n != 1 {
		t.Errorf("%d warnings", n)
	}
}
