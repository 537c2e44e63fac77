package service

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
	"go.uber.org/zap"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/enrich/apply"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// office is a worker at work, a TheHive that tells it of every change, in both versions at once,
// and an analyst.
type office struct {
	t       *testing.T
	hive    *hivetest.Hive
	analyst *hive.Client
	service *Service
	forward *servers.Forwarder
	sent    int
}

func newOffice(t *testing.T, more ...string) *office {
	t.Helper()
	nats, err := natstest.Start(t.TempDir())
	workertest.Must(t, err)
	t.Cleanup(nats.Close)
	addr, err := workertest.FreeAddress(t.Context())
	workertest.Must(t, err)
	url := "http://" + addr + "/hooks/thehive"
	simulated := hivetest.New(hivetest.Options{
		Users: []hivetest.User{{
			Login: "analyst@thehive.local", APIKey: "analyst",
			Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "analyst"}},
		}},
		Webhooks: []hivetest.Webhook{{URL: url, Version: 1, Bearer: "tok"}, {URL: url, User: "u", Password: "p"}},
	})
	server, err := hivetest.Listen("127.0.0.1:0", simulated)
	workertest.Must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	analyst, err := hive.New(hive.Options{URL: server.URL(), APIKey: "analyst"})
	workertest.Must(t, err)
	t.Cleanup(analyst.CloseIdle)
	o := &office{t: t, hive: simulated, analyst: analyst}
	o.open(append(servers.Config(nats.URL(), server.URL()),
		"FORAGER_WEBHOOK_ADDR="+addr, "FORAGER_WEBHOOK_TOKEN=tok", "FORAGER_WEBHOOK_USER=u", "FORAGER_WEBHOOK_PASSWORD=p"), more...)
	o.forward, err = servers.NewForwarder(nats.URL())
	workertest.Must(t, err)
	t.Cleanup(o.forward.Close)
	return o
}

// open starts the worker as run does.
func (o *office) open(env []string, more ...string) {
	o.t.Helper()
	c, err := config.Load(config.Source{Env: append(env, more...), Connects: []string{config.ToNATS, config.ToHive, config.ToWebhook}})
	workertest.Must(o.t, err)
	options := PipelineOptions(c, zap.NewNop())
	s, err := New(o.t.Context(), c, rulefiles.NewWitness(), options)
	workertest.Must(o.t, err)
	workertest.Must(o.t, stream.Ensure(o.t.Context(), s.Link, options.Streams()))
	workertest.Must(o.t, s.hooks.audits.Ensure(o.t.Context()))
	ctx, stop := context.WithCancel(o.t.Context())
	var running conc.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	o.service = s
	o.t.Cleanup(func() { stop(); running.Wait(); s.Close() })
}

// detect publishes a detection of a host.
func (o *office) detect(host string, severity int, techniques string) {
	o.t.Helper()
	o.sent++
	confirm, err := o.forward.Send("demo.native", fmt.Appendf(nil, `{"schema":"forager.detection/v1","id":"d-%d","time":"2026-03-02T08:%02d:00Z","title":"T","severity":%d,`+
		`"host":%q,"rule":{"id":"r"},"observables":[{"dataType":"ip","data":"203.0.113.7"},{"dataType":"hostname","data":%q}],"techniques":[%s]}`,
		o.sent, o.sent, severity, host, host, techniques))
	workertest.Must(o.t, err)
	_, err = confirm(o.t.Context())
	workertest.Must(o.t, err)
}

// until waits for a state of the cases.
func (o *office) until(what string, is func([]hivetest.Case) bool) (cases []hivetest.Case) {
	o.t.Helper()
	workertest.Eventually(o.t, what, func() bool {
		cases = o.hive.Snapshot().Cases
		return is(cases)
	}, func() string { return fmt.Sprintf("%+v", cases) })
	return cases
}

// told waits until the ledger has learnt something of a case. What the intake cannot store in time on a
// busy machine TheHive does not tell again; the test does.
func (o *office) told(id string, is func(removed int, moved, gone bool) bool) {
	o.t.Helper()
	o.hive.Delivered()
	if _, missed := o.hive.WebhookStats(); missed[0]+missed[1] > 0 {
		for _, document := range o.hive.Documents(1) {
			workertest.Must(o.t, o.service.hooks.Learn(o.t.Context(), document))
		}
	}
	o.known(id, "the ledger to learn", func(m apply.CaseEntry) bool {
		return is(len(m.Removed), m.MovedTo != "", !m.Gone.IsZero())
	})
}

// released waits until a worker has written down what it added to a case. A document of a removal means
// nothing to the ledger before, and the removal is noticed at a later look.
func (o *office) released(id string, procedures int) {
	o.t.Helper()
	o.known(id, "the worker to release the case", func(m apply.CaseEntry) bool {
		return !m.Held && len(m.Procedures) == procedures && m.Observables == 2
	})
}

// known waits for what the ledger knows of a case.
func (o *office) known(id, what string, is func(apply.CaseEntry) bool) {
	o.t.Helper()
	var last apply.CaseEntry
	workertest.Eventually(o.t, what, func() bool {
		var err error
		last, err = o.service.applier.ReadEntry(o.t.Context(), id)
		workertest.Must(o.t, err)
		return is(last)
	}, func() string {
		told, missed := o.hive.WebhookStats()
		return fmt.Sprintf("the ledger knows %+v; webhooks: told %v, missed %v", last, told, missed)
	})
}

func (o *office) theCase(number string) hive.Case {
	o.t.Helper()
	c, err := o.analyst.Case(o.t.Context(), number)
	workertest.Must(o.t, err)
	return c
}

func (o *office) removeProcedure(id, technique string) {
	o.t.Helper()
	for p, err := range o.analyst.CaseProcedures(o.t.Context(), id) {
		workertest.Must(o.t, err)
		if p.PatternID == technique {
			workertest.Must(o.t, o.analyst.DeleteProcedure(o.t.Context(), p.ID))
		}
	}
}

func has(c hivetest.Case, technique string) bool {
	return slices.ContainsFunc(c.Procedures, func(p hivetest.Procedure) bool { return p.PatternID == technique })
}

func TestP5AnalystsWinWhileDetectionsFlow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.detect("web01", 3, `"T1110","T1486"`)
	o.until("the first case is web01's", func(cases []hivetest.Case) bool { return len(cases) == 1 })
	o.detect("db01", 3, `"T1110"`)
	o.until("both cases are there", func(cases []hivetest.Case) bool {
		return len(cases) == 2 && len(cases[0].Procedures)+len(cases[1].Procedures) == 3
	})
	one, two := o.theCase("1"), o.theCase("2")
	o.released(one.ID, 2)
	o.released(two.ID, 1)

	// A technique, an observable and a severity.
	o.removeProcedure(one.ID, "T1110")
	o.removeProcedure(two.ID, "T1110")
	for x, err := range o.analyst.CaseObservables(t.Context(), one.ID) {
		workertest.Must(t, err)
		if x.DataType == "ip" {
			workertest.Must(t, o.analyst.DeleteObservable(t.Context(), x.ID))
		}
	}
	low := 1
	workertest.Must(t, o.analyst.UpdateCase(t.Context(), one.ID, hive.CaseUpdate{Severity: &low}))
	o.told(one.ID, func(removed int, _, _ bool) bool { return removed == 2 })
	o.detect("web01", 3, `"T1110","T1105"`)
	o.detect("db01", 3, `"T1110","T1105"`)
	for _, c := range o.until("another technique is there", func(cases []hivetest.Case) bool { return has(cases[0], "T1105") && has(cases[1], "T1105") }) {
		if has(c, "T1110") || c.Number == int64(one.Number) && (c.Severity != 1 || len(c.Observables) != 1) {
			t.Errorf("after the removal: %+v", c)
		}
	}

	o.merge(one, two)
	o.closeAndDelete()
	o.hive.Delivered()
	if told, missed := o.hive.WebhookStats(); told[0] == 0 || told[1] == 0 || told[0]+missed[0] != told[1]+missed[1] {
		t.Errorf("webhooks: told %v, missed %v", told, missed)
	}
	o.counted()
}

// counted: what was learnt shows in the metrics, and nothing waits.
func (o *office) counted() {
	o.t.Helper()
	told, missed := o.hive.WebhookStats() // a machine that is busy may miss some: they are counted
	var text string
	o.until("all is learnt", func([]hivetest.Case) bool {
		o.service.hooks.measure(o.t.Context())
		_, _, text = workertest.Scrape(o.t, o.service.parts.measures.handler(), "/metrics", "")
		return strings.Contains(text, "\nforager_webhook_pending 0\n")
	})
	for _, want := range []string{
		fmt.Sprintf(`forager_webhook_documents_total\{result="stored"\} %d\n`, told[0]+told[1]),
		fmt.Sprintf(`forager_webhook_documents_total\{result="not stored"\} %d\n`, missed[0]+missed[1]),
		`forager_webhook_learnt_total\{lesson="removal"\} [1-9]`, `forager_webhook_learnt_total\{lesson="case merged"\} [1-9]`,
		`forager_webhook_learnt_total\{lesson="case deleted"\} [1-9]`, `forager_webhook_learnt_total\{lesson="nothing"\} [1-9]`,
	} {
		if !regexp.MustCompile("(?m)^" + want).MatchString(text) {
			o.t.Errorf("no %s", want)
		}
	}
}

// merge joins two cases, with the removals of both.
func (o *office) merge(one, two hive.Case) {
	t := o.t
	t.Helper()
	_, err := o.analyst.MergeCases(t.Context(), one.ID, two.ID)
	workertest.Must(t, err)
	o.told(one.ID, func(_ int, moved, _ bool) bool { return moved })
	o.detect("web01", 3, `"T1110","T1055"`)
	o.detect("db01", 3, `"T1059.001"`)
	merged := o.until("the merged case takes both hosts", func(cases []hivetest.Case) bool {
		return len(cases) == 1 && has(cases[0], "T1055") && has(cases[0], "T1059.001")
	})
	if has(merged[0], "T1110") {
		t.Errorf("after the merge: %+v", merged[0])
	}
}

// closeAndDelete ends the merged case.
func (o *office) closeAndDelete() {
	t := o.t
	t.Helper()
	three, status, end := o.theCase("3"), "TruePositive", hive.MillisOf(time.Date(2026, 3, 2, 8, 30, 0, 0, time.UTC))
	workertest.Must(t, o.analyst.UpdateCase(t.Context(), three.ID, hive.CaseUpdate{Status: &status, EndDate: &end}))
	o.detect("web01", 3, `"T1003"`)
	closed := o.until("what happened before its end is in the closed case", func(cases []hivetest.Case) bool { return has(cases[0], "T1003") })
	if len(closed) != 1 || closed[0].Stage != "Closed" {
		t.Errorf("after closing: %+v", closed)
	}
	workertest.Must(t, o.analyst.DeleteCase(t.Context(), three.ID))
	o.told(three.ID, func(_ int, _, gone bool) bool { return gone })
	o.detect("web01", 3, `"T1003"`)
	o.detect("mail01", 3, `"T1566"`)
	o.until("only another host has a case", func(cases []hivetest.Case) bool { return len(cases) == 1 && has(cases[0], "T1566") })
}
