package threshold

import (
	"cmp"
	"slices"
	"time"
)

// Bounds of a state.
const (
	Most       = 1024 // detections that are held
	MostBursts = 16   // bursts that are remembered
)

// Late is how much longer than the window a detection is held, and a burst remembered: for what is on its way.
const Late = 5 * time.Minute

// State is what is held of one key of a threshold, and the bursts that it had. Its zero value holds nothing. It is a
// value that one caller changes, and writes where all share it.
type State struct {
	V      int     `json:"v"`
	Route  string  `json:"route"` // for people
	Rule   Rule    `json:"rule"`  // as it was when the state was changed last
	Items  []Item  `json:"items,omitempty"`
	Bursts []Burst `json:"bursts,omitempty"`
	Turn   Turn    `json:"turn,omitzero"`
}

// Burst is a time in which so much came together that it passes; what comes within the rule's window of it belongs to it.
type Burst struct {
	From  int64 `json:"from"`  // event time of its first detection, ms
	Last  int64 `json:"last"`  // and of its last
	Until int64 `json:"until"` // how long it is remembered, ms by the clocks of workers
}

// Turn says who carries what passed to its case at the moment. It saves calls, and decides nothing: two who carry
// the same change nothing.
type Turn struct {
	By    string `json:"by,omitempty"`
	Until int64  `json:"until,omitempty"` // ms
}

// Verdict is what becomes of a detection that arrived.
type Verdict int

// The verdicts.
const (
	Held  Verdict = iota // it waits for more
	Pass                 // it belongs to a burst: it may go into its case
	Full                 // there is no room for it now
	Below                // it waited for as long as it had to, and counts no more
)

// Added is what became of detections that arrived.
type Added struct {
	Verdicts []Verdict // one for each, in the same order
	Fired    int       // bursts that began
	Released int       // detections held before that pass now
	Changed  bool      // the state is another
}

// Add takes detections in, by the rule as it is now, at a time. What is held already is not counted again. What arrives and passes is not
// held: whoever brought it carries it. Of what arrives with due true, and is held, the time is over: where it does not pass, it counts no
// more, and is kept until it is settled.
func (s *State) Add(r Rule, now time.Time, due bool, arrived ...Item) Added {
	a := Added{Changed: s.Rule != r, Verdicts: make([]Verdict, len(arrived))}
	s.Rule = r
	before := len(s.Items)
	at := make([]int, len(arrived))
	for i, item := range arrived {
		if at[i] = s.find(item); at[i] < 0 {
			at[i] = len(s.Items)
			s.Items = append(s.Items, item)
		}
	}
	waited := waiting(s.Items[:before])
	var grown bool
	a.Fired, grown = s.settle(now.UnixMilli())
	a.Released = waited - waiting(s.Items[:before])
	for i := range arrived {
		a.Verdicts[i] = s.verdict(at[i], before, due)
	}
	leaves := s.leaving(at, a.Verdicts, before)
	a.Changed = a.Changed || grown || a.Fired > 0 || len(s.Items)-len(leaves) != before || slices.Contains(a.Verdicts, Below)
	s.drop(leaves)
	return a
}

// waiting is how many of some items have not passed.
func waiting(items []Item) (n int) {
	for i := range items {
		if items[i].waits() {
			n++
		}
	}
	return n
}

// verdict is what becomes of the item at a place; those before a place were held before.
func (s *State) verdict(at, before int, due bool) Verdict {
	switch {
	case s.Items[at].Passed:
		return Pass
	case due && at < before:
		s.Items[at].Over = true
		return Below
	case at >= max(before, Most):
		return Full
	default:
		return Held
	}
}

// leaving are the places of what is not held after its verdict.
func (s *State) leaving(at []int, verdicts []Verdict, before int) map[int]bool {
	leaves := map[int]bool{}
	for i, v := range verdicts {
		if v == Full || v == Pass && at[i] >= before {
			leaves[at[i]] = true
		}
	}
	return leaves
}

// drop forgets the items at some places.
func (s *State) drop(places map[int]bool) {
	if len(places) == 0 {
		return
	}
	kept := make([]Item, 0, len(s.Items)-len(places))
	for i := range s.Items {
		if !places[i] {
			kept = append(kept, s.Items[i])
		}
	}
	s.Items = kept
}

// find is the place of an item of the same message and part; -1 is none.
func (s *State) find(item Item) int {
	return slices.IndexFunc(s.Items, func(x Item) bool { return x.Message == item.Message && x.Part == item.Part })
}

// settle lets pass what belongs to a burst, and tells how many bursts began and whether any changed.
func (s *State) settle(now int64) (fired int, grown bool) {
	until := now + s.Rule.Within + Late.Milliseconds()
	for {
		for s.absorb(until) {
			grown = true
		}
		from, last, found := s.Rule.window(s.sorted())
		if !found {
			break
		}
		fired++
		s.Bursts = append(s.Bursts, Burst{From: from, Last: last, Until: until})
	}
	return fired, s.bound() || grown
}

// sorted are the items that wait, by event time.
func (s *State) sorted() []*Item {
	all := make([]*Item, 0, len(s.Items))
	for i := range s.Items {
		if s.Items[i].waits() {
			all = append(all, &s.Items[i])
		}
	}
	slices.SortStableFunc(all, func(a, b *Item) int { return cmp.Compare(a.At, b.At) })
	return all
}

// absorb lets every item pass that lies within the window of a burst, and joins bursts that met so; it tells
// whether anything changed.
func (s *State) absorb(until int64) (changed bool) {
	for i := range s.Bursts {
		b := &s.Bursts[i]
		for j := range s.Items {
			if item := &s.Items[j]; item.waits() && b.near(item.At, s.Rule.Within) {
				item.Passed, changed = true, true
				b.From, b.Last, b.Until = min(b.From, item.At), max(b.Last, item.At), max(b.Until, until)
			}
		}
	}
	return s.join() || changed
}

// near tells whether a time lies in the burst or within the window of it.
func (b *Burst) near(at, within int64) bool { return at >= b.From-within && at <= b.Last+within }

// join makes one of two bursts that no gap of more than the window parts.
func (s *State) join() bool {
	slices.SortFunc(s.Bursts, func(a, b Burst) int { return cmp.Compare(a.From, b.From) })
	joined := s.Bursts[:0]
	for _, b := range s.Bursts {
		if n := len(joined); n > 0 && joined[n-1].near(b.From, s.Rule.Within) {
			last := &joined[n-1]
			last.Last, last.Until = max(last.Last, b.Last), max(last.Until, b.Until)
			continue
		}
		joined = append(joined, b)
	}
	changed := len(joined) < len(s.Bursts)
	s.Bursts = joined
	return changed
}

// bound forgets the bursts that would be forgotten first, where there are too many.
func (s *State) bound() bool {
	if len(s.Bursts) <= MostBursts {
		return false
	}
	slices.SortFunc(s.Bursts, func(a, b Burst) int { return cmp.Compare(b.Until, a.Until) })
	s.Bursts = s.Bursts[:MostBursts]
	return true
}

// Forget forgets bursts whose time is over, and tells whether there were any.
func (s *State) Forget(now time.Time) bool {
	before := len(s.Bursts)
	s.Bursts = slices.DeleteFunc(s.Bursts, func(b Burst) bool { return b.Until < now.UnixMilli() })
	return len(s.Bursts) < before
}

// Settled takes out detections of one copy that were settled for good: they are in their case, or were dropped. It tells whether any
// was held there, and whether nothing that is held lies there any more.
func (s *State) Settled(message, inCopy string, parts ...int) (changed, last bool) {
	before := len(s.Items)
	s.Items = slices.DeleteFunc(s.Items, func(x Item) bool { return x.Message == message && x.Copy == inCopy && slices.Contains(parts, x.Part) })
	return len(s.Items) < before, !s.Holds(message, inCopy)
}

// Holds tells whether anything is held that lies in a copy.
func (s *State) Holds(message, inCopy string) bool {
	return slices.ContainsFunc(s.Items, func(x Item) bool { return x.Message == message && x.Copy == inCopy })
}

// Next is when there is something to do with the state: at once (0) where something is on its way, else when the first
// detection has waited for as long as it must, or a burst can be forgotten. ms; -1 is never.
func (s *State) Next() int64 {
	next := int64(-1)
	for i := range s.Items {
		if !s.Items[i].waits() {
			return 0
		}
		next = sooner(next, s.Items[i].Until)
	}
	for _, b := range s.Bursts {
		next = sooner(next, b.Until)
	}
	return next
}

func sooner(a, b int64) int64 {
	if a < 0 {
		return b
	}
	return min(a, b)
}

// Ready are the items that somebody has to carry: those that passed, and those whose time was over at a moment.
func (s *State) Ready(worked time.Time) (passed, due []Item) {
	for _, item := range s.Items {
		switch {
		case item.Passed:
			passed = append(passed, item)
		case item.Over, item.Until < worked.UnixMilli():
			due = append(due, item)
		}
	}
	return passed, due
}

// Empty tells whether nothing is held or remembered.
func (s *State) Empty() bool { return len(s.Items) == 0 && len(s.Bursts) == 0 }

// Uncopied are the items that are held, and of which it is not said where: by message, their parts.
func (s *State) Uncopied() map[string][]int {
	var all map[string][]int
	for _, item := range s.Items {
		if item.Copy != "" {
			continue
		}
		if all == nil {
			all = map[string][]int{}
		}
		all[item.Message] = append(all[item.Message], item.Part)
	}
	return all
}

// Copied says where those of a message are held of which it was not said.
func (s *State) Copied(message, inCopy string) {
	for i := range s.Items {
		if item := &s.Items[i]; item.Message == message && item.Copy == "" {
			item.Copy = inCopy
		}
	}
}
