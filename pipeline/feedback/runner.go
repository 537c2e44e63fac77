package feedback

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/pool"
	"go.uber.org/zap"

	"forager/retry"
)

// Looker looks at cases and tells their sources: *feedback.Tracker of enrich.
type Looker interface {
	// Look tells what is to be told of one case, and how much that was; after an error it is tried again.
	Look(ctx context.Context, caseID string) (told int, err error)
	// Changed names the cases that changed since the last complete look; done is called when all were looked at.
	Changed(ctx context.Context, skip time.Duration) (ids []string, done func(context.Context) error, err error)
	// Unfinished names the cases, among the ledger's keys, that are owed something without any change.
	Unfinished(ctx context.Context, keys iter.Seq2[string, error]) ([]string, error)
}

// Running says how a [Runner] works. All but Log and Failed are needed.
type Running struct {
	Every  time.Duration                                  // between two looks for changed cases, about
	Keys   func(context.Context) iter.Seq2[string, error] // of the ledger; slowly, it is not to be felt
	Failed func()                                         // is told of each look that failed; nil: nobody is
	Log    *zap.Logger                                    // nil is silence
}

// Runner looks at cases whenever there is a reason. Safe for concurrent use.
type Runner struct {
	looker Looker
	outbox interface {
		Ensure(ctx context.Context) error
	}
	running Running
	queue   *queue
}

const (
	looksAtATime = 8
	ownedEvery   = time.Hour // between two looks for what died workers owe
)

// NewRunner makes a runner. It makes no call.
func NewRunner(looker Looker, outbox *Outbox, r Running) *Runner {
	if r.Log == nil {
		r.Log = zap.NewNop()
	}
	if r.Failed == nil {
		r.Failed = func() {}
	}
	return &Runner{looker: looker, outbox: outbox, running: r, queue: newQueue(retry.Backoff{First: 250 * time.Millisecond, Last: time.Minute})}
}

// Note says that a case may have changed: it is looked at soon. It never blocks. A nil runner takes no notice.
func (r *Runner) Note(caseID string) {
	if r != nil {
		r.queue.note(caseID)
	}
}

// Waiting is how many cases are to be looked at, those among them that failed.
func (r *Runner) Waiting() int {
	if r == nil {
		return 0
	}
	return r.queue.waiting()
}

// Run looks until ctx ends. What fails is tried again, and said once for each case.
func (r *Runner) Run(ctx context.Context) {
	if r == nil {
		return
	}
	var beside conc.WaitGroup
	defer beside.Wait()
	beside.Go(func() { r.ensure(ctx) })
	beside.Go(func() { r.each(ctx, ownedEvery, r.owed) })
	beside.Go(func() { r.each(ctx, r.running.Every, r.changed) })
	looks := pool.New().WithMaxGoroutines(looksAtATime)
	defer looks.Wait()
	for ctx.Err() == nil {
		for id, tries := range r.queue.next(ctx) {
			looks.Go(func() { r.look(ctx, id, tries) })
		}
	}
}

// ensure makes the stream where that is wanted, as soon as NATS lets it.
func (r *Runner) ensure(ctx context.Context) {
	pauses := retry.Backoff{First: 250 * time.Millisecond, Last: 10 * time.Second}.Pauses()
	for said := false; ; said = true {
		err := r.outbox.Ensure(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !said {
			r.running.Log.Warn("the stream for feedback cannot be made; sources are told when it is there", zap.Error(err))
		}
		if !pauses.Wait(ctx) {
			return
		}
	}
}

// look looks at one case; a panic is the error of that one.
func (r *Runner) look(ctx context.Context, id string, tries int) {
	told, err := r.caught(ctx, id)
	if told > 0 {
		r.running.Log.Info("told sources what became of their alerts", zap.String("case", id), zap.Int("messages", told))
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	r.running.Failed()
	r.queue.failed(id, tries)
	if tries == 0 {
		r.running.Log.Warn("cannot tell sources what became of their alerts; it is tried again", zap.String("case", id), zap.Error(err))
	}
}

func (r *Runner) caught(ctx context.Context, id string) (told int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.looker.Look(ctx, id)
}

// each does something soon, and then about every so often: workers that start together do it apart.
func (r *Runner) each(ctx context.Context, every time.Duration, do func(context.Context) error) {
	said, wait := false, time.Duration(rand.Int64N(int64(min(every, 10*time.Second))))
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		err := do(ctx)
		if err != nil && ctx.Err() == nil && !said {
			r.running.Log.Warn("cannot look for cases whose sources are owed word; it is tried again", zap.Error(err))
		}
		said = err != nil
		wait = every/2 + time.Duration(rand.Int64N(int64(every)))/2
	}
}

// owed notes the cases that died workers left.
func (r *Runner) owed(ctx context.Context) error {
	ids, err := r.looker.Unfinished(ctx, r.running.Keys(ctx))
	for _, id := range ids {
		r.queue.note(id)
	}
	return err
}

// changed looks at all cases that changed, one after the other, and says so when none failed.
func (r *Runner) changed(ctx context.Context) error {
	ids, done, err := r.looker.Changed(ctx, r.running.Every/2)
	if done == nil {
		return err
	}
	whole := true
	for _, id := range ids {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		told, failed := r.caught(ctx, id)
		if told > 0 {
			r.running.Log.Info("told sources what became of their alerts", zap.String("case", id), zap.Int("messages", told))
		}
		if failed != nil {
			whole = false
			r.running.Failed()
			r.queue.failed(id, 0)
			err = failed
		}
	}
	if !whole {
		return err
	}
	if unsaid := done(ctx); unsaid != nil {
		return unsaid
	}
	return err
}
