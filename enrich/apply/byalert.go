package apply

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/alert"
	"forager/hive"
)

// A route may want its detections to come into their case by alert. The detection that opens a case then posts one alert
// with its observables and techniques, and makes the case of it; what a known case lacks comes as an alert that is imported.
// TheHive takes each name of an alert once, and package alert names them by what every replica knows: so an answer that was
// lost, or a worker that died, owes nobody a wait. Comments, tags, files and pages come in the direct way.
//
// TheHive may copy what an alert holds after its answer: it counts as there from then on, as for settle no list is believed
// that lacks it.

// brought are items that an alert brings into a case.
type brought struct {
	observables []desiredObservable
	procedures  []desiredProcedure
}

func (b brought) empty() bool { return len(b.observables)+len(b.procedures) == 0 }

// wire is that as TheHive takes it.
func (b brought) wire(most int) (items alert.Items) {
	for _, batch := range batches(b.observables, most) {
		items.Observables = append(items.Observables, newObservable(batch))
	}
	items.Procedures = newProcedures(b.procedures)
	return items
}

// maxBrought bounds the observables, and the techniques, of one alert; what is above comes in the direct way.
const maxBrought = 500

// How often names that are used otherwise, or alerts that go away, are passed over.
const (
	maxNames    = 16
	maxVanished = 3
)

// alertYouth is how old an alert may be that a worker which went silent left behind. What is older was unlinked by an analyst.
const alertYouth = time.Hour

// barredFor is how long after a refusal the account's rights are not asked for again.
const barredFor = 10 * time.Minute

// byAlert tells whether the cases of a plan are opened and added to by alert: as its route wants, and where the account may.
func (t *turn) byAlert(ctx context.Context, p enrich.Plan) bool {
	return p.ByAlert && t.mayImport(ctx, p.Route)
}

// mayImport tells whether the account may create alerts and make cases of them. TheHive is asked once, and after a refusal
// now and then.
func (t *turn) mayImport(ctx context.Context, route string) bool {
	until, known := t.a.alerts.Load(t.organisation)
	if known && (until.(time.Time).IsZero() || time.Now().Before(until.(time.Time))) {
		return until.(time.Time).IsZero()
	}
	user, err := t.hive.CurrentUser(ctx)
	if err != nil {
		return true // it is told where it does
	}
	if user.May("manageAlert/create") && user.May("manageAlert/import") {
		t.a.alerts.Store(t.organisation, time.Time{})
		return true
	}
	t.barAlerts(route, "the account lacks manageAlert/create or manageAlert/import")
	return false
}

// barAlerts lets all go in the direct way for a while.
func (t *turn) barAlerts(route, why string) {
	t.a.alerts.Store(t.organisation, time.Now().Add(barredFor))
	t.a.happened(EventNoAlert, 0, "route "+route+": "+enrich.Excerpt(why))
}

// isFirst tells whether a case would be the key's first: the ledger knows of none, and no holder went silent. By alert
// nobody needs to search for one: the name of its alert would be taken.
func (r *resolution) isFirst(held context.Context) bool {
	p := r.all[r.rest[0]]
	return len(r.body.Cases)+len(r.lost.cases) == 0 && !r.key.TakenOver() && p.Find == nil && r.byAlert(held, p)
}

// itemsOf are what the alert brings that opens a case: as much as the case takes.
func (r *resolution) itemsOf(n *creation) (b brought) {
	if !n.byAlert {
		return b
	}
	all := merge(n.plans)
	b.observables, _ = all.fitObservables(all.observables, 0, r.a.options.Limits.Observables)
	b.procedures, _ = all.fitProcedures(all.procedures, 0, r.a.options.Limits.Procedures)
	b.observables = b.observables[:min(len(b.observables), maxBrought)]
	b.procedures = b.procedures[:min(len(b.procedures), maxBrought)]
	return b
}

// goesDirect lets a creation by alert go on after an error without what may be at fault: without what the alert brings, or,
// where the account may not, without an alert.
func (r *resolution) goesDirect(n *creation, err error) bool {
	switch {
	case hive.VerdictOf(err) == hive.Denied:
		r.barAlerts(n.plans[0].Route, err.Error())
		n.byAlert, n.alert, n.items = false, hive.Alert{}, brought{}
		return true
	case errors.Is(err, errNoName):
		r.a.happened(EventNoAlert, 0, "route "+n.plans[0].Route+": "+err.Error())
		n.byAlert, n.alert, n.items = false, hive.Alert{}, brought{}
		return true
	case scopeOf(err) == scopeRefused && n.alert.ID == "" && !n.items.empty():
		n.items = brought{}
		return true
	}
	return false
}

// errNoName says that every name of an alert is used by something else.
var errNoName = errors.New("the names of alerts for this case are taken")

// promote makes the case of an alert; false where somebody did before, or made the alert: his detections come again, and what
// his alert brings is looked at.
func (r *resolution) promote(calls context.Context, n *creation) (c hive.Case, mine bool, err error) {
	for vanished := 0; vanished < maxVanished && n.try < maxNames; {
		a, name, err := r.alertFor(calls, n)
		switch {
		case err != nil:
			return c, false, err
		case a.ID == "": // somebody deleted it
			vanished++
			continue
		case a.CaseID != "":
			c, err = r.hive.Case(calls, a.CaseID)
			if isGone(err) || err == nil && r.knows(c.ID) {
				n.try, n.alert = n.try+1, hive.Alert{}
				continue
			}
			return c, false, err
		case a.ID != n.alert.ID && !young(a):
			n.try++
			continue
		}
		c, err = r.hive.PromoteAlert(calls, a.ID, alert.Rest(n.sent))
		switch {
		case err == nil:
			return c, a.ID == n.alert.ID, nil
		case isGone(err):
			n.alert = hive.Alert{}
			vanished++
			continue
		case scopeOf(err) != scopeRefused:
			return c, false, err
		}
		now, found, lookErr := r.alertOf(calls, name)
		if lookErr != nil || !found || now.CaseID == "" {
			return c, false, errors.Join(lookErr, err)
		}
		n.alert = now // somebody made it part of a case meanwhile
	}
	return c, false, errNoName
}

// young tells whether an alert that is part of no case may be one that was about to become one.
func young(a hive.Alert) bool {
	age := time.Since(a.CreatedAt.Time())
	return a.Stage != stageClosed && age.Abs() < alertYouth
}

// alertFor creates the alert, or finds what has its name; none where it was deleted in between.
func (r *resolution) alertFor(calls context.Context, n *creation) (hive.Alert, alert.Name, error) {
	name := alert.Opening(n.plans[0].Hash, r.highest(), n.try)
	if n.alert.ID != "" {
		return n.alert, name, nil
	}
	a, err := r.hive.CreateAlert(calls, alert.New(name, n.sent, n.items.wire(r.a.options.Batch)))
	if err == nil {
		n.alert = a
	}
	if saysExists(err) {
		a, _, err = r.alertOf(calls, name)
	}
	return a, name, err
}

// highest is the highest number of the key's cases.
func (r *resolution) highest() int { return r.before(math.MaxInt) }

// before is the highest number of the key's cases below a number; 0 is none.
func (r *resolution) before(number int) (before int) {
	for _, c := range r.body.Cases {
		if c.Number < number {
			before = max(before, c.Number)
		}
	}
	for _, c := range r.lost.cases {
		if c.Number < number {
			before = max(before, c.Number)
		}
	}
	return before
}

// broughtID begins what stands for TheHive's id of a procedure that came with an alert, until it is listed.
const broughtID = "alert "

// named tells whether one of some procedures is the same as another.
func named(all map[string]procedureRef, ref procedureRef) bool {
	for _, r := range all {
		if r == ref {
			return true
		}
	}
	return false
}

// has notes that an alert brought items.
func (w *caseWork) has(b brought) {
	for _, o := range b.observables {
		w.hasObservable(o.hash)
	}
	for _, p := range b.procedures {
		w.hasProcedure(p.ID, p.Tactic)
	}
}

func (w *caseWork) hasObservable(hash string) {
	if !slices.Contains(w.body.Observables, hash) {
		w.body.Observables = append(w.body.Observables, hash)
	}
	w.posted(kindObservable)
}

func (w *caseWork) hasProcedure(id, tactic string) {
	if ref := (procedureRef{id, tactic}); !named(w.body.Procedures, ref) {
		w.body.Procedures[broughtID+procedureName(id, tactic)] = ref
	}
	w.posted(kindProcedure)
}

// addByAlert imports what a known case lacks as an alert, where it brings techniques or spares calls. What TheHive does not take so
// comes in the direct way.
func (w *caseWork) addByAlert(held context.Context) error {
	i := slices.IndexFunc(w.plans, func(p enrich.Plan) bool { return p.ByAlert })
	if i < 0 || w.created || w.addsToAlert() || !w.byAlert(held, w.plans[i]) {
		return nil
	}
	w.body.Loose = w.body.Loose || w.fresh || w.claim.TakenOver()
	if err := w.tieUp(held, w.plans[i]); err != nil {
		return err
	}
	for range maxNames {
		b, err := w.lacking(held)
		if err != nil || b.empty() {
			return err
		}
		w.body.Loose = true
		again, err := w.importAll(held, b, w.plans[i])
		if err != nil {
			return err
		}
		if w.body.Loose = false; !again {
			return nil
		}
	}
	return nil
}

// tieUp imports the alert that a holder left behind which went silent, or met an error, between its two calls. Others may lie before
// it, imported and not written down.
func (w *caseWork) tieUp(held context.Context, p enrich.Plan) error {
	if !w.body.Loose {
		return nil
	}
	calls, done := calling(held, w.claim)
	defer done()
	for range maxNames {
		before := w.body.Alerts
		name := alert.Addition(w.c.ID, before)
		a, found, err := w.alertOf(calls, name)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		if err := w.tie(calls, a, name, p); err != nil {
			return err
		}
		if w.body.Alerts == before {
			break
		}
	}
	w.body.Loose = false
	return nil
}

// callsByAlert is how many calls an import takes. Observables alone, which TheHive refuses twice, come in the direct way where that
// takes no more: there they go side by side.
const callsByAlert = 2

// lacking are the items that the case lacks; none where they had better come in the direct way.
func (w *caseWork) lacking(held context.Context) (b brought, err error) {
	procedures := &procedureStep{caseWork: w}
	if b.procedures = procedures.missingProcedures(); len(b.procedures) > 0 {
		if err := w.settle(held, kindProcedure); err != nil {
			return brought{}, err
		}
		if !w.listed[kindProcedure] {
			if err := procedures.list(held); err != nil {
				return brought{}, w.stepFailed(ownersOf(b.procedures, desiredProcedure.by), kindProcedure, err)
			}
		}
		b.procedures = procedures.limited(procedures.missingProcedures())
	}
	b.observables = newObservableStep(w).missingObservables()
	b.observables = b.observables[:min(len(b.observables), maxBrought)]
	b.procedures = b.procedures[:min(len(b.procedures), maxBrought)]
	if len(b.procedures) == 0 && len(batches(b.observables, w.a.options.Batch)) <= callsByAlert {
		return brought{}, nil
	}
	return b, nil
}

// importAll creates an alert of items and imports it; again where something else had its name.
func (w *caseWork) importAll(held context.Context, b brought, p enrich.Plan) (again bool, err error) {
	calls, done := calling(held, w.claim)
	defer done()
	for lost := 0; ; lost++ {
		again, err = w.importOnce(calls, b, p)
		if !hive.Uncertain(err) || lost == maxCreates {
			return again, err
		}
		w.a.happened(EventAmbiguous, w.c.Number, "import alert")
		if err := w.wait(held, lookPause(lost, w.a.options.Settle)); err != nil {
			return false, err
		}
	}
}

// importOnce does so once. Its error leaves open what was done, or concerns everybody; with none, and not again, the rest
// comes in the direct way.
func (w *caseWork) importOnce(calls context.Context, b brought, p enrich.Plan) (again bool, err error) {
	name := alert.Addition(w.c.ID, w.body.Alerts)
	a, err := w.hive.CreateAlert(calls, w.addition(name, b))
	made := err == nil
	if saysExists(err) {
		a, _, err = w.alertOf(calls, name)
	}
	switch {
	case err != nil:
		return false, w.notByAlert(p, err)
	case a.ID == "": // deleted in between: its name is free
		return true, nil
	case !made:
		err = w.tie(calls, a, name, p)
		return err == nil, err
	}
	tied, err := w.join(calls, a, name)
	if err != nil || !tied {
		return false, w.notByAlert(p, err)
	}
	w.has(b)
	return len(b.observables) == maxBrought || len(b.procedures) == maxBrought, nil
}

// tie imports an alert of somebody else, unless it is part of a case, and notes what it brings. One that cannot be imported
// stays what it is.
func (w *caseWork) tie(calls context.Context, a hive.Alert, name alert.Name, p enrich.Plan) error {
	tied := a.CaseID != ""
	if tied {
		w.body.Alerts++
	} else {
		var err error
		if tied, err = w.join(calls, a, name); err != nil {
			return w.notByAlert(p, err)
		}
	}
	if tied {
		w.adopt(a)
	}
	return nil
}

// join imports an alert; false where it stays what it is, and its name is used.
func (w *caseWork) join(calls context.Context, a hive.Alert, name alert.Name) (tied bool, err error) {
	_, err = w.hive.ImportAlert(calls, a.ID, w.c.ID)
	switch {
	case err == nil:
		w.body.Alerts++
		w.a.happened(EventImported, w.c.Number, name.Ref)
		return true, nil
	case isGone(err): // the case, or the alert, whose name is free then
		return false, w.stillThere(calls, err)
	case scopeOf(err) != scopeRefused && hive.VerdictOf(err) != hive.Denied:
		return false, err
	}
	now, found, lookErr := w.alertOf(calls, name)
	if lookErr != nil {
		return false, lookErr
	}
	w.body.Alerts++
	if found && now.CaseID != "" { // somebody made it part of a case
		return true, nil
	}
	return false, err
}

// addition is the alert that brings items into the case.
func (w *caseWork) addition(name alert.Name, b brought) hive.NewAlert {
	first, all := w.plans[0], w.desired
	return alert.New(name, hive.NewCase{
		Title: first.Title, Description: description(w.plans), Severity: &all.severity, TLP: &all.tlp, PAP: &all.pap,
		StartDate: hive.MillisOf(first.At), Tags: []string{first.Tag()},
	}, b.wire(w.a.options.Batch))
}

// notByAlert lets the direct way do what TheHive refuses by alert; another error stays.
func (w *caseWork) notByAlert(p enrich.Plan, err error) error {
	switch {
	case hive.VerdictOf(err) == hive.Denied:
		w.barAlerts(p.Route, err.Error())
		return nil
	case scopeOf(err) == scopeRefused:
		return nil
	default:
		return err
	}
}

// adopt notes what an alert of somebody else brings.
func (w *caseWork) adopt(a hive.Alert) {
	for _, t := range alert.Brought(a.Description) {
		w.hasProcedure(t[0], t[1])
	}
}

// adoptAlerts notes, of a case that was listed, what its alerts bring that TheHive may not have copied, or not list yet, and which
// of their names are used. It asks by names: a list may lag.
func (w *caseWork) adoptAlerts(held context.Context) error {
	w.adopt(w.alert)
	if w.addsToAlert() || !slices.ContainsFunc(w.plans, func(p enrich.Plan) bool { return p.ByAlert }) {
		return nil
	}
	calls, done := calling(held, w.claim)
	defer done()
	used := map[string]bool{}
	for a, err := range w.hive.CaseAlerts(calls, w.c.ID) {
		if err != nil {
			return err
		}
		used[a.SourceRef] = true
		if a.Type == alert.Type {
			w.adopt(a)
		}
	}
	for used[alert.Addition(w.c.ID, w.body.Alerts).Ref] {
		w.body.Alerts++
	}
	for try := range maxNames {
		a, found, err := w.alertOf(calls, alert.Opening(w.plans[0].Hash, w.before, try))
		if err != nil {
			return err
		}
		if !found {
			break
		}
		if a.CaseID == w.c.ID {
			w.adopt(a)
			break
		}
	}
	return w.adoptAdditions(calls)
}

// adoptAdditions does so of the alerts that were imported.
func (w *caseWork) adoptAdditions(calls context.Context) error {
	for {
		a, found, err := w.alertOf(calls, alert.Addition(w.c.ID, w.body.Alerts))
		if err != nil || !found || a.CaseID == "" { // the last is tied up
			return err
		}
		w.adopt(a)
		w.body.Alerts++
	}
}

// alertOf finds the alert of a name.
func (t *turn) alertOf(calls context.Context, n alert.Name) (hive.Alert, bool, error) {
	return t.hive.AlertOf(calls, n.Type, n.Source, n.Ref)
}
