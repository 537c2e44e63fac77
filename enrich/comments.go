package enrich

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// addComments notes each rule and day once, in a comment or in the description that names it, and
// keeps the numbers of comments current. Only the comment is an effect; its numbers are a help.
func (w *work) addComments(held context.Context) error {
	for _, m := range markersOf(w.plans) {
		if w.marks.has(kindComment, m.name()) {
			continue
		}
		if err := w.comment(held, m); err != nil {
			return err
		}
	}
	return w.refreshComments(held)
}

func (w *work) comment(held context.Context, m marker) error {
	ref, known := w.body.Comments[m.name()]
	if !known && !w.listed[kindComment] {
		if err := w.listComments(held); err != nil {
			return err
		}
		if w.marks.has(kindComment, m.name()) {
			return nil
		}
		ref, known = w.body.Comments[m.name()]
	}
	changed := ref.absorb(w.plans, m)
	switch {
	case known:
		ref.Pending = ref.Pending || changed && ref.ID != inDescription
		w.body.Comments[m.name()] = ref
		return nil
	case len(w.body.Comments) >= w.e.options.Limits.Comments:
		w.leaveOut(kindComment)
		return w.raiseFields(held)
	default:
		return w.postComment(held, m, ref, 0)
	}
}

// postComment adds the comment of a rule and day. TheHive keeps doubles, so after an ambiguous
// answer it is looked for until settle has passed.
func (w *work) postComment(held context.Context, m marker, ref commentRef, tries int) error {
	calls, done := w.claim.calling(held)
	defer done()
	m.ids = ref.IDs
	text := commentText(w.titleOf(m), ref, m)
	made, err := w.hive.AddComment(calls, w.c.ID, text)
	if err == nil {
		ref.ID, ref.Written, ref.Pending = made.ID, textHash(text), false
		w.body.Comments[m.name()] = ref
		w.e.pace.note(w.id)
		return nil
	}
	if uncertain(err) {
		return w.lookForComment(held, m, ref, tries, err)
	}
	refusal, ok := refusalOf(kindComment, m.name(), err)
	if !ok {
		return err
	}
	if err := w.stillThere(calls, err); err != nil {
		return err
	}
	w.refuseItem(w.ownersOf(m), refusal)
	return nil
}

func (w *work) lookForComment(held context.Context, m marker, ref commentRef, tries int, cause error) error {
	w.e.happened(EventAmbiguous, w.c.Number, "add comment")
	if tries == maxResends {
		return errors.Join(ErrUnsettled, cause)
	}
	there := false
	err := w.look(held, cause, func() (bool, error) {
		if err := w.listComments(held); err != nil {
			return false, err
		}
		_, there = w.body.Comments[m.name()]
		return there, nil
	})
	if err != nil || there {
		return err
	}
	return w.postComment(held, m, ref, tries+1)
}

// ownersOf gives the plans of a rule and day.
func (w *work) ownersOf(m marker) (owners []int) {
	for i, p := range w.plans {
		if p.commentKey() == m.name() {
			owners = append(owners, i)
		}
	}
	return owners
}

func (w *work) titleOf(m marker) string {
	for _, p := range w.plans {
		if p.commentKey() == m.name() {
			return p.Title
		}
	}
	return ""
}

func textHash(text string) string { return itemHash("text", text) }

// listComments makes the entry hold the comments that are in the case, and what the description
// names; what it held and is gone was removed.
func (w *work) listComments(held context.Context) error {
	calls, done := w.claim.calling(held)
	defer done()
	there := map[string]commentRef{}
	w.texts = map[string]string{}
	for _, m := range markersIn(w.c.Description) {
		w.adopt(there, m, commentRef{ID: inDescription})
	}
	for c, err := range w.hive.CaseComments(calls, w.c.ID) {
		if err != nil {
			return err
		}
		for _, m := range markersIn(c.Message) {
			w.adopt(there, m, commentRef{ID: c.ID, Last: lastSeenIn(c.Message), Written: textHash(c.Message)})
			w.texts[c.ID] = c.Message
		}
	}
	gone, now := []string{}, sortedKeys(there)
	for name, ref := range w.body.Comments {
		if _, ok := there[name]; !ok && ref.ID != inDescription {
			gone = append(gone, name)
		}
	}
	if err := w.noticed(held, kindComment, gone, now); err != nil {
		return err
	}
	w.body.Comments = there
	w.listed[kindComment] = true
	return nil
}

// adopt takes a comment that is there, with what the entry knows of it; the first one counts.
func (w *work) adopt(there map[string]commentRef, m marker, found commentRef) {
	if _, ok := there[m.name()]; ok {
		return
	}
	if known, ok := w.body.Comments[m.name()]; ok && known.ID == found.ID {
		there[m.name()] = known
		return
	}
	found.IDs, found.N = m.ids, max(len(m.ids), 1)
	there[m.name()] = found
}

// refreshComments rewrites the comments whose numbers changed, at most once a minute. Tidy does
// it after a quiet minute.
func (w *work) refreshComments(held context.Context) error {
	pending := slices.DeleteFunc(sortedKeys(w.body.Comments), func(n string) bool { return !w.body.Comments[n].Pending })
	if len(pending) == 0 {
		return nil
	}
	if !w.e.pace.due(w.id) {
		w.e.pace.owe(w.id, w.organisation)
		return nil
	}
	w.e.pace.note(w.id)
	if err := w.listComments(held); err != nil {
		return err
	}
	for _, name := range pending {
		if ref, ok := w.body.Comments[name]; ok && ref.Pending {
			w.body.Comments[name] = w.rewrite(held, name, ref)
		}
	}
	return nil
}

// rewrite patches one comment, unless somebody else edited it. A failure is no matter: numbers
// are no effect, and the next minute tries again.
func (w *work) rewrite(held context.Context, name string, ref commentRef) commentRef {
	text := w.texts[ref.ID]
	ref.Pending = false
	if ref.Written != textHash(text) {
		return ref
	}
	rule, day, _ := strings.Cut(name, "/")
	next := commentNumbers(headline(text), ref, marker{rule: rule, day: day, ids: ref.IDs})
	calls, done := w.claim.calling(held)
	defer done()
	if err := w.hive.UpdateComment(calls, ref.ID, next); err != nil {
		ref.Pending = true
		return ref
	}
	ref.Written = textHash(next)
	return ref
}

// headline is the first line of a comment.
func headline(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// commentPace is how often a comment's numbers are rewritten at most, and how long must be quiet
// before the last ones are.
const commentPace = time.Minute
