package enrich

import (
	"context"
	"sync"
	"time"
)

// pace remembers when comments of a case were last written, and which cases still owe an update.
type pace struct {
	mu    sync.Mutex
	wrote map[string]time.Time
	owed  map[string]debt
}

type debt struct {
	organisation string
	since        time.Time // of the last detection: a minute of quiet makes it due
}

func newPace() *pace { return &pace{wrote: map[string]time.Time{}, owed: map[string]debt{}} }

func (p *pace) due(caseID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.wrote[caseID]) >= commentPace
}

func (p *pace) note(caseID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrote[caseID] = time.Now()
	delete(p.owed, caseID)
	if len(p.wrote) > maxRecent {
		for id, at := range p.wrote {
			if time.Since(at) >= commentPace {
				delete(p.wrote, id)
			}
		}
	}
}

func (p *pace) owe(caseID, organisation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.owed) < maxRecent {
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

// Tidy brings the numbers in comments up to date for cases that had a quiet minute. The pipeline
// calls it now and then; what it fails to do costs nothing but a stale number.
func (e *Enricher) Tidy(ctx context.Context) error {
	for id, organisation := range e.pace.quiet() {
		if err := e.tidyCase(ctx, id, organisation); err != nil {
			return err
		}
	}
	return nil
}

func (e *Enricher) tidyCase(ctx context.Context, id, organisation string) error {
	r := &round{e: e, organisation: organisation, hive: e.options.Hive(organisation), out: newOutcomes(0)}
	r.seat.slots = e.slots
	defer r.seat.leave()
	w, err := r.hold(ctx, id)
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
	if w.fresh || w.claim.waits > 0 {
		return nil // whoever adds to the case next rebuilds it
	}
	held, free := w.claim.bind(ctx)
	defer free()
	if err := w.seat.take(held); err != nil {
		return err
	}
	calls, done := w.claim.calling(held)
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
