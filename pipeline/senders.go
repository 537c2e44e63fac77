package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"forager/enrich"
	"forager/pipeline/stream"
	"forager/retry"
)

// senders hold up who sends what TheHive refuses for one reason, as it does where a route or a
// template is broken: that sender's messages wait in the stream, one is tried now and then, and the
// first that succeeds frees the sender. Nobody else waits.
//
// A sender is a subject's prefix and a format. The prefix has the words of the consumer's filter up
// to its first wildcard and one more, at least two: of "detections.wazuh.mgr1", taken by
// "detections.>", "detections.wazuh". What cannot be read, or has no key, never holds anybody up:
// it becomes a dead letter and says nothing about what comes next.
//
// Subjects come from outside, so what is remembered is bounded. Who never had a success gives way
// to who comes new; who had one, or is held up, does not. Senders that find no place are counted,
// and held up, together: a name that changes with each message evades nothing.
type senders struct {
	share  int // refusals of one reason among the last hundred that hold a sender up; below 1 is never
	most   int // senders remembered
	pauses retry.Backoff
	now    func() time.Time
	tell   func(name senderName, held bool, reason string) // outside the lock, at each change

	filters atomic.Pointer[[]string]

	mu      sync.Mutex
	known   *expirable.LRU[senderName, *sender]
	others  *sender   // who found no place
	waiting returning // messages that went back since their sender is held up
}

// senderName tells senders apart.
type senderName struct{ prefix, format string }

// String names a sender for people.
func (n senderName) String() string {
	if n.format == "" {
		return n.prefix
	}
	return n.prefix + " (" + n.format + ")"
}

// sender is what is remembered of one.
type sender struct {
	name      senderName
	seen      time.Time
	succeeded bool // once, at least
	outcomes  outcomes
	reason    string // why it is held up; empty while it is not
	trial     bool   // one of its messages is under way
	next      time.Time
	pause     time.Duration
}

// Bounds of what is remembered of senders.
const (
	mostSenders   = 512
	longestPrefix = 128              // bytes of a subject's prefix, and of a format
	senderLasts   = 24 * time.Hour   // without a message, a sender gives way whoever it is
	mayWait       = 8                // this part of what may be unacknowledged waits for held senders, at most
	othersName    = "other subjects" // of the senders without a place
)

func newSenders(o Options, now func() time.Time, tell func(senderName, bool, string)) *senders {
	return &senders{
		share: o.DeadLetterShare, most: mostSenders, pauses: o.Policy.Probe, now: now, tell: tell,
		known: expirable.NewLRU[senderName, *sender](mostSenders, nil, 0), waiting: returning{width: time.Second},
		others: &sender{name: senderName{prefix: othersName}, outcomes: newOutcomes()},
	}
}

// listens says by which filters subjects are taken.
func (s *senders) listens(filters []string) { s.filters.Store(&filters) }

// name is the sender of a message.
func (s *senders) name(subject, format string) senderName {
	words := 2
	if filters := s.filters.Load(); filters != nil {
		for _, f := range *filters {
			if stream.Covers(f, subject) {
				words = max(words, literal(f)+1)
				break
			}
		}
	}
	return senderName{prefix: stream.Cut(prefixOf(subject, words), longestPrefix), format: stream.Cut(format, longestPrefix)}
}

// literal is how many words of a filter stand before its first wildcard.
func literal(filter string) int {
	n := 0
	for word := range strings.SplitSeq(filter, ".") {
		if word == "*" || word == ">" {
			break
		}
		n++
	}
	return n
}

// prefixOf are the first words of a subject.
func prefixOf(subject string, words int) string {
	for i := range len(subject) {
		if subject[i] != '.' {
			continue
		}
		if words--; words == 0 {
			return subject[:i]
		}
	}
	return subject
}

// enter asks for leave to try a message; without it the message goes back, with the reason. The
// probe of the worker's gate always has leave: what it proves is worth a call. Beyond a part of
// what may be unacknowledged everybody has: at all of that nothing would be delivered for anyone.
func (s *senders) enter(m *message, unacknowledged int) (reason string, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.find(m.sender)
	if of.reason == "" {
		return "", false
	}
	now := s.now()
	if m.probe == nil && (of.trial || now.Before(of.next)) {
		return of.reason, s.room(unacknowledged)
	}
	m.trial, of.trial = of, true
	return "", false
}

// room tells whether one more may wait for a sender that is held up. The lock is held.
func (s *senders) room(unacknowledged int) bool {
	return s.waiting.count(s.now()) < max(unacknowledged/mayWait, 1)
}

// stays tells whether a message that was refused goes back, since its sender was held up meanwhile:
// it was no trial, and what is wrong may be mended.
func (s *senders) stays(m *message, unacknowledged int) (reason string, stays bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.find(m.sender)
	return of.reason, of.reason != "" && m.trial == nil && s.room(unacknowledged)
}

// putBack notes that a message went back for its sender.
func (s *senders) putBack(delay time.Duration) { s.waiting.add(s.now(), delay) }

// ended counts the end of a message: done, or refused by TheHive. What is neither says nothing.
func (s *senders) ended(m *message, class enrich.Class, reason string) {
	if class != enrich.None && class != enrich.Rejected {
		return
	}
	s.mu.Lock()
	of := m.trial
	if of == nil {
		of = s.place(m.sender, class == enrich.None)
	}
	before := of.reason
	of.ended(class, reason, m.trial != nil, s)
	after := of.reason
	s.mu.Unlock()
	if after != before {
		s.tell(of.name, after != "", cmp.Or(after, before))
	}
}

// ended is what an end means for its sender. The lock is held.
func (of *sender) ended(class enrich.Class, reason string, trial bool, s *senders) {
	now := s.now()
	of.seen = now
	if class == enrich.None {
		of.succeeded = true
		of.outcomes.add("")
		if trial {
			of.reason, of.pause, of.outcomes = "", 0, newOutcomes()
		}
		return
	}
	share := of.outcomes.add(reason)
	switch {
	case of.reason != "":
		if trial {
			of.pause = s.pauses.Longer(of.pause)
		}
	case s.share > 0 && share >= s.share && 2*share > of.outcomes.length():
		of.reason, of.pause, of.next = reason, s.pauses.First, now.Add(retry.Jitter(s.pauses.First))
	}
}

// leave ends the trial of a message, whatever became of it; a message that was none changes nothing.
func (s *senders) leave(m *message) {
	of := m.trial
	if of == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.trial, of.trial, of.next = nil, false, s.now().Add(retry.Jitter(of.pause))
}

// find is what is remembered of a sender, or what is of all without a place. The lock is held.
func (s *senders) find(name senderName) *sender {
	of, ok := s.known.Peek(name)
	switch {
	case ok:
		return of
	case s.others.reason != "" || s.known.Len() >= s.most:
		return s.others
	}
	return &sender{name: name}
}

// place is a sender's own, made where there is room or one gives way. The lock is held.
func (s *senders) place(name senderName, succeeded bool) *sender {
	if of, ok := s.known.Get(name); ok {
		return of
	}
	if s.known.Len() >= s.most && !s.yield(succeeded) {
		return s.others
	}
	of := &sender{name: name, outcomes: newOutcomes()}
	s.known.Add(name, of)
	return of
}

// yield makes room: the sender that was met longest ago of those that never succeeded gives way, to
// one that has; to one that has not, only who was not met for long does. The lock is held.
func (s *senders) yield(succeeded bool) bool {
	now := s.now()
	for _, of := range s.known.Values() { // who was met longest ago comes first
		idle := now.Sub(of.seen) >= senderLasts
		if idle || succeeded && !of.succeeded && of.reason == "" {
			return s.known.Remove(of.name)
		}
	}
	return false
}

// held names the senders that are held up, and why.
func (s *senders) held() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	if s.others.reason != "" {
		all = append(all, heldNote(s.others))
	}
	for _, of := range slices.Backward(s.known.Values()) {
		if of.reason != "" {
			all = append(all, heldNote(of))
		}
	}
	return all
}

func heldNote(of *sender) string {
	return fmt.Sprintf("messages of %s wait: TheHive refuses most of them: %s", stream.OneLine(of.name.String()), of.reason)
}

// heldError sends a message back since its sender is held up.
type heldError struct{ reason string }

func (e *heldError) Error() string { return "sender is held up: " + e.reason }

// Unwrap gives the class.
func (e *heldError) Unwrap() error { return enrich.ErrHeld }

// reasonHeld is the reason of a message that goes back for its sender.
const reasonHeld = "sender held up"

// outcomes remembers how the last hundred settlements of a sender ended.
type outcomes struct {
	reasons []string // a ring; "" for a success
	next    int
	counts  map[string]int
}

const outcomesKept = 100

func newOutcomes() outcomes {
	return outcomes{counts: map[string]int{}}
}

// add counts a settlement and returns how many of the last hundred had its reason.
func (r *outcomes) add(reason string) int {
	if len(r.reasons) < outcomesKept {
		r.reasons = append(r.reasons, reason)
	} else {
		r.forget(r.reasons[r.next])
		r.reasons[r.next] = reason
		r.next = (r.next + 1) % outcomesKept
	}
	if reason != "" {
		r.counts[reason]++
	}
	return r.counts[reason]
}

// length is how many settlements are remembered.
func (r *outcomes) length() int { return len(r.reasons) }

func (r *outcomes) forget(reason string) {
	if reason == "" {
		return
	}
	if r.counts[reason]--; r.counts[reason] == 0 {
		delete(r.counts, reason)
	}
}
