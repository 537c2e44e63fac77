package apply

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/analyze"
	"forager/enrich/claim"
	"forager/enrich/detection"
	"forager/enrich/related"
	"forager/hive"

	"github.com/sourcegraph/conc/pool"
)

// A caseClaim is a case that this apply has claimed, with what the ledger knows of it.
type caseClaim struct {
	*turn

	id      string
	claim   *claim.Claim
	body    caseBody
	fresh   bool // the ledger had no entry of the case
	number  int  // of the case, once it was looked at
	ready   bool // the body says what is in the case
	unclear bool // an effect is unknown: leave the entry dirty
	keeps   bool // the plans are done only when the entry is written
	joined  bool // they are in a case that was closed before
	untold  bool // the entry could not be written
}

// withCase takes the lock of a case in this process, claims it, reads what the ledger knows of it, and does
// something with it. Whatever ends that, the claim and the lock are given back; dirty, if it was a panic.
func (t *turn) withCase(ctx, held context.Context, id string, do func(*caseClaim) error) (err error) {
	if err := t.a.locks.Lock(held, id, t.slot.Leave); err != nil {
		return err
	}
	defer t.a.locks.Unlock(id)
	cl, err := t.a.claims.Acquire(held, caseKey(id), nil, t.slot.Leave)
	if err != nil {
		return err
	}
	cc := &caseClaim{turn: t, id: id, claim: cl}
	if err := cl.Read(&cc.body); err != nil {
		return errors.Join(err, cl.Release(ctx, nil, false))
	}
	cc.body.belong(t.organisation)
	if cc.body.Alert {
		cc.turn = t.inAlert()
	}
	cc.fresh = cc.body.Procedures == nil
	cc.body.prepare(cc.fresh)
	sound := false
	defer func() {
		cc.unclear = cc.unclear || !sound
		if unwritten := cc.release(ctx); cc.keeps && err == nil {
			err = unwritten
		}
	}()
	err = do(cc)
	sound = true
	return err
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

// release gives the claim up, clean with what is known, or dirty. Its error is told of already.
func (cc *caseClaim) release(ctx context.Context) error {
	var body any = cc.body
	if cc.fresh && !cc.ready {
		body = nil // never looked at: the next holder must, too
	}
	err := cc.claim.Release(ctx, body, cc.unclear)
	if err != nil {
		cc.untold = true
		kind := EventUnreleased
		if errors.Is(err, enrich.ErrLostClaim) {
			kind = EventLate
		}
		cc.a.happened(kind, cc.number, cc.claim.Name())
	} else if cc.joined && cc.a.options.Joined != nil {
		cc.a.options.Joined(cc.id)
	}
	return err
}

// task is what is to be done with a case: whose plans, and how the case was come by.
type task struct {
	c        hive.Case
	plans    []enrich.Plan
	charged  []int     // indices of the plans among all of the apply
	sources  []caseRef // cases that this one may have come of by merging
	created  bool      // by this apply: nothing else can be in it yet
	reopen   bool
	degraded bool // something of the configuration is not in the case
	page     pageState
	alert    hive.Alert // that became the case, or part of it, or that plans are added to; zero: none
	before   int        // number of the key's case before this one; 0 is none
	promoted bool       // created as an alert
	brought  brought    // what the alert brought, or brings in a moment
}

// caseWork adds what plans ask for to one case, under its claim: it learns what is known or there, posts
// the difference, and leaves the entry saying what TheHive answered. Each step is a type with its own state.
type caseWork struct {
	*caseClaim
	task

	desired *desired
	marks   marks
	listed  map[string]bool // kinds that the body holds as TheHive lists them
}

func newCaseWork(cc *caseClaim, t task) *caseWork {
	return &caseWork{caseClaim: cc, task: t, desired: merge(t.plans), listed: map[string]bool{}}
}

// run learns what is there and adds what is missing. Its error concerns all plans; refusals are charged
// singly.
func (w *caseWork) run(ctx context.Context) error {
	held, free := w.claim.Bind(ctx)
	defer free()
	for i, err := range w.desired.broken {
		w.charge([]int{i}, "plan", w.plans[i].Title, err)
	}
	if w.degraded {
		w.desired.tags = append(w.desired.tags, desiredTag{tag: degradedTag})
	}
	if err := w.learn(held); err != nil {
		return err
	}
	w.ready = true
	w.noteRelated()
	if err := w.addByAlert(held); err != nil {
		return err
	}
	steps, ahead := w.steps()
	defer ahead(held)()
	for _, s := range steps {
		if err := w.settle(held, s.kind); err != nil {
			return err
		}
		if err := s.run(held); err != nil {
			if err := w.stepFailed(w.everybody(), "case", err); err != nil {
				w.unclear = w.unclear || hive.Uncertain(err)
				return err
			}
		}
	}
	if err := w.settle(held, claim.AnyKind); err != nil {
		return err
	}
	if most := w.a.options.SourceAlerts; most > 0 {
		before := w.body.AlertsOut
		w.keeps, w.joined = w.body.rememberAlerts(w.plans, most), w.c.Stage == stageClosed
		if w.body.AlertsOut > before {
			w.a.happened(EventOverLimit, w.c.Number, "source alerts")
		}
	}
	w.relate()
	w.wantAnalyses()
	return nil
}

// wantAnalyses notes what Cortex is to look at; it is asked when nobody waits for that.
func (w *caseWork) wantAnalyses() {
	if w.a.options.Cortex == nil || w.addsToAlert() {
		return
	}
	for _, p := range w.plans {
		if len(p.Analyze) == 0 {
			continue
		}
		if w.body.Jobs == nil {
			w.body.Jobs = &analyze.State{}
		}
		before := len(w.body.Jobs.Wanted)
		if n := w.body.Jobs.Want(p.Analyze, p.Observables, w.a.options.Limits.Analyses, time.Now()); n > 0 {
			w.a.happened(EventOverLimit, w.c.Number, "analyses")
		}
		w.keeps = w.keeps || len(w.body.Jobs.Wanted) > before // the entry alone says so: a plan is not done before
	}
	if w.body.Jobs.Waits() {
		w.a.analyses.Later(analyze.Case{ID: w.id, Organisation: w.organisation}, time.Now().Add(relateAfter))
	}
}

// noteRelated notes of a new case by which values others may have to do with it. A case that the ledger does not know may be new: whoever
// opened it died before it said so.
func (w *caseWork) noteRelated() {
	if w.a.options.Unrelated || w.addsToAlert() || w.body.Related != nil || !w.created && (!w.fresh || time.Since(w.c.CreatedAt.Time()) >= surelyListed) {
		return
	}
	var all []detection.Observable
	for _, p := range w.plans {
		all = append(all, p.Observables...)
	}
	w.body.Related = related.New(w.c.Number, time.Now(), all)
}

// relate lets others be looked for, when nobody waits for that: what this case has is in TheHive, so that of two cases that are new
// at a time the one that looks last finds the other.
func (w *caseWork) relate() {
	state := w.body.Related
	switch {
	case w.a.options.Unrelated || state == nil:
	case slices.ContainsFunc(w.charged, func(i int) bool { return w.out.unsettled[i] != nil }): // something of it is to come
	case state.Over(time.Now()) || w.a.due.WasAlone(w.id):
		state.Done()
	default:
		state.Ready = true
		w.a.due.Later(related.Case{ID: w.id, Organisation: w.organisation, State: *state}, time.Now().Add(relateAfter))
	}
}

// relateAfter is how long after a detection of a new case the others are looked for: by then search shows what they have.
const relateAfter = 10 * time.Second

// step adds what is missing of one kind.
type step struct {
	kind string // of effects; observables have none: TheHive refuses one that it has
	run  func(context.Context) error
}

// steps are the ways in which a case is added to, in their order, and what makes their first calls; see callAhead.
func (w *caseWork) steps() (steps []step, ahead func(held context.Context) func()) {
	fields := &fieldStep{caseWork: w, refused: map[string]bool{}}
	observables, procedures := newObservableStep(w), &procedureStep{caseWork: w}
	ahead = func(held context.Context) func() { return w.callAhead(held, observables, procedures) }
	return []step{
		{"", observables.run},
		{kindProcedure, procedures.run},
		{kindComment, (&commentStep{caseWork: w, fields: fields}).run},
		{kindFields, fields.run},
		{kindFile, (&fileStep{caseWork: w}).run},
		{kindPage, (&digestStep{caseWork: w}).run},
	}, ahead
}

// callAhead makes the first calls of steps side by side, as far as they do not depend on each other: of
// observables each batch, of techniques those of a case that holds none that we do not know. A step then takes
// its answer, and goes on as if it had called itself: all that is decided, or known, of a case is so one thing
// after the other. The function that it returns is called when the steps are over: where one ended before it took
// an answer, nobody noted what that did.
//
// Where TheHive cannot take two at a time (a lock of the case that it did not get, and rolled back), what it
// refused is sent again by its step, alone, and for a while so is all else of that case.
func (w *caseWork) callAhead(held context.Context, o *observableStep, p *procedureStep) (over func()) {
	over = func() { w.unclear = w.unclear || len(p.answers) > 0 }
	if until, _ := w.a.crowded.Get(w.id); w.a.options.PerCase < 2 || time.Now().Before(until) {
		return over
	}
	calls := append(o.first(held), p.first(held)...)
	together := pool.New().WithMaxGoroutines(w.a.options.PerCase)
	for _, call := range calls {
		together.Go(call)
	}
	together.Wait()
	observables, procedures := o.dropRolledBack(), p.dropRolledBack()
	if len(calls) > 1 && (observables || procedures) {
		w.a.crowded.Add(w.id, time.Now().Add(crowdedFor))
	}
	return over
}

// answer is what a call that was made ahead brought.
type answer[T any] struct {
	to  []string // names of what was sent
	got T
	err error
}

// answers are those that no step took yet.
type answers[T any] []*answer[T]

// ahead is a request that is made beside others; its answer waits for who makes the request.
func (a *answers[T]) ahead(to []string, request func() (T, error)) func() {
	made := &answer[T]{to: to}
	*a = append(*a, made)
	return func() { made.got, made.err = request() }
}

// do makes a request, or takes the answer to it where it was made ahead.
func (a *answers[T]) do(to []string, request func() (T, error)) (T, error) {
	i := slices.IndexFunc(*a, func(x *answer[T]) bool { return slices.Equal(x.to, to) })
	if i < 0 {
		return request()
	}
	made := (*a)[i]
	*a = slices.Delete(*a, i, i+1)
	return made.got, made.err
}

// dropRolledBack forgets answers that say that nothing was done, and tells whether there were any.
func (a *answers[T]) dropRolledBack() bool {
	before := len(*a)
	*a = slices.DeleteFunc(*a, func(x *answer[T]) bool { return rolledBack(x.err) })
	return len(*a) < before
}

// settle waits until what an earlier holder may have done of a kind shows, if it may have done any, and looks
// at what is there. Steps before it do not wait.
func (w *caseWork) settle(held context.Context, kind string) error {
	if kind == "" || w.claim.OwedFor(kind) == 0 {
		return nil
	}
	return w.lookAtAll(held)
}

// lookAtAll waits for what is owed, if anything is, and lists what is in the case.
func (w *caseWork) lookAtAll(held context.Context) error {
	if owed := w.claim.Owed(); owed > 0 {
		if err := w.wait(held, owed); err != nil {
			return err
		}
	}
	if err := w.rebuild(held); err != nil {
		return err
	}
	w.claim.Settled()
	return nil
}

// intend writes down that effects of a kind may be done, before the first one is: whoever takes the case over
// from us must look at those. It names the kinds of the later steps, too, since an apply that adds one thing
// mostly adds others: so it costs one write, if any.
func (cc *caseClaim) intend(held context.Context, kind string) error {
	kinds := [...]string{kindProcedure, kindComment, kindFields, kindFile} // in the order of steps
	return cc.claim.Intend(held, kinds[slices.Index(kinds[:], kind):]...)
}

// everybody gives all plans of the case.
func (w *caseWork) everybody() []int {
	all := make([]int, len(w.plans))
	for i := range all {
		all[i] = i
	}
	return all
}

// learn makes the entry say what is in the case: nothing for a new one, what TheHive lists for one that the
// ledger does not know, and what it says for all others; see settle.
func (w *caseWork) learn(held context.Context) error {
	if err := w.readMarks(held); err != nil {
		return err
	}
	switch {
	case w.created:
		w.claim.Settled()
		w.remember()
		return nil
	case w.fresh:
		return w.lookAtAll(held)
	default:
		return nil
	}
}

// remember notes what the creation itself brought about.
func (w *caseWork) remember() {
	w.body.Tags = w.c.Tags
	w.body.High = high{Severity: w.c.Severity, TLP: w.c.TLP, PAP: w.c.PAP}
	if w.page != pageNone {
		w.body.Digest = startedDigest(w.plans, w.page)
		w.a.pace.note(w.id)
	}
	for _, m := range firstMarkers(w.plans) {
		ref := commentRef{ID: inDescription}
		ref.absorb(w.plans, m)
		w.body.Comments[m.name()] = ref
	}
	for _, kind := range []string{kindObservable, kindProcedure, kindComment, kindFile} {
		w.listed[kind] = true
	}
	w.has(w.brought)
}

// Kinds of items, in marks and refusals.
const (
	kindObservable = "observable"
	kindProcedure  = "procedure"
	kindComment    = "comment"
	kindTag        = "tag"
)

// Kinds of effects that an entry names beside those: what TheHive would take twice, or what might undo a
// change by an analyst.
const (
	kindCase   = "case"
	kindFields = "fields"
	kindLink   = "link"
	kindJob    = "job"
)

// charge charges an item to the plans that brought it, by what its error says.
func (w *caseWork) charge(owners []int, step, item string, err error) {
	for _, o := range owners {
		w.out.charge([]int{w.charged[o]}, refusalOf(step, item, err), err)
	}
}

// stepFailed charges a failure of a step, other than of its items, to the plans that needed it, so
// that the other steps go on; it gives back what concerns everybody.
func (w *caseWork) stepFailed(owners []int, step string, err error) error {
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
func (w *caseWork) stillThere(calls context.Context, err error) error {
	denied := hive.VerdictOf(err) == hive.Denied
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
func (w *caseWork) rebuild(held context.Context) error {
	for _, list := range []func(context.Context) error{newObservableStep(w).list, (&procedureStep{caseWork: w}).list, (&commentStep{caseWork: w}).list} {
		if err := list(held); err != nil {
			return err
		}
	}
	if err := (&digestStep{caseWork: w}).adopt(held); err != nil && scopeOf(err) != scopeRefused {
		return err
	}
	if err := w.adoptAlerts(held); err != nil {
		return err
	}
	w.a.happened(EventRebuilt, w.c.Number, w.claim.Name())
	return nil
}

// look looks until the lost call has settled. While it lasts the entry counts as dirty.
func (w *caseWork) look(held context.Context, cause error, found func() (bool, error)) error {
	w.unclear = true
	err := w.lookUntilSettled(held, cause, found)
	if err == nil {
		w.unclear = false
	}
	return unseen(err)
}
