package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"forager/enrich"
	"forager/enrich/analyze"
	"forager/enrich/claim"
	"forager/enrich/related"
	"forager/retry"
)

// pace remembers when comments of a case were last written, and which cases are behind: their numbers changed since.
type pace struct {
	mu     sync.Mutex
	wrote  *expirable.LRU[string, time.Time]
	behind map[string]stale
}

type stale struct {
	organisation string
	since        time.Time // of the last detection: a minute of quiet makes it due
}

func newPace() *pace {
	return &pace{wrote: expirable.NewLRU[string, time.Time](maxPaced, nil, 0), behind: map[string]stale{}}
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
	delete(p.behind, caseID)
}

func (p *pace) later(caseID, organisation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.behind[caseID]; known || len(p.behind) < maxPaced {
		p.behind[caseID] = stale{organisation: organisation, since: time.Now()}
	}
}

// quiet takes the cases that had a quiet minute since their last detection.
func (p *pace) quiet() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := map[string]string{}
	for id, d := range p.behind {
		if time.Since(d.since) >= commentPace {
			due[id] = d.organisation
			delete(p.behind, id)
		}
	}
	return due
}

// FlushComments brings the numbers in comments up to date for cases that had a quiet minute. The pipeline
// calls it now and then; what it fails to do costs nothing but a stale number, and is tried again
// after the next quiet minute. A case that fails keeps none of the others; where many do in a row,
// the rest waits, too. Then new cases are linked with those that have an indicator in common with them, Cortex is asked to look at observables, and what it said is used. The error tells how many failed.
func (a *Applier) FlushComments(ctx context.Context) error {
	return errors.Join(a.flushAll(ctx), a.relateAll(ctx), a.analyzeAll(ctx), a.lookAll(ctx))
}

func (a *Applier) flushAll(ctx context.Context) error {
	due := a.pace.quiet()
	var failed failures
	for _, id := range sortedKeys(due) {
		if failed.hopeless() || ctx.Err() != nil {
			a.pace.later(id, due[id])
			continue
		}
		err := a.flushCase(ctx, id, due[id])
		if err != nil {
			a.pace.later(id, due[id])
		}
		failed.note(err)
	}
	return failed.err()
}

func (a *Applier) flushCase(ctx context.Context, id, organisation string) error {
	t := a.turnWithoutPlans(organisation)
	defer t.slot.Leave()
	return t.withCase(ctx, ctx, id, func(cc *caseClaim) error { return cc.flush(ctx) })
}

// flush brings the numbers in the comments of a claimed case up to date.
func (cc *caseClaim) flush(ctx context.Context) error {
	if cc.fresh || cc.claim.Owed() > 0 {
		return nil // whoever adds to the case next rebuilds it
	}
	held, free := cc.claim.Bind(ctx)
	defer free()
	if err := cc.takeSlot(held); err != nil {
		return err
	}
	calls, done := calling(held, cc.claim)
	defer done()
	c, err := cc.hive.Case(calls, cc.id)
	if err != nil {
		return nil // a case that cannot be read needs no fresh numbers
	}
	cc.ready = true
	w := newCaseWork(cc, task{c: c})
	if err := w.readMarks(held); err != nil {
		return err
	}
	if err := (&commentStep{caseWork: w}).refresh(held); err != nil {
		return err
	}
	return (&digestStep{caseWork: w}).run(held)
}

// SweepOptions says what a sweep looks at.
type SweepOptions struct {
	// Organisations are those that are served; the first is the worker's own.
	Organisations []string
	// Keep is how old the newest event of a case that is over must be; at least the window and
	// the stream's retention.
	Keep time.Duration
}

// SweepResult is what a sweep did.
type SweepResult struct {
	// Purged is how many entries are gone.
	Purged int
	// Kept is how many entries stay because nobody can tell whether their case is over: their
	// organisation is not served, or refuses the worker, or they do not say which it is and the
	// worker's own does not have their case.
	Kept int
	// Failed is how many entries stay because the ledger or TheHive did not say what was asked.
	Failed int
}

// Sweep purges, each at the revision seen, clean entries that nobody will ask for again: of
// cases that are closed or gone and whose newest event is older than asked. TheHive is asked in
// the entry's organisation. A key whose case is open stays, however old. An entry that fails keeps
// none of the others; where many do in a row, the sweep ends. The error tells how many failed, and
// why the first.
func (a *Applier) Sweep(ctx context.Context, keys iter.Seq2[string, error], o SweepOptions) (SweepResult, error) {
	if len(o.Organisations) == 0 {
		return SweepResult{}, errors.New("sweep: no organisation is served")
	}
	s := sweeper{a: a, served: o.Organisations, before: time.Now().Add(-o.Keep)}
	var failed failures
	for key, err := range keys {
		if err != nil {
			return s.done, fmt.Errorf("sweep: %w", err)
		}
		failed.note(s.sweep(ctx, key))
		s.done.Failed = failed.n
		if failed.hopeless() || ctx.Err() != nil {
			break
		}
	}
	if !failed.hopeless() {
		failed.note(a.claims.Reap(ctx, sessionsKept))
	}
	if err := failed.err(); err != nil {
		return s.done, fmt.Errorf("sweep: %w", err)
	}
	return s.done, nil
}

type sweeper struct {
	a      *Applier
	served []string
	before time.Time
	done   SweepResult
}

// errElsewhere: whether a case is over cannot be told from here.
var errElsewhere = errors.New("case of another organisation")

func (s *sweeper) sweep(ctx context.Context, key string) error {
	kind, name, _ := strings.Cut(key, ".")
	value, revision, err := s.a.options.Ledger.Get(ctx, key)
	if errors.Is(err, claim.ErrNoEntry) {
		return nil
	}
	if err != nil {
		return err
	}
	old := false
	switch kind {
	case "key":
		old, err = s.oldKey(ctx, value)
	case "case":
		old, err = s.oldCase(ctx, name, value)
	case "rate":
		var body rateBody
		old = json.Unmarshal(value, &body) == nil && body.Hour < hour(s.before)
	}
	if errors.Is(err, errElsewhere) {
		s.done.Kept++
		return nil
	}
	if err != nil || !old {
		return err
	}
	if kind == "case" {
		err = errors.Join(s.purgeMarks(ctx, name), s.purgeTold(ctx, name))
	}
	return errors.Join(err, s.purge(ctx, key, revision))
}

func (s *sweeper) purge(ctx context.Context, key string, revision uint64) error {
	err := s.a.options.Ledger.Purge(ctx, key, revision)
	if errors.Is(err, claim.ErrConflict) {
		return nil // somebody needs it after all
	}
	if err == nil {
		s.done.Purged++
	}
	return err
}

func (s *sweeper) purgeMarks(ctx context.Context, id string) error {
	_, revision, err := loadMarks(ctx, s.a.options.Ledger, id)
	if err != nil || revision == 0 {
		return err
	}
	return s.purge(ctx, marksKey(id), revision)
}

// FeedbackPrefix begins the keys of what sources were told of a case, which goes with the case's entry.
const FeedbackPrefix = "feedback."

func (s *sweeper) purgeTold(ctx context.Context, id string) error {
	if s.a.options.SourceAlerts == 0 {
		return nil
	}
	_, revision, err := s.a.options.Ledger.Get(ctx, FeedbackPrefix+id)
	if errors.Is(err, claim.ErrNoEntry) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.purge(ctx, FeedbackPrefix+id, revision)
}

// oldKey tells whether all cases of a key are over for long.
func (s *sweeper) oldKey(ctx context.Context, value []byte) (bool, error) {
	e, err := claim.ParseEntry(value)
	if err != nil || e.Dirty() {
		return false, nil //nolint:nilerr // what cannot be read is not ours to purge
	}
	var body keyBody
	if err := e.Read(&body); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	for _, ref := range slices.Concat(body.Cases, body.Raised) {
		if ref.Last > s.before.UnixMilli() {
			return false, nil
		}
	}
	if !s.serves(body.home) {
		return false, errElsewhere
	}
	for _, ref := range body.Cases {
		if ref.Gone || ref.End != 0 && ref.End < s.before.UnixMilli() {
			continue
		}
		over, err := s.over(ctx, body.home, ref.ID)
		if err != nil || !over {
			return false, err
		}
	}
	return true, nil
}

// oldCase tells whether a case and its newest event are over for long.
func (s *sweeper) oldCase(ctx context.Context, id string, value []byte) (bool, error) {
	e, err := claim.ParseEntry(value)
	if err != nil {
		return false, nil //nolint:nilerr // as above
	}
	var body caseBody
	if err := e.Read(&body); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	s.catchUp(id, body)
	if e.Dirty() {
		return false, nil
	}
	for _, c := range body.Comments {
		if c.Last > s.before.UnixMilli() {
			return false, nil
		}
	}
	return s.over(ctx, body.home, id)
}

// catchUp sees to what a worker left behind when it died, a page or a look for related cases: the next pass over quiet cases does it.
func (s *sweeper) catchUp(id string, body caseBody) {
	if !s.serves(body.home) {
		return
	}
	organisation := s.served[0]
	if body.Organisation != nil {
		organisation = *body.Organisation
	}
	if body.Digest != nil && body.Digest.Pending {
		s.a.pace.later(id, organisation)
	}
	if body.Jobs.Waits() && s.a.options.Cortex != nil {
		s.a.analyses.Later(analyze.Case{ID: id, Organisation: organisation}, time.Now().Add(relateAfter))
	}
	if body.Jobs.Awaits() && s.a.options.Cortex != nil {
		s.a.results.Sooner(analyze.Case{ID: id, Organisation: organisation}, body.Jobs.Look(time.Now()))
	}
	if body.Related.Waits(time.Now()) && !s.a.options.Unrelated {
		s.a.due.Later(related.Case{ID: id, Organisation: organisation, State: *body.Related}, time.Now().Add(relateAfter))
	}
}

// serves tells whether an entry's organisation can be asked; one that is not named is the own.
func (s *sweeper) serves(h home) bool {
	return h.Organisation == nil || slices.Contains(s.served, *h.Organisation)
}

// over tells whether TheHive says that a case is gone, or closed for long. To the eye of one
// organisation the cases of another are gone: what does not name its organisation is gone only
// where there is no other.
func (s *sweeper) over(ctx context.Context, h home, id string) (bool, error) {
	if !s.serves(h) {
		return false, errElsewhere
	}
	organisation := s.served[0]
	if h.Organisation != nil {
		organisation = *h.Organisation
	}
	c, err := s.a.options.Hive(organisation).Case(ctx, id)
	err = inOrganisation(organisation, err)
	if _, refused := errors.AsType[*enrich.OrganisationError](err); refused {
		return false, errElsewhere
	}
	if isGone(err) {
		if h.Organisation == nil && len(s.served) > 1 {
			return false, errElsewhere
		}
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return c.Stage == stageClosed && int64(c.EndDate) < s.before.UnixMilli(), nil
}

// failures are those of a pass over many things of which none may stop the others.
type failures struct {
	n     int // all of them
	row   int // since the last success
	first error
}

// maxRow is how many failures in a row say that it is not the things that fail.
const maxRow = 8

// note takes what came of one thing.
func (f *failures) note(err error) {
	if err == nil {
		f.row = 0
		return
	}
	f.n, f.row = f.n+1, f.row+1
	if f.first == nil {
		f.first = err
	}
}

// hopeless tells whether the pass had better end.
func (f *failures) hopeless() bool { return f.row >= maxRow }

// err says how many failed, and wraps the first; nil when none did.
func (f *failures) err() error {
	switch f.n {
	case 0:
		return nil
	case 1:
		return f.first
	default:
		return fmt.Errorf("%d failed, the first: %w", f.n, f.first)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Pauses between two tries to follow the sessions of other workers.
const (
	firstFollow = 250 * time.Millisecond
	lastFollow  = 10 * time.Second
)

// sessionsKept is how long the entry of a session that is over stays: what it claimed is taken over without
// a wait for as long.
const sessionsKept = 7 * 24 * time.Hour

// Follow joins the other workers of the ledger, and follows their sessions until the context ends: the
// claims of one that died are then taken over without a wait, and [Applier.Replicas] counts them. What fails
// is tried again; until it succeeds a death is noticed a lease after its claim was met.
func (a *Applier) Follow(ctx context.Context, w claim.Watcher) {
	pauses := retry.Backoff{First: firstFollow, Last: lastFollow}.Pauses()
	for ctx.Err() == nil {
		began := time.Now()
		_ = a.claims.Watch(ctx, w) // it ends with an error alone, and is tried again
		if time.Since(began) > time.Minute {
			pauses.Reset()
		}
		pauses.Wait(ctx)
	}
}

// Replicas is how many workers renew their sessions, this one among them. It is known while they are
// followed.
func (a *Applier) Replicas() (n int, known bool) { return a.claims.Live() }

// Close ends this worker's session, when its last apply has ended: nobody waits for its lease. Error: of
// the ledger.
func (a *Applier) Close(ctx context.Context) error { return a.claims.Close(ctx) }
