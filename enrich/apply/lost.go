package apply

import (
	"context"
	"slices"
	"time"

	"forager/enrich"
)

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
