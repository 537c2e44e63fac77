package deadletter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"
)

func TestDeadLetterKeepsBytesAndHeadersAndSaysWhy(t *testing.T) {
	m := sample(7, "body")
	m.Header = nats.Header{
		"X-Trace": {"1", "2"}, "Nats-Msg-Id": {"id"}, "nats-expected-last-sequence": {"9"}, "Forager-Reason": {"spoofed"},
	}
	m.Step, m.Status, m.Detail = "procedure", 404, "line\r\nbreak"
	encoded := encode(m)
	if encoded.Subject != "forager.dlq.DET.7" || string(encoded.Data) != "body" {
		t.Errorf("subject %q, body %q", encoded.Subject, encoded.Data)
	}
	want := map[string][]string{
		"X-Trace": {"1", "2"}, originalPrefix + "Nats-Msg-Id": {"id"}, originalPrefix + "nats-expected-last-sequence": {"9"},
		originalPrefix + "Forager-Reason": {"spoofed"},
		headerReason:                      {"invalid json"}, headerClass: {"malformed"}, headerStep: {"procedure"}, headerStatus: {"404"},
		headerAttempts: {"3"}, headerSubject: {"alerts.x"}, headerStream: {"DET"}, headerSequence: {"7"},
		headerStored: {"1970-01-01T00:16:40Z"}, HeaderTime: {"1970-01-01T00:16:40Z"}, headerWorker: {"pod-1"},
		headerError: {"line  break"}, headerDied: {"1970-01-01T00:33:20Z"},
	}
	if diff := cmp.Diff(want, map[string][]string(encoded.Header)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatWasRequeuedKeepsNothingOfItsRequeue(t *testing.T) {
	m := sample(7, "")
	m.Header = nats.Header{HeaderTime: {"then"}, HeaderRequeued: {"1"}, HeaderProof: {"x"}}
	if got := decode(stored(encode(m))).Header; got[HeaderTime] == nil || got[HeaderRequeued] == nil || got[HeaderProof] == nil {
		t.Errorf("what nothing proves is the original's: %v", got)
	}
	m.Requeued = 1
	if got := decode(stored(encode(m))).Header; len(got) != 0 {
		t.Errorf("kept %v", got)
	}
}

// stored is a message as its stream gives it back.
func stored(m *nats.Msg) *jetstream.RawStreamMsg {
	return &jetstream.RawStreamMsg{Subject: m.Subject, Header: m.Header, Data: m.Data, Sequence: 5, Time: time.Unix(9, 0).UTC()}
}

func TestDeadLetterIsReadAsItWasWritten(t *testing.T) {
	word := rapid.StringMatching(`[a-z][a-z ]{0,20}[a-z]`)
	instants := rapid.Custom(func(t *rapid.T) time.Time { return time.Unix(0, rapid.Int64Range(1, 1<<60).Draw(t, "ns")).UTC() })
	rapid.Check(t, func(t *rapid.T) {
		m := Message{
			Number: 5, Reason: word.Draw(t, "reason"), Class: word.Draw(t, "class"), Step: word.Draw(t, "step"),
			Status: rapid.IntRange(0, 599).Draw(t, "status"), Detail: word.Draw(t, "detail"), Attempts: rapid.IntRange(1, 99).Draw(t, "attempts"),
			Format: word.Draw(t, "format"), Subject: rapid.String().Draw(t, "subject"), Stream: "DET", Sequence: rapid.Uint64().Draw(t, "sequence"),
			Stored: instants.Draw(t, "stored"), Time: instants.Draw(t, "time"), Died: instants.Draw(t, "died"), Worker: word.Draw(t, "worker"),
			Requeued: rapid.IntRange(0, 9).Draw(t, "requeued"), Proof: word.Draw(t, "proof"),
			Header: map[string][]string{"X": {"1"}, "Nats-Y": {"2"}, "forager-z": {"3"}}, Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		}
		if diff := cmp.Diff(m, decode(stored(encode(m)))); diff != "" {
			t.Fatal(diff)
		}
	})
	if got := decode(stored(nats.NewMsg("x"))); !got.Died.Equal(time.Unix(9, 0)) || got.Number != 5 {
		t.Errorf("a foreign message is %+v", got)
	}
}

func TestOwnHeadersOfADeadLetterAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := sample(7, "")
		m.Worker = rapid.StringN(0, 500, 2000).Draw(t, "worker")
		m.Detail = rapid.StringN(0, 5000, 20000).Draw(t, "detail")
		size := 0
		for name, values := range encode(m).Header {
			for _, v := range values {
				size += len(name) + len(": \r\n") + len(v)
				if strings.ContainsAny(v, "\r\n\x00") {
					t.Fatalf("%s holds a control character: %q", name, v)
				}
			}
		}
		if size > MaxHeader {
			t.Fatalf("%d bytes of headers, want at most %d", size, MaxHeader)
		}
	})
}

func TestTheSubjectOfADeadLetterIsTheOriginalAndActsNowhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		subject := string(rapid.SliceOf(rapid.Byte()).Draw(r, "subject"))
		written := encodeSubject(subject)
		if strings.ContainsFunc(written, func(c rune) bool { return c <= ' ' || c > '~' }) {
			r.Fatalf("%q is written as %q", subject, written)
		}
		if got := decodeSubject(written); got != subject {
			r.Fatalf("%q is read as %q", subject, got)
		}
	})
	for _, old := range []string{"detections.acme", "detections.100%", "a.%zz", "a.%41"} { // as dead letters of before have it
		if got := decodeSubject(old); got != old {
			t.Errorf("%q is read as %q", old, got)
		}
	}
}
