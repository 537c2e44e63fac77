package pipeline

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"forager/enrich"
	"forager/pipeline/stream"
)

// sample is a worker with no connection, for what needs none.
func sample() *Worker {
	return &Worker{options: Options{Worker: "pod-1"}.withDefaults(), now: time.Now}
}

// sampleMessage is a message as the stream would deliver it.
func sampleMessage(h nats.Header, body []byte) *message {
	return &message{
		stream: "DET", sequence: 7, deliveries: 3, stored: time.Unix(1_700_000_000, 0), bytes: len(body),
		msg: delivery{raw: &nats.Msg{Subject: "alerts.x", Header: h, Data: body}},
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

func TestDeadLetterKeepsBytesAndHeadersAndSaysWhy(t *testing.T) {
	w := sample()
	m := sampleMessage(nats.Header{
		"X-Trace": {"1", "2"}, "Nats-Msg-Id": {"id"}, "nats-expected-last-sequence": {"9"}, "Forager-Reason": {"spoofed"},
	}, []byte("body"))
	err := &enrich.RejectedError{Items: []enrich.Refusal{{Step: "procedure", Item: "T1", Status: 404, Type: "NotFound", Reason: "line\r\nbreak"}}}
	s := w.settlement(m, 1, err, Verdict{Action: ActionDeadLetter})
	l := w.letter(m, &s, "")
	if l.Subject != "forager.dlq.DET.7" || string(l.Data) != "body" {
		t.Errorf("subject %q, body %q", l.Subject, l.Data)
	}
	want := map[string][]string{
		"X-Trace": {"1", "2"}, originalPrefix + "Nats-Msg-Id": {"id"}, originalPrefix + "nats-expected-last-sequence": {"9"},
		originalPrefix + "Forager-Reason": {"spoofed"},
		headerReason:                      {"procedure rejected"}, headerClass: {"rejected"}, headerStep: {"procedure"}, headerStatus: {"404"},
		headerAttempts: {"3"}, headerSubject: {"alerts.x"}, headerStream: {"DET"}, headerSequence: {"7"},
		headerStored: {"2023-11-14T22:13:20Z"}, headerTime: {"2023-11-14T22:13:20Z"}, headerWorker: {"pod-1"},
		headerError: {"rejected: procedure T1: NotFound: line  break"}, headerDied: l.Header[headerDied],
	}
	if diff := cmp.Diff(want, map[string][]string(l.Header)); diff != "" {
		t.Error(diff)
	}
}

func TestOwnHeadersOfADeadLetterAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := sample()
		w.options.Worker = rapid.StringN(0, 500, 2000).Draw(t, "worker")
		m := sampleMessage(nil, nil)
		err := &enrich.MalformedError{Reason: "r", Detail: rapid.StringN(0, 5000, 20000).Draw(t, "detail")}
		s := w.settlement(m, 1, err, Verdict{Action: ActionDeadLetter})
		size := 0
		for name, values := range w.letter(m, &s, "").Header {
			for _, v := range values {
				size += len(name) + len(": \r\n") + len(v)
				if strings.ContainsAny(v, "\r\n\x00") {
					t.Fatalf("%s holds a control character: %q", name, v)
				}
			}
		}
		if size > maxLetterHeader {
			t.Fatalf("%d bytes of headers, want at most %d", size, maxLetterHeader)
		}
	})
}

// store puts the letter of a message into the rig's dead-letter stream.
func storeLetter(t *testing.T, r *rig, body string, stored time.Time) {
	t.Helper()
	w := sample()
	m := sampleMessage(nil, []byte(body))
	m.stored = stored
	s := w.settlement(m, 1, errPassing, Verdict{Action: ActionDeadLetter})
	b := &box{link: r.link, stream: stream.DefaultDeadLetters}
	if err := b.store(t.Context(), w.letter(m, &s, "")); err != nil {
		t.Fatal(err)
	}
}

func TestDeadLetterIsStoredOnceAndNeverInAnothersPlace(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	first, second := time.UnixMilli(1000), time.UnixMilli(2000)
	for range 3 { // died between the letter and the term, twice
		storeLetter(t, r, "a", first)
	}
	for range 2 { // a stream made anew counts from the beginning
		storeLetter(t, r, "b", second)
	}
	var got []string
	for _, l := range r.letters() {
		got = append(got, string(l.Body))
	}
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Error(diff)
	}
	s, err := r.js.Stream(t.Context(), stream.DefaultDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetLastMsgForSubject(t.Context(), "forager.dlq.DET.7.2000"); err != nil {
		t.Errorf("the second letter is not at its place: %v", err)
	}
}

func TestLetterThatDoesNotFitLeavesItsMessageInTheStream(t *testing.T) {
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
	letters := OpenLetters(r.link, "")
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

func TestLettersAreFilteredAndPurged(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.publishRaw("alerts.x", []byte("not json"))
	r.publish(alert{ID: "a", Keys: []string{""}}, alert{ID: "b", Keys: []string{""}})
	r.start()
	r.ended(3)
	letters := OpenLetters(r.link, "")
	for reason, want := range map[string]int{"invalid json": 1, "no correlation key": 2, "other": 0, "": 3} {
		n := 0
		for l, err := range letters.List(t.Context(), LetterFilter{Reason: reason, Until: time.Now().Add(time.Hour)}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			if got, err := letters.Get(t.Context(), l.Number); err != nil || got.Reason != l.Reason {
				t.Errorf("get %d: %+v, %v", l.Number, got, err)
			}
		}
		if n != want {
			t.Errorf("%d letters of reason %q, want %d", n, reason, want)
		}
	}
	var purged uint64
	for l, err := range letters.List(t.Context(), LetterFilter{Format: "test"}) {
		if err != nil {
			t.Fatal(err)
		}
		purged = l.Number
		for range 2 { // twice: somebody else may be at it
			if err := letters.Purge(t.Context(), l); err != nil {
				t.Error(err)
			}
		}
	}
	if n := len(r.letters()); n != 1 {
		t.Errorf("%d letters left, want the one without a format", n)
	}
	if _, err := letters.Get(t.Context(), purged); !errors.Is(err, ErrNoLetter) {
		t.Errorf("get of a purged letter: %v", err)
	}
}
