package apply

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/analyze"
	"forager/enrich/claim"
	"forager/enrich/related"
	"forager/hive"
	"forager/hive/connector"
)

// relateFor bounds how long one pass looks for cases that have to do with new ones.
const relateFor = 20 * time.Second

// relateAll looks for the open cases that have to do with new ones, and links them: one after the other, so that a storm of new cases
// keeps no more than one call of it busy. What fails is tried again by the next pass.
func (a *Applier) relateAll(ctx context.Context) error {
	return eachOf(ctx, a, a.due.Take, func(ctx context.Context, c related.Case) error {
		err := a.relateCase(ctx, c)
		if err != nil {
			a.due.Later(c, time.Now().Add(relateAfter))
		}
		return err
	})
}

// eachOf does something with each case whose time has come, for as long as a pass may take and TheHive takes it.
func eachOf[C any](ctx context.Context, a *Applier, take func(now time.Time) (C, bool), do func(context.Context, C) error) error {
	if a.resting() {
		return nil
	}
	var failed failures
	for began := time.Now(); time.Since(began) < relateFor && !failed.hopeless() && ctx.Err() == nil; {
		c, ok := take(time.Now())
		if !ok {
			break
		}
		err := do(ctx, c)
		failed.note(err)
		if a.rests(err) {
			break
		}
	}
	return failed.err()
}

// restFor is how long what nobody waits for rests after TheHive refused the worker: TheHive's own advice is to ban an address after five
// refused credentials in twenty minutes, and the gate's probes count, too.
const restFor = 20 * time.Minute

// rests tells whether TheHive refused the worker itself, and lets what nobody waits for rest then.
func (a *Applier) rests(err error) bool {
	if err == nil || enrich.ClassOf(err) != enrich.Blocked {
		return false
	}
	a.restsUntil.Store(time.Now().Add(restFor).UnixMilli())
	return true
}

func (a *Applier) resting() bool { return time.Now().UnixMilli() < a.restsUntil.Load() }

// relateCase looks for the cases that one has to do with; only where there are some, it is claimed.
func (a *Applier) relateCase(ctx context.Context, c related.Case) error {
	t := a.turnWithoutPlans(c.Organisation)
	defer t.slot.Leave()
	if err := t.takeSlot(ctx); err != nil {
		return err
	}
	found, err := t.hive.OpenCasesWith(ctx, c.State.Indicators...)
	if err != nil {
		return inOrganisation(c.Organisation, err)
	}
	chosen := related.Choose(c.ID, found)
	if len(chosen) == 0 {
		a.due.Alone(c.ID)
		return nil
	}
	unclear, err := t.alone(ctx, kindLink, c.ID, nil, func(cc *caseClaim, cl *claim.Claim) (bool, error) { return cc.link(ctx, cl, chosen) })
	if unclear {
		a.due.Later(c, time.Now().Add(a.options.Settle))
	}
	return err
}

// alone does something with a claimed case of which TheHive may take doubles, one worker of the organisation at a time: two new cases would
// link each other else. Whoever takes over from one that died, or that lost an answer, waits until that has settled; no case is held
// meanwhile. body is what the ledger keeps of the organisation's claim, for do to change; nil: nothing. unclear: an effect is unknown, or the
// ledger does not say it.
func (t *turn) alone(ctx context.Context, kind, caseID string, body any, do func(*caseClaim, *claim.Claim) (unclear bool, err error)) (unclear bool, err error) {
	t.slot.Leave()
	cl, err := t.a.claims.Acquire(ctx, kind+"."+enrich.ShortHash(t.organisation), []string{kind}, t.slot.Leave)
	if err != nil {
		return false, err
	}
	if owed := cl.Owed(); owed > 0 {
		if err := settled(ctx, cl, owed); err != nil {
			return false, errors.Join(err, cl.Release(ctx, nil, true))
		}
	}
	if body != nil {
		if err := cl.Read(body); err != nil {
			return false, errors.Join(err, cl.Release(ctx, nil, false))
		}
	}
	var held *caseClaim
	err = t.withCase(ctx, ctx, caseID, func(cc *caseClaim) (err error) {
		held = cc
		unclear, err = do(cc, cl)
		return err
	})
	unclear = unclear || held != nil && held.untold
	return unclear, errors.Join(err, cl.Release(ctx, body, unclear))
}

// settled waits until what an earlier holder may have done shows.
func settled(ctx context.Context, cl *claim.Claim, owed time.Duration) error {
	held, free := cl.Bind(ctx)
	defer free()
	if err := claim.Wait(held, owed); err != nil {
		return err
	}
	cl.Settled()
	return nil
}

// link links a claimed new case with others, once: an analyst's answer is the last. unclear: an effect is unknown.
func (cc *caseClaim) link(ctx context.Context, link *claim.Claim, chosen []hive.Case) (unclear bool, err error) {
	state := cc.body.Related
	if cc.fresh || state.Over(time.Now()) {
		return false, nil // whoever adds to the case next rebuilds it; or another worker was faster
	}
	held, free := cc.claim.Bind(ctx)
	defer free()
	held, done := link.Bind(held)
	defer done()
	if err := cc.takeSlot(held); err != nil {
		return false, err
	}
	calls, over := calling(held, cc.claim)
	defer over()
	there, err := cc.hive.CaseLinks(calls, cc.id)
	if err != nil {
		return false, err
	}
	for _, other := range related.Missing(chosen, there) {
		if was, err := cc.linkedBy(held, other.ID); was || err != nil {
			if err != nil {
				return false, err
			}
			continue
		}
		err := cc.hive.LinkCases(calls, cc.id, other.ID, related.Kind)
		switch {
		case err == nil:
			state.Linked = append(state.Linked, other.ID)
			cc.a.happened(EventRelated, state.Number, "#"+strconv.Itoa(other.Number))
		case noPath(err, "/link/case/add"):
			cc.tellRelated(related.Missing(chosen, there))
			state.Done()
			return false, nil
		case scopeOf(err) == scopeRefused, hive.VerdictOf(err) == hive.Denied:
			cc.a.happened(EventDegraded, state.Number, "link with #"+strconv.Itoa(other.Number)+": "+enrich.Excerpt(err.Error()))
		case hive.Uncertain(err):
			cc.a.happened(EventAmbiguous, state.Number, "link cases")
			return true, nil
		default:
			return false, err
		}
	}
	state.Done()
	return false, nil
}

// linkedBy tells whether another case was linked with this one, so that somebody took that away where it is not there.
func (cc *caseClaim) linkedBy(ctx context.Context, id string) (bool, error) {
	_, body, err := readCase(ctx, cc.a.options.Ledger, id)
	if err != nil {
		return false, err
	}
	return body.Related != nil && slices.Contains(body.Related.Linked, cc.id), nil
}

// noPath tells whether TheHive has no such path, as before the release that brought it (links of cases: 5.5).
func noPath(err error, path string) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Status == http.StatusNotFound && strings.HasSuffix(e.Message, path)
}

// tellRelated has the digest say which cases have to do with this one, where they cannot be linked.
func (cc *caseClaim) tellRelated(cases []hive.Case) {
	d := cc.body.Digest
	if d == nil {
		return
	}
	for _, c := range cases {
		d.Relate(c.Number)
	}
	d.Pending = true
	cc.a.pace.later(cc.id, cc.organisation)
}

// analyzeAll asks Cortex to look at what is wanted, one case after the other. What fails is tried again by the next pass.
func (a *Applier) analyzeAll(ctx context.Context) error {
	return a.eachAnalysed(ctx, a.analyses, a.analyzeCase)
}

// lookAll looks what analyzers said where that may change something, one case after the other.
func (a *Applier) lookAll(ctx context.Context) error {
	return a.eachAnalysed(ctx, a.results, a.lookAtResults)
}

// eachAnalysed does something with each case of a queue whose time has come; again: once more, after so long.
func (a *Applier) eachAnalysed(ctx context.Context, q *analyze.Queue, do func(context.Context, analyze.Case) (again time.Duration, err error)) error {
	if a.options.Cortex == nil {
		return nil
	}
	return eachOf(ctx, a, q.Take, func(ctx context.Context, c analyze.Case) error {
		again, err := do(ctx, c)
		if again > 0 || err != nil {
			q.Later(c, time.Now().Add(cmp.Or(again, time.Minute)))
		}
		return err
	})
}

// analyzeCase asks for the jobs of one case; again: some are still to be asked for.
func (a *Applier) analyzeCase(ctx context.Context, c analyze.Case) (again time.Duration, err error) {
	if a.asker.Full(c.Organisation) {
		return time.Minute, nil
	}
	t := a.turnWithoutPlans(c.Organisation)
	defer t.slot.Leave()
	var room analyze.Room
	unclear, err := t.alone(ctx, kindJob, c.ID, &room, func(cc *caseClaim, cl *claim.Claim) (unclear bool, err error) {
		if cc.fresh || !cc.body.Jobs.Waits() {
			return false, nil
		}
		unclear, err = cc.ask(ctx, cl, &room)
		if cc.body.Jobs.Waits() {
			again = cc.body.Jobs.Pause()
		}
		if cc.body.Jobs.Awaits() {
			a.results.Sooner(c, cc.body.Jobs.Look(time.Now()))
		}
		return unclear, err
	})
	if unclear {
		again = max(again, time.Minute)
	}
	return again, inOrganisation(c.Organisation, err)
}

// ask asks for the jobs of a claimed case, under the claim of the organisation.
func (cc *caseClaim) ask(ctx context.Context, cl *claim.Claim, room *analyze.Room) (unclear bool, err error) {
	held, free := cc.claim.Bind(ctx)
	defer free()
	held, done := cl.Bind(held)
	defer done()
	if err := cc.takeSlot(held); err != nil {
		return false, err
	}
	calls, over := calling(held, cc.claim)
	defer over()
	return cc.a.asker.Ask(calls, analyze.Claimed{
		Organisation: cc.organisation, Cortex: cc.a.options.Cortex(cc.organisation), State: cc.body.Jobs, Room: room, Holder: analysis{cc},
	})
}

// analysis is a claimed case of which jobs are asked for.
type analysis struct{ *caseClaim }

func (w analysis) Observables(ctx context.Context) (map[hive.ObservableName]hive.Observable, error) {
	return w.valuesOf(ctx, w.id)
}

func (w analysis) Keep(ctx context.Context) error { return w.claim.Keep(ctx, w.body) }

// Tell has the digest say what was not analysed.
func (w analysis) Tell(j analyze.Job, why string) {
	w.tellAnalysis(func(d *digestBody) { d.NotAnalysed(j.Analyzer, why) })
}

func (w analysis) Happened(what analyze.What, detail string) {
	switch what {
	case analyze.Asked:
		w.a.happened(EventAnalysed, 0, detail)
	case analyze.Refused:
		w.a.happened(EventDegraded, 0, "analysis: "+enrich.Excerpt(detail))
	case analyze.Unclear:
		w.a.happened(EventAmbiguous, 0, detail)
	case analyze.Deferred:
		w.a.happened(EventDeferred, 0, detail)
	}
}

// tellAnalysis has the digest say something of an analysis.
func (cc *caseClaim) tellAnalysis(say func(*digestBody)) {
	if d := cc.body.Digest; d != nil {
		say(d)
		d.Pending = true
		cc.a.pace.later(cc.id, cc.organisation)
	}
}

// valuesOf are the observables of a case, by type and value.
func (t *turn) valuesOf(calls context.Context, caseID string) (map[hive.ObservableName]hive.Observable, error) {
	there := map[hive.ObservableName]hive.Observable{}
	for o, err := range t.hive.CaseObservables(calls, caseID) {
		if err != nil {
			return nil, err
		}
		there[hive.ObservableName{DataType: o.DataType, Data: o.Data}] = o
	}
	return there, nil
}

// lookAtResults looks what analyzers said of a case, by one listing, and the jobs of which that says nothing; only where something is said
// the case is claimed.
func (a *Applier) lookAtResults(ctx context.Context, c analyze.Case) (again time.Duration, err error) {
	t := a.turnWithoutPlans(c.Organisation)
	defer t.slot.Leave()
	_, body, err := readCase(ctx, a.options.Ledger, c.ID)
	if err != nil || !body.Jobs.Awaits() {
		return 0, err
	}
	if err := t.takeSlot(ctx); err != nil {
		return 0, err
	}
	there, err := t.valuesOf(ctx, c.ID)
	if err != nil {
		return 0, inOrganisation(c.Organisation, err)
	}
	said, err := body.Jobs.Follow(ctx, a.options.Cortex(c.Organisation), there, time.Now())
	if err != nil {
		return 0, inOrganisation(c.Organisation, err)
	}
	if len(body.Jobs.Results(there, said, time.Now())) == 0 {
		a.results.Sooner(c, body.Jobs.Look(time.Now()))
		return 0, nil
	}
	t.slot.Leave()
	err = t.withCase(ctx, ctx, c.ID, func(cc *caseClaim) error {
		err := cc.useResults(ctx, there, said)
		switch {
		case cc.unclear:
			again = time.Minute
		case cc.body.Jobs.Awaits():
			a.results.Sooner(c, cc.body.Jobs.Look(time.Now()))
		}
		return err
	})
	return again, inOrganisation(c.Organisation, err)
}

// useResults lets what analyzers said of a claimed case have its effects, each once. What it writes carries a tag, in the same call: so
// whoever takes over from a worker that died, or that lost an answer, sees whether it arrived, whatever analysts changed since.
func (cc *caseClaim) useResults(ctx context.Context, there map[hive.ObservableName]hive.Observable, said map[string]connector.Job) error {
	if cc.fresh || !cc.body.Jobs.Awaits() {
		return nil // another worker was faster
	}
	results := cc.body.Jobs.Results(there, said, time.Now())
	if slices.ContainsFunc(results, func(r analyze.Result) bool { return r.Effect }) {
		return cc.actOn(ctx, said)
	}
	for _, r := range results {
		cc.over(r)
	}
	return nil
}

// over notes that a result did what it may do; of a job that failed, the digest says so.
func (cc *caseClaim) over(r analyze.Result) {
	if r.Failed != "" {
		cc.a.happened(EventUnanalysed, 0, r.Report+": "+enrich.Excerpt(r.Failed))
		cc.tellAnalysis(func(d *digestBody) { d.AnalysisFailed(r.Report, r.Failed) })
	}
	cc.body.Jobs.Used(r)
}

// actOn is useResults where something is to be written.
func (cc *caseClaim) actOn(ctx context.Context, said map[string]connector.Job) error {
	held, free := cc.claim.Bind(ctx)
	defer free()
	if err := cc.takeSlot(held); err != nil {
		return err
	}
	calls, done := calling(held, cc.claim)
	defer done()
	c, err := cc.hive.Case(calls, cc.id)
	switch {
	case isGone(err):
		cc.body.Jobs.Awaited = nil
		return nil
	case err != nil:
		return err
	}
	w := newCaseWork(cc, task{c: c})
	if err := w.settleAll(held); err != nil {
		return err
	}
	there, err := cc.valuesOf(calls, cc.id)
	if err != nil {
		return err
	}
	results := cc.body.Jobs.Results(there, said, time.Now())
	if goesOn, err := w.raiseFor(held, results); err != nil || !goesOn {
		return err
	}
	marked := map[string]bool{} // by the id of an observable, of which several analyzers may have said something
	for _, r := range results {
		if !marked[r.Observable.ID] {
			if goesOn, err := w.markFor(held, r); err != nil || !goesOn {
				return err
			}
		}
		marked[r.Observable.ID] = marked[r.Observable.ID] || r.Effect && r.Mark
		cc.over(r)
	}
	return nil
}

// News tells that something came that [Applier.UseNews] should do at once.
func (a *Applier) News() <-chan struct{} { return a.news }

// UseNews lets what analyzers said have its effects, of the cases of which a document of TheHive said that it is there. What fails is tried
// again by the next [Applier.FlushComments]. Errors: as there.
func (a *Applier) UseNews(ctx context.Context) error { return a.lookAll(ctx) }

// noteResult has the results of a case looked at soon.
func (a *Applier) noteResult(ctx context.Context, id string) (AuditEffect, error) {
	if a.options.Cortex == nil {
		return AuditNothing, nil
	}
	known, body, err := readCase(ctx, a.options.Ledger, id)
	if err != nil || known == nil || !body.Jobs.Awaits() {
		return AuditNothing, err
	}
	c := analyze.Case{ID: id}
	if body.Organisation != nil {
		c.Organisation = *body.Organisation
	}
	a.results.Sooner(c, time.Now())
	select {
	case a.news <- struct{}{}:
	default: // it is told already
	}
	return AuditResult, nil
}

// settleAll waits for what an earlier holder may have done of any kind, and looks at the case again.
func (w *caseWork) settleAll(held context.Context) error {
	if w.claim.Owed() == 0 {
		return nil
	}
	if err := w.readMarks(held); err != nil {
		return err
	}
	if err := w.lookAtAll(held); err != nil {
		return err
	}
	calls, done := calling(held, w.claim)
	defer done()
	c, err := w.hive.Case(calls, w.id)
	if err == nil {
		w.c = c
	}
	return err
}

// raiseFor raises the case's severity for bad results, as P5 allows. A closed case stays as it is: somebody judged it.
func (w *caseWork) raiseFor(held context.Context, results []analyze.Result) (goesOn bool, err error) {
	var u hive.CaseUpdate
	for _, r := range results {
		switch {
		case !r.Effect || r.Raise == 0 || w.c.Stage == stageClosed:
		case slices.Contains(w.c.Tags, r.Tag()): // it was raised before, or a moment ago
			w.body.High.Severity = max(w.body.High.Severity, r.Raise)
		case r.Raise > w.c.Severity && r.Raise > w.body.High.Severity && (u.Severity == nil || r.Raise > *u.Severity):
			u.Severity, u.AddTags = &r.Raise, []string{r.Tag()}
		}
	}
	if u.Severity == nil || *u.Severity <= w.body.High.Severity {
		return true, nil
	}
	return w.writeFor(held, "raise severity", func(calls context.Context) error {
		err := w.hive.UpdateCase(calls, w.id, u)
		if err == nil {
			w.body.High.Severity = *u.Severity
			w.body.Tags = append(w.body.Tags, u.AddTags...)
		}
		return err
	})
}

// markFor marks an observable as an indicator for a bad result.
func (w *caseWork) markFor(held context.Context, r analyze.Result) (goesOn bool, err error) {
	if !r.Effect || !r.Mark || r.Marked() || w.c.Stage == stageClosed {
		return true, nil
	}
	ioc := true
	return w.writeFor(held, "mark observable", func(calls context.Context) error {
		return w.hive.UpdateObservable(calls, r.Observable.ID, hive.ObservableUpdate{IOC: &ioc, AddTags: []string{r.MarkTag()}})
	})
}

// writeFor writes something for a result: what TheHive refuses is not tried again.
func (w *caseWork) writeFor(held context.Context, what string, write func(calls context.Context) error) (goesOn bool, _ error) {
	if err := w.intend(held, kindFields); err != nil {
		return false, err
	}
	calls, done := calling(held, w.claim)
	defer done()
	switch err := write(calls); {
	case err == nil:
		w.a.happened(EventResult, w.c.Number, what)
		return true, nil
	case hive.Uncertain(err):
		w.unclear = true
		w.a.happened(EventAmbiguous, w.c.Number, what)
		return false, nil
	case isGone(err), scopeOf(err) == scopeRefused, hive.VerdictOf(err) == hive.Denied:
		w.a.happened(EventDegraded, w.c.Number, what+": "+enrich.Excerpt(err.Error()))
		return true, nil
	default:
		return false, err
	}
}
