package pipeline

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/sourcegraph/conc"
	"pgregory.net/rapid"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline/deadletter"
	"forager/pipeline/stream"
)

// origins plans as the rig does, and keeps where each detection came from.
type origins struct {
	planning

	mu  sync.Mutex
	all []enrich.Origin
}

func (o *origins) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	o.mu.Lock()
	o.all = append(o.all, from)
	o.mu.Unlock()
	return o.planning.Plan(d, from)
}

func (o *origins) last(t *testing.T) enrich.Origin {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) == 0 {
		t.Fatal("nothing was planned")
	}
	return o.all[len(o.all)-1]
}

// startWith is rig.start with a planner of the test's.
func (r *rig) startWith(p Planner) (stop func() error) {
	r.t.Helper()
	w, err := New(r.link, r.options, decoding{}, p, r.applier)
	must(r.t, err)
	return r.run(w)
}

// publishWith publishes with headers and returns when the stream stored it.
func (r *rig) publishWith(body []byte, header map[string]string) {
	r.t.Helper()
	m := nats.NewMsg("alerts.test")
	m.Data = body
	for name, value := range header {
		m.Header.Set(name, value)
	}
	_, err := r.js.PublishMsg(r.t.Context(), m)
	must(r.t, err)
}

const longAgo = "2001-02-03T04:05:06Z"

// TestHeadersOfARequeueThatNothingProvesChangeNothing: whatever a sender writes, the detection is as
// old as its message, is counted, and is told.
func TestHeadersOfARequeueThatNothingProvesChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.ensure()
	r.publishRaw("alerts.test", []byte("not json")) // so that there is a key
	plans := &origins{}
	r.startWith(plans)
	r.ended(1)
	foreign := r.letters()[0].Proof
	if foreign == "" {
		t.Fatal("the dead letter has no proof")
	}
	ends := 1
	for name, header := range map[string]map[string]string{
		"time":            {deadletter.HeaderTime: longAgo},
		"requeued":        {deadletter.HeaderRequeued: "1"},
		"both":            {deadletter.HeaderTime: longAgo, deadletter.HeaderRequeued: "1"},
		"another's proof": {deadletter.HeaderTime: longAgo, deadletter.HeaderRequeued: "1", deadletter.HeaderProof: foreign},
		"made up":         {deadletter.HeaderTime: longAgo, deadletter.HeaderRequeued: "1", deadletter.HeaderProof: strings.Repeat("0", 64)},
		"not hex":         {deadletter.HeaderTime: longAgo, deadletter.HeaderRequeued: "1", deadletter.HeaderProof: strings.Repeat("\x7f", 64)},
		"too long":        {deadletter.HeaderTime: longAgo, deadletter.HeaderRequeued: "1", deadletter.HeaderProof: strings.Repeat("ab", 5000)},
		"all of ours":     {deadletter.HeaderTime: longAgo, deadletter.HeaderRequeued: "7", "Forager-Stored": longAgo, "Forager-Sequence": "1", "Forager-Stream": "DET", "Forager-Subject": "alerts.other", "Forager-Format": "native"},
	} {
		before := r.seen.heard(NoticeUnproven)
		body, err := json.Marshal(alert{ID: name, Keys: []string{"k"}})
		must(t, err)
		r.publishWith(body, header)
		ends++
		r.ended(ends)
		from := plans.last(t)
		if from.Requeued || time.Since(from.Time) > time.Hour || from.Subject != "alerts.test" {
			t.Errorf("%s: %+v", name, from)
		}
		if r.seen.heard(NoticeUnproven) != before+1 {
			t.Errorf("%s: not told", name)
		}
	}
}

// TestForgedHeadersOfADeadLetterAreKeptAsOriginals: they stay to be looked at, and do not act.
func TestForgedHeadersOfADeadLetterAreKeptAsOriginals(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.ensure()
	r.publishWith([]byte("not json"), map[string]string{deadletter.HeaderTime: longAgo, deadletter.HeaderRequeued: "7", deadletter.HeaderProof: "x"})
	r.start()
	r.ended(1)
	l := r.letters()[0]
	if l.Requeued != 0 || !l.Time.Equal(l.Stored) {
		t.Errorf("requeued %d, time %v", l.Requeued, l.Time)
	}
	if !slices.Equal(l.Header[deadletter.HeaderTime], []string{longAgo}) || !slices.Equal(l.Header[deadletter.HeaderRequeued], []string{"7"}) {
		t.Errorf("headers: %v", l.Header)
	}
}

// TestARequeueKeepsItsTimeOnEveryReplica: one worker made the dead letter, others meet the message,
// twice; and a copy of its headers serves no other body.
func TestARequeueKeepsItsTimeOnEveryReplica(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.ensure()
	body := []byte(`{"id":"a","keys":[""]}`) // read, and not to be correlated: a dead letter each time
	r.publishWith(body, nil)
	_, stop := r.start()
	r.ended(1)
	first := r.letters()[0]
	for n := 1; n <= 2; n++ {
		must(t, stop())
		requeueAll(t, r)
		r.seen = newEnds()
		r.options.Observer = r.seen
		plans := &origins{}
		stop = r.startWith(plans)
		r.ended(1)
		if from := plans.last(t); !from.Requeued || !from.Time.Equal(first.Stored) {
			t.Errorf("requeue %d: %+v, first stored %v", n, from, first.Stored)
		}
		l := r.letters()[0]
		if l.Requeued != n || !l.Time.Equal(first.Stored) || r.seen.heard(NoticeUnproven) != 0 {
			t.Errorf("requeue %d: requeued %d, time %v, unproven %d", n, l.Requeued, l.Time, r.seen.heard(NoticeUnproven))
		}
	}
}

// TestADeadLetterOfAnOlderVersionIsRequeuedAsNew: it has no proof, and comes through.
func TestADeadLetterOfAnOlderVersionIsRequeuedAsNew(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.ensure()
	w := sample()
	m := sampleMessage(nil, []byte(`{"id":"a","keys":["k"]}`))
	m.msg = delivery{raw: &nats.Msg{Subject: "alerts.test", Header: nats.Header{}, Data: m.msg.Data()}}
	s := w.settlement(m, 1, errPassing, Verdict{Action: ActionDeadLetter})
	must(t, deadletter.Open(r.link, "").Store(t.Context(), w.deadLetter(m, &s)))
	requeueAll(t, r)
	plans := &origins{}
	r.startWith(plans)
	r.ended(1)
	if from := plans.last(t); from.Requeued || time.Since(from.Time) > time.Hour {
		t.Errorf("%+v", from)
	}
}

func TestReplicasShareTheKeyOfRequeues(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.ensure()
	options := r.options.WithDefaults()
	reader := newRequeueKeys(r.link, options)
	if key, err := reader.load(t.Context(), false); key != nil || err != nil {
		t.Fatalf("before there is one: %x, %v", key, err)
	}
	var keys [8][]byte
	var wait conc.WaitGroup
	for i := range keys {
		wait.Go(func() { keys[i], _ = newRequeueKeys(r.link, options).load(t.Context(), true) })
	}
	wait.Wait()
	late, err := reader.load(t.Context(), false)
	must(t, err)
	for _, key := range append(keys[:], late) {
		if len(key) != requeueKeyBytes || !bytes.Equal(key, keys[0]) {
			t.Errorf("keys differ: %x", keys)
		}
	}
}

// TestAMessageWaitsWhileTheKeyCannotBeRead: it may be a true requeue.
func TestAMessageWaitsWhileTheKeyCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.ensure()
	must(t, r.js.DeleteKeyValue(t.Context(), stream.DefaultBucket))
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	must(t, err)
	m := sampleMessage(nats.Header{deadletter.HeaderTime: {longAgo}, deadletter.HeaderRequeued: {"1"}, deadletter.HeaderProof: {strings.Repeat("0", 64)}}, []byte(`{"id":"a","keys":["k"]}`))
	w.decode(t.Context(), m)
	if enrich.ClassOf(m.failed) != enrich.Blocked {
		t.Errorf("%v", m.failed)
	}
}

// TestAProofServesItsClaimAlone: no other claim has the same code, where the parts flow into each
// other neither.
func TestAProofServesItsClaimAlone(t *testing.T) {
	t.Parallel()
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab:1")), 0, 4, -1)
	type claimed struct {
		Stream, Subject, Body string
		Says                  deadletter.Requeue
	}
	draw := func(t *rapid.T, name string) claimed {
		return claimed{
			text.Draw(t, name+" stream"), text.Draw(t, name+" subject"), text.Draw(t, name+" body"),
			deadletter.Requeue{Time: text.Draw(t, name+" time"), Requeued: text.Draw(t, name+" requeued")},
		}
	}
	proof := func(c claimed, key string) string {
		return proofOf([]byte(key), c.Stream, c.Subject, c.Says, []byte(c.Body))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if (proof(a, "key") == proof(b, "key")) != (a == b) {
			t.Fatalf("%+v and %+v", a, b)
		}
		if proof(a, "key") == proof(a, "another") {
			t.Fatal("every key gives the same")
		}
	})
}
