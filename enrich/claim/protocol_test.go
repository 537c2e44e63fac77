package claim_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
	"forager/racedetector"
)

// This is the model of the claim protocol (design section 4), without TheHive and NATS: three
// workers want two effects in a world that keeps every double, and everything around them fails. Some
// workers are of version 1, some watch, and of those some hear nothing.

var (
	modelRuns  = flag.Int("model.runs", racedetector.Fewer(2000, 500), "histories of the claim protocol to try")
	modelFirst = flag.Uint64("model.first", 0, "seed of the first")
)

const (
	modelLease  = 15 * time.Second
	modelSettle = 25 * time.Second
	modelCall   = 10 * time.Second
)

var (
	errKilled = errors.New("killed")
	errLost   = errors.New("answer lost")
)

// world is what the workers write to: it refuses nothing and counts everything, by kind.
type world struct {
	mu    sync.Mutex
	count map[string]int
}

func (w *world) commit(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count[kind]++
}

func (w *world) has(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[kind] > 0
}

// history is one run of the model.
type history struct {
	world  *world
	ledger *claimtest.Memory
	wg     conc.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand
	began time.Time
	told  []string // what happened, for whoever reads a failure
}

// tell takes down what happened, and when.
func (h *history) tell(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, fmt.Sprintf("%9.3f ", time.Since(h.began).Seconds())+fmt.Sprintf(format, args...))
}

func (h *history) chance(p float64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rng.Float64() < p
}

func (h *history) upTo(d time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Duration(h.rng.Int64N(int64(d)))
}

// write is one call that adds the effect: refused, done, or done while its answer is lost, at
// once or late but within settle of the client giving up.
func (h *history) write(ctx context.Context, kind string, check func() error) error {
	if err := errors.Join(check(), ctx.Err()); err != nil {
		return err
	}
	switch {
	case h.chance(0.1):
		return errors.New("refused")
	case h.chance(0.2): // the client gives up; the server may still commit, or not
		wait(ctx, modelCall)
		if h.chance(0.7) {
			after := h.upTo(modelSettle)
			h.wg.Go(func() { wait(context.Background(), after); h.commit(kind, "late") })
		}
		return errLost
	case h.chance(0.1):
		wait(ctx, h.upTo(modelCall))
		h.commit(kind, "now")
		return errLost
	default:
		wait(ctx, h.upTo(time.Second))
		h.commit(kind, "now")
		return nil
	}
}

func (h *history) commit(kind, when string) {
	h.tell("%s happens, %s", kind, when)
	h.world.commit(kind)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

type modelBody struct {
	Done map[string]bool `json:"done"`
}

// kinds are the effects, in the order in which a worker does them.
var kinds = [...]string{"comments", "procedures"}

// holder is a claim of either version.
type holder interface {
	Bind(ctx context.Context) (context.Context, func())
	Check() error
	body() (map[string]bool, error)
	owes(kind string) time.Duration
	intend(ctx context.Context, kind string) error
	lookedAt(kind string)
	leave(ctx context.Context, done map[string]bool, dirty bool) error
}

// holder2 is a claim of ours.
type holder2 struct{ *claim.Claim }

func (h holder2) owes(kind string) time.Duration { return h.OwedFor(kind) }
func (h holder2) lookedAt(kind string)           { h.Settled(kind) }
func (h holder2) intend(ctx context.Context, kind string) error {
	return h.Intend(ctx, kind)
}

func (h holder2) String() string { return fmt.Sprintf("version 2, %p", h.Claim) }

func (h holder2) body() (map[string]bool, error) {
	var body modelBody
	err := h.Read(&body)
	return body.Done, err
}

func (h holder2) leave(ctx context.Context, done map[string]bool, dirty bool) error {
	return h.Release(ctx, modelBody{done}, dirty)
}

// holder1 is a claim of version 1, which owes everything or nothing.
type holder1 struct {
	*claim1
	looked map[string]bool
}

func (h holder1) String() string { return fmt.Sprintf("version 1, %p", h.claim1) }

func (h holder1) body() (map[string]bool, error)       { return h.entry.Done, nil }
func (h holder1) intend(context.Context, string) error { return nil }
func (h holder1) owes(kind string) time.Duration {
	if h.looked[kind] {
		return 0
	}
	return h.owed
}

func (h holder1) lookedAt(kind string) {
	if h.looked[kind] = true; len(h.looked) == len(kinds) {
		h.settled()
	}
}

func (h holder1) leave(ctx context.Context, done map[string]bool, dirty bool) error {
	return h.release(ctx, done, dirty)
}

// work is one try of a worker to see the effects done; it reports whether it knows that they are.
func (h *history) work(ctx context.Context, acquire func(context.Context) (holder, error)) (bool, error) {
	cl, err := acquire(ctx)
	if err != nil {
		return false, err
	}
	held, free := cl.Bind(ctx)
	defer free()
	known, err := cl.body()
	if err != nil {
		return false, err
	}
	done := maps.Clone(known)
	if done == nil {
		done = make(map[string]bool)
	}
	lost := false
	for _, kind := range kinds {
		err = h.effect(held, cl, kind, done)
		lost = lost || errors.Is(err, errLost)
		if err != nil {
			break
		}
	}
	all := err == nil && done[kinds[0]] && done[kinds[1]]
	return all, errors.Join(err, cl.leave(ctx, done, lost))
}

// effect does one effect unless it is there, and says so in done.
func (h *history) effect(held context.Context, cl holder, kind string, done map[string]bool) error {
	if owed := cl.owes(kind); owed > 0 {
		wait(held, owed)
		if held.Err() != nil {
			return held.Err() // still owed
		}
		done[kind] = h.world.has(kind)
		cl.lookedAt(kind)
	}
	if done[kind] {
		return nil
	}
	if err := cl.intend(held, kind); err != nil {
		return err
	}
	if done[kind] = h.world.has(kind); done[kind] {
		return nil
	}
	h.tell("%s is begun by %v", kind, cl)
	err := h.write(held, kind, cl.Check)
	h.tell("%s ended for %v: %v", kind, cl, err)
	if errors.Is(err, errLost) && h.chance(0.5) {
		done[kind] = h.lookUntilSettled(held, kind)
		if held.Err() == nil {
			return nil
		}
		return err
	}
	done[kind] = err == nil
	return err
}

// lookUntilSettled looks after a lost answer: presence ends it, absence needs all of settle.
func (h *history) lookUntilSettled(ctx context.Context, kind string) bool {
	for deadline := time.Now().Add(modelSettle); time.Now().Before(deadline) && ctx.Err() == nil; {
		if h.world.has(kind) {
			return true
		}
		wait(ctx, time.Second)
	}
	return h.world.has(kind)
}

// faulty is the ledger as one worker sees it: slow, unreliable, and silent once it is killed.
type faulty struct {
	*claimtest.Memory
	h    *history
	dead <-chan struct{}
}

func (f faulty) pass(ctx context.Context, before bool) error {
	select {
	case <-f.dead:
		return errKilled
	default:
	}
	if f.h.chance(0.05) {
		wait(ctx, f.h.upTo(4*time.Second))
	}
	if f.h.chance(0.05) {
		return errLost
	}
	if before && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

func (f faulty) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	if err := f.pass(ctx, true); err != nil {
		return 0, err
	}
	revision, err := f.Memory.Put(context.WithoutCancel(ctx), key, value, expected)
	f.h.tell("put %s at %d: revision %d, %v: %s", key, expected, revision, err, value)
	if lost := f.pass(ctx, false); lost != nil {
		return 0, lost
	}
	return revision, err
}

func (f faulty) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := f.pass(ctx, true); err != nil {
		return nil, 0, err
	}
	return f.Memory.Get(context.WithoutCancel(ctx), key)
}

// loseLedger lets the bucket vanish and come back empty at some time, in some histories.
func (h *history) loseLedger() {
	if !h.chance(0.3) {
		return
	}
	wait(context.Background(), h.upTo(time.Minute))
	h.ledger.Lose()
	h.tell("the ledger is lost")
	wait(context.Background(), modelLease+modelSettle)
	h.ledger.Trust()
	h.tell("the ledger is trusted")
}

// Watch tells late, or, where it is deaf, never more than what is there at the beginning.
func (f faulty) Watch(ctx context.Context, prefix string, each func(string, []byte, uint64)) error {
	deafAfter := time.Now().Add(f.h.upTo(2 * time.Minute))
	return f.Memory.Watch(ctx, prefix, func(key string, value []byte, revision uint64) {
		if f.h.chance(0.1) {
			wait(ctx, f.h.upTo(4*time.Second))
		}
		if time.Now().Before(deafAfter) {
			each(key, value, revision)
		}
	})
}

func (h *history) run() {
	h.wg.Go(h.loseLedger)
	for range 3 {
		h.wg.Go(func() {
			for range 4 { // a worker that is killed comes back as another
				if h.live() {
					return
				}
			}
		})
	}
	h.wg.Wait()
	wait(context.Background(), 2*modelLease) // until the last timers of those that were killed ended
}

// live is one life of a worker: it ends when the effects are known to be done, or by being killed.
func (h *history) live() bool {
	dead := make(chan struct{})
	// A worker of version 1 may wait for ever, for an entry that none of ours is left to release.
	ctx, kill := context.WithTimeout(context.Background(), 10*time.Minute)
	defer kill()
	if h.chance(0.5) {
		at := h.upTo(time.Minute)
		timer := time.AfterFunc(at, func() { close(dead); kill(); h.tell("a worker is killed") })
		defer timer.Stop()
	}
	acquire, end := h.worker(ctx, faulty{h.ledger, h, dead})
	defer end()
	for range 200 {
		done, err := h.work(ctx, acquire)
		if done && err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		wait(ctx, h.upTo(time.Second))
	}
	return false
}

// worker is one of either version, and how it ends when it is not killed.
func (h *history) worker(ctx context.Context, store faulty) (acquire func(context.Context) (holder, error), end func()) {
	if h.chance(0.25) {
		old := version1{store, modelLease, modelSettle}
		return func(ctx context.Context) (holder, error) {
			cl, err := old.acquire(ctx, "key.model")
			return holder1{cl, make(map[string]bool)}, err
		}, func() {}
	}
	c := claim.New(store, claim.Options{Lease: modelLease, Settle: modelSettle, Fields: []string{"done"}})
	if h.chance(0.7) {
		h.wg.Go(func() {
			for ctx.Err() == nil {
				_ = c.Watch(ctx, store)
				wait(ctx, time.Second)
			}
		})
	}
	intent := [][]string{{claim.AnyKind}, {kinds[0]}, {kinds[0], kinds[1]}, {}}
	return func(ctx context.Context) (holder, error) {
		cl, err := c.Acquire(ctx, "key.model", intent[h.upTo(time.Duration(len(intent)))], func() {})
		return holder2{cl}, err
	}, func() { _ = c.Close(ctx) }
}

func TestClaimsLetAnEffectHappenOnceWhateverFails(t *testing.T) {
	t.Parallel()
	for seed := *modelFirst; seed < *modelFirst+uint64(*modelRuns); seed++ {
		synctest.Test(t, func(t *testing.T) {
			h := &history{world: &world{count: make(map[string]int)}, ledger: claimtest.New(), rng: rand.New(rand.NewPCG(seed, 1)), began: time.Now()}
			h.run()
			for kind, n := range h.world.count {
				if n > 1 {
					t.Fatalf("seed %d: %s happened %d times\n%s", seed, kind, n, strings.Join(h.told, "\n"))
				}
			}
		})
	}
}
