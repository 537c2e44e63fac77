package apply

import (
	"context"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/digest"
	"forager/hive"
)

// What a key's cases are is asked of TheHive in as many calls as it takes to know those whose spans
// can hold an event, however many there are.

const (
	maxFound = 32 // cases that the first look brings; a key with fewer is known by it
	maxNear  = 16 // cases before, after and open at an event that further looks bring
)

// shown is how long the search may take to show a case, by the clock of another worker.
func (a *Applier) shown() time.Duration { return 2 * a.options.Settle }

// search adds to the references the key's cases as TheHive shows them: all, where they are few;
// else those about the first plan's event, the nearest first, and the open ones before it.
func (r *resolution) search(held context.Context) error {
	calls, done := calling(held, r.key)
	defer done()
	r.searched = true
	if !r.many {
		found, err := r.find(calls, r.byTag(), newestStart, maxFound)
		if err != nil || len(found) < maxFound {
			return err
		}
		r.many = true
	}
	return r.searchNear(calls)
}

// searchNear looks for the cases whose spans may hold the first plan's event. A case that began
// before it and ended after, or is open, may hold it; of those the nearest decide: each was opened
// by an event that the older ones did not hold.
func (r *resolution) searchNear(calls context.Context) error {
	first := r.all[r.rest[0]]
	after := hive.Gt("startDate", first.At)
	if first.Window != 0 {
		after = hive.And(after, hive.Lte("startDate", first.At.Add(first.Window)))
	}
	found, err := r.find(calls, hive.And(r.byTag(), after), oldestStart, maxNear)
	switch {
	case err != nil:
		return err
	case len(found) == maxNear:
		r.horizon = int64(found[len(found)-1].StartDate)
	case first.Window != 0:
		r.horizon = first.At.Add(first.Window).UnixMilli()
	}
	before := hive.And(r.byTag(), hive.Lte("startDate", first.At))
	found, err = r.find(calls, before, newestStart, maxNear)
	if err != nil || len(found) < maxNear {
		return err
	}
	_, err = r.find(calls, hive.And(before, hive.Not(hive.Lt("endDate", first.At))), newestStart, maxNear)
	return err
}

// searchLatest looks, besides, for the cases made last: a holder that went silent may have opened
// them.
func (r *resolution) searchLatest(held context.Context) error {
	if err := r.search(held); err != nil || !r.many {
		return err
	}
	calls, done := calling(held, r.key)
	defer done()
	_, err := r.find(calls, r.byTag(), newestMade, maxNear)
	return err
}

// searchMerged looks, besides, for what the lost cases may have been merged into: a case made
// later that begins no later.
func (r *resolution) searchMerged(held context.Context) error {
	if err := r.search(held); err != nil || !r.many || len(r.lost.cases) == 0 {
		return err
	}
	lowest, latest := r.lost.cases[0].Number, r.lost.cases[0].Start
	for _, v := range r.lost.cases {
		lowest, latest = min(lowest, v.Number), max(latest, v.Start)
	}
	calls, done := calling(held, r.key)
	defer done()
	merged := hive.And(r.byTag(), hive.Gt("number", lowest), hive.Lte("startDate", time.UnixMilli(latest)))
	_, err := r.find(calls, merged, newestMade, maxNear)
	return err
}

// Orders of a look.
var (
	newestStart = []hive.Sort{{Field: "startDate", Desc: true}, {Field: "number"}}
	oldestStart = []hive.Sort{{Field: "startDate"}, {Field: "number"}}
	newestMade  = []hive.Sort{{Field: "_createdAt", Desc: true}, {Field: "number", Desc: true}}
)

// find adds to the references what one look brings, and gives it.
func (r *resolution) find(calls context.Context, f hive.Filter, order []hive.Sort, most int) (found []hive.Case, err error) {
	for c, err := range r.hive.FindCases(calls, hive.Query{Filter: f, Sort: order, Limit: most, PageSize: most}) {
		if err != nil {
			return nil, err
		}
		found = append(found, c)
		if r.lost.has(c.ID) {
			continue // the index still shows what GET no longer does
		}
		r.refer(c, true)
	}
	return found, nil
}

// byTag asks for all cases with the key's tag, or of the route's own filter, in any stage.
func (r *resolution) byTag() hive.Filter {
	p := r.all[r.rest[0]]
	f := hive.Eq("tags", p.Tag())
	if p.Find != nil {
		f = hive.Or(f, *p.Find)
	}
	return f
}

// refer brings the reference of a case up to what TheHive says. What was found says less than what
// was asked for by its id: an index lags.
func (r *resolution) refer(c hive.Case, found bool) {
	fresh := caseRef{ID: c.ID, Number: c.Number, Start: int64(c.StartDate), Last: int64(c.StartDate), guess: found, looked: !found}
	if c.Stage == stageClosed {
		fresh.End = int64(c.EndDate)
	}
	i := slices.IndexFunc(r.body.Cases, func(x caseRef) bool { return x.ID == c.ID })
	if i < 0 {
		r.body.Cases = append(r.body.Cases, fresh)
		r.mayComeOf(fresh, c.Description)
		return
	}
	known := r.body.Cases[i]
	if found && (known.looked || known.Lost || known.Gone) {
		return
	}
	fresh.Last, fresh.guess, fresh.Opened = known.Last, known.guess, known.Opened
	r.body.Cases[i] = fresh
}

// stageClosed is TheHive's stage of closed cases, whatever their status is called.
const stageClosed = "Closed"

// newest looks up the newest event of a case that the entry of the key does not know: what the
// ledger remembers of it and of the cases that it came of by merging, and the newest "last seen" of
// Forager's own comments; without any of that its newest procedure, else its start.
func (r *resolution) newest(held context.Context, ref caseRef) error {
	calls, done := calling(held, r.key)
	defer done()
	last, sure, err := r.remembered(held, calls, ref)
	if err != nil {
		return r.unlessGone(err, ref)
	}
	if sure {
		r.dated(ref.ID, last)
		return nil
	}
	for c, err := range r.hive.CaseComments(calls, ref.ID) {
		if err != nil {
			return r.unlessGone(err, ref)
		}
		if len(markersIn(c.Message)) > 0 {
			last = max(last, lastSeenIn(c.Message))
		}
		if d, intact := digest.Parse(c.Message); intact {
			last = max(last, d.Last)
		}
	}
	for p, err := range r.hive.CasePages(calls, ref.ID) {
		if err != nil {
			return r.unlessGone(err, ref)
		}
		if d, intact := digest.Parse(p.Content); intact {
			last = max(last, d.Last)
		}
	}
	if last == 0 {
		for p, err := range r.hive.CaseProcedures(calls, ref.ID) {
			if err != nil {
				return r.unlessGone(err, ref)
			}
			last = max(last, int64(p.OccurDate))
		}
	}
	r.dated(ref.ID, last)
	return nil
}

// dated notes the newest event of a case.
func (r *resolution) dated(id string, last int64) {
	for i := range r.body.Cases {
		if c := &r.body.Cases[i]; c.ID == id {
			c.Last, c.guess = max(c.Start, c.Last, last), false
		}
	}
}

// remembered is the newest event that the ledger knows of a case; 0 when it knows none. Other keys
// may have written the case's own entry, and of what was merged into it the entries stay. It is
// sure where a holder left the entry clean: then TheHive's comments say no more.
func (r *resolution) remembered(held, calls context.Context, ref caseRef) (last int64, sure bool, err error) {
	known, body, err := readCase(held, r.a.options.Ledger, ref.ID)
	if err != nil {
		return 0, false, err
	}
	last = body.last()
	sure = known != nil && !known.Dirty() && last > 0 && len(r.lost.sources[ref.ID]) == 0
	for _, source := range r.lost.sources[ref.ID] {
		_, old, err := readCase(held, r.a.options.Ledger, source.ID)
		if err != nil {
			return 0, false, err
		}
		came := r.lost.mergedInto(source.ID, ref.ID)
		if !came {
			c, err := r.hive.Case(calls, ref.ID)
			if err != nil {
				return 0, false, err
			}
			came = cameOf(c.Description, old)
		}
		if came {
			last = max(last, source.Last, old.last())
		}
	}
	return last, sure, nil
}

// last is the newest event that the entry of a case counted; 0 when there is none.
func (b caseBody) last() (last int64) {
	for _, c := range b.Comments {
		last = max(last, c.Last)
	}
	return last
}

// dateMerged looks up the newest events of what lost cases were merged into, while it is known
// which these were.
func (r *resolution) dateMerged(held context.Context) error {
	for _, ref := range slices.Clone(r.body.Cases) {
		if ref.guess && len(r.lost.sources[ref.ID]) > 0 {
			if err := r.newest(held, ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// A case that is listed, but that TheHive does not show, was merged into another, which carries its
// tag; or deleted, as an audit document says; or is out of this account's sight, and may be seen
// again. The first is followed. The second stays listed as deleted: detections in its span are dropped.
// After the third a new case is opened that says which one it follows.

// lostCases are the listed cases that TheHive does not show, as far as they are accounted for.
type lostCases struct {
	cases   []lostCase
	sources map[string][]caseRef // of a case found anew: the listed ones that it may have come of by merging
}

// lostCase is one, with what the ledger knows of it.
type lostCase struct {
	caseRef

	entry      caseBody
	mergedInto string        // id of the case that it was merged into, as audit documents said; empty: none did
	confirmed  bool          // an audit document said that it was deleted
	owed       time.Duration // how long it must stay away to count as gone
}

// has tells whether a case is among the lost.
func (l *lostCases) has(id string) bool {
	return slices.ContainsFunc(l.cases, func(v lostCase) bool { return v.ID == id })
}

// merged notes that a case came of a lost one by merging, or may have.
func (l *lostCases) merged(into string, v caseRef) {
	if l.sources == nil {
		l.sources = map[string][]caseRef{}
	}
	if !slices.ContainsFunc(l.sources[into], func(x caseRef) bool { return x.ID == v.ID }) {
		l.sources[into] = append(l.sources[into], v)
	}
}

// found tells whether something is known to have come of a lost case.
func (l *lostCases) found(v lostCase) bool {
	for _, sources := range l.sources {
		if slices.ContainsFunc(sources, func(x caseRef) bool { return x.ID == v.ID }) {
			return true
		}
	}
	return false
}

// open are the lost cases that nothing is known to have come of.
func (l *lostCases) open() []lostCase {
	return slices.DeleteFunc(slices.Clone(l.cases), l.found)
}

// mergedInto tells whether an audit document said that a lost case was merged into another.
func (l *lostCases) mergedInto(source, into string) bool {
	return slices.ContainsFunc(l.cases, func(v lostCase) bool { return v.ID == source && v.mergedInto == into })
}

// findLost finds out what became of a listed case that is not there. Where audit documents said it, they
// spare the search, or the wait.
func (r *resolution) findLost(held context.Context, ref caseRef) error {
	if err := r.accountFor(held, ref); err != nil {
		return err
	}
	return r.dateMerged(held)
}

// accountFor looks for what became of the listed cases that are not there, until each is accounted for.
func (r *resolution) accountFor(held context.Context, ref caseRef) error {
	if err := r.gather(held, ref); err != nil {
		return err
	}
	if err := r.readAudits(held); err != nil || len(r.lost.open()) == 0 {
		return err
	}
	if err := r.searchMerged(held); err != nil {
		return err
	}
	wait := time.Duration(0)
	for _, v := range r.lost.open() {
		wait = max(wait, v.owed)
	}
	if wait > 0 {
		// Only what stays away for as long as a lost call may take is gone.
		if err := r.wait(held, wait); err != nil {
			return err
		}
		if err := r.searchMerged(held); err != nil {
			return err
		}
	}
	return r.giveUp(held)
}

// gather takes the newest listed cases that answer 404 off the list: they may have been merged
// together.
func (r *resolution) gather(held context.Context, ref caseRef) error {
	calls, done := calling(held, r.key)
	defer done()
	looks := 0
	for _, c := range slices.Clone(r.body.Cases) {
		if c.Gone || c.Lost || c.ID != ref.ID && looks == maxRefs {
			continue
		}
		if c.ID != ref.ID {
			looks++
			found, err := r.hive.Case(calls, c.ID)
			if err == nil {
				r.refer(found, false)
				continue
			}
			if !isGone(err) {
				return err
			}
		}
		_, entry, err := readCase(held, r.a.options.Ledger, c.ID)
		if err != nil {
			return err
		}
		r.drop(c.ID)
		r.lost.cases = append(r.lost.cases, lostCase{caseRef: c, entry: entry})
	}
	return nil
}

// readAudits asks the marks of the lost cases what audit documents said of them, follows those that
// were merged, and notes how long the others must stay away to count as gone.
func (r *resolution) readAudits(held context.Context) error {
	for i := range r.lost.cases {
		v := &r.lost.cases[i]
		m, _, err := loadMarks(held, r.a.options.Ledger, v.ID)
		if err != nil {
			return err
		}
		v.confirmed, v.owed = m.Gone != 0, m.owed(time.Now(), r.a.options.Settle)
		if m.Moved == "" {
			continue
		}
		if v.mergedInto, err = r.followMerges(held, v.caseRef, m.Moved); err != nil {
			return err
		}
	}
	return nil
}

// owed is how long a case must stay away to count as gone: settle, less what has passed since a
// document said that it was deleted. A merge deletes its sources too, and the search may show
// late what they became. The two clocks may belong to two workers; what they differ by shortens
// or prolongs this wait, never beyond settle.
func (m marksBody) owed(now time.Time, settle time.Duration) time.Duration {
	if m.Gone == 0 {
		return settle
	}
	return min(max(settle-now.Sub(time.UnixMilli(m.Gone)), 0), settle)
}

// followMerges refers to the case that a lost one was merged into, perhaps by several merges, and gives
// its id; empty where the search knows better.
func (r *resolution) followMerges(held context.Context, v caseRef, id string) (string, error) {
	calls, done := calling(held, r.key)
	defer done()
	for range maxMerges {
		c, err := r.hive.Case(calls, id)
		if err == nil {
			r.refer(c, true)
			r.lost.merged(c.ID, v)
			return c.ID, nil
		}
		if !isGone(err) {
			return "", err
		}
		m, _, err := loadMarks(held, r.a.options.Ledger, id)
		if err != nil || m.Moved == "" || m.Moved == v.ID {
			return "", err
		}
		id = m.Moved
	}
	return "", nil
}

// maxMerges bounds how many merges in a row are followed without a search.
const maxMerges = 8

// mayComeOf notes that a case found anew may be what lost ones were merged into. Merging makes a
// new case of the earliest start, so that its number is higher and its start no later; others are
// cases that the entry of the key had no room for. What a document said was deleted needs more: the
// description of what it became holds its marker.
func (r *resolution) mayComeOf(found caseRef, description string) {
	for _, v := range r.lost.cases {
		if v.Number > found.Number || v.Start < found.Start {
			continue
		}
		if v.confirmed && !cameOf(description, v.entry) {
			continue
		}
		r.lost.merged(found.ID, v.caseRef)
	}
}

// giveUp lists the cases that stayed away: as deleted, where a document says so, else as out of sight.
func (r *resolution) giveUp(held context.Context) error {
	calls, done := calling(held, r.key)
	defer done()
	for _, v := range r.lost.open() {
		c, err := r.hive.Case(calls, v.ID)
		ref := v.caseRef
		switch {
		case err == nil:
			r.body.Cases = append(r.body.Cases, ref)
			r.refer(c, false)
			continue
		case !isGone(err):
			return err
		case v.confirmed:
			ref.Gone, ref.Confirmed = true, true
		default:
			ref.Lost, ref.absent = true, true
			r.a.happened(EventUnseen, ref.Number, r.key.Name())
		}
		ref.looked = true
		r.body.Cases = append(r.body.Cases, ref)
	}
	r.lost.cases = slices.DeleteFunc(r.lost.cases, func(v lostCase) bool { return !r.lost.found(v) })
	return nil
}

// lookAgain asks for a case that was deleted or out of sight when it was last looked at: what
// answers takes detections again, and what a document has called deleted since does not.
func (r *resolution) lookAgain(held context.Context, ref caseRef) error {
	calls, done := calling(held, r.key)
	defer done()
	c, err := r.hive.Case(calls, ref.ID)
	if err == nil {
		r.refer(c, false)
		return nil
	}
	if !isGone(err) {
		return err
	}
	m, _, err := loadMarks(held, r.a.options.Ledger, ref.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.body.Cases, func(x caseRef) bool { return x.ID == ref.ID })
	known := &r.body.Cases[i]
	known.looked = true
	known.Confirmed = known.Confirmed || m.Gone != 0 && m.Moved == ""
	known.Gone, known.Lost, known.absent = known.Confirmed, !known.Confirmed, !known.Confirmed
	return nil
}

// follows is the case that plans would go to, were it not out of sight.
func (r *resolution) follows(p enrich.Plan) (caseRef, bool) {
	at, best := p.At.UnixMilli(), -1
	for i, ref := range r.body.Cases {
		if !ref.absent {
			continue
		}
		ref.absent = false
		if holds(ref, at, p.Window) != outside && (best < 0 || better(ref, r.body.Cases[best], at)) {
			best = i
		}
	}
	if best < 0 {
		return caseRef{}, false
	}
	return r.body.Cases[best], true
}
