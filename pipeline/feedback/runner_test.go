package feedback

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/retry"
)

// eyes look as they are told to.
type eyes struct {
	mu                  sync.Mutex
	looked              []string
	fail                map[string]int // how often a look fails; below 0 it panics
	changed, unfinished []string
	done, failed        atomic.Int64
}

func (e *eyes) Look(_ context.Context, id string) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looked = append(e.looked, id)
	switch n := e.fail[id]; {
	case n < 0:
		e.fail[id]++
		panic("oh")
	case n > 0:
		e.fail[id]--
		return 0, errors.New("no answer")
	}
	return 1, nil
}

func (e *eyes) Changed(context.Context, time.Duration) ([]string, func(context.Context) error, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := e.changed
	e.changed = nil
	return ids, func(context.Context) error { e.done.Add(1); return nil }, nil
}

func (e *eyes) Unfinished(_ context.Context, keys iter.Seq2[string, error]) ([]string, error) {
	for _, err := range keys {
		return e.unfinished, err
	}
	return nil, nil
}

// ready makes no stream.
type ready struct{}

func (ready) Ensure(context.Context) error { return nil }

// pass lets virtual time pass.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	retry.Wait(t.Context(), d)
	synctest.Wait()
}

// running runs a runner in a bubble until do has ended.
func running(t *testing.T, e *eyes, do func(t *testing.T, r *Runner)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := NewRunner(e, nil, Running{
			Every: 5 * time.Minute, Failed: func() { e.failed.Add(1) },
			Keys: func(context.Context) iter.Seq2[string, error] {
				return func(yield func(string, error) bool) { yield("feedback.~1", nil) }
			},
		})
		r.outbox = ready{}
		ctx, stop := context.WithCancel(t.Context())
		var beside conc.WaitGroup
		beside.Go(func() { r.Run(ctx) })
		do(t, r)
		stop()
		beside.Wait()
	})
}

func TestACaseThatIsNotedIsLookedAtAtOnceAndAgainUntilItIsTold(t *testing.T) {
	t.Parallel()
	e := &eyes{fail: map[string]int{"~2": 3, "~3": -1}}
	running(t, e, func(t *testing.T, r *Runner) {
		began := time.Now()
		r.Note("~1")
		synctest.Wait()
		if !slices.Equal(e.looked, []string{"~1"}) || time.Since(began) != 0 {
			t.Errorf("after %v: %v", time.Since(began), e.looked)
		}
		r.Note("~2")
		r.Note("~3")
		pass(t, 5*time.Second)
		if slices.Sort(e.looked); fmt.Sprint(e.looked) != "[~1 ~2 ~2 ~2 ~2 ~3 ~3]" || r.Waiting() != 0 || e.failed.Load() != 4 {
			t.Errorf("looked at %v, %d wait", e.looked, r.Waiting())
		}
	})
}

func TestChangedCasesAreSeenToWhenAllWereLookedAt(t *testing.T) {
	t.Parallel()
	e := &eyes{changed: []string{"~1", "~2"}, fail: map[string]int{"~2": 1}}
	running(t, e, func(t *testing.T, _ *Runner) {
		pass(t, 11*time.Second)
		if slices.Sort(e.looked); fmt.Sprint(e.looked) != "[~1 ~2 ~2]" || e.done.Load() != 0 {
			t.Errorf("looked at %v, said %d times that all are", e.looked, e.done.Load())
		}
		pass(t, 5*time.Minute)
		if e.done.Load() != 1 {
			t.Errorf("said %d times that all are", e.done.Load())
		}
	})
}

func TestWhatADeadWorkerOwesIsSeenToSoon(t *testing.T) {
	t.Parallel()
	e := &eyes{unfinished: []string{"~9"}}
	running(t, e, func(t *testing.T, _ *Runner) {
		pass(t, 10*time.Second)
		if fmt.Sprint(e.looked) != "[~9]" {
			t.Errorf("looked at %v", e.looked)
		}
	})
}

func TestNobodyMindsARunnerThatIsOff(t *testing.T) {
	t.Parallel()
	var r *Runner
	r.Note("~1")
	r.Run(t.Context())
	if r.Waiting() != 0 {
		t.Error("something waits")
	}
}
