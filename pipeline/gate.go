package pipeline

import (
	"errors"
	"sync"
	"time"

	"forager/enrich"
	"forager/pipeline/stream"
	"forager/retry"
)

// gate is open while messages can succeed. Closed, nothing is pulled but one message at a time
// to see whether it can open again, after pauses that grow, and nothing becomes a dead letter.
// The worker has one; where several organisations are served, each has one besides, behind its
// breaker (organisations.go), which holds up what belongs to it and nothing else:
//
//	what happens                                   one organisation   several
//	TheHive refuses the credentials (401)          the worker's       the worker's, unless TheHive, asked, lets
//	                                                                  it in elsewhere: then that organisation's
//	TheHive refuses the worker in an organisation  the worker's       that organisation's
//	(403: no member, or no right)
//	a proxy answers in its place, or nobody does,  none               none
//	and TheHive, asked, is well
//	TheHive, asked, does not answer                the worker's       the worker's
//	breaker open                                   the worker's       the worker's
//	ledger unreachable, no ATT&CK patterns         the worker's       the worker's
//	dead-letter stream unreachable or full         the worker's       the worker's
//	all organisations refuse the worker            –                  all of theirs: not ready, but each goes on
//	                                                                  to be probed by its own messages
//
// What one sender's messages meet closes no gate: senders.go holds up that sender. The reason and
// the cause that a gate names belong together: both are of what was met last. A message of several
// organisations is settled by its worst part; the others are done meanwhile and remembered.
type gate struct {
	now     func() time.Time
	tell    func(open bool, reason string, err error) // outside the lock, at each change
	pauses  retry.Backoff                             // between probes
	asks    bool                                      // TheHive can be asked whether it is well
	relapse time.Duration                             // closed again so soon, the pauses go on growing; 0: they begin anew
	mu      sync.Mutex
	closed  bool
	reason  string
	cause   error         // what was met last; nil when the gate is open
	epoch   uint64        // counts changes: an apply that began before the last one proves nothing
	changed chan struct{} // closed at the next change
	pause   time.Duration
	began   time.Time // when it opened last
	total   time.Duration
	streak  streak
	well    time.Time // when TheHive was last seen to be well: by an apply that succeeded, or asked
}

// Reasons for a closed gate: bounded, as metrics name them.
const (
	reasonBlocked = "blocked"                        // TheHive refuses us, or cannot serve us: its catalogue is missing
	reasonLedger  = "ledger unreachable"             // NATS is asked for it, not TheHive
	reasonSilent  = "thehive does not answer"        // applies fail one after the other, and so does asking; or the breaker is open
	reasonFailing = "applies fail"                   // what was tried through the closed gate failed
	reasonLetters = "dead-letter stream unreachable" // or full
)

// GateReasons are all reasons for which [Observer.Gate] is told that the gate closes.
func GateReasons() []string {
	return []string{reasonBlocked, reasonLedger, reasonSilent, reasonFailing, reasonLetters}
}

// reasonFor is the reason that belongs to a cause.
func reasonFor(cause error) string {
	switch {
	case errors.Is(cause, enrich.ErrLedger):
		return reasonLedger
	case errors.Is(cause, enrich.ErrUnavailable):
		return reasonSilent
	case errors.Is(cause, errDeadLetter):
		return reasonLetters
	case enrich.ClassOf(cause) == enrich.Blocked:
		return reasonBlocked
	default:
		return reasonSilent
	}
}

func newGate(o Options, now func() time.Time, tell func(open bool, reason string, err error)) *gate {
	return &gate{
		now: now, tell: tell, asks: o.Check != nil, pauses: probing(o), began: now(),
		changed: make(chan struct{}), streak: newStreak(min(streakAsk, o.Policy.withDefaults().Transient.Last)),
	}
}

// isWell notes that TheHive was seen to be well.
func (g *gate) isWell() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.well = g.now()
}

// charges tells whether a failure counts as a try of its message, which failed last at a time. What may
// be everybody's does only where TheHive was seen to be well since, or cannot be asked; never where TheHive
// itself says that it is not available.
func (g *gate) charges(last time.Time, err error) bool {
	switch {
	case enrich.IsUnavailable(err):
		return false
	case !g.asks, !enrich.MayConcernAll(err):
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.well.After(last)
}

// state tells whether the gate is open, why not, and which epoch of it this is. The channel is
// closed when that changes.
func (g *gate) state() (open bool, reason string, epoch uint64, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.closed, g.reason, g.epoch, g.changed
}

// why says why the gate is closed: the reason, and what was met last.
func (g *gate) why() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cause == nil {
		return g.reason
	}
	return g.reason + ": " + stream.OneLine(g.cause.Error())
}

// clock is how long the gate has been open in all: time in which a message could have succeeded.
func (g *gate) clock() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return g.total
	}
	return g.total + g.now().Sub(g.began)
}

// wait is the pause before the next probe.
func (g *gate) wait() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pause
}

// close closes the gate; closed already, it makes the pause longer. Reason and cause are those of
// the last call; the closing is told once.
func (g *gate) close(reason string, err error) {
	g.mu.Lock()
	news := !g.closed // another reason shows in Ready, and is no second closing
	if g.closed {
		g.pause = g.pauses.Longer(g.pause)
	} else {
		g.pause = g.firstPause()
		g.closed = true
		g.total += g.now().Sub(g.began)
		g.turn()
	}
	g.reason = reason
	g.cause = err
	g.mu.Unlock()
	if news {
		g.tell(false, reason, err)
	}
}

// firstPause is the pause before the first probe. What closes as soon as it opened is the same
// trouble still: of a right that is missing, not every success can know. The lock is held.
func (g *gate) firstPause() time.Duration {
	if g.pause > 0 && g.now().Sub(g.began) < g.relapse {
		return g.pauses.Longer(g.pause)
	}
	return g.pauses.First
}

// probing is the pauses between probes: shorter ones where TheHive is asked before a message is risked,
// which is cheap.
func probing(o Options) retry.Backoff {
	pauses := o.Policy.Probe
	if o.Check != nil {
		pauses.Last /= 6
	}
	return pauses
}

// open opens the gate and forgets what had closed it.
func (g *gate) open() {
	g.mu.Lock()
	news := g.closed
	if news {
		g.closed, g.reason, g.cause = false, "", nil
		g.began = g.now()
		g.streak = newStreak(g.streak.every)
		g.turn()
	}
	g.mu.Unlock()
	if news {
		g.tell(true, "", nil)
	}
}

// turn begins a new epoch. The lock is held.
func (g *gate) turn() {
	g.epoch++
	close(g.changed)
	g.changed = make(chan struct{})
}

// applied takes the result of one apply that began in an epoch. It tells whether so many failed
// in a row that TheHive itself should be asked.
func (g *gate) applied(epoch uint64, queue string, err error) (suspicious bool) {
	switch enrich.ClassOf(err) {
	case enrich.Blocked:
		if g.current(epoch) {
			g.close(reasonFor(err), err)
		}
	case enrich.None, enrich.Rejected, enrich.Dropped:
		if g.current(epoch) {
			g.open()
		}
		g.calm()
		g.isWell()
	case enrich.Transient:
		return g.failed(epoch, queue, err)
	case enrich.Malformed, enrich.Quarantined, enrich.Throttled, enrich.Interrupted:
	}
	return false
}

// current tells whether a result says something about the gate as it is now.
func (g *gate) current(epoch uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.epoch == epoch
}

// calm ends a streak of failures.
func (g *gate) calm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.streak.length > 0 {
		asked := g.streak.asked
		g.streak = newStreak(g.streak.every)
		g.streak.asked = asked
	}
}

// failed counts a failure; of a probe it keeps the gate closed. Where TheHive cannot be asked,
// many failures in a row close it.
func (g *gate) failed(epoch uint64, queue string, err error) (ask bool) {
	g.mu.Lock()
	probe := g.closed && g.epoch == epoch
	lost := false
	if !g.closed {
		ask, lost = g.streak.add(queue, g.now())
	}
	g.mu.Unlock()
	switch {
	case probe && g.asks && enrich.IsForeign(err): // TheHive was asked before, and answered: this is the message's own matter
		g.open()
	case probe:
		g.close(reasonFailing, err)
	case lost && !g.asks:
		g.close(reasonSilent, err)
	}
	return ask && g.asks
}

// streak counts failures without a success between them.
type streak struct {
	length int
	queues map[string]struct{}
	asked  time.Time
	every  time.Duration // so often TheHive may be asked
}

// A streak that long, over so many queues, is no matter of single messages. Where TheHive can be
// asked, it is asked at the first failure, and now and then while they go on: no more often than a message is
// tried again.
const (
	streakLength = 20
	streakQueues = 3
	streakAsk    = 5 * time.Second
)

func newStreak(every time.Duration) streak {
	return streak{queues: map[string]struct{}{}, every: every}
}

// add counts a failure; ask says that TheHive should be asked, and lost that nothing but TheHive
// can be the cause.
func (s *streak) add(queue string, now time.Time) (ask, lost bool) {
	s.length++
	ask = now.Sub(s.asked) >= s.every
	if ask {
		s.asked = now
	}
	if len(s.queues) < streakQueues {
		s.queues[queue] = struct{}{}
	}
	return ask, s.length >= streakLength && len(s.queues) >= streakQueues
}
