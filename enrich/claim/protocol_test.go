package claim_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

// This is the model of the claim protocol (design section 4), without TheHive and NATS: three
// workers want one effect in a world that keeps every double, and everything around them fails.

var modelRuns = flag.Int("model.runs", 2000, "histories of the claim protocol to try")

const (
	modelLease  = 15 * time.Second
	modelSettle = 25 * time.Second
	modelCall   = 10 * time.Second
)

var (
	errKilled = errors.New("killed")
	errLost   = errors.New("answer lost")
)

// world is what the workers write to: it refuses nothing and counts everything.
type world struct {
	mu    sync.Mutex
	count int
}

func (w *world) commit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
}

func (w *world) has() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count > 0
}

// history is one run of the model.
type history struct {
	world  *world
	ledger *claimtest.Memory
	wg     conc.WaitGroup

	mu  sync.Mutex
	rng *rand.Rand
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
func (h *history) write(ctx context.Context, check func() error) error {
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
			h.wg.Go(func() { wait(context.Background(), after); h.world.commit() })
		}
		return errLost
	case h.chance(0.1):
		wait(ctx, h.upTo(modelCall))
		h.world.commit()
		return errLost
	default:
		wait(ctx, h.upTo(time.Second))
		h.world.commit()
		return nil
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

type modelBody struct {
	Done *bool `json:"done"`
}

// work is one try of a worker to see the effect done; it reports whether it knows that it is.
func (h *history) work(ctx context.Context, c *claim.Claims) (bool, error) {
	cl, err := c.Acquire(ctx, "key.model", func() {})
	if err != nil {
		return false, err
	}
	held, free := cl.Bind(ctx)
	defer free()
	var body modelBody
	if err := cl.Read(&body); err != nil {
		return false, err
	}
	known := body.Done != nil && *body.Done
	if cl.Owed() > 0 {
		wait(held, cl.Owed())
		if held.Err() != nil {
			return false, errors.Join(held.Err(), cl.Release(ctx, body, true))
		}
		known = h.world.has()
		cl.Settled()
	}
	if known {
		return true, cl.Release(ctx, modelBody{Done: &known}, false)
	}
	done := h.world.has()
	if !done {
		err = h.write(held, cl.Check)
		done = err == nil
	}
	if errors.Is(err, errLost) && h.chance(0.5) {
		done, err = h.lookUntilSettled(held), nil
	}
	return done, errors.Join(err, cl.Release(ctx, modelBody{Done: &done}, errors.Is(err, errLost)))
}

// lookUntilSettled looks after a lost answer: presence ends it, absence needs all of settle.
func (h *history) lookUntilSettled(ctx context.Context) bool {
	for deadline := time.Now().Add(modelSettle); time.Now().Before(deadline) && ctx.Err() == nil; {
		if h.world.has() {
			return true
		}
		wait(ctx, time.Second)
	}
	return h.world.has()
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
	wait(context.Background(), modelLease+modelSettle)
	h.ledger.Trust()
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
}

// live is one life of a worker: it ends when the effect is known to be done, or by being killed.
func (h *history) live() bool {
	dead := make(chan struct{})
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	if h.chance(0.5) {
		at := h.upTo(time.Minute)
		timer := time.AfterFunc(at, func() { close(dead); kill() })
		defer timer.Stop()
	}
	c := claim.New(faulty{h.ledger, h, dead}, claim.Options{Lease: modelLease, Settle: modelSettle, Fields: []string{"done"}})
	for range 200 {
		done, err := h.work(ctx, c)
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

func TestClaimsLetAnEffectHappenOnceWhateverFails(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*modelRuns) {
		synctest.Test(t, func(t *testing.T) {
			h := &history{world: &world{}, ledger: claimtest.New(), rng: rand.New(rand.NewPCG(seed, 1))}
			h.run()
			if h.world.count > 1 {
				t.Fatalf("seed %d: the effect happened %d times", seed, h.world.count)
			}
		})
	}
}
