package pipeline

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
	"forager/pipeline/deadletter"
)

// sample is a worker with no connection, for what needs none.
func sample() *Worker {
	return &Worker{options: Options{Worker: "pod-1"}.WithDefaults(), now: time.Now}
}

// sampleMessage is a message as the stream would deliver it.
func sampleMessage(h nats.Header, body []byte) *message {
	return &message{
		position: position{stream: "DET", sequence: 7, deliveries: 3, stored: time.Unix(1_700_000_000, 0), bytes: len(body)},
		standing: standing{msg: delivery{raw: &nats.Msg{Subject: "alerts.x", Header: h, Data: body}}},
	}
}

// delivery is a message without a server.
type delivery struct {
	jetstream.Msg
	raw *nats.Msg
}

func (d delivery) Data() []byte         { return d.raw.Data }
func (d delivery) Headers() nats.Header { return d.raw.Header }
func (d delivery) Subject() string      { return d.raw.Subject }

func TestDeadLetterSaysWhatWasRefusedAndWhy(t *testing.T) {
	w := sample()
	m := sampleMessage(nats.Header{"X-Trace": {"1"}}, []byte("body"))
	err := &enrich.RejectedError{Items: []enrich.Refusal{{Step: "procedure", Item: "T1", Status: 404, Type: "NotFound", Reason: "line\r\nbreak"}}}
	s := w.settlement(m, 1, err, Verdict{Action: ActionDeadLetter})
	stored := time.Unix(1_700_000_000, 0)
	want := deadletter.Message{
		Reason: "procedure rejected", Class: "rejected", Step: "procedure", Status: 404, Detail: err.Error(), Attempts: 3,
		Subject: "alerts.x", Stream: "DET", Sequence: 7, Stored: stored, Time: stored, Worker: "pod-1",
		Header: map[string][]string{"X-Trace": {"1"}}, Body: []byte("body"),
	}
	got := w.deadLetter(m, &s)
	got.Died = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// storeDead puts the dead letter of a message into the rig's dead-letter stream.
func storeDead(t *testing.T, r *rig, body string, stored time.Time) {
	t.Helper()
	w := sample()
	m := sampleMessage(nil, []byte(body))
	m.stored = stored
	s := w.settlement(m, 1, errPassing, Verdict{Action: ActionDeadLetter})
	must(t, deadletter.Open(r.link, "").Store(t.Context(), w.deadLetter(m, &s)))
}

func TestDeadLetterThatDoesNotFitLeavesItsMessageInTheStream(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Policy.Transient.Last = time.Hour })
	r.ensure()
	most := int(r.link.Conn().MaxPayload())
	r.publishRaw("alerts.big", bytes.Repeat([]byte("x"), most-10))
	r.publish(alert{ID: "next", Keys: []string{"k"}})
	r.start()
	r.ended(1)
	r.seen.until(t, "the alert", func() bool { return r.seen.heard(NoticeLetterLost) == 1 })
	if got := r.consumer(); got.NumAckPending != 1 || len(r.letters()) != 0 {
		t.Errorf("pending %d, letters %d; want 1, 0", got.NumAckPending, len(r.letters()))
	}
	if lines := r.seen.gateLines(); len(lines) != 0 {
		t.Errorf("one large message closed the gate: %q", lines)
	}
}

func TestRequeueComesThroughDeduplicationWithItsFirstTime(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	m := nats.NewMsg("alerts.x")
	m.Data = []byte("not json")
	m.Header.Set("X-Trace", "1")
	if _, err := r.js.PublishMsg(t.Context(), m, jetstream.WithMsgID("once")); err != nil {
		t.Fatal(err)
	}
	_, stop := r.start()
	r.ended(1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	first := r.letters()[0]
	letters := deadletter.Open(r.link, "")
	if err := letters.Requeue(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	r.seen = newEnds()
	r.options.Observer = r.seen
	r.start()
	r.ended(1)
	again := r.letters()
	if len(again) != 1 {
		t.Fatalf("%d letters, want the new one alone", len(again))
	}
	l := again[0]
	if l.Requeued != 1 || l.Sequence != 2 || !l.Time.Equal(first.Stored) || !l.Stored.After(first.Stored) {
		t.Errorf("requeued %d, sequence %d, time %v (first stored %v)", l.Requeued, l.Sequence, l.Time, first.Stored)
	}
	maps.DeleteFunc(l.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "Nats-") }) // of the requeue itself
	if diff := cmp.Diff(map[string][]string{"X-Trace": {"1"}}, l.Header); diff != "" {
		t.Errorf("headers: %s", diff)
	}
}
