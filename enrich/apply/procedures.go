package apply

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"forager/enrich"
	"forager/hive"
)

// procedureStep adds the techniques that a case lacks.
type procedureStep struct {
	*caseWork

	answers[[]hive.Procedure]
}

// run posts the techniques that the case lacks. TheHive keeps every double, so what is
// there is listed before anything is posted to a case that this apply did not create.
func (w *procedureStep) run(held context.Context) error {
	need := w.missingProcedures()
	if len(need) == 0 {
		return nil
	}
	err := error(nil)
	if !w.listed[kindProcedure] {
		if err = w.list(held); err == nil {
			need = w.missingProcedures()
		}
	}
	if err == nil {
		err = w.postProcedures(held, w.limited(need))
	}
	if err != nil {
		return w.stepFailed(ownersOf(w.stillMissing(need), desiredProcedure.by), kindProcedure, err)
	}
	return nil
}

func (p desiredProcedure) by() []int { return p.owners }

// missingProcedures are those that neither the case holds, by lineage and tactic, nor an analyst
// removed.
func (w *procedureStep) missingProcedures() []desiredProcedure {
	return slices.DeleteFunc(w.stillMissing(w.desired.procedures), func(p desiredProcedure) bool {
		return w.removedProcedure(p.ID, p.Tactic)
	})
}

// sameProcedure is equal for procedures that are one for this server, however old the ids are
// under which the case or a mark holds them.
func (w *procedureStep) sameProcedure(id, tactic string) string {
	return procedureName(w.a.target().Key(id, tactic))
}

// held are the procedures that the case holds, by sameProcedure.
func (w *procedureStep) heldProcedures() map[string]bool {
	held := make(map[string]bool, len(w.body.Procedures))
	for _, ref := range w.body.Procedures {
		held[w.sameProcedure(ref[0], ref[1])] = true
	}
	return held
}

// removedProcedure tells whether an analyst removed a procedure.
func (w *procedureStep) removedProcedure(id, tactic string) bool {
	same := w.sameProcedure(id, tactic)
	for mark := range w.marks.removed {
		if gone, of, _ := strings.Cut(mark[1], "/"); mark[0] == kindProcedure && w.sameProcedure(gone, of) == same {
			return true
		}
	}
	return false
}

func (w *procedureStep) limited(need []desiredProcedure) []desiredProcedure {
	in, out := w.desired.fitProcedures(need, len(w.body.Procedures), w.a.options.Limits.Procedures)
	for _, p := range out {
		w.leaveOut(kindProcedure, w.sameProcedure(p.ID, p.Tactic))
	}
	return in
}

// postProcedures posts in bulk. A bulk that fails for what it holds is taken apart, and it is looked
// before anything is posted again, until the technique that spoils it stands alone.
func (w *procedureStep) postProcedures(held context.Context, batch []desiredProcedure) error {
	if len(batch) == 0 {
		return nil
	}
	return bisection[desiredProcedure]{
		send: func(items []desiredProcedure) ([]desiredProcedure, error) { return w.sendProcedures(held, items) },
		look: func(failed []desiredProcedure, cause error) error {
			return w.lookForProcedures(held, failed, cause)
		},
		missing: w.stillMissing,
		alone:   func(p desiredProcedure, err error) error { return w.saveProcedure(held, p, err) },
	}.run(batch)
}

// sendProcedures makes one request, and compares the answer with what was sent.
func (w *procedureStep) sendProcedures(held context.Context, batch []desiredProcedure) (failed []desiredProcedure, err error) {
	if err := w.intend(held, kindProcedure); err != nil {
		return batch, err
	}
	made, err := w.do(w.namesOf(batch), func() ([]hive.Procedure, error) { return w.request(held, batch) })
	if err != nil {
		calls, done := calling(held, w.claim)
		defer done()
		return batch, cmp.Or(w.stillThere(calls, err), err)
	}
	w.noteProcedures(made)
	if err := w.thereAgain(held, made); err != nil {
		return nil, err
	}
	unnamed := slices.DeleteFunc(slices.Clone(batch), func(p desiredProcedure) bool {
		return slices.ContainsFunc(made, p.isMade)
	})
	if len(unnamed) == 0 {
		return nil, nil
	}
	if err := w.awaitProcedures(held, unnamed, enrich.ErrUnsettled); err != nil {
		return unnamed, err
	}
	for _, p := range w.stillMissing(unnamed) { // sent again it may be there twice
		w.charge(p.owners, kindProcedure, p.ID, &hive.Error{
			Op: "add procedures", Status: http.StatusBadRequest, Type: "OtherProcedure", Message: "TheHive answered with another procedure", Sent: true,
		})
	}
	return nil, nil
}

// request posts a batch.
func (w *procedureStep) request(held context.Context, batch []desiredProcedure) ([]hive.Procedure, error) {
	calls, done := calling(held, w.claim)
	defer done()
	return w.hive.AddProcedures(calls, w.c.ID, newProcedures(batch))
}

// first is the call that posts what is missing, where nothing has to be looked at or waited for before.
func (w *procedureStep) first(held context.Context) []func() {
	if !w.listed[kindProcedure] || w.claim.OwedFor(kindProcedure) > 0 {
		return nil
	}
	batch := w.limited(w.missingProcedures())
	if len(batch) == 0 || w.intend(held, kindProcedure) != nil { // its error is met again
		return nil
	}
	return []func(){w.ahead(w.namesOf(batch), func() ([]hive.Procedure, error) { return w.request(held, batch) })}
}

func (w *procedureStep) namesOf(batch []desiredProcedure) []string {
	all := make([]string, len(batch))
	for i, p := range batch {
		all[i] = procedureName(p.ID, p.Tactic) + p.note
	}
	return all
}

// isMade tells whether a procedure of an answer is the one that was sent. TheHive itself gives a
// tactic to one that was sent without.
func (p desiredProcedure) isMade(made hive.Procedure) bool {
	return made.PatternID == p.ID && (p.Tactic == "" || made.Tactic == p.Tactic)
}

// saveProcedure gives a procedure that fails by itself its last chances: without its description,
// then as another technique or a tag.
func (w *procedureStep) saveProcedure(held context.Context, p desiredProcedure, cause error) error {
	refused := scopeOf(cause) == scopeRefused
	if refused && !isGone(cause) && !isDenied(cause) && p.note != "" {
		bare := p
		bare.note = ""
		failed, err := w.sendProcedures(held, []desiredProcedure{bare})
		if err == nil && len(failed) == 0 {
			w.charge(p.owners[:1], kindProcedure, p.ID+" with its description", cause)
			return nil
		}
		if scopeOf(err) == scopeAll {
			return err
		}
		if hive.Uncertain(err) {
			return w.giveUpProcedure(held, p, err)
		}
	}
	if !refused || isDenied(cause) { // it is not the technique
		w.charge(p.owners, kindProcedure, p.ID, cause)
		return nil
	}
	return w.remap(held, p, cause)
}

// giveUpProcedure looks once more for a procedure whose last request was lost.
func (w *procedureStep) giveUpProcedure(held context.Context, p desiredProcedure, cause error) error {
	if err := w.lookForProcedures(held, []desiredProcedure{p}, cause); err != nil {
		return err
	}
	for _, p := range w.stillMissing([]desiredProcedure{p}) {
		w.charge(p.owners, kindProcedure, p.ID, cause)
	}
	return nil
}

func (w *procedureStep) stillMissing(batch []desiredProcedure) []desiredProcedure {
	there := w.heldProcedures()
	return slices.DeleteFunc(slices.Clone(batch), func(p desiredProcedure) bool {
		return there[w.sameProcedure(p.ID, p.Tactic)]
	})
}

// remap deals with a technique that the server refuses: the catalogue of the server is asked
// again, and the technique mapped to what it holds now; failing that it becomes a tag. A
// mapping never fails a detection.
func (w *procedureStep) remap(held context.Context, p desiredProcedure, cause error) error {
	w.a.happened(EventTechnique, w.c.Number, p.ID+" "+p.Tactic+": "+refusalOf(kindProcedure, p.ID, cause).Type)
	if next, ok := w.mapAgain(held, p); ok && next.ID+next.Tactic != p.ID+p.Tactic {
		if w.removedProcedure(next.ID, next.Tactic) {
			return nil
		}
		return w.postProcedures(held, w.stillMissing([]desiredProcedure{next}))
	}
	w.desired.tags = append(w.desired.tags, desiredTag{tag: p.Tag(), owners: p.owners})
	return nil
}

// mapAgain maps a technique to what the server holds by now.
func (w *procedureStep) mapAgain(held context.Context, p desiredProcedure) (desiredProcedure, bool) {
	if w.a.options.Knowledge == nil {
		return p, false
	}
	target, err := w.a.options.Knowledge.Refresh(held)
	if err != nil {
		return p, false
	}
	m := target.Map(p.Reported, p.Tactic)
	p.ID, p.Name, p.Tactic = m.ID, m.Name, m.Tactic
	return p, m.ID != ""
}

func newProcedures(batch []desiredProcedure) []hive.NewProcedure {
	all := make([]hive.NewProcedure, 0, len(batch))
	for _, p := range batch {
		all = append(all, hive.NewProcedure{
			PatternID: p.ID, Tactic: p.Tactic, OccurDate: hive.Millis(p.at), Description: p.note,
		})
	}
	return all
}

func (w *procedureStep) noteProcedures(made []hive.Procedure) {
	w.posted(kindProcedure)
	for _, p := range made {
		w.body.Procedures[p.ID] = procedureRef{p.PatternID, p.Tactic}
	}
}

// thereAgain ends the lifting of removals: what is removed from here on was removed anew.
func (w *procedureStep) thereAgain(held context.Context, made []hive.Procedure) error {
	var back [][2]string
	for _, p := range made {
		if it := procedureItem(p.PatternID, p.Tactic); w.marks.lifted[it] {
			back = append(back, it)
		}
	}
	if len(back) == 0 {
		return nil
	}
	return w.changeMarks(held, func(m *marksBody) bool { return m.take(back...) })
}

// procedureItem is how a procedure stands in marks.
func procedureItem(id, tactic string) [2]string {
	return [2]string{kindProcedure, procedureName(id, tactic)}
}

// lookForProcedures lists after a request that failed: TheHive says nowhere whether a bulk that it
// refuses is undone. After an answer that says nothing certain it looks at once and again with
// growing pauses: what is found ends the wait, only absence needs all of settle.
func (w *procedureStep) lookForProcedures(held context.Context, batch []desiredProcedure, cause error) error {
	if !hive.Uncertain(cause) {
		return w.list(held)
	}
	w.a.happened(EventAmbiguous, w.c.Number, "add procedures")
	return w.awaitProcedures(held, batch, cause)
}

// awaitProcedures lists until all of a batch is there, or settle has passed: a list may lag.
func (w *procedureStep) awaitProcedures(held context.Context, batch []desiredProcedure, cause error) error {
	return w.look(held, cause, func() (bool, error) {
		if err := w.list(held); err != nil {
			return false, err
		}
		return len(w.stillMissing(batch)) == 0, nil
	})
}

// list makes the entry hold what is in the case; what it held and is gone was removed.
func (w *procedureStep) list(held context.Context) error {
	calls, done := calling(held, w.claim)
	defer done()
	there := map[string]procedureRef{}
	for p, err := range w.hive.CaseProcedures(calls, w.c.ID) {
		if err != nil {
			return err
		}
		there[p.ID] = procedureRef{p.PatternID, p.Tactic}
	}
	if w.lags(kindProcedure) {
		for id, ref := range w.body.Procedures {
			if _, ok := there[id]; !ok && (!strings.HasPrefix(id, broughtID) || !named(there, ref)) {
				there[id] = ref
			}
		}
	}
	now := procedureNames(there)
	if err := w.noticed(held, kindProcedure, subtract(procedureNames(w.body.Procedures), now), now); err != nil {
		return err
	}
	w.body.Procedures = there
	w.listed[kindProcedure] = true
	return nil
}

func procedureNames(all map[string]procedureRef) []string {
	names := make([]string, 0, len(all))
	for _, ref := range all {
		names = append(names, procedureName(ref[0], ref[1]))
	}
	return names
}
