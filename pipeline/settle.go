package pipeline

import (
	"cmp"
	"time"

	"forager/enrich"
	"forager/retry"
)

// Action is what is done with a message.
type Action int

// The actions. Every message ends with ActionAck or ActionDeadLetter; ActionNak brings it back.
const (
	ActionAck        Action = iota // confirmed acknowledgement
	ActionNak                      // back to the stream, delivered again after the delay
	ActionDeadLetter               // stored in the dead-letter stream, confirmed, then terminated
)

// String names the action as logs and metrics do.
func (a Action) String() string {
	switch a {
	case ActionAck:
		return "ack"
	case ActionDeadLetter:
		return "dead letter"
	case ActionNak:
		return "nak"
	default:
		return "nak"
	}
}

// Attempt is all that the verdict depends on.
type Attempt struct {
	Class      enrich.Class
	Deliveries int           // NumDelivered: counts naks at shutdown too, so it never decides on death
	Tries      int           // failed applies that this process counted, this one included
	Age        time.Duration // since the first of these tries, only while the gate was open
	RetryAfter time.Duration // how long TheHive, or a full key, asked to be left alone; 0 is not at all
	Rand       float64       // in [0, 1): spreads what failed together
}

// Verdict is what to do, and after which delay for a Nak.
type Verdict struct {
	Action Action
	Delay  time.Duration
}

// Policy holds the limits of [Policy.Settle]. Zero values are replaced by the defaults.
type Policy struct {
	MaxTries  int           // failed applies after which a dead letter is allowed, 20
	MaxAge    time.Duration // and how long it must have been tried, 1 h
	Transient retry.Backoff // after a failed apply: 1 s doubled to 5 min
	Throttled retry.Backoff // after 429: 1 s doubled to 30 s
	Blocked   retry.Backoff // while nothing can be done: 10 s doubled to 1 min
	Probe     retry.Backoff // between the probes of a closed gate: 1 s doubled to 30 s
}

func (p Policy) withDefaults() Policy {
	p.MaxTries = cmp.Or(p.MaxTries, 20)
	p.MaxAge = cmp.Or(p.MaxAge, time.Hour)
	p.Transient = cmp.Or(p.Transient, retry.Backoff{First: time.Second, Last: 5 * time.Minute})
	p.Throttled = cmp.Or(p.Throttled, retry.Backoff{First: time.Second, Last: 30 * time.Second})
	p.Blocked = cmp.Or(p.Blocked, retry.Backoff{First: 10 * time.Second, Last: time.Minute})
	p.Probe = cmp.Or(p.Probe, retry.Backoff{First: time.Second, Last: 30 * time.Second})
	return p
}

// Settle is the one place where an error's class becomes a verdict. It is pure.
//
// Nothing but Malformed, Rejected, Quarantined, and a Transient error that outlived both limits of the
// policy becomes a dead letter: no number of deliveries does, since those count restarts.
func (p Policy) Settle(a Attempt) Verdict {
	p = p.withDefaults()
	switch a.Class {
	case enrich.None, enrich.Dropped:
		return Verdict{Action: ActionAck}
	case enrich.Malformed, enrich.Rejected, enrich.Quarantined:
		return Verdict{Action: ActionDeadLetter}
	case enrich.Interrupted:
		return Verdict{Action: ActionNak, Delay: max(interrupted(a), a.RetryAfter)}
	case enrich.Blocked:
		return Verdict{Action: ActionNak, Delay: p.Blocked.After(a.Deliveries, a.Rand)}
	case enrich.Throttled:
		return Verdict{Action: ActionNak, Delay: max(p.Throttled.After(a.Deliveries, a.Rand), spread(a.RetryAfter, a.Rand))}
	case enrich.Transient:
		return p.transient(a)
	default:
		return p.transient(a)
	}
}

func (p Policy) transient(a Attempt) Verdict {
	if a.Tries > p.MaxTries && a.Age >= p.MaxAge {
		return Verdict{Action: ActionDeadLetter}
	}
	return Verdict{Action: ActionNak, Delay: max(p.Transient.After(a.Tries, a.Rand), spread(a.RetryAfter, a.Rand))}
}

// interrupted comes back at once, so that another replica goes on; only a message that is
// interrupted again and again, by claims lost in a fight, backs off a little.
func interrupted(a Attempt) time.Duration {
	const patience, step, most = 3, 50 * time.Millisecond, 2 * time.Second
	if a.Deliveries <= patience {
		return 0
	}
	return time.Duration(a.Rand * float64(min(most, time.Duration(a.Deliveries-patience)*step)))
}

// spread adds up to a quarter to what was asked, so that all who were asked do not return at once.
func spread(asked time.Duration, rnd float64) time.Duration {
	return asked + time.Duration(float64(asked)*rnd/4)
}
