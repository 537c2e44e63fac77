package throttle

import (
	"maps"
	"sync"
	"time"
)

// How often refused credentials are tried: a server's ban counts five refusals in twenty minutes
// (TheHive's documentation for fail2ban). Calls that were in flight at the first refusal are beyond
// what anybody here can hold back: they count as one, or credentials that somebody exchanges would
// wait for what the old ones did.
const (
	refusedPause  = 11 * time.Minute // between two tries with the same credentials: at most two in refusedWindow
	refusedWindow = 21 * time.Minute
	refusedMost   = 4 // refusals in refusedWindow, of whatever credentials
)

// refusals remember when credentials were refused.
type refusals struct {
	mu   sync.Mutex
	last map[string]refusal // by who
	all  []time.Time        // newest last, at most refusedMost
}

// refusal is the last of one who.
type refusal struct {
	at     time.Time // when it was refused, or sent as a try
	trying bool      // a try is on its way
}

// ask tells whether and until when a call must wait. The one that may go after a pause is the try:
// the pause begins anew for all others.
func (r *refusals) ask(who string, now time.Time) (until time.Time, wait bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) == 0 {
		return time.Time{}, false
	}
	if len(r.all) == refusedMost && now.Sub(r.all[0]) < refusedWindow {
		return r.all[0].Add(refusedWindow), true
	}
	last, known := r.last[who]
	if known && now.Sub(last.at) < refusedPause {
		return last.at.Add(refusedPause), true
	}
	if known {
		r.last[who] = refusal{now, true}
	}
	return time.Time{}, false
}

// note takes a refusal.
func (r *refusals) note(who string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.last, func(_ string, last refusal) bool { return now.Sub(last.at) > refusedWindow })
	if last, known := r.last[who]; known && !last.trying {
		return // it was in flight already
	}
	r.last[who] = refusal{at: now}
	r.all = append(r.all, now)
	r.all = r.all[max(0, len(r.all)-refusedMost):]
}

// forget ends the pause of credentials that were taken.
func (r *refusals) forget(who string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, who)
}
