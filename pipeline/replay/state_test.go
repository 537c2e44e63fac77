package replay

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
	"forager/pipeline"
)

// heard is an observer that remembers what it was told.
type heard struct{ lines []string }

func (h *heard) Settled(s pipeline.Settlement) {
	h.lines = append(h.lines, fmt.Sprint("settled ", s.Sequence))
}
func (h *heard) Gate(open bool, reason string) {
	h.lines = append(h.lines, fmt.Sprint("gate ", open, reason))
}
func (h *heard) Noticed(what string) { h.lines = append(h.lines, what) }

func TestSettlementsAreCountedByTheirEndsAndToldOn(t *testing.T) {
	t.Parallel()
	h := &heard{}
	c := &counts{Observer: h}
	for i, s := range []pipeline.Settlement{
		{Action: pipeline.ActionAck}, {Action: pipeline.ActionAck}, {Action: pipeline.ActionAck},
		{Action: pipeline.ActionAck, Class: enrich.Dropped}, {Action: pipeline.ActionAck, Class: enrich.Dropped},
		{Action: pipeline.ActionDeadLetter, Class: enrich.Malformed},
		{Action: pipeline.ActionNak, Class: enrich.Dropped}, {Action: pipeline.ActionNak},
	} {
		s.Sequence = uint64(i)
		c.Settled(s)
	}
	if acked, dropped, dead := c.read(); acked != 3 || dropped != 2 || dead != 1 {
		t.Errorf("acked %d, dropped %d, dead %d", acked, dropped, dead)
	}
	c.Gate(false, "no answer")
	if got := c.closed(); got != "no answer" {
		t.Errorf("closed for %q", got)
	}
	c.Gate(true, "")
	if got := c.closed(); got != "" {
		t.Errorf("open, and closed for %q", got)
	}
	c.Noticed("reloaded")
	if len(h.lines) != 11 || h.lines[8] != "gate falseno answer" || h.lines[10] != "reloaded" {
		t.Errorf("told %q", h.lines)
	}
}

func TestAReplayIsAsFarAsItsConsumersFloor(t *testing.T) {
	t.Parallel()
	s := &source{span: Span{First: 11, Last: 20}}
	r := &Replay{source: s, counts: &counts{}}
	for _, c := range []struct{ floor, want uint64 }{{0, 0}, {5, 0}, {10, 0}, {11, 1}, {15, 5}, {20, 10}, {99, 10}} {
		if got := r.state(&jetstream.ConsumerInfo{AckFloor: jetstream.SequenceInfo{Stream: c.floor}}).Passed; got != c.want {
			t.Errorf("floor %d: %d passed, want %d", c.floor, got, c.want)
		}
		if got := r.state(nil).Passed; got != c.want {
			t.Errorf("floor %d, and then no answer: %d passed, want %d", c.floor, got, c.want)
		}
	}
	for want, span := range map[uint64]Span{0: {First: 11, Last: 10}, 1: {First: 11, Last: 11}, 10: s.span} {
		if got := span.Length(); got != want {
			t.Errorf("%+v is %d long, want %d", span, got, want)
		}
	}
}

func TestAReplaySaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	closed := "TheHive does not answer"
	for name, c := range map[string]struct {
		ahead uint64
		idle  bool
		gate  *string
		want  State
	}{
		"nothing":                           {ahead: 3, want: State{LiveAhead: 3}},
		"live traffic":                      {ahead: 4, want: State{LiveAhead: 4, Waits: "live traffic first: 4 messages wait"}},
		"nobody takes it":                   {ahead: 4, idle: true, want: State{LiveAhead: 4, LiveIdle: true, Waits: "live traffic first: 4 messages wait, and nobody has taken one for a minute"}},
		"idle, and nothing":                 {ahead: 3, idle: true, want: State{LiveAhead: 3}},
		"the gate":                          {gate: &closed, want: State{Waits: "gate is closed: TheHive does not answer"}},
		"live traffic goes before the gate": {ahead: 9, gate: &closed, want: State{LiveAhead: 9, Waits: "live traffic first: 9 messages wait"}},
	} {
		s := &source{most: 3}
		s.ahead.Store(c.ahead)
		s.idle.long.Store(c.idle)
		r := &Replay{source: s, counts: &counts{}}
		r.counts.reason.Store(c.gate)
		if diff := cmp.Diff(c.want, r.state(nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
