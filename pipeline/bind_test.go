package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
	"forager/pipeline/inspect"
)

// TestRunRefusesWhatCheckCallsBrokenInItsWords: before it takes a message. Which settings these are is tested
// where they are looked at.
func TestRunRefusesWhatCheckCallsBrokenInItsWords(t *testing.T) {
	for name, spoil := range map[string]func(*rig){
		"consumer of headers": func(r *rig) { r.changeConsumer(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }) },
		"consumer pushes": func(r *rig) {
			must(r.t, r.js.DeleteConsumer(t.Context(), "DET", "worker"))
			_, err := r.js.CreatePushConsumer(t.Context(), "DET", jetstream.ConsumerConfig{Durable: "worker", DeliverSubject: "x", AckPolicy: jetstream.AckExplicitPolicy})
			must(r.t, err)
		},
		"ledger is sealed": func(r *rig) {
			r.changeStream("KV_FORAGER_LEDGER", r.js.UpdateStream, func(c *jetstream.StreamConfig) { c.Sealed = true })
		},
		"dead letters of another subject": func(r *rig) {
			r.changeStream("FORAGER_DLQ", r.js.UpdateStream, func(c *jetstream.StreamConfig) { c.Subjects = []string{"other.>"} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.ensure()
			spoil(r)
			r.options.Manage = false
			found, err := inspect.Inspect(t.Context(), r.link, r.options.Expected())
			must(t, err)
			at := slices.IndexFunc(found, func(f inspect.Finding) bool { return f.Level == inspect.LevelBroken })
			if at < 0 {
				t.Fatal("nothing is broken")
			}
			for range 30 {
				_, _ = r.js.Publish(t.Context(), "alerts.x", []byte(`{"id":"a","keys":["k"]}`))
			}
			w, stop := r.start()
			r.seen.until(t, "an attempt", func() bool { return r.seen.heard(NoticeRebound) >= 1 })
			ok, reasons := w.Ready()
			said := strings.Join(reasons, "; ")
			if ok || !strings.Contains(said, found[at].What) || !strings.Contains(said, found[at].Remedy) {
				t.Errorf("ready %v, %q; check says %q", ok, said, found[at].What)
			}
			must(t, stop())
			if n := r.seen.count(func(Settlement) bool { return true }); n != 0 {
				t.Errorf("%d messages were taken", n)
			}
		})
	}
}

// changeConsumer changes the consumer as an operator may.
func (r *rig) changeConsumer(change func(*jetstream.ConsumerConfig)) {
	r.t.Helper()
	config := r.consumer().Config
	change(&config)
	_, err := r.js.UpdateConsumer(r.t.Context(), r.options.Stream, config)
	must(r.t, err)
}

// changeStream changes a stream as an operator may.
func (r *rig) changeStream(name string, by func(context.Context, jetstream.StreamConfig) (jetstream.Stream, error), change func(*jetstream.StreamConfig)) {
	r.t.Helper()
	found, err := r.js.Stream(r.t.Context(), name)
	must(r.t, err)
	config := found.CachedInfo().Config
	change(&config)
	_, err = by(r.t.Context(), config)
	must(r.t, err)
}

// makeWorkQueue makes the stream again, as a work queue, with its consumer.
func (r *rig) makeWorkQueue() {
	r.t.Helper()
	consumer := r.consumer().Config
	r.changeStream("DET", func(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
		must(r.t, r.js.DeleteStream(ctx, c.Name))
		return r.js.CreateStream(ctx, c)
	}, func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy })
	_, err := r.js.CreateConsumer(r.t.Context(), "DET", consumer)
	must(r.t, err)
}

// TestHeadersOnlyOnAWorkQueueDestroysNothing: every message is still there, whole.
func TestHeadersOnlyOnAWorkQueueDestroysNothing(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.makeWorkQueue()
	r.changeConsumer(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true })
	for i := range 30 {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{"k"}})
	}
	_, stop := r.start()
	r.seen.until(t, "an attempt", func() bool { return r.seen.heard(NoticeRebound) >= 1 })
	must(t, stop())
	stream, err := r.js.Stream(t.Context(), "DET")
	must(t, err)
	if n := stream.CachedInfo().State.Msgs; n != 30 || r.consumer().Delivered.Consumer != 0 {
		t.Errorf("%d of 30 messages are left, %d were delivered", n, r.consumer().Delivered.Consumer)
	}
}

// TestFirstHeartbeatKeepsTheConsumersOwnAckWait: not the one of the options.
func TestFirstHeartbeatKeepsTheConsumersOwnAckWait(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.changeConsumer(func(c *jetstream.ConsumerConfig) { c.AckWait = time.Second })
	r.options.AckWait, r.options.Manage = time.Minute, false
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		<-time.After(3 * time.Second) // of the server's clock: no heartbeat, three deliveries
		return make([]error, len(plans))
	})
	r.publish(alert{ID: "a", Keys: []string{"k"}})
	r.start()
	r.ended(1)
	if got := r.consumer().Delivered.Consumer; got != 1 {
		t.Errorf("delivered %d times, want once", got)
	}
}

// TestProbeThatIsNoJetStreamMessageEnds: whatever a probe pulls, it ends.
func TestProbeThatIsNoJetStreamMessageEnds(t *testing.T) {
	r := newRig(t, nil)
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	must(t, err)
	p := newProbe()
	w.take(t.Context(), foreign{}, p)
	select {
	case met := <-p.ended:
		if met {
			t.Error("it proved something")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the probe never ends")
	}
}

// foreign is a message of another kind.
type foreign struct{ jetstream.Msg }

func (foreign) Metadata() (*jetstream.MsgMetadata, error) { return nil, nats.ErrMsgNoReply }
func (foreign) Headers() nats.Header                      { return nil }
func (foreign) Data() []byte                              { return nil }
func (foreign) Subject() string                           { return "x" }

// TestHeadersCountAndAreBounded: they are held as bodies are, and a message of headers is a dead letter.
func TestHeadersCountAndAreBounded(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	for size, body := range map[int]string{1000: `{"id":"few","keys":["k"]}`, 40 << 10: `{"id":"many","keys":["k"]}`} {
		msg := nats.NewMsg("alerts.x")
		msg.Data = []byte(body)
		msg.Header.Set("Tenant", strings.Repeat("x", size))
		_, err := r.js.PublishMsg(t.Context(), msg)
		must(t, err)
	}
	r.start()
	r.ended(2)
	letters := r.letters()
	if len(letters) != 1 || letters[0].Reason != ReasonTooLarge || !strings.Contains(string(letters[0].Body), "many") {
		t.Errorf("letters %+v", letters)
	}
	if n := r.seen.count(func(s Settlement) bool { return s.Bytes > 1000 }); n != 2 {
		t.Errorf("the headers of %d messages count, want 2", n)
	}
}

// TestLetterWhoseHeadersDoNotFitStopsNobody: its message stays in the stream, and the gate open.
func TestLetterWhoseHeadersDoNotFitStopsNobody(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	msg := nats.NewMsg("alerts.x")
	msg.Data = []byte("not json")
	msg.Header.Set("Tenant", strings.Repeat("x", 65_400))
	_, err := r.js.PublishMsg(t.Context(), msg)
	must(t, err)
	r.publish(alert{ID: "good", Keys: []string{"k"}})
	r.start()
	r.seen.until(t, "the letter does not fit", func() bool { return r.seen.heard(NoticeLetterLost) > 0 })
	r.ended(1)
	if got := r.seen.gateLines(); len(got) != 0 {
		t.Errorf("the gate said %q", got)
	}
}
