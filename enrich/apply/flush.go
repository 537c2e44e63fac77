package apply

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// pace remembers when comments of a case were last written, and which cases still owe an update.
type pace struct {
	mu    sync.Mutex
	wrote *expirable.LRU[string, time.Time]
	owed  map[string]debt
}

type debt struct {
	organisation string
	since        time.Time // of the last detection: a minute of quiet makes it due
}

func newPace() *pace {
	return &pace{wrote: expirable.NewLRU[string, time.Time](maxRecent, nil, 0), owed: map[string]debt{}}
}

func (p *pace) due(caseID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, _ := p.wrote.Get(caseID)
	return time.Since(at) >= commentPace
}

func (p *pace) note(caseID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote.Add(caseID, time.Now())
	delete(p.owed, caseID)
}

func (p *pace) owe(caseID, organisation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.owed[caseID]; known || len(p.owed) < maxRecent {
		p.owed[caseID] = debt{organisation: organisation, since: time.Now()}
	}
}

// quiet takes the cases that had a quiet minute since their last detection.
func (p *pace) quiet() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := map[string]string{}
	for id, d := range p.owed {
		if time.Since(d.since) >= commentPace {
			due[id] = d.organisation
			delete(p.owed, id)
		}
	}
	return due
}

// FlushComments brings the numbers in comments up to date for cases that had a quiet minute. The pipeline
// calls it now and then; what it fails to do costs nothing but a stale number, and is tried again
// after the next quiet minute. A case that fails keeps none of the others; where many do in a row,
// the rest waits, too. The error tells how many failed.
func (e *Applier) FlushComments(ctx context.Context) error {
	due := e.pace.quiet()
	var failed failures
	for _, id := range sortedKeys(due) {
		if failed.hopeless() || ctx.Err() != nil {
			e.pace.owe(id, due[id])
			continue
		}
		err := e.flushCase(ctx, id, due[id])
		if err != nil {
			e.pace.owe(id, due[id])
		}
		failed.note(err)
	}
	return failed.err()
}

func (e *Applier) flushCase(ctx context.Context, id, organisation string) error {
	r := &round{e: e, organisation: organisation, hive: e.options.Hive(organisation), out: newOutcomes(0)}
	r.slot.slots = e.slots
	defer r.slot.leave()
	w, err := r.claimCase(ctx, id)
	if err != nil {
		return err
	}
	sound := false
	defer func() {
		w.unclear = w.unclear || !sound
		w.leave(ctx)
	}()
	err = w.tidy(ctx)
	sound = true
	return err
}

// tidy brings the numbers in the comments of a claimed case up to date.
func (w *work) tidy(ctx context.Context) (err error) {
	if w.fresh || w.claim.Owed() > 0 {
		return nil // whoever adds to the case next rebuilds it
	}
	held, free := w.claim.Bind(ctx)
	defer free()
	if err := w.slot.take(held); err != nil {
		return err
	}
	calls, done := calling(held, w.claim)
	defer done()
	if w.c, err = w.hive.Case(calls, w.id); err != nil {
		return nil // a case that cannot be read needs no fresh numbers
	}
	w.ready = true
	if err := w.readMarks(held); err != nil {
		return err
	}
	return w.refreshComments(held)
}
