package apply

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"forager/enrich"
	"forager/enrich/rules"
	"forager/hive"
)

// statusReopened is the status of a case that a detection reopens.
const statusReopened = "InProgress"

// change is one part of an update of the case, with the plans that ask for it.
type change struct {
	name   string
	set    func(u *hive.CaseUpdate)
	owners []int
}

// Names of changes that comments tell of.
const (
	changeSeverity = "severity"
	changeStatus   = "status"
)

// fieldStep adds tags to a case, and raises its levels.
type fieldStep struct {
	*caseWork

	refused map[string]bool // changes of the case that were charged already
}

// run adds the tags that the case lacks, and raises severity, TLP and PAP, each only when
// a detection exceeds both the present value and the highest that Forager itself wrote. An update
// that fails for what it holds is taken apart, until what spoils it stands alone.
func (w *fieldStep) run(held context.Context) error {
	err := bisection[change]{
		send: func(all []change) ([]change, error) { return all, w.patch(held, all) },
		look: func(_ []change, cause error) error { return w.lookAtCase(held, cause) },
		missing: func(all []change) []change {
			left := w.changes()
			return slices.DeleteFunc(slices.Clone(all), func(c change) bool {
				return !slices.ContainsFunc(left, func(l change) bool { return l.name == c.name })
			})
		},
		alone: func(c change, err error) error {
			w.refused[c.name] = true
			w.charge(c.owners, stepFields(c), c.name, err)
			return nil
		},
	}.run(w.changes())
	if err != nil {
		return w.stepFailed(ownersOf(w.changes(), func(c change) []int { return c.owners }), "case update", err)
	}
	return nil
}

// stepFields names the step of a change in refusals.
func stepFields(c change) string {
	if strings.HasPrefix(c.name, kindTag+" ") {
		return kindTag
	}
	return "case update"
}

// changes is what the case lacks.
func (w *fieldStep) changes() (all []change) {
	for _, t := range w.missingTags() {
		all = append(all, change{kindTag + " " + t.tag, func(u *hive.CaseUpdate) { u.AddTags = append(u.AddTags, t.tag) }, t.owners})
	}
	raise := func(name string, to, present, wrote int, of func(enrich.Plan) int, set func(u *hive.CaseUpdate)) {
		if to > present && to > wrote {
			owners := slices.DeleteFunc(w.everybody(), func(i int) bool { return of(w.plans[i]) != to })
			all = append(all, change{name, set, owners})
		}
	}
	severity, tlp, pap := w.desired.severity, w.desired.tlp, w.desired.pap
	raise(changeSeverity, severity, w.c.Severity, w.body.High.Severity, func(p enrich.Plan) int { return p.Severity }, func(u *hive.CaseUpdate) { u.Severity = &severity })
	raise("tlp", tlp, w.c.TLP, w.body.High.TLP, func(p enrich.Plan) int { return p.TLP }, func(u *hive.CaseUpdate) { u.TLP = &tlp })
	raise("pap", pap, w.c.PAP, w.body.High.PAP, func(p enrich.Plan) int { return p.PAP }, func(u *hive.CaseUpdate) { u.PAP = &pap })
	if w.created && w.nobody() && w.c.Assignee != "" {
		all = append(all, change{"assignee", func(u *hive.CaseUpdate) { u.Clear = append(u.Clear, hive.ClearAssignee) }, []int{0}})
	}
	if w.reopen && w.c.Stage == stageClosed {
		status := statusReopened
		all = append(all, change{changeStatus, func(u *hive.CaseUpdate) { u.Status = &status }, w.everybody()})
	}
	return slices.DeleteFunc(all, func(c change) bool { return w.refused[c.name] })
}

// nobody tells whether a new case is to be taken from the account, which TheHive gives it to. By alert that is asked for in so
// many words, since it is a call more.
func (w *fieldStep) nobody() bool {
	s := w.plans[0].Shape
	return s.Assignee == rules.Nobody || s.Assignee == "" && !w.promoted
}

// patch updates the case.
func (w *fieldStep) patch(held context.Context, all []change) error {
	if len(all) == 0 {
		return nil
	}
	if err := w.intend(held, kindFields); err != nil {
		return err
	}
	var u hive.CaseUpdate
	for _, c := range all {
		c.set(&u)
	}
	calls, done := calling(held, w.claim)
	defer done()
	if err := w.hive.UpdateCase(calls, w.c.ID, u); err != nil {
		return cmp.Or(w.stillThere(calls, err), err)
	}
	w.noteFields(u)
	w.show(u)
	return nil
}

// show makes the case that is known look as TheHive confirmed it.
func (w *fieldStep) show(u hive.CaseUpdate) {
	w.c.Tags = append(slices.Clone(w.c.Tags), u.AddTags...)
	if len(u.Clear) > 0 {
		w.c.Assignee = ""
	}
	if u.Status != nil {
		w.c.Stage = ""
	}
}

// lookAtCase looks at the case after an update whose answer says nothing certain, and notes what of
// it arrived. All of it is idempotent, so that it may be sent again.
func (w *fieldStep) lookAtCase(held context.Context, cause error) error {
	if !hive.Uncertain(cause) {
		return nil
	}
	w.a.happened(EventAmbiguous, w.c.Number, "update case")
	if err := w.wait(held, lookPause(1, w.a.options.Settle)); err != nil {
		return err
	}
	calls, done := calling(held, w.claim)
	defer done()
	c, err := w.hive.Case(calls, w.c.ID)
	if isGone(err) {
		return enrich.ErrVanished
	}
	if err != nil {
		return err
	}
	var sent hive.CaseUpdate
	for _, change := range w.changes() {
		change.set(&sent)
	}
	w.c = c
	there := arrived(sent, c)
	w.noteFields(there)
	w.unclear = w.unclear || levels(sent) != levels(there)
	return nil
}

// levels is how many levels an update raises. One that has no answer and does not show may take effect later, over a higher one: whoever
// holds the case next waits until it must have.
func levels(u hive.CaseUpdate) (n int) {
	for _, level := range []*int{u.Severity, u.TLP, u.PAP} {
		if level != nil {
			n++
		}
	}
	return n
}

// arrived is the part of an update that a case shows.
func arrived(sent hive.CaseUpdate, c hive.Case) (u hive.CaseUpdate) {
	same := func(to *int, is int) *int {
		if to != nil && *to == is {
			return to
		}
		return nil
	}
	u.Severity, u.TLP, u.PAP = same(sent.Severity, c.Severity), same(sent.TLP, c.TLP), same(sent.PAP, c.PAP)
	for _, tag := range sent.AddTags {
		if slices.Contains(c.Tags, tag) {
			u.AddTags = append(u.AddTags, tag)
		}
	}
	return u
}

// noteFields remembers what Forager wrote.
func (w *fieldStep) noteFields(u hive.CaseUpdate) {
	w.body.Tags = append(w.body.Tags, u.AddTags...)
	for _, f := range []struct {
		wrote *int
		high  *int
	}{{u.Severity, &w.body.High.Severity}, {u.TLP, &w.body.High.TLP}, {u.PAP, &w.body.High.PAP}} {
		if f.wrote != nil {
			*f.high = max(*f.high, *f.wrote)
		}
	}
}
