package apply

import (
	"context"
	"slices"
	"time"

	"forager/enrich"
)

// A case that is listed, but that TheHive does not show, was merged into another, which carries its
// tag; or deleted, as an audit document says; or is out of this account's sight, and may be seen
// again. The first is followed. The second leaves a tombstone: detections in its span are dropped.
// After the third a new case is opened that says which one it follows.

// lost finds out what became of a listed case that is not there. Where audit documents said it, they
// spare the search, or the wait.
func (r *round) lost(held context.Context, ref caseRef) error {
	if err := r.seek(held, ref); err != nil {
		return err
	}
	return r.dateHeirs(held)
}

// seek looks for what became of the listed cases that are not there, until each is accounted for.
func (r *round) seek(held context.Context, ref caseRef) error {
	if err := r.gather(held, ref); err != nil {
		return err
	}
	if err := r.recall(held); err != nil || len(r.orphans()) == 0 {
		return err
	}
	if err := r.searchHeirs(held); err != nil {
		return err
	}
	wait := time.Duration(0)
	for _, v := range r.orphans() {
		wait = max(wait, r.owed[v.ID])
	}
	if wait > 0 {
		// Only what stays away for as long as a lost call may take is gone.
		if err := r.slot.rest(held, wait); err != nil {
			return err
		}
		if err := r.searchHeirs(held); err != nil {
			return err
		}
	}
	return r.miss(held)
}

// orphans are the vanished cases that nothing is known to have come of.
func (r *round) orphans() []caseRef {
	return slices.DeleteFunc(slices.Clone(r.vanished), r.inherited)
}

func (r *round) inherited(v caseRef) bool {
	for _, sources := range r.heirs {
		if slices.ContainsFunc(sources, func(x caseRef) bool { return x.ID == v.ID }) {
			return true
		}
	}
	return false
}

// gather takes the newest listed cases that answer 404 off the list: they may have been merged
// together.
func (r *round) gather(held context.Context, ref caseRef) error {
	calls, done := calling(held, r.key)
	defer done()
	r.old = map[string]caseBody{}
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
		_, old, err := readCase(held, r.e.options.Ledger, c.ID)
		if err != nil {
			return err
		}
		r.drop(c.ID)
		r.vanished = append(r.vanished, c)
		r.old[c.ID] = old
	}
	return nil
}

// recall asks the marks of the vanished cases what audit documents said of them, follows those
// that were merged, and notes how long the others must stay away to count as gone.
func (r *round) recall(held context.Context) error {
	r.told, r.owed, r.became = map[string]bool{}, map[string]time.Duration{}, map[string]string{}
	for _, v := range r.vanished {
		m, _, err := loadMarks(held, r.e.options.Ledger, v.ID)
		if err != nil {
			return err
		}
		r.told[v.ID] = m.Gone != 0
		r.owed[v.ID] = m.owed(time.Now(), r.e.options.Settle)
		if m.Moved != "" {
			if err := r.followMoved(held, v, m.Moved); err != nil {
				return err
			}
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

// followMoved refers to the case that a vanished one was merged into, perhaps by several merges.
func (r *round) followMoved(held context.Context, v caseRef, id string) error {
	calls, done := calling(held, r.key)
	defer done()
	for range maxMoves {
		c, err := r.hive.Case(calls, id)
		if err == nil {
			r.became[v.ID] = c.ID
			r.refer(c, true)
			r.inheritFrom(c.ID, v)
			return nil
		}
		if !isGone(err) {
			return err
		}
		m, _, err := loadMarks(held, r.e.options.Ledger, id)
		if err != nil || m.Moved == "" || m.Moved == v.ID {
			return err // the search knows better
		}
		id = m.Moved
	}
	return nil
}

// maxMoves bounds how many merges in a row are followed without a search.
const maxMoves = 8

// inherit notes that a case found anew may be what listed ones were merged into. Merging makes a
// new case of the earliest start, so that its number is higher and its start no later; others are
// cases that the entry of the key had no room for. What a document said was deleted needs more: the
// description of what it became holds its marker.
func (r *round) inherit(heir caseRef, description string) {
	for _, v := range r.vanished {
		if v.Number > heir.Number || v.Start < heir.Start {
			continue
		}
		if r.told[v.ID] && !cameOf(description, r.old[v.ID]) {
			continue
		}
		r.inheritFrom(heir.ID, v)
	}
}

func (r *round) inheritFrom(heir string, v caseRef) {
	if r.heirs == nil {
		r.heirs = map[string][]caseRef{}
	}
	if !slices.ContainsFunc(r.heirs[heir], func(x caseRef) bool { return x.ID == v.ID }) {
		r.heirs[heir] = append(r.heirs[heir], v)
	}
}

// miss lists the cases that stayed away: as deleted, where a document says so, else as out of sight.
func (r *round) miss(held context.Context) error {
	calls, done := calling(held, r.key)
	defer done()
	for _, v := range r.orphans() {
		c, err := r.hive.Case(calls, v.ID)
		switch {
		case err == nil:
			r.body.Cases = append(r.body.Cases, v)
			r.refer(c, false)
			continue
		case !isGone(err):
			return err
		case r.told[v.ID]:
			v.Gone, v.Told = true, true
		default:
			v.Lost, v.absent = true, true
			r.e.happened(EventUnseen, v.Number, r.key.Name())
		}
		v.looked = true
		r.body.Cases = append(r.body.Cases, v)
	}
	r.vanished = slices.DeleteFunc(r.vanished, func(v caseRef) bool { return !r.inherited(v) })
	return nil
}

// lookAgain asks for a case that was deleted or out of sight when it was last looked at: what
// answers takes detections again, and what a document has called deleted since does not.
func (r *round) lookAgain(held context.Context, ref caseRef) error {
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
	m, _, err := loadMarks(held, r.e.options.Ledger, ref.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.body.Cases, func(x caseRef) bool { return x.ID == ref.ID })
	known := &r.body.Cases[i]
	known.looked = true
	known.Told = known.Told || m.Gone != 0 && m.Moved == ""
	known.Gone, known.Lost, known.absent = known.Told, !known.Told, !known.Told
	return nil
}

// follows is the case that plans would go to, were it not out of sight.
func (r *round) follows(p enrich.Plan) (caseRef, bool) {
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
