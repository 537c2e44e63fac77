package feedback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"forager/enrich/apply"
	"forager/enrich/claim"
	"forager/hive"
)

// Cases is what is asked of TheHive, in one organisation. *hive.Client satisfies it.
type Cases interface {
	// Case brings one case; a *hive.Error of 404 says that there is none, or that it is out of sight.
	Case(ctx context.Context, idOrNumber string) (hive.Case, error)
	// FindCases lists the cases that a query chooses.
	FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error]
}

// Outbox takes what sources are told.
type Outbox interface {
	// Put stores messages; nil means that all are there, each once, whether they were before or not: it knows them by
	// [Message].ID for as long as it keeps them. After an error some may be there.
	Put(ctx context.Context, all []Message) error
}

// Options are what a [Tracker] works with. All but Statuses and Settle are needed.
type Options struct {
	Ledger        claim.Store
	Cases         func(organisation string) Cases
	Organisations func() []string            // that are served; "" is the account's own
	Link          func(caseID string) string // where people see a case
	Outbox        Outbox
	Statuses      bool          // an open case's status is told, too
	Settle        time.Duration // how late TheHive's search may show a change; clocks may differ by it, too
}

// Tracker looks at cases and tells their sources. Safe for concurrent use, by several workers.
type Tracker struct{ options Options }

// New makes a tracker. It makes no call.
func New(o Options) *Tracker { return &Tracker{o} }

// prefix begins the keys of records.
const prefix = apply.FeedbackPrefix

// sweptKey is where workers say up to when changed cases were looked for. No case has that id.
const sweptKey = prefix + "swept"

// ErrBusy says that others changed a case's record again and again; try again.
var ErrBusy = errors.New("others look at the case, too")

// mostRounds bounds how often a look begins anew.
const mostRounds = 16

// Look tells the sources of a case what became of it, as far as they were not told, and how many messages that were.
// A case that the ledger does not know, or whose alerts it does not remember, tells nothing and costs one read.
//
// Errors: of the ledger, of TheHive, of the outbox; [ErrBusy]. After any of them it may be tried again.
func (t *Tracker) Look(ctx context.Context, caseID string) (told int, err error) {
	for round := range mostRounds {
		v, err := t.view(ctx, caseID)
		if err != nil || len(v.alerts) == 0 {
			return told, err
		}
		if v.lags() && round < mostRounds/2 {
			continue
		}
		n, err := t.finish(ctx, v)
		told += n
		switch {
		case errors.Is(err, claim.ErrConflict):
			continue
		case err != nil:
			return told, err
		case n > 0:
			continue // the record is another now
		}
		changed, err := t.advance(ctx, v)
		switch {
		case errors.Is(err, claim.ErrConflict):
			continue
		case err != nil || !changed:
			return told, err
		}
	}
	return told, fmt.Errorf("case %s: %w", caseID, ErrBusy)
}

// lags tells whether the alerts are older than the record, which was read before them: an answer of a replica of NATS
// that lags. That an entry was lost looks the same, but does not pass.
func (v view) lags() bool { return len(v.alerts) < v.record.Upto }

// view is what the ledger knows of a case.
type view struct {
	id       string
	record   record
	revision uint64
	apply.SourceAlerts
	alerts []apply.SourceAlert // with those of cases that became part of it
}

func (t *Tracker) view(ctx context.Context, caseID string) (view, error) {
	v := view{id: caseID}
	var err error
	if v.record, v.revision, err = claim.ReadRecord[record](ctx, t.options.Ledger, prefix+caseID); err != nil {
		return v, err
	}
	if v.SourceAlerts, err = apply.ReadSourceAlerts(ctx, t.options.Ledger, caseID); err != nil {
		return v, err
	}
	v.alerts = v.Alerts
	for _, from := range v.record.From {
		other, err := apply.ReadSourceAlerts(ctx, t.options.Ledger, from)
		if err != nil {
			return v, err
		}
		if !v.Known && other.Known {
			v.Organisation = other.Organisation
		}
		v.alerts = append(slices.Clip(v.alerts), lacking(v.alerts, other.Alerts)...)
	}
	return v, nil
}

// lacking are those of a list that another has not.
func lacking(all, of []apply.SourceAlert) (anew []apply.SourceAlert) {
	for _, a := range of {
		if !slices.Contains(all, a) {
			anew = append(anew, a)
		}
	}
	return anew
}

// finish tells what is due of the record's state, and writes down that it is told.
func (t *Tracker) finish(ctx context.Context, v view) (told int, err error) {
	from, due := v.record.due(v.alerts)
	if len(due) == 0 {
		return 0, nil
	}
	c := Case{ID: v.id, URL: t.options.Link(v.id), Organisation: v.Organisation}
	if err := t.options.Outbox.Put(ctx, v.record.messagesOf(due, c, v.LeftOut)); err != nil {
		return 0, fmt.Errorf("tell the sources of case %d: %w", v.record.Number, err)
	}
	return len(due), t.put(ctx, v, v.record.told(v.alerts, from+len(due)))
}

// advance writes down which alerts joined, else looks at the case and writes down what it became; false where all that is
// known. Nothing is told that is not written down: whoever comes next must know who heard of a state to tell them of
// the one after.
func (t *Tracker) advance(ctx context.Context, v view) (changed bool, err error) {
	if next, joined := v.record.grown(len(v.alerts)); joined {
		return true, t.put(ctx, v, next)
	}
	if !slices.Contains(t.options.Organisations(), v.Organisation) {
		return false, nil // nobody may look there now
	}
	c, err := t.options.Cases(v.Organisation).Case(ctx, v.id)
	if isGone(err) {
		return false, nil // deleted, merged or out of sight: there is no verdict
	}
	if err != nil {
		return false, err
	}
	at := max(c.UpdatedAt, c.CreatedAt)
	if c.Closed() && c.EndDate != 0 {
		at = c.EndDate
	}
	next, changed := v.record.next(stateOf(c, t.options.Statuses), len(v.alerts), c.Number, About{
		Title: cut(c.Title, mostTitle), Summary: cut(c.Summary, mostSummary), Impact: c.ImpactStatus, At: int64(at),
	})
	if !changed {
		return false, nil
	}
	return true, t.put(ctx, v, next)
}

// put writes a record at the revision that was read.
func (t *Tracker) put(ctx context.Context, v view, r record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", prefix+v.id, err)
	}
	if _, err := t.options.Ledger.Put(ctx, prefix+v.id, value, v.revision); err != nil {
		return fmt.Errorf("write %s: %w", prefix+v.id, err)
	}
	return nil
}

func isGone(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Status == 404
}

// Merged notes that cases became part of another, so that their sources are told of that one; of those that remember no
// alert nothing is noted. To note it twice changes nothing. Errors: of the ledger.
func (t *Tracker) Merged(ctx context.Context, into string, from ...string) error {
	var with []string
	for _, id := range from {
		v, err := t.view(ctx, id)
		if err != nil {
			return err
		}
		if len(v.alerts) > 0 && id != into {
			with = append(append(with, id), v.record.From...)
		}
	}
	if len(with) == 0 {
		return nil
	}
	return claim.ChangeRecord(ctx, t.options.Ledger, prefix+into, func(r *record) (bool, error) {
		before := len(r.From)
		for _, id := range with {
			if len(r.From) < mostMerged && !slices.Contains(r.From, id) {
				r.From = append(r.From, id)
			}
		}
		return len(r.From) > before, nil
	})
}

// mostMerged bounds the cases that one came of.
const mostMerged = 100

// swept is what sweptKey holds: by organisation, when the last complete look for changed cases began, ms.
type swept map[string]int64

// Changed names the cases that TheHive says were changed since the last complete look of any worker, in all
// organisations that are served; done says that all of them were seen to. With skip above 0, an organisation that
// was looked at that recently is left out.
//
// Errors: of the ledger; of TheHive, in which case the others are named all the same.
func (t *Tracker) Changed(ctx context.Context, skip time.Duration) (ids []string, done func(context.Context) error, err error) {
	began := time.Now()
	last, _, err := claim.ReadRecord[swept](ctx, t.options.Ledger, sweptKey)
	if err != nil {
		return nil, nil, err
	}
	complete := swept{}
	var failed error
	for _, organisation := range t.options.Organisations() {
		since, known := last[organisation]
		if !known {
			since = began.UnixMilli() // what was closed before has no alerts that are remembered
		}
		if known && began.Sub(time.UnixMilli(since)) < skip {
			continue
		}
		found, err := t.changedIn(ctx, organisation, since-t.options.Settle.Milliseconds())
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("look for changed cases: %w", err))
			continue
		}
		ids = append(ids, found...)
		complete[organisation] = began.UnixMilli()
	}
	return ids, func(ctx context.Context) error { return t.swept(ctx, complete) }, failed
}

// changedIn names the cases of one organisation that were changed since, and that Forager may have added to.
func (t *Tracker) changedIn(ctx context.Context, organisation string, since int64) (ids []string, err error) {
	changed := hive.Query{Filter: hive.Gte("_updatedAt", hive.Millis(since))}
	for c, err := range t.options.Cases(organisation).FindCases(ctx, changed) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

// swept writes down up to when everything was seen.
func (t *Tracker) swept(ctx context.Context, complete swept) error {
	return claim.ChangeRecord(ctx, t.options.Ledger, sweptKey, func(s *swept) (bool, error) {
		if *s == nil {
			*s = swept{}
		}
		changed := false
		for organisation, at := range complete {
			if at > (*s)[organisation] {
				(*s)[organisation], changed = at, true
			}
		}
		return changed, nil
	})
}

// Unfinished names those of the ledger's keys whose case is owed something that needs no look at TheHive: a worker died
// while it told, or before it told of an alert that joined a closed case. The others cost a read or two each.
//
// Errors: of the ledger; what was found until then is named.
func (t *Tracker) Unfinished(ctx context.Context, keys iter.Seq2[string, error]) (ids []string, err error) {
	for key, err := range keys {
		if err != nil {
			return ids, err
		}
		id, mine := strings.CutPrefix(key, prefix)
		if !mine || key == sweptKey {
			continue
		}
		v, err := t.view(ctx, id)
		if err != nil {
			return ids, err
		}
		_, joined := v.record.grown(len(v.alerts))
		if _, due := v.record.due(v.alerts); joined || len(due) > 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
