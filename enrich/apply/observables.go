package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive"
)

// observableStep adds the observables that a case lacks.
type observableStep struct {
	*caseWork

	sure map[string]bool // what TheHive confirmed to this step: its list may lag behind
	answers[hive.ObservableResult]

	looked bool
	need   [][]desiredObservable // what is missing, by call, once it was looked for
}

func newObservableStep(w *caseWork) *observableStep {
	return &observableStep{caseWork: w, sure: map[string]bool{}}
}

// run posts the observables that the case lacks, one call a data type.
func (w *observableStep) run(held context.Context) error {
	need := w.needed()
	for i, batch := range need {
		err := w.postObservables(held, batch)
		if err == nil {
			continue
		}
		rest := slices.Concat(need[i:]...)
		return w.stepFailed(ownersOf(rest, desiredObservable.by), kindObservable, err)
	}
	return nil
}

func (o desiredObservable) by() []int { return o.owners }

// needed are the calls' batches; what is missing is looked for once, by whoever asks first.
func (w *observableStep) needed() [][]desiredObservable {
	if !w.looked {
		w.looked, w.need = true, batches(w.missingObservables(), w.a.options.Batch)
	}
	return w.need
}

// missingObservables are those that neither the case has nor an analyst removed, within limits.
func (w *observableStep) missingObservables() []desiredObservable {
	known := make(map[string]bool, len(w.body.Observables))
	for _, h := range w.body.meant(w.body.Observables) {
		known[h] = true
	}
	var need []desiredObservable
	for _, o := range w.desired.observables {
		if !known[o.hash] && !w.marks.has(kindObservable, o.hash) {
			need = append(need, o)
		}
	}
	need, out := w.desired.fitObservables(need, len(known), w.a.options.Limits.Observables)
	for _, o := range out {
		w.leaveOut(kindObservable, o.hash)
	}
	return need
}

// postObservables posts one batch. One that fails for what it holds is taken apart, until what
// spoils it stands alone.
func (w *observableStep) postObservables(held context.Context, batch []desiredObservable) error {
	looks := 0
	return bisection[desiredObservable]{
		send: func(items []desiredObservable) ([]desiredObservable, error) { return w.sendObservables(held, items) },
		look: func(_ []desiredObservable, cause error) error {
			if !hive.Uncertain(cause) && !errors.Is(cause, enrich.ErrUnsettled) {
				return nil
			}
			looks++
			return w.lookForObservables(held, looks-1)
		},
		missing: w.missingAmong,
		alone:   func(o desiredObservable, err error) error { return w.saveObservable(held, o, err) },
	}.run(batch)
}

// sendObservables makes one request, and compares the answer with what was sent: there is what
// TheHive names, or lists where it does not.
func (w *observableStep) sendObservables(held context.Context, batch []desiredObservable) (failed []desiredObservable, err error) {
	result, err := w.do(hashesOf(batch), func() (hive.ObservableResult, error) { return w.request(held, batch) })
	if err != nil {
		calls, done := calling(held, w.claim)
		defer done()
		return batch, cmp.Or(w.stillThere(calls, err), err)
	}
	open, refused, unnamed := w.compareObservables(batch, result)
	for _, r := range refused {
		if err := w.saveObservable(held, r.desiredObservable, r.err); err != nil {
			return nil, err
		}
	}
	if len(open) == 0 {
		return nil, nil
	}
	open, err = w.openObservables(held, open, unnamed)
	if len(open) > 0 && err == nil {
		err = cmp.Or(unnamed, fmt.Errorf("%w: add observables: TheHive's answer does not name what was sent", enrich.ErrUnsettled))
	}
	return open, err
}

// request posts a batch.
func (w *observableStep) request(held context.Context, batch []desiredObservable) (hive.ObservableResult, error) {
	calls, done := calling(held, w.claim)
	defer done()
	return w.hive.AddObservables(calls, w.c.ID, newObservable(batch))
}

// first are the calls that post what is missing, one for each batch.
func (w *observableStep) first(held context.Context) (all []func()) {
	for _, batch := range w.needed() {
		all = append(all, w.ahead(hashesOf(batch), func() (hive.ObservableResult, error) { return w.request(held, batch) }))
	}
	return all
}

func hashesOf(batch []desiredObservable) []string {
	all := make([]string, len(batch))
	for i, o := range batch {
		all[i] = o.hash
	}
	return all
}

// openObservables lists those of which an answer leaves open whether they are there, and gives those
// that are not. Where TheHive says that they exist, its list may lag behind.
func (w *observableStep) openObservables(held context.Context, open []desiredObservable, unnamed error) ([]desiredObservable, error) {
	err := w.lookUntilSettled(held, enrich.ErrUnsettled, func() (bool, error) {
		if err := w.list(held); err != nil {
			return false, err
		}
		open = w.missingAmong(open)
		return len(open) == 0 || !saysExists(unnamed), nil
	})
	return open, err
}

// saysExists tells whether TheHive refuses something since it exists.
func saysExists(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Exists()
}

// refusedObservable is one that TheHive refused by name.
type refusedObservable struct {
	desiredObservable

	err error
}

// compareObservables notes what an answer confirms. What TheHive says to exist, and what it says
// nothing of, is open until it is listed; then unnamed is why it is not there.
func (w *observableStep) compareObservables(batch []desiredObservable, result hive.ObservableResult) (open []desiredObservable, refused []refusedObservable, unnamed error) {
	created, named := map[string]bool{}, map[string]hive.RefusedObservable{}
	for _, o := range result.Created {
		created[observableHash(o.DataType, o.Data)] = true
	}
	for _, r := range result.Refused {
		named[r.Data] = r
	}
	for _, o := range batch {
		r, ok := named[o.Data]
		switch {
		case created[o.hash]:
			w.haveObservable(o.hash)
		case ok && !r.Exists():
			refused = append(refused, refusedObservable{o, refusedValue(r)})
		default:
			open = append(open, o)
			if ok {
				delete(named, o.Data)
				unnamed = refusedValue(r)
			}
		}
	}
	for data, r := range named {
		if !slices.ContainsFunc(batch, func(o desiredObservable) bool { return o.Data == data }) {
			unnamed = refusedValue(r)
		}
	}
	return open, refused, unnamed
}

// refusedValue is the refusal of one value of several as the error that it is alone.
func refusedValue(r hive.RefusedObservable) error {
	return &hive.Error{Op: "add observables", Status: http.StatusBadRequest, Type: cmp.Or(r.Type, "CreateError"), Message: r.Message, Sent: true}
}

// haveObservable notes that TheHive said that an observable is there.
func (w *observableStep) haveObservable(hash string) {
	if !w.sure[hash] {
		w.sure[hash] = true
		w.body.Observables = append(w.body.Observables, hash)
		w.posted(kindObservable)
	}
}

// missingAmong leaves out what is there.
func (w *observableStep) missingAmong(batch []desiredObservable) []desiredObservable {
	there := make(map[string]bool, len(w.body.Observables))
	for _, h := range w.body.Observables {
		there[h] = true
	}
	return slices.DeleteFunc(slices.Clone(batch), func(o desiredObservable) bool { return there[o.hash] })
}

// saveObservable gives an observable that fails by itself its last chances: without its message and
// tags, then as "other", tagged with its type, since the server may lack the type. Then it is
// charged to those who brought it; a message and tags, to those who brought these.
func (w *observableStep) saveObservable(held context.Context, o desiredObservable, cause error) error {
	if saysExists(cause) {
		w.charge(o.owners, kindObservable, o.Data, cause)
		return nil
	}
	if o.Message != "" || o.found != (enrich.Detector{}) || len(o.Tags) > 0 {
		bare := o
		bare.Message, bare.found, bare.Tags = "", enrich.Detector{}, nil
		ok, err := w.tryObservable(held, bare)
		if err != nil {
			return err
		}
		if ok {
			w.charge(w.whoSaid(o), kindObservable, o.Data+" with its message and tags", cause)
			return nil
		}
		o = bare
	}
	if o.DataType != typeOther && scopeOf(cause) == scopeRefused {
		other := o
		other.Tags, other.DataType = []string{"type:" + o.DataType}, typeOther
		other.hash = observableHash(other.DataType, other.Data)
		if w.marks.has(kindObservable, other.hash) {
			return nil
		}
		ok, err := w.tryObservable(held, other)
		if err != nil {
			return err
		}
		if ok {
			w.body.standsFor(other.hash, o.hash)
			return nil
		}
	}
	w.unclear = w.unclear || hive.Uncertain(cause) && scopeOf(cause) != scopeRefused
	w.charge(o.owners, kindObservable, o.Data, cause)
	return nil
}

// tryObservable posts one observable once more, and tells whether it is there.
func (w *observableStep) tryObservable(held context.Context, o desiredObservable) (bool, error) {
	failed, err := w.sendAlone(held, o)
	if err != nil && scopeOf(err) == scopeAll {
		return false, err
	}
	return err == nil && len(failed) == 0, nil
}

// sendAlone sends one observable; a refusal of it by name is an error.
func (w *observableStep) sendAlone(held context.Context, o desiredObservable) (failed []desiredObservable, err error) {
	calls, done := calling(held, w.claim)
	defer done()
	batch := []desiredObservable{o}
	result, err := w.hive.AddObservables(calls, w.c.ID, newObservable(batch))
	if err != nil {
		return batch, cmp.Or(w.stillThere(calls, err), err)
	}
	open, refused, unnamed := w.compareObservables(batch, result)
	if len(refused) > 0 {
		return batch, refused[0].err
	}
	if len(open) == 0 {
		return nil, nil
	}
	return w.openObservables(held, open, unnamed)
}

// whoSaid gives the plans whose observable has the message and tags of one.
func (w *observableStep) whoSaid(o desiredObservable) (owners []int) {
	for _, i := range o.owners {
		if slices.ContainsFunc(w.plans[i].Observables, func(x detection.Observable) bool {
			return x.DataType == o.DataType && x.Data == o.Data && x.Message == o.Message && slices.Equal(x.Tags, o.Tags)
		}) {
			owners = append(owners, i)
		}
	}
	return owners
}

// typeOther is the data type that every TheHive has.
const typeOther = "other"

func newObservable(batch []desiredObservable) hive.NewObservable {
	o := batch[0]
	n := hive.NewObservable{
		DataType: o.DataType, Message: enrich.ObservableText(o.Observable, detectorsOf(batch)), Tags: o.Tags, IOC: o.IOC, IgnoreSimilarity: o.IgnoreSimilarity,
		SightedAt: hive.Millis(o.at),
	}
	for _, one := range batch {
		n.Data = append(n.Data, one.Data)
	}
	return n
}

// detectorsOf are what found some observables, each once.
func detectorsOf(batch []desiredObservable) (all []enrich.Detector) {
	for _, o := range batch {
		if o.found != (enrich.Detector{}) && !slices.Contains(all, o.found) {
			all = append(all, o.found)
		}
	}
	return all
}

// lookForObservables lists, after a pause, after an answer that says nothing certain. What is still
// missing may be posted again: TheHive itself refuses an observable that is there.
func (w *observableStep) lookForObservables(held context.Context, tries int) error {
	w.a.happened(EventAmbiguous, w.c.Number, "add observables")
	if err := w.wait(held, lookPause(tries, w.a.options.Settle)); err != nil {
		return err
	}
	return w.list(held)
}

// list makes the entry hold what is in the case; what it held and is gone was removed.
func (w *observableStep) list(held context.Context) error {
	calls, done := calling(held, w.claim)
	defer done()
	var there []string
	for o, err := range w.hive.CaseObservables(calls, w.c.ID) {
		if err != nil {
			return err
		}
		if o.Data != "" {
			there = append(there, observableHash(o.DataType, o.Data))
		}
	}
	for _, h := range sortedKeys(w.sure) {
		if !slices.Contains(there, h) {
			there = append(there, h)
		}
	}
	if w.lags(kindObservable) {
		there = append(there, subtract(w.body.Observables, there)...)
	}
	now := w.body.meant(there)
	if err := w.noticed(held, kindObservable, subtract(w.body.meant(w.body.Observables), now), now); err != nil {
		return err
	}
	w.body.Observables = there
	w.listed[kindObservable] = true
	return nil
}

// subtract gives what is in a and not in b.
func subtract(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, x := range b {
		in[x] = true
	}
	var out []string
	for _, x := range a {
		if !in[x] {
			out = append(out, x)
		}
	}
	return out
}
