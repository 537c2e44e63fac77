package enrich

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"forager/hive"
)

// addObservables posts the observables that the case lacks, one call a data type.
func (w *work) addObservables(held context.Context) error {
	need := w.missingObservables()
	for _, batch := range batches(need, w.e.options.Batch) {
		if err := w.postObservables(held, batch, 0); err != nil {
			return err
		}
	}
	return nil
}

// missingObservables are those that neither the case has nor an analyst removed, within limits.
func (w *work) missingObservables() []wantedObservable {
	known := make(map[string]bool, len(w.body.Observables))
	for _, h := range w.body.Observables {
		known[h] = true
	}
	var need []wantedObservable
	for _, o := range w.want.observables {
		switch {
		case known[o.hash] || w.marks.has(kindObservable, o.hash):
		case len(known)+len(need) >= w.e.options.Limits.Observables:
			w.leaveOut(kindObservable)
		default:
			need = append(need, o)
		}
	}
	return need
}

// leaveOut counts what a limit keeps out of the case; the case says so by a tag.
func (w *work) leaveOut(kind string) {
	if w.body.LeftOut == nil {
		w.body.LeftOut = map[string]int{}
	}
	if w.body.LeftOut[kind]++; w.body.LeftOut[kind] == 1 {
		w.want.tags = append(w.want.tags, wantedTag{tag: tagPrefix + "limit-" + kind, owners: []int{0}})
	}
	w.e.happened(EventOverLimit, w.c.Number, kind)
}

// postObservables posts one batch, and looks before it posts again. A batch that is refused as a
// whole is halved, until the item that spoils it stands alone.
func (w *work) postObservables(held context.Context, batch []wantedObservable, tries int) error {
	calls, done := w.claim.calling(held)
	defer done()
	result, err := w.hive.AddObservables(calls, w.c.ID, newObservable(batch))
	if err == nil {
		w.noteObservables(batch, result)
		return w.retypeRefused(held, batch, result)
	}
	if uncertain(err) {
		return w.lookForObservables(held, batch, tries, err)
	}
	refusal, ok := refusalOf(kindObservable, batch[0].Data, err)
	if !ok {
		return err
	}
	if err := w.stillThere(calls, err); err != nil {
		return err
	}
	if len(batch) > 1 {
		half := len(batch) / 2
		if err := w.postObservables(held, batch[:half], tries); err != nil {
			return err
		}
		return w.postObservables(held, batch[half:], tries)
	}
	return w.retype(held, batch[0], refusal)
}

// retypeRefused gives each value that was refused singly its last chance.
func (w *work) retypeRefused(held context.Context, batch []wantedObservable, result hive.ObservableResult) error {
	for _, r := range result.Refused {
		if r.Exists() {
			continue
		}
		i := slices.IndexFunc(batch, func(o wantedObservable) bool { return o.Data == r.Data })
		if i < 0 {
			continue
		}
		refusal := Refusal{Step: kindObservable, Item: short(r.Data), Status: http.StatusBadRequest, Type: r.Type, Reason: short(r.Message)}
		if err := w.retype(held, batch[i], refusal); err != nil {
			return err
		}
	}
	return nil
}

// retype tries a refused observable once more as "other", tagged with its type: the server may
// lack the type. Then the refusal stands.
func (w *work) retype(held context.Context, o wantedObservable, r Refusal) error {
	if o.DataType == typeOther {
		w.refuseItem(o.owners, r)
		return nil
	}
	original := o.hash
	o.Tags = append(slices.Clone(o.Tags), "type:"+o.DataType)
	o.DataType = typeOther
	o.hash = observableHash(o.DataType, o.Data)
	if err := w.postObservables(held, []wantedObservable{o}, 0); err != nil {
		return err
	}
	if slices.Contains(w.body.Observables, o.hash) {
		w.body.Observables = append(w.body.Observables, original)
	}
	return nil
}

// typeOther is the data type that every TheHive has.
const typeOther = "other"

func newObservable(batch []wantedObservable) hive.NewObservable {
	o := batch[0]
	n := hive.NewObservable{
		DataType: o.DataType, Message: o.Message, Tags: o.Tags, IOC: o.IOC, IgnoreSimilarity: o.IgnoreSimilarity,
	}
	for _, one := range batch {
		n.Data = append(n.Data, one.Data)
	}
	return n
}

// noteObservables remembers what TheHive confirmed: created, or there already.
func (w *work) noteObservables(batch []wantedObservable, result hive.ObservableResult) {
	refused := map[string]bool{}
	for _, r := range result.Refused {
		refused[r.Data] = !r.Exists()
	}
	for _, o := range batch {
		if !refused[o.Data] {
			w.body.Observables = append(w.body.Observables, o.hash)
		}
	}
}

// lookForObservables lists after an ambiguous answer. What is still missing may be posted again
// after a pause: TheHive itself refuses an observable that is there.
func (w *work) lookForObservables(held context.Context, batch []wantedObservable, tries int, cause error) error {
	w.e.happened(EventAmbiguous, w.c.Number, "add observables")
	if tries == maxResends {
		return errors.Join(ErrUnsettled, cause)
	}
	if err := w.seat.rest(held, lookPause(tries, w.e.options.Settle)); err != nil {
		return err
	}
	if err := w.listObservables(held); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(batch), func(o wantedObservable) bool {
		return slices.Contains(w.body.Observables, o.hash)
	})
	if len(missing) == 0 {
		return nil
	}
	return w.postObservables(held, missing, tries+1)
}

// maxResends bounds how often a write is sent again after a look.
const maxResends = 4

// listObservables makes the entry hold what is in the case; what it held and is gone was removed.
func (w *work) listObservables(held context.Context) error {
	calls, done := w.claim.calling(held)
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
	if err := w.noticed(held, kindObservable, subtract(w.body.Observables, there), there); err != nil {
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
