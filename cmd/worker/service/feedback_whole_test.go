package service

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/enrich/apply"
	told "forager/enrich/feedback"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/pipeline/feedback"
)

// TestFeedbackOfWhatAnalystsDecide: each alert of a case hears once that it is closed and how, that this was changed, and
// that it is open again; soon after TheHive told it, by the audit document. Detections that join a closed case hear
// of it, too.
func TestFeedbackOfWhatAnalystsDecide(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "FORAGER_FEEDBACK_SUBJECT=forager.feedback", "FORAGER_NATS_MANAGE=true")
	const hosts = 20
	for i := range hosts {
		o.detect(fmt.Sprintf("web%02d", i), 3, "")
	}
	var cases []hive.Case
	for _, c := range o.until("a case of each host", func(all []hivetest.Case) bool { return len(all) == hosts }) {
		cases = append(cases, o.theCase(fmt.Sprint(c.Number)))
	}
	for _, c := range cases {
		o.known(c.ID, "its alert to be remembered", func(m apply.CaseEntry) bool { return !m.Held && m.Observables == 2 })
	}
	var took []time.Duration
	for _, c := range cases {
		began := time.Now()
		o.set(c.ID, "TruePositive")
		o.hears(c.ID, 1)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from closing a case to the message: median %v, slowest %v of %d", took[hosts/2], took[hosts-1], hosts)

	first := cases[0]
	o.set(first.ID, "FalsePositive")
	o.hears(first.ID, 2)
	o.set(first.ID, "InProgress")
	o.hears(first.ID, 3)
	o.set(first.ID, "Duplicated")
	got := o.hears(first.ID, 4)
	var events []string
	for _, m := range got {
		events = append(events, fmt.Sprint(m.Event, " ", m.Verdict, " ", m.Turn))
	}
	if want := []string{"closed TruePositive 1", "closed FalsePositive 2", "reopened  3", "closed Duplicated 4"}; !slices.Equal(events, want) {
		t.Errorf("heard %q, want %q", events, want)
	}
	m := got[0]
	if m.Schema != told.Schema || m.Alert.Source != "native" || m.Case.Number != first.Number || m.Case.ID != first.ID || m.Case.Title == "" ||
		m.Case.URL != o.service.parts.clients.config.Hive.URL+"/cases/"+first.ID+"/details" {
		t.Errorf("the message: %+v", m)
	}

	second := cases[1]
	o.joins(second.Number)
	o.hears(second.ID, 2)
}

// set is what an analyst does to a case.
func (o *office) set(id, status string) {
	o.t.Helper()
	u := hive.CaseUpdate{Status: &status}
	if status != "InProgress" {
		end := hive.MillisOf(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
		u.EndDate = &end
	}
	workertest.Must(o.t, o.analyst.UpdateCase(o.t.Context(), id, u))
}

// joins detects something more of a host whose case is closed.
func (o *office) joins(number int) {
	o.t.Helper()
	host := ""
	for c := range slices.Values(o.hive.Snapshot().Cases) {
		if c.Number == int64(number) {
			host = hostOf(c)
		}
	}
	o.detect(host, 3, `"T1003"`)
	o.until("it is in the closed case", func(all []hivetest.Case) bool {
		return slices.ContainsFunc(all, func(c hivetest.Case) bool { return c.Number == int64(number) && has(c, "T1003") })
	})
}

// hostOf is the host of a case, by its observable.
func hostOf(c hivetest.Case) string {
	for _, x := range c.Observables {
		if x.DataType == "hostname" {
			return x.Data
		}
	}
	return ""
}

// hears waits until sources were told so much of a case. What the intake cannot store in time on a busy machine TheHive
// does not tell again; the test does.
func (o *office) hears(id string, n int) (all []told.Message) {
	o.t.Helper()
	workertest.Eventually(o.t, "sources are told", func() bool {
		if _, missed := o.hive.WebhookStats(); missed[0]+missed[1] > 0 {
			o.service.back.runner.Note(id)
		}
		all = o.feedback(id)
		return len(all) >= n
	}, func() string { return fmt.Sprintf("%+v", all) })
	return all
}

// feedback is what sources were told of a case.
func (o *office) feedback(id string) (all []told.Message) {
	o.t.Helper()
	s, err := o.service.Link.JetStream().Stream(o.t.Context(), "FORAGER_FEEDBACK")
	if err != nil {
		return nil // not made yet
	}
	for sequence := uint64(1); sequence <= s.CachedInfo().State.LastSeq; sequence++ {
		raw, err := s.GetMsg(o.t.Context(), sequence)
		workertest.Must(o.t, err)
		var m told.Message
		workertest.Must(o.t, json.Unmarshal(raw.Data, &m))
		if m.Case.ID == id {
			all = append(all, m)
		}
	}
	return all
}

func TestFeedbackIsOffUnasked(t *testing.T) {
	t.Parallel()
	c := config.Default()
	if b, err := openBack(&c, nil, nil, nil, nil); b != nil || err != nil {
		t.Errorf("%v, %v", b, err)
	}
	var off *back
	if err := off.noted(t.Context(), hive.Audit{ObjectType: hive.AuditCase, Action: hive.AuditUpdate}); err != nil {
		t.Error(err)
	}
	off.run(t.Context())
	if n := sourceAlerts(&c); n != 0 {
		t.Errorf("%d alerts are remembered", n)
	}
	if _, err := feedback.New(nil, FeedbackOptions(&c)); err == nil {
		t.Error("an outbox without a subject")
	}
}

// TestFeedbackOfAlertsThatBecameACase: what lies in the queue has no verdict of a case; an analyst makes one of it.
func TestFeedbackOfAlertsThatBecameACase(t *testing.T) {
	t.Parallel()
	o := newOffice(t, "FORAGER_FEEDBACK_SUBJECT=forager.feedback", "FORAGER_NATS_MANAGE=true", "FORAGER_ROUTES=[{name: queue, as: alert}]")
	o.detect("web01", 3, "")
	var id string
	workertest.Eventually(t, "an alert in the queue", func() bool {
		for a, err := range o.analyst.FindAlerts(t.Context(), hive.Query{}) {
			workertest.Must(t, err)
			id = a.ID
		}
		return id != ""
	}, func() string { return "none" })
	o.known(id, "its source's alert to be remembered", func(m apply.CaseEntry) bool { return m.Known && !m.Held })
	c, err := o.analyst.PromoteAlert(t.Context(), id, hive.CaseFromAlert{})
	workertest.Must(t, err)
	workertest.Eventually(t, "the case to be known", func() bool {
		if _, missed := o.hive.WebhookStats(); missed[0]+missed[1] > 0 {
			for _, document := range o.hive.Documents(1) {
				workertest.Must(t, o.service.hooks.Learn(t.Context(), document))
			}
		}
		_, _, err := o.service.ledger.Get(t.Context(), apply.FeedbackPrefix+c.ID)
		return err == nil
	}, func() string { return "it is not" })
	o.set(c.ID, "FalsePositive")
	if m := o.hears(c.ID, 1)[0]; m.Alert.ID != "d-1" || m.Verdict != "FalsePositive" || m.Case.Number != c.Number {
		t.Errorf("%+v", m)
	}
}
