package apply

import (
	"context"
	"slices"
)

// newest looks up the newest event of a case that the entry of the key does not know: what the
// ledger remembers of it and of the cases that it came of by merging, and the newest "last seen" of
// Forager's own comments; without any of that its newest procedure, else its start.
func (r *round) newest(held context.Context, ref caseRef) error {
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
func (r *round) dated(id string, last int64) {
	for i := range r.body.Cases {
		if c := &r.body.Cases[i]; c.ID == id {
			c.Last, c.guess = max(c.Start, c.Last, last), false
		}
	}
}

// remembered is the newest event that the ledger knows of a case; 0 when it knows none. Other keys
// may have written the case's own entry, and of what was merged into it the entries stay. It is
// sure where a holder left the entry clean: then TheHive's comments say no more.
func (r *round) remembered(held, calls context.Context, ref caseRef) (last int64, sure bool, err error) {
	known, body, err := readCase(held, r.e.options.Ledger, ref.ID)
	if err != nil {
		return 0, false, err
	}
	last = body.last()
	sure = known != nil && !known.Dirty() && last > 0 && len(r.heirs[ref.ID]) == 0
	for _, source := range r.heirs[ref.ID] {
		_, old, err := readCase(held, r.e.options.Ledger, source.ID)
		if err != nil {
			return 0, false, err
		}
		came := r.became[source.ID] == ref.ID
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

// dateHeirs looks up the newest events of what vanished cases were merged into, while it is known
// which these were.
func (r *round) dateHeirs(held context.Context) error {
	for _, ref := range slices.Clone(r.body.Cases) {
		if ref.guess && len(r.heirs[ref.ID]) > 0 {
			if err := r.newest(held, ref); err != nil {
				return err
			}
		}
	}
	return nil
}
