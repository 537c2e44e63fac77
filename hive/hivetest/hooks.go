package hivetest

import (
	"slices"
	"sync"
)

// Stage is a moment in the life of a call.
type Stage int

// The two moments at which a hook may hold a call.
const (
	BeforeEffect Stage = iota // the request was read, nothing has happened yet
	AfterEffect               // the effect is committed, the client does not know yet
)

// Action is what becomes of a call after a hook; the zero value lets it go on.
type Action struct {
	Status  int    // not 0: answer this status instead; before the effect, there is then no effect
	Type    string // of the error body; empty: "GenericError"
	Message string
	Cut     bool  // cut the connection instead of answering
	Wrong   Wrong // after the effect: answer something else than what was done
}

type hook struct {
	id    int
	stage Stage
	route string
	call  func(Call) Action
}

// hooks are those that stand; the slice is replaced, never changed.
type hooks struct {
	mu   sync.RWMutex
	last int
	all  []hook
}

// On calls f at a stage of every call to a route ("POST /api/v1/case"; empty: every route). f may block, and so choose
// the interleaving; calls wait independently and no lock is held. The returned function takes the hook away again.
func (h *Hive) On(stage Stage, route string, f func(Call) Action) (remove func()) {
	h.hooks.mu.Lock()
	defer h.hooks.mu.Unlock()
	h.hooks.last++
	id := h.hooks.last
	h.hooks.all = append(slices.Clone(h.hooks.all), hook{id, stage, route, f})
	return func() {
		h.hooks.mu.Lock()
		defer h.hooks.mu.Unlock()
		h.hooks.all = slices.DeleteFunc(slices.Clone(h.hooks.all), func(k hook) bool { return k.id == id })
	}
}

// Before calls f before the effect of every call; f may block.
func (h *Hive) Before(f func(Call)) (remove func()) {
	return h.On(BeforeEffect, "", func(c Call) Action { f(c); return Action{} })
}

// After calls f after the effect of every call and before its answer; f may block.
func (h *Hive) After(f func(Call)) (remove func()) {
	return h.On(AfterEffect, "", func(c Call) Action { f(c); return Action{} })
}

// run calls the hooks of a stage in the order they were added and returns the first action that is not zero.
func (k *hooks) run(stage Stage, c Call) Action {
	k.mu.RLock()
	all := k.all
	k.mu.RUnlock()
	var first Action
	for _, one := range all {
		if one.stage != stage || one.route != "" && one.route != c.Route {
			continue
		}
		if a := one.call(c); first == (Action{}) {
			first = a
		}
	}
	return first
}
