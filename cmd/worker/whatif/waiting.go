package whatif

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"forager/enrich/threshold"
)

// waiting is what waits below thresholds, as the worker's ledger and hold stream would have it: by the same rules, with
// the times at which the stream stored messages for its clock.
type waiting struct {
	held  map[string]*held // by the threshold and what it is counted by
	lines []*line          // one for each window, the shortest first
	n     int              // that wait
	most  int              // that may
	swept int              // entries of held that were left by the last sweep
	now   int64            // ms, by the stream
}

// held is what is held of one threshold and one value that it is counted by.
type held struct {
	state threshold.State
	who   map[place]waiter
}

// waiter is a detection that waits.
type waiter struct {
	o    outcome
	tell func(fate)
}

// line are those who wait equally long: who came first is first.
type line struct {
	within int64 // ms
	in     []inLine
}

// inLine says until when somebody waits.
type inLine struct {
	until int64 // ms
	hash  string
	at    place
}

// Bounds of what waits.
const (
	mostWaiting = 1 << 19 // detections: about half a gigabyte; a hold stream that Forager makes has room for a million messages
	leastSwept  = 1 << 16 // entries: fewer are left alone
)

func newWaiting(most int) waiting {
	return waiting{held: map[string]*held{}, most: most}
}

// wait puts a detection below its threshold, or lets pass what is enough with it.
func (s *side) wait(o outcome, tell func(fate)) {
	w := &s.waiting
	h := w.held[o.wants.Hash]
	if h == nil {
		h = &held{who: map[place]waiter{}}
		w.held[o.wants.Hash] = h
	}
	item := itemOf(o)
	h.state.Forget(time.UnixMilli(w.now))
	switch h.state.Add(o.wants.Rule, time.UnixMilli(w.now), false, item).Verdicts[0] {
	case threshold.Pass:
		s.release(h, waiter{o, tell})
	case threshold.Full:
		s.end(o, crowded, "", tell)
	case threshold.Held, threshold.Below:
		if w.n >= w.most {
			h.state.Settled(item.Message, "", item.Part)
			s.end(o, crowded, "", tell)
			break
		}
		w.n++
		h.who[o.place] = waiter{o, tell}
		l := w.line(o.wants.Rule.Within)
		l.in = append(l.in, inLine{until: item.Until, hash: o.wants.Hash, at: o.place})
	}
	w.sweep()
}

// itemOf is a detection as thresholds count it.
func itemOf(o outcome) threshold.Item {
	message := strconv.FormatUint(o.place.sequence, 10)
	return threshold.Item{
		Message: message, Part: o.place.part, ID: cmp.Or(o.wants.ID, message+"/"+strconv.Itoa(o.place.part)),
		At: o.at.UnixMilli(), Until: o.stored.Add(o.wants.Rule.Window() + threshold.Late).UnixMilli(),
		Points: o.wants.Points, Values: o.wants.Values,
	}
}

// release lets what passed go into cases with what made it enough: those begin with the first of them.
func (s *side) release(h *held, with waiter) {
	all := []waiter{with}
	passed, _ := h.state.Ready(time.Time{})
	for _, item := range passed {
		sequence, _ := strconv.ParseUint(item.Message, 10, 64) // itemOf wrote it
		at := place{sequence, item.Part}
		h.state.Settled(item.Message, "", item.Part)
		all = append(all, h.who[at])
		delete(h.who, at)
		s.waiting.n--
	}
	slices.SortStableFunc(all, func(a, b waiter) int { return a.o.at.Compare(b.o.at) })
	for _, one := range all {
		s.into(one.o, one.tell)
	}
}

// over ends the waiting of those whose time is over at a moment. Who has a case meanwhile goes there.
func (s *side) over(now time.Time) {
	w := &s.waiting
	w.now = max(w.now, now.UnixMilli())
	for _, l := range w.lines {
		for len(l.in) > 0 && l.in[0].until < w.now {
			next := l.in[0]
			l.in = l.in[1:]
			s.expire(next)
		}
	}
}

// line is that of a window.
func (w *waiting) line(within int64) *line {
	at, there := slices.BinarySearchFunc(w.lines, within, func(l *line, within int64) int { return cmp.Compare(l.within, within) })
	if !there {
		w.lines = slices.Insert(w.lines, at, &line{within: within})
	}
	return w.lines[at]
}

// expire ends the waiting of one, if it still waits.
func (s *side) expire(next inLine) {
	h := s.waiting.held[next.hash]
	if h == nil {
		return
	}
	one, there := h.who[next.at]
	if !there {
		return
	}
	delete(h.who, next.at)
	s.waiting.n--
	h.state.Settled(strconv.FormatUint(next.at.sequence, 10), "", next.at.part)
	if s.opened(one.o) {
		s.into(one.o, one.tell)
		return
	}
	s.end(one.o, below, "", one.tell)
}

// finish tells at a moment what became of all that still waits.
func (s *side) finish(now time.Time) {
	s.over(now)
	for _, l := range s.waiting.lines {
		for _, next := range l.in {
			h := s.waiting.held[next.hash]
			if h == nil {
				continue
			}
			if one, there := h.who[next.at]; there {
				s.end(one.o, waits, "", one.tell)
			}
		}
	}
}

// sweep forgets entries that hold and remember nothing, whenever there are twice as many as were left.
func (w *waiting) sweep() {
	if len(w.held) < max(leastSwept, 2*w.swept) {
		return
	}
	for hash, h := range w.held {
		if h.state.Forget(time.UnixMilli(w.now)); h.state.Empty() {
			delete(w.held, hash)
		}
	}
	w.swept = len(w.held)
}
