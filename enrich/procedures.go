package enrich

import (
	"context"
	"errors"
	"slices"
	"strings"

	"forager/hive"
)

// addProcedures posts the techniques that the case lacks. TheHive keeps every double, so what is
// there is listed before anything is posted to a case that this apply did not create.
func (w *work) addProcedures(held context.Context) error {
	if len(w.missingProcedures()) == 0 {
		return nil
	}
	if !w.listed[kindProcedure] {
		if err := w.listProcedures(held); err != nil {
			return err
		}
	}
	return w.postProcedures(held, w.limited(w.missingProcedures()), 0)
}

// missingProcedures are those that neither the case holds, by lineage and tactic, nor an analyst
// removed.
func (w *work) missingProcedures() []wantedProcedure {
	return slices.DeleteFunc(w.stillMissing(w.want.procedures), func(p wantedProcedure) bool {
		return w.removedProcedure(p.ID, p.Tactic)
	})
}

// sameProcedure is equal for procedures that are one for this server, however old the ids are
// under which the case or a mark holds them.
func (w *work) sameProcedure(id, tactic string) string {
	return procedureName(w.e.target().Key(id, tactic))
}

// held are the procedures that the case holds, by sameProcedure.
func (w *work) heldProcedures() map[string]bool {
	held := make(map[string]bool, len(w.body.Procedures))
	for _, ref := range w.body.Procedures {
		held[w.sameProcedure(ref[0], ref[1])] = true
	}
	return held
}

// removedProcedure tells whether an analyst removed a procedure.
func (w *work) removedProcedure(id, tactic string) bool {
	same := w.sameProcedure(id, tactic)
	for mark := range w.marks.removed {
		if gone, of, _ := strings.Cut(mark[1], "/"); mark[0] == kindProcedure && w.sameProcedure(gone, of) == same {
			return true
		}
	}
	return false
}

func (w *work) limited(need []wantedProcedure) []wantedProcedure {
	room := max(w.e.options.Limits.Procedures-len(w.body.Procedures), 0)
	for range need[min(room, len(need)):] {
		w.leaveOut(kindProcedure)
	}
	return need[:min(room, len(need))]
}

// postProcedures posts in bulk, and looks before it posts again. A bulk that is refused is
// halved, until the technique that spoils it stands alone.
func (w *work) postProcedures(held context.Context, batch []wantedProcedure, tries int) error {
	if len(batch) == 0 {
		return nil
	}
	calls, done := w.claim.calling(held)
	defer done()
	made, err := w.hive.AddProcedures(calls, w.c.ID, newProcedures(batch))
	if err == nil {
		w.noteProcedures(made)
		return w.thereAgain(held, made)
	}
	if uncertain(err) {
		return w.lookForProcedures(held, batch, tries, err)
	}
	refusal, ok := refusalOf(kindProcedure, batch[0].ID, err)
	if !ok {
		return err
	}
	if err := w.stillThere(calls, err); err != nil {
		return err
	}
	if err := w.listProcedures(held); err != nil {
		return err
	}
	if batch = w.stillMissing(batch); len(batch) > 1 {
		half := len(batch) / 2
		if err := w.postProcedures(held, batch[:half], tries); err != nil {
			return err
		}
		return w.postProcedures(held, batch[half:], tries)
	}
	return w.remap(held, batch, refusal)
}

func (w *work) stillMissing(batch []wantedProcedure) []wantedProcedure {
	there := w.heldProcedures()
	return slices.DeleteFunc(slices.Clone(batch), func(p wantedProcedure) bool {
		return there[w.sameProcedure(p.ID, p.Tactic)]
	})
}

// remap deals with a technique that the server refuses: the catalogue of the server is asked
// again, and the technique mapped to what it holds now; failing that it becomes a tag. A
// mapping never fails a detection.
func (w *work) remap(held context.Context, batch []wantedProcedure, r Refusal) error {
	if len(batch) == 0 {
		return nil
	}
	p := batch[0]
	w.e.happened(EventTechnique, w.c.Number, p.ID+" "+p.Tactic+": "+r.Type)
	if next, ok := w.mapAgain(held, p); ok && next.ID+next.Tactic != p.ID+p.Tactic {
		if w.removedProcedure(next.ID, next.Tactic) {
			return nil
		}
		return w.postProcedures(held, w.stillMissing([]wantedProcedure{next}), 0)
	}
	w.want.tags = append(w.want.tags, wantedTag{tag: p.Tag(), owners: p.owners})
	return nil
}

// mapAgain maps a technique to what the server holds by now.
func (w *work) mapAgain(held context.Context, p wantedProcedure) (wantedProcedure, bool) {
	if w.e.options.Knowledge == nil {
		return p, false
	}
	target, err := w.e.options.Knowledge.Refresh(held)
	if err != nil {
		return p, false
	}
	m := target.Map(p.Reported, p.Tactic)
	p.ID, p.Name, p.Tactic = m.ID, m.Name, m.Tactic
	return p, m.ID != ""
}

func newProcedures(batch []wantedProcedure) []hive.NewProcedure {
	all := make([]hive.NewProcedure, 0, len(batch))
	for _, p := range batch {
		all = append(all, hive.NewProcedure{
			PatternID: p.ID, Tactic: p.Tactic, OccurDate: hive.Millis(p.at), Description: p.note,
		})
	}
	return all
}

func (w *work) noteProcedures(made []hive.Procedure) {
	for _, p := range made {
		w.body.Procedures[p.ID] = procedureRef{p.PatternID, p.Tactic}
	}
}

// thereAgain ends the lifting of removals: what is removed from here on was removed anew.
func (w *work) thereAgain(held context.Context, made []hive.Procedure) error {
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

// lookForProcedures lists after an ambiguous answer, at once and again with growing pauses: what
// is found ends the wait, only absence needs all of settle. Then what is missing is posted again.
func (w *work) lookForProcedures(held context.Context, batch []wantedProcedure, tries int, cause error) error {
	w.e.happened(EventAmbiguous, w.c.Number, "add procedures")
	if tries == maxResends {
		return errors.Join(ErrUnsettled, cause)
	}
	missing := batch
	err := w.look(held, cause, func() (bool, error) {
		if err := w.listProcedures(held); err != nil {
			return false, err
		}
		missing = w.stillMissing(batch)
		return len(missing) == 0, nil
	})
	if err != nil {
		return err
	}
	return w.postProcedures(held, missing, tries+1)
}

// look looks until the lost call has settled. While it lasts the entry counts as dirty.
func (w *work) look(held context.Context, cause error, found func() (bool, error)) error {
	w.unclear = true
	err := w.lookUntilSettled(held, cause, found)
	if err == nil {
		w.unclear = false
	}
	return err
}

// listProcedures makes the entry hold what is in the case; what it held and is gone was removed.
func (w *work) listProcedures(held context.Context) error {
	calls, done := w.claim.calling(held)
	defer done()
	there := map[string]procedureRef{}
	for p, err := range w.hive.CaseProcedures(calls, w.c.ID) {
		if err != nil {
			return err
		}
		there[p.ID] = procedureRef{p.PatternID, p.Tactic}
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
