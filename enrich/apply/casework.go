package apply

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/hive"
)

// work adds what plans ask for to one case, under its claim: it looks at what is known or there,
// posts the difference, and leaves the entry saying what TheHive answered.
type work struct {
	*round
	id      string
	claim   *claim.Claim
	c       hive.Case
	plans   []enrich.Plan
	created bool // by this apply: nothing else can be in it yet
	reopen  bool

	body     caseBody
	marks    marks
	fresh    bool // the ledger had no entry of the case
	listed   map[string]bool
	texts    map[string]string // of comments with a marker, by id, as last listed
	files    []listedFile      // as last listed
	want     *want
	charged  []int           // indices of the plans among all of the apply
	began    time.Time       // when the case was ours: waits for others are not our apply
	ready    bool            // the body says what is in the case
	sure     map[string]bool // observables that TheHive confirmed to this apply: its list may lag behind
	spoilt   map[string]bool // changes of the case that were charged already
	mute     bool            // not even a comment without words of events was taken: no other is tried
	degraded bool            // something of the configuration is not in the case
	unclear  bool            // an effect is unknown: leave the entry dirty
	left     bool
}

// claimCase takes the lock of a case in this process, claims it and reads what the ledger knows of it.
// Whoever has the work gives all of it back by leave.
func (r *round) claimCase(ctx context.Context, id string) (w *work, err error) {
	if err := r.e.locks.Lock(ctx, id, r.slot.leave); err != nil {
		return nil, err
	}
	defer func() {
		if w == nil {
			r.e.locks.Unlock(id)
		}
	}()
	cl, err := r.e.claims.Acquire(ctx, caseKey(id), r.slot.leave)
	if err != nil {
		return nil, err
	}
	mine := &work{round: r, id: id, claim: cl, began: time.Now(), listed: map[string]bool{}, sure: map[string]bool{}, spoilt: map[string]bool{}}
	if err := cl.Read(&mine.body); err != nil {
		return nil, errors.Join(err, cl.Release(ctx, nil, false))
	}
	w = mine
	w.body.belong(r.organisation)
	w.fresh = w.body.Procedures == nil
	w.body.prepare(w.fresh)
	return w, nil
}

// prepare makes an entry's sets usable.
func (b *caseBody) prepare(fresh bool) {
	if b.Procedures == nil {
		b.Procedures = map[string]procedureRef{}
	}
	if b.Comments == nil {
		b.Comments = map[string]commentRef{}
	}
	if fresh {
		b.High = high{Severity: -1, TLP: -1, PAP: -1}
	}
}

// leave gives the claim up, clean with what is known, or dirty.
func (w *work) leave(ctx context.Context) {
	if w.left {
		return
	}
	w.left = true
	defer w.e.locks.Unlock(w.id)
	var body any = w.body
	if w.fresh && !w.ready {
		body = nil // never looked at: the next holder must, too
	}
	if err := w.claim.Release(ctx, body, w.unclear); err != nil {
		kind := EventUnreleased
		if errors.Is(err, enrich.ErrLostClaim) {
			kind = EventLate
		}
		w.e.happened(kind, w.c.Number, w.claim.Name())
	}
}

// run adds what is missing. Its error concerns all plans; refusals are charged singly.
func (w *work) run(ctx context.Context) error {
	held, free := w.claim.Bind(ctx)
	defer free()
	w.want = merge(w.plans)
	for i, err := range w.want.broken {
		w.charge([]int{i}, "plan", w.plans[i].Title, err)
	}
	if w.degraded {
		w.want.tags = append(w.want.tags, wantedTag{tag: degradedTag})
	}
	if err := w.prepareCase(held); err != nil {
		return err
	}
	w.ready = true
	for _, step := range []func(context.Context) error{
		w.addObservables, w.addProcedures, w.raiseFields, w.addComments, w.addFiles,
	} {
		if err := step(held); err != nil {
			if err := w.stepFailed(w.everybody(), "case", err); err != nil {
				w.unclear = w.unclear || uncertain(err)
				return err
			}
		}
	}
	return nil
}

// everybody gives all plans of the case.
func (w *work) everybody() []int {
	all := make([]int, len(w.plans))
	for i := range all {
		all[i] = i
	}
	return all
}

// prepareCase makes the entry say what is in the case: nothing for a new one, what it says for a
// clean one, and what TheHive lists for all others.
func (w *work) prepareCase(held context.Context) error {
	if err := w.readMarks(held); err != nil {
		return err
	}
	switch {
	case w.created:
		w.claim.Settled()
		w.remember()
		return nil
	case w.claim.Owed() > 0:
		if err := w.slot.rest(held, w.claim.Owed()); err != nil {
			return err
		}
	case !w.fresh:
		return nil
	}
	if err := w.rebuild(held); err != nil {
		return err
	}
	w.claim.Settled()
	return nil
}

// remember notes what the creation itself brought about.
func (w *work) remember() {
	w.body.Tags = w.c.Tags
	w.body.High = high{Severity: w.c.Severity, TLP: w.c.TLP, PAP: w.c.PAP}
	for _, m := range firstMarkers(w.plans) {
		ref := commentRef{ID: inDescription}
		ref.absorb(w.plans, m)
		w.body.Comments[m.name()] = ref
	}
	for _, kind := range []string{kindObservable, kindProcedure, kindComment, kindFile} {
		w.listed[kind] = true
	}
}

// Kinds of items, in marks and refusals.
const (
	kindObservable = "observable"
	kindProcedure  = "procedure"
	kindComment    = "comment"
	kindTag        = "tag"
)

// charge charges an item to the plans that brought it, by what its error says.
func (w *work) charge(owners []int, step, item string, err error) {
	for _, o := range owners {
		w.out.charge([]int{w.charged[o]}, refusalOf(step, item, err), err)
	}
}

// stepFailed charges a failure of a step, other than of its items, to the plans that needed it, so
// that the other steps go on; it gives back what concerns everybody.
func (w *work) stepFailed(owners []int, step string, err error) error {
	if e, ok := errors.AsType[*hive.Error](err); scopeOf(err) == scopeAll || ok && e.Status == 0 {
		return err
	}
	w.unclear = w.unclear || errors.Is(err, enrich.ErrUnsettled)
	w.charge(owners, step, w.c.ID, err)
	return nil
}

// ownersOf gives all that brought some items.
func ownersOf[T any](items []T, of func(T) []int) []int {
	var all []int
	for _, it := range items {
		all = append(all, of(it)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// refusalOf says of an item why it is not in TheHive.
func refusalOf(step, item string, err error) enrich.Refusal {
	r := enrich.Refusal{Step: step, Item: enrich.Excerpt(item), Reason: enrich.Excerpt(err.Error())}
	if e, ok := errors.AsType[*hive.InvalidError](err); ok {
		r.Status, r.Type, r.Reason = http.StatusBadRequest, "InvalidError", e.Error()
	}
	if e, ok := errors.AsType[*hive.Error](err); ok {
		r.Status, r.Type = e.Status, e.Type
		if e.Type != "" {
			r.Reason = enrich.Excerpt(e.Message)
		}
	}
	return r
}

// stillThere decides what a 404 or a 403 below the case means: the case is gone (ErrVanished), the
// account may not do this here, though it may elsewhere (*DeniedError), or what err says (nil).
func (w *work) stillThere(calls context.Context, err error) error {
	denied := verdictOf(err) == hive.Denied
	if !isGone(err) && !denied {
		return nil
	}
	c, lookErr := w.hive.Case(calls, w.c.ID)
	switch {
	case isGone(lookErr):
		return enrich.ErrVanished
	case lookErr != nil:
		return lookErr
	case denied:
		return w.deniedHere(calls, c, err)
	}
	return nil
}

// rebuild makes the entry say what TheHive lists: the truth after a holder that left without
// saying what it did, or for a case that the ledger does not know.
func (w *work) rebuild(held context.Context) error {
	for _, list := range []func(context.Context) error{w.listObservables, w.listProcedures, w.listComments} {
		if err := list(held); err != nil {
			return err
		}
	}
	w.e.happened(EventRebuilt, w.c.Number, w.claim.Name())
	return nil
}
