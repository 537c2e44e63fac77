package recent

import (
	"maps"
	"slices"
	"sync"
	"time"

	"forager/enrich/apply"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// Bounds of a [History].
const (
	MostMessages = 200
	Minutes      = 60

	moment = 100 * time.Millisecond // of which no more than MostMessages that ended well are kept
)

// Minute is what happened in one minute.
type Minute struct {
	Begin    time.Time // whole minutes, UTC
	Ended    [4]int    // messages, by outcome in the order of [Outcomes]
	Lag      uint64    // messages that were never delivered, as measured last in this minute
	Measured bool      // whether the lag was
}

// Settled is how many messages were settled for good.
func (m Minute) Settled() int { return m.Ended[0] + m.Ended[1] + m.Ended[2] }

// Seen is what a [History] holds, at one moment.
type Seen struct {
	Since    time.Time
	Messages []Message // the newest first
	Minutes  []Minute  // the oldest first; a minute without anything is there, too
	Ended    [4]int    // messages since the start, by outcome
	Lag      stream.Lag
	Measured bool // whether the lag was, ever
	Events   map[apply.EventKind]int
	Noticed  map[string]int
	Stuck    time.Time // since when no work gets done, as far as it was noticed; zero: it does
	Changes  int       // rises with every change
}

// History is what this replica met lately. It is a [pipeline.Observer] and an [apply.Events]. Safe for
// concurrent use.
type History struct {
	now func() time.Time

	mu       sync.Mutex
	seen     Seen
	messages []Message // a ring: the next goes to at
	at       int
	begun    time.Time       // of the moment at hand
	kept     int             // in that moment
	minutes  [Minutes]Minute // by minute of the epoch, modulo
}

// New makes an empty history.
func New(now func() time.Time) *History {
	return &History{now: now, seen: Seen{Since: now(), Events: map[apply.EventKind]int{}, Noticed: map[string]int{}}}
}

// Settled keeps a message. One that comes again takes the place of what was kept of it. In a storm, messages that
// ended well the first time are counted alone once a moment has as many as are shown: nobody could read them.
func (h *History) Settled(s pipeline.Settlement) {
	now, outcome := h.now(), outcomeOf(&s)
	if !h.count(now, outcome) && s.Deliveries <= 1 && (outcome == Applied || outcome == Dropped) {
		return
	}
	m := messageOf(&s, now)
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Deliveries > 1 {
		h.forget(s.Stream, s.Sequence)
	}
	if len(h.messages) < MostMessages {
		h.messages = append(h.messages, m)
		return
	}
	h.messages[h.at] = m
	h.at = (h.at + 1) % MostMessages
}

// count counts a message, and tells whether the moment has room for one more.
func (h *History) count(now time.Time, outcome Outcome) (room bool) {
	which := slices.Index(Outcomes(), outcome)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.Changes++
	h.seen.Ended[which]++
	h.minute(now).Ended[which]++
	if since := now.Sub(h.begun); since < 0 || since >= moment {
		h.begun, h.kept = now, 0
	}
	h.kept++
	return h.kept <= MostMessages
}

// forget drops what was kept of a message that came before.
func (h *History) forget(from string, sequence uint64) {
	i := slices.IndexFunc(h.messages, func(m Message) bool { return m.Sequence == sequence && m.Stream == from })
	if i < 0 {
		return
	}
	ordered := append(slices.Clone(h.messages[h.at:]), h.messages[:h.at]...)
	i = (i - h.at + len(h.messages)) % len(h.messages)
	h.messages, h.at = slices.Delete(ordered, i, i+1), 0
}

// minute is the minute of a time.
func (h *History) minute(now time.Time) *Minute {
	begin := now.UTC().Truncate(time.Minute)
	m := &h.minutes[begin.Unix()/60%Minutes]
	if !m.Begin.Equal(begin) {
		*m = Minute{Begin: begin}
	}
	return m
}

// Gate keeps when it closed. That it opened is no proof yet that work gets done: see [History.Ready].
func (h *History) Gate(open bool, _ string) {
	h.changed()
	if !open {
		h.Ready(false)
	}
}

// Ready is told now and then, and whenever somebody looks, whether work gets done.
func (h *History) Ready(ready bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case ready:
		h.seen.Stuck = time.Time{}
	case h.seen.Stuck.IsZero():
		h.seen.Stuck = h.now()
	}
}

// Noticed counts what should not happen often.
func (h *History) Noticed(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.Changes++
	h.seen.Noticed[what]++
}

// Happened counts what an apply met.
func (h *History) Happened(e apply.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.Changes++
	h.seen.Events[e.Kind]++
}

// Measured keeps how far behind the consumer is.
func (h *History) Measured(l stream.Lag) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.Changes++
	h.seen.Lag, h.seen.Measured = l, true
	m := h.minute(h.now())
	m.Lag, m.Measured = l.Pending, true
}

func (h *History) changed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.Changes++
}

// Look is what the history holds now. What it gives is the caller's.
func (h *History) Look() Seen {
	now := h.now().UTC().Truncate(time.Minute)
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.seen
	s.Events, s.Noticed = maps.Clone(s.Events), maps.Clone(s.Noticed)
	s.Messages = append(slices.Clone(h.messages[h.at:]), h.messages[:h.at]...)
	slices.Reverse(s.Messages)
	for ago := Minutes - 1; ago >= 0; ago-- {
		begin := now.Add(-time.Duration(ago) * time.Minute)
		m := h.minutes[begin.Unix()/60%Minutes]
		if !m.Begin.Equal(begin) {
			m = Minute{Begin: begin}
		}
		s.Minutes = append(s.Minutes, m)
	}
	return s
}

// Known tells whether a message is among those that are kept.
func (h *History) Known(sequence uint64) (Message, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.messages, func(m Message) bool { return m.Sequence == sequence })
	if i < 0 {
		return Message{}, false
	}
	return h.messages[i], true
}

var (
	_ pipeline.Observer = (*History)(nil)
	_ apply.Events      = (*History)(nil)
)
