package apply

import (
	"context"
	"slices"
	"time"

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
