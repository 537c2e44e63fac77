package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/retry"
)

var errConfigured = &enrich.RejectedError{Items: []enrich.Refusal{{Step: "case", Item: "template", Status: 400, Type: "BadRequest", Reason: "unknown template"}}}

// TestGarbageOfOneSubjectStopsNobody: one sender's unreadable messages are dead letters, each with
// its bytes, and nobody waits for them.
func TestGarbageOfOneSubjectStopsNobody(t *testing.T) {
	for name, garbage := range map[string][]byte{
		"eight bytes": {0x16, 0x03, 0x01, 0x00, 0xff, 0xfe, 0x00, 0x01},
		"no document": []byte("{}"),
		"no key":      []byte(`{"id":"x","keys":[""]}`),
		"too large":   bytes.Repeat([]byte("x"), 5000),
		"Fluent Bit":  fluentBit(t),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Check, o.MaxMessageBytes = isWell, 4000 })
			r.ensure()
			const good, bad = 300, 120
			for i := range good {
				if i < bad {
					r.publishRaw("alerts.printer.1", garbage)
				}
				r.publishRaw("alerts.edr.1", fmt.Appendf(nil, `{"id":"%d","keys":["host%d"]}`, i, i%9))
			}
			w, _ := r.start()
			r.ended(good + bad)
			if got := r.seen.gateLines(); len(got) != 0 {
				t.Errorf("the gate said %q", got)
			}
			if n := r.seen.count(func(s Settlement) bool { return s.Subject == "alerts.edr.1" && s.Action == ActionNak }); n != 0 {
				t.Errorf("%d good messages went back", n)
			}
			if ok, reasons := w.Ready(); !ok {
				t.Errorf("not ready: %q", reasons)
			}
			letters := r.letters()
			if len(letters) != bad {
				t.Fatalf("%d letters, want %d", len(letters), bad)
			}
			for _, l := range letters {
				if !bytes.Equal(l.Body, garbage) || l.Subject != "alerts.printer.1" {
					t.Fatalf("letter of %s with %d bytes", l.Subject, len(l.Body))
				}
			}
		})
	}
}

// fluentBit is what its NATS output sends: an array of arrays.
func fluentBit(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "fluentbit.json"))
	if err != nil {
		t.Fatal(err)
	}
	var buffer bytes.Buffer
	if err := json.Compact(&buffer, raw); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// TestSenderWhoseMessagesAreRefusedWaitsAlone: a configuration that TheHive refuses holds up whom it
// concerns, others are settled, and mended it costs no dead letter but the first.
func TestSenderWhoseMessagesAreRefusedWaitsAlone(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MaxInFlight, o.MaxAckPending = 16, 10_000 })
	r.ensure()
	var mended atomic.Bool
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		if strings.HasPrefix(queue, "refused") && !mended.Load() {
			return repeat(errConfigured, len(plans))
		}
		return make([]error, len(plans))
	})
	const each = 200
	begun := time.Now()
	for i := range each {
		r.publishRaw("alerts.broken.1", fmt.Appendf(nil, `{"id":"b%d","keys":["refused%d"]}`, i, i))
		r.publishRaw("alerts.edr.1", fmt.Appendf(nil, `{"id":"g%d","keys":["host%d"]}`, i, i%9))
	}
	w, _ := r.start()
	good := func(s Settlement) bool { return s.Action == ActionAck && s.Subject == "alerts.edr.1" }
	r.seen.until(t, "all good ones", func() bool { return r.seen.count(good) == each })
	r.seen.until(t, "the sender is held up", func() bool { return r.seen.heard(NoticeSenderHeld) > 0 })
	if ok, reasons := w.Ready(); !ok {
		t.Errorf("not ready for one sender's sake: %q", reasons)
	}
	if notes := strings.Join(w.Notes(), "; "); !strings.Contains(notes, "alerts.broken") || !strings.Contains(notes, "case rejected") {
		t.Errorf("notes %q do not name sender and reason", notes)
	}
	if got := r.seen.gateLines(); len(got) != 0 {
		t.Errorf("the gate said %q", got)
	}
	// A trial comes every 50 ms at most: a slow machine sees more of them.
	most := min(each-1, 100+int(time.Since(begun)/(100*time.Millisecond)))
	mended.Store(true)
	r.ended(2 * each)
	if n := len(r.letters()); n < 20 || n > most {
		t.Errorf("%d dead letters; want the twenty that show the trouble, those in flight, and a trial now and then", n)
	}
	if got := r.consumer(); got.NumAckPending != 0 || got.NumPending != 0 {
		t.Errorf("%d wait, %d are worked on", got.NumPending, got.NumAckPending)
	}
	if notes := w.Notes(); len(notes) != 0 {
		t.Errorf("notes %q after all is well", notes)
	}
}

func testSenders(most int) *senders {
	o := Options{Log: nil}.WithDefaults()
	s := newSenders(o, time.Now, func(senderName, bool, string) {})
	s.listens([]string{"det.>"})
	s.most = most
	return s
}

func ends(s *senders, subject, format string, n int, class enrich.Class, reason string) {
	for range n {
		m := &message{sender: s.name(subject, format)}
		s.enter(m, 1000)
		s.ended(m, class, reason)
		s.leave(m)
	}
}

func held(s *senders, subject, format string) bool {
	m := &message{sender: s.name(subject, format)}
	defer s.leave(m)
	_, waits := s.enter(m, 1000)
	return waits || m.trial != nil
}

func TestSenderIsHeldUpForOneReasonAlone(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(i int) (enrich.Class, string)
		n    int
		held bool
	}{
		{"nineteen", func(int) (enrich.Class, string) { return enrich.Rejected, "case rejected" }, 19, false},
		{"twenty", func(int) (enrich.Class, string) { return enrich.Rejected, "case rejected" }, 20, true},
		{"of many reasons", func(i int) (enrich.Class, string) { return enrich.Rejected, fmt.Sprint(i % 10) }, 100, false},
		{"unreadable", func(int) (enrich.Class, string) { return enrich.Malformed, "invalid json" }, 1000, false},
		{"given up", func(int) (enrich.Class, string) { return enrich.Transient, "transient" }, 1000, false},
		{"of a blocked key", func(int) (enrich.Class, string) { return enrich.Quarantined, "key blocked" }, 1000, false},
		{"more succeed", func(i int) (enrich.Class, string) {
			if i%5 < 2 {
				return enrich.Rejected, "case rejected"
			}
			return enrich.None, ""
		}, 500, false},
		{"some succeed", func(i int) (enrich.Class, string) {
			if i%5 > 0 {
				return enrich.Rejected, "case rejected"
			}
			return enrich.None, ""
		}, 100, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testSenders(10)
			for i := range c.n {
				class, reason := c.end(i)
				ends(s, "det.a.x", "wazuh", 1, class, reason)
			}
			if got := held(s, "det.a.y", "wazuh"); got != c.held {
				t.Errorf("held %v, want %v", got, c.held)
			}
			if held(s, "det.b.x", "wazuh") || held(s, "det.a.x", "ecs") {
				t.Error("another sender waits, too")
			}
		})
	}
}

func TestSendersAreToldApartByWhatTheWildcardCovers(t *testing.T) {
	for _, c := range []struct {
		filters []string
		subject string
		want    string
	}{
		{[]string{"detections.>"}, "detections.wazuh.mgr.1", "detections.wazuh"},
		{[]string{"detections.*.high"}, "detections.wazuh.high", "detections.wazuh"},
		{[]string{"soc.eu.>"}, "soc.eu.edr.7", "soc.eu.edr"},
		{[]string{"detections"}, "detections", "detections"},
		{[]string{"other.>", "soc.eu.>"}, "soc.eu.edr.7", "soc.eu.edr"},
		{[]string{">"}, "a.b.c", "a.b"},
		{nil, "a.b.c", "a.b"},
		{[]string{"x.>"}, "a", "a"},
	} {
		s := testSenders(10)
		s.listens(c.filters)
		if got := s.name(c.subject, "f"); got.prefix != c.want || got.format != "f" {
			t.Errorf("%v %s: %+v, want %s", c.filters, c.subject, got, c.want)
		}
	}
	if got := testSenders(1).name("det."+strings.Repeat("x", 5000), strings.Repeat("y", 5000)); len(got.prefix) > 200 || len(got.format) > 200 {
		t.Error("a name as long as its subject is remembered")
	}
}

// TestSubjectsByChanceNeitherGrowMemoryNorEvade: who sends under a new subject each time takes no
// known sender's place, stops none, and is held up as one.
func TestSubjectsByChanceNeitherGrowMemoryNorEvade(t *testing.T) {
	s := testSenders(16)
	ends(s, "det.good.1", "wazuh", 5, enrich.None, "")
	ends(s, "det.good.1", "wazuh", 1, enrich.Rejected, "observable rejected")
	ends(s, "det.broken.1", "wazuh", 25, enrich.Rejected, "case rejected")
	for i := range 5000 {
		ends(s, fmt.Sprintf("det.r%d.1", i), "wazuh", 1, enrich.Rejected, "case rejected")
	}
	if n := s.known.Len(); n > 17 {
		t.Errorf("%d senders are remembered", n)
	}
	if held(s, "det.good.1", "wazuh") {
		t.Error("a good sender waits for others")
	}
	if !held(s, "det.broken.1", "wazuh") {
		t.Error("a sender that was held up is free since others came")
	}
	if !held(s, "det.never-seen.1", "wazuh") {
		t.Error("another name each time evades")
	}
}

func TestHeldSenderIsTriedAgainAndFreedByASuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSenders(16)
		ends(s, "det.a.1", "f", 20, enrich.Rejected, "case rejected")
		try := func() (*message, bool) {
			m := &message{sender: s.name("det.a.1", "f")}
			_, waits := s.enter(m, 1000)
			return m, !waits
		}
		if _, ok := try(); ok {
			t.Fatal("tried at once")
		}
		<-time.After(2 * time.Second)
		first, ok := try()
		if !ok {
			t.Fatal("not tried after the pause")
		}
		if second, ok := try(); ok {
			t.Errorf("two trials at once: %v", second)
		}
		s.leave(first) // it went back: the trial is over, and proved nothing
		<-time.After(time.Minute)
		third, ok := try()
		if !ok {
			t.Fatal("a trial that proved nothing was the last")
		}
		s.ended(third, enrich.None, "")
		s.leave(third)
		if held(s, "det.a.1", "f") {
			t.Error("held after a success")
		}
	})
}

// TestHeldSenderMayNotFillWhatMayBeUnacknowledged: beyond a part of it its messages are tried, since
// at all of it nothing is delivered for anybody.
func TestHeldSenderMayNotFillWhatMayBeUnacknowledged(t *testing.T) {
	s := testSenders(16)
	ends(s, "det.a.1", "f", 20, enrich.Rejected, "case rejected")
	waiting := 0
	for range 10_000 {
		m := &message{sender: s.name("det.a.1", "f")}
		if _, waits := s.enter(m, 1600); !waits {
			break
		}
		s.putBack(time.Minute)
		waiting++
	}
	if waiting < 100 || waiting > 400 {
		t.Errorf("%d of 1600 wait for one sender, want about an eighth", waiting)
	}
}

// TestGarbageDoesNotKeepTheGateClosed: what needs no apply proves nothing, and is got over.
func TestGarbageDoesNotKeepTheGateClosed(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Check, o.Policy.Blocked, o.Policy.Probe = isWell, retry.Backoff{First: time.Hour, Last: time.Hour}, retry.Backoff{First: time.Second, Last: time.Second}
	})
	r.ensure()
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		if queue == "first" {
			return repeat(errRefusesUs, len(plans))
		}
		return make([]error, len(plans))
	})
	r.publish(alert{ID: "first", Keys: []string{"first"}})
	r.start()
	r.seen.until(t, "the gate closes", func() bool { return len(r.seen.gateLines()) == 1 })
	for range 60 {
		r.publishRaw("alerts.printer.1", []byte("\x16\x03\x01"))
	}
	r.publish(alert{ID: "good", Keys: []string{"good"}})
	r.seen.until(t, "the good one", func() bool { return r.applier.count("good/0") == 1 })
	r.ended(61)
	if n := len(r.letters()); n != 60 {
		t.Errorf("%d letters, want 60", n)
	}
}

// TestBlockedKeyNamesItsClass: a message that was not tried is not malformed.
func TestBlockedKeyNamesItsClass(t *testing.T) {
	if class, reason := enrich.ClassOf(errKeyBlocked), enrich.ReasonOf(errKeyBlocked); class != enrich.Quarantined || reason != "key blocked" {
		t.Errorf("class %v, reason %q", class, reason)
	}
	if got := (Policy{}).Settle(Attempt{Class: enrich.Quarantined}).Action; got != ActionDeadLetter {
		t.Errorf("%v", got)
	}
}
