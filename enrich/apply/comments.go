package apply

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/digest"
	"forager/hive"
)

// commentStep notes the rules of plans in comments: while the digest counts each once, else each on each day.
type commentStep struct {
	*caseWork

	fields *fieldStep        // what it is about to change is told
	texts  map[string]string // of comments with a marker, by id, as last listed
	mute   bool              // not even a comment without words of events was taken: no other is tried
}

// run notes each of them once, in a comment or in the description that names it, and
// keeps the numbers of comments current. Only the comment is an effect; its numbers are a help.
func (w *commentStep) run(held context.Context) error {
	for _, m := range w.markers() {
		if w.marks.has(kindComment, m.name()) && !w.counts() {
			continue
		}
		err := w.comment(held, m)
		if err == nil {
			continue
		}
		if err := w.stepFailed(w.ownersOf(m), kindComment, err); err != nil {
			return err
		}
	}
	for _, c := range w.fields.changes() {
		if err := w.announce(held, c); err != nil {
			return err
		}
	}
	if err := w.refresh(held); err != nil && scopeOf(err) == scopeAll {
		return err
	}
	return nil // numbers are no effect: the next minute tries again
}

// announce tells of a change of the case that people must know of. It comes before the change, so that a death between
// them loses neither: whoever comes next finds the comment, and makes the change. A change whose comment is not
// settled waits for it.
func (w *commentStep) announce(held context.Context, c change) error {
	if c.name != changeSeverity && c.name != changeStatus || c.name == changeStatus && !w.mayReopen() {
		return nil
	}
	first := w.plans[c.owners[0]]
	m := marker{rule: severityChange(w.desired.severity), day: first.Day, ids: []string{markerID(first.SourceID)}}
	text := func(table string) string { return severityText(w.c.Severity, w.desired.severity, table, m) }
	if c.name == changeStatus {
		m.rule = reopenedChange(w.c.EndDate)
		text = func(table string) string { return reopenedText(w.c.EndDate, table, m) }
	}
	err := w.tellOf(held, m, first, text)
	if err == nil {
		return nil
	}
	if scopeOf(err) != scopeRefused {
		w.fields.refused[c.name] = true
	}
	return w.stepFailed(c.owners, kindComment, err)
}

// mayReopen tells whether the account may reopen the case, as far as the case says; else it stays closed.
func (w *caseWork) mayReopen() bool {
	return len(w.c.Permissions) == 0 || slices.Contains(w.c.Permissions, "manageCase/reopen")
}

// tellOf posts the comment of a change, unless there is or was one: with the detection that makes it, and without where
// that is refused.
func (w *commentStep) tellOf(held context.Context, m marker, first enrich.Plan, text func(table string) string) error {
	if w.told(m.rule) {
		return nil
	}
	if !w.listed[kindComment] {
		if err := w.list(held); err != nil || w.told(m.rule) {
			return err
		}
	}
	at := first.At.UnixMilli()
	ref := commentRef{First: at, Last: at, N: 1, IDs: m.ids}
	if w.ofDay(m.day) >= maxDaily || len(w.body.Comments) >= w.a.options.Limits.Comments {
		ref.ID = inDigest
		w.body.Comments[m.name()] = ref
		return nil
	}
	err := w.postText(held, m, ref, text(digest.Table([]enrich.Sighting{first.Sighting()})+"\n"))
	if scopeOf(err) == scopeRefused && !isDenied(err) {
		err = w.postText(held, m, ref, text(""))
	}
	return err
}

func (w *commentStep) comment(held context.Context, m marker) error {
	ref, known := w.known(&m)
	if !known && w.toldElsewhere(m) {
		ref, known = commentRef{ID: inDigest}, true
	}
	if !known && !w.listed[kindComment] {
		if err := w.list(held); err != nil {
			return err
		}
		if w.marks.has(kindComment, m.name()) && !w.counts() {
			return nil
		}
		if ref, known = w.known(&m); !known && w.toldElsewhere(m) {
			ref, known = commentRef{ID: inDigest}, true
		}
	}
	counted := ref.absorb(w.plans, m)
	switch {
	case known:
		w.digested(counted)
		ref.Pending = ref.Pending || len(counted) > 0 && ref.ID != inDescription && !w.counts()
		w.body.Comments[m.name()] = ref
		return nil
	case len(w.body.Comments) >= w.a.options.Limits.Comments:
		w.leaveOut(kindComment, m.name())
		return nil
	case w.mute:
		return enrich.ErrUnsettled
	default:
		err := w.postComment(held, m, ref)
		if found, there := w.known(&m); there { // else whoever tries again counts them
			found.absorb(w.plans, m) // it may be one that a worker wrote that died
			w.body.Comments[m.name()] = found
			w.digested(counted)
		}
		return err
	}
}

// postComment adds the comment of a rule, which tells of its first plan. One that is
// refused is tried with others, and at last with none: only whose words were refused are
// charged.
func (w *commentStep) postComment(held context.Context, m marker, ref commentRef) error {
	m.ids = ref.IDs
	var cause error
	for _, i := range w.tellers(m) {
		err := w.tryComment(held, m, ref, i)
		if err == nil || scopeOf(err) == scopeAll || isUnseen(err) {
			return err
		}
		cause = err
		if isDenied(err) {
			break // other words change nothing
		}
		if i >= 0 {
			title := w.plans[i].Title
			w.charge(w.whoseTitle(m, title), kindComment, title, err)
		}
	}
	w.mute = scopeOf(cause) == scopeFailed
	w.charge(w.ownersOf(m), kindComment, m.name(), cause)
	return nil
}

// noHeadline is the headline of a comment when those of events are refused.
const noHeadline = "Detections"

// maxTellers bounds how many detections a comment is tried to tell of.
const maxTellers = 3

// tellers are the plans, of different titles, that a comment may tell of, in the order of trying; -1 is none.
func (w *commentStep) tellers(m marker) []int {
	var all []int
	var titles []string
	for _, i := range w.ownersOf(m) {
		if t := w.plans[i].Title; !slices.Contains(titles, t) && len(all) < maxTellers {
			all, titles = append(all, i), append(titles, t)
		}
	}
	return append(all, -1)
}

// whoseTitle gives the plans of a marker that have a title.
func (w *commentStep) whoseTitle(m marker, title string) []int {
	return slices.DeleteFunc(w.ownersOf(m), func(i int) bool { return w.plans[i].Title != title })
}

// tryComment posts a comment that tells of a plan, or of none.
func (w *commentStep) tryComment(held context.Context, m marker, ref commentRef, teller int) error {
	told := "**" + noHeadline + "**"
	if teller >= 0 {
		if err := caught(func() error { told = strings.TrimRight(w.plans[teller].Telling(), "\n"); return nil }); err != nil {
			return err
		}
	}
	return w.postText(held, m, ref, commentText(told, ref, m, w.body.LeftOut))
}

// postText posts a comment with its marker. TheHive keeps doubles, so after an answer that says nothing certain it is
// looked for.
func (w *commentStep) postText(held context.Context, m marker, ref commentRef, text string) error {
	return bisection[string]{
		send: func(texts []string) ([]string, error) { return texts, w.sendComment(held, m, ref, texts[0]) },
		look: func(_ []string, cause error) error { return w.lookForComment(held, m, cause) },
		missing: func(texts []string) []string {
			if w.isThere(m) {
				return nil
			}
			return texts
		},
		alone: func(_ string, err error) error { return err },
	}.run([]string{text})
}

// sendComment makes one request, and compares the answer with what was sent.
func (w *commentStep) sendComment(held context.Context, m marker, ref commentRef, text string) error {
	if err := w.intend(held, kindComment); err != nil {
		return err
	}
	calls, done := calling(held, w.claim)
	defer done()
	made, err := w.hive.AddComment(calls, w.c.ID, text)
	if err != nil {
		return cmp.Or(w.stillThere(calls, err), err)
	}
	if slices.ContainsFunc(markersIn(made.Message), func(x marker) bool { return x.name() == m.name() }) {
		ref.ID, ref.Written, ref.Pending = made.ID, textHash(made.Message), false
		w.body.Comments[m.name()] = ref
		w.posted(kindComment)
		w.a.pace.note(w.id)
		return nil
	}
	if err := w.awaitComment(held, m, enrich.ErrUnsettled); err != nil {
		return err
	}
	if w.isThere(m) {
		return nil
	}
	// Sent again it may be there twice.
	return &hive.Error{Op: "add comment", Status: http.StatusBadRequest, Type: "OtherComment", Message: "TheHive answered with another comment", Sent: true}
}

// lookForComment lists after an answer that says nothing certain, until settle has passed.
func (w *commentStep) lookForComment(held context.Context, m marker, cause error) error {
	if !hive.Uncertain(cause) {
		return nil
	}
	w.a.happened(EventAmbiguous, w.c.Number, "add comment")
	return w.awaitComment(held, m, cause)
}

// awaitComment lists until a comment is there, or settle has passed: a list may lag.
func (w *commentStep) awaitComment(held context.Context, m marker, cause error) error {
	return w.look(held, cause, func() (bool, error) {
		if err := w.list(held); err != nil {
			return false, err
		}
		return w.isThere(m), nil
	})
}

// markers are what tells of the plans' detections: their rules, where the digest counts how often, else rules and days.
func (w *commentStep) markers() []marker {
	all := markersOf(w.plans)
	if !w.counts() {
		return all
	}
	var rules []marker
	for _, m := range all {
		i := slices.IndexFunc(rules, func(r marker) bool { return r.rule == m.rule })
		if i < 0 {
			m.everyDay = true
			rules = append(rules, m)
			continue
		}
		rules[i].ids = firstIDs(rules[i].ids, m.ids)
	}
	return rules
}

// known finds the comment that tells of a marker. One of every day takes the day of the comment that is there, which may be
// another than that of its first plan: whoever wrote it and died had others first. What other days counted, it counts too.
func (w *commentStep) known(m *marker) (commentRef, bool) {
	if !m.everyDay {
		ref, ok := w.body.Comments[m.name()]
		return ref, ok
	}
	found := ""
	for _, name := range sortedKeys(w.body.Comments) {
		if strings.HasPrefix(name, m.rule+"/") && (found == "" || w.body.Comments[found].ID == inDigest && w.body.Comments[name].ID != inDigest) {
			found = name
		}
	}
	if found == "" {
		return commentRef{}, false
	}
	ref := w.body.Comments[found]
	for name, other := range w.body.Comments {
		if strings.HasPrefix(name, m.rule+"/") && name != found {
			ref.join(other)
		}
	}
	m.day = strings.TrimPrefix(found, m.rule+"/")
	return ref, true
}

// isThere tells whether a marker has its comment, of whatever day if it may.
func (w *commentStep) isThere(m marker) bool {
	_, there := w.known(&m)
	return there
}

// ownersOf gives the plans that a marker tells of.
func (w *commentStep) ownersOf(m marker) (owners []int) {
	for i, p := range w.plans {
		if m.tellsOf(p) {
			owners = append(owners, i)
		}
	}
	return owners
}

func textHash(text string) string { return itemHash("text", text) }

// list makes the entry hold the comments that are in the case, and what the description
// names; what it held and is gone was removed.
func (w *commentStep) list(held context.Context) error {
	calls, done := calling(held, w.claim)
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
		_, ok := there[name]
		switch {
		case ok, ref.ID == inDescription, ref.ID == inDigest:
		case w.lags(kindComment):
			there[name] = ref
		default:
			gone = append(gone, name)
		}
	}
	if err := w.noticed(held, kindComment, gone, now); err != nil {
		return err
	}
	for name, ref := range w.body.Comments { // what was counted stays counted, listed or not
		if _, ok := there[name]; !ok && (w.counts() || ref.ID == inDigest) {
			ref.ID = inDigest
			there[name] = ref
		}
	}
	w.body.Comments = there
	w.listed[kindComment] = true
	return nil
}

// adopt takes a comment that is there, with what the entry knows of it; the first one counts.
func (w *commentStep) adopt(there map[string]commentRef, m marker, found commentRef) {
	if _, ok := there[m.name()]; ok {
		return
	}
	known, ok := w.body.Comments[m.name()]
	if ok && known.ID == inDigest {
		known.ID, known.Written = found.ID, found.Written
	}
	if ok && known.ID == found.ID {
		there[m.name()] = known
		return
	}
	found.IDs, found.N = m.ids, max(len(m.ids), 1)
	there[m.name()] = found
}

// refresh rewrites the comments whose numbers changed, at most once a minute. FlushComments does
// it after a quiet minute.
func (w *commentStep) refresh(held context.Context) error {
	pending := slices.DeleteFunc(sortedKeys(w.body.Comments), func(n string) bool { return !w.body.Comments[n].Pending })
	if len(pending) == 0 {
		return nil
	}
	if !w.a.pace.due(w.id) {
		w.a.pace.later(w.id, w.organisation)
		return nil
	}
	w.a.pace.note(w.id)
	if err := w.list(held); err != nil {
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
func (w *commentStep) rewrite(held context.Context, name string, ref commentRef) commentRef {
	text := w.texts[ref.ID]
	ref.Pending = false
	if ref.Written != textHash(text) {
		return ref
	}
	rule, day, _ := strings.Cut(name, "/")
	next := commentText(toldIn(text), ref, marker{rule: rule, day: day, ids: ref.IDs}, w.body.LeftOut)
	calls, done := calling(held, w.claim)
	defer done()
	if err := w.hive.UpdateComment(calls, ref.ID, next); err != nil {
		ref.Pending = true
		return ref
	}
	ref.Written = textHash(next)
	return ref
}

// commentPace is how often a comment's numbers are rewritten at most, and how long must be quiet
// before the last ones are.
const commentPace = time.Minute

// absorb counts the plans of a marker that are new to a comment, and gives those, each source id once: as
// long as the comment's list has room, what it does not name is new. Beyond, the stream decides: what
// it numbers above the highest counted of it. Streams have nothing to do with each other, and a
// requeued message has a new number though it was counted; so the count is "at least".
func (c *commentRef) absorb(plans []enrich.Plan, m marker) (counted []enrich.Plan) {
	before, now := maps.Clone(c.Sequences), map[string]bool{}
	for _, p := range plans {
		if !m.tellsOf(p) || now[p.SourceID] || c.counted(p, before) {
			continue
		}
		now[p.SourceID] = true
		c.count(p)
		counted = append(counted, p)
	}
	return counted
}

// counted tells whether a comment surely or probably counts a plan's detection; before is what it
// knew of streams before the messages at hand, of which one may hold many detections.
func (c *commentRef) counted(p enrich.Plan, before map[string]uint64) bool {
	switch {
	case slices.Contains(c.IDs, markerID(p.SourceID)):
		return true
	case len(c.IDs) < maxIDs:
		return false
	case p.Origin.Sequence == 0:
		return false
	case p.Origin.Requeued:
		return true
	}
	highest, known := before[p.Origin.Stream]
	if !known && len(before) == 0 {
		highest = c.Seq
	}
	return p.Origin.Sequence <= highest
}

func (c *commentRef) count(p enrich.Plan) {
	at := p.At.UnixMilli()
	if c.N == 0 || at < c.First {
		c.First = at
	}
	c.Last = max(c.Last, at)
	c.N++
	if id := markerID(p.SourceID); len(c.IDs) < maxIDs && !slices.Contains(c.IDs, id) {
		c.IDs = append(c.IDs, id)
	}
	c.follow(p.Origin)
}

// join takes over what another comment of the rule counted, so that nothing is counted again.
func (c *commentRef) join(o commentRef) {
	c.First, c.Last, c.N, c.Seq = min(c.First, o.First), max(c.Last, o.Last), max(c.N, o.N), max(c.Seq, o.Seq)
	c.IDs = firstIDs(c.IDs, o.IDs)
	c.Sequences = maps.Clone(c.Sequences)
	for stream, sequence := range o.Sequences {
		c.follow(enrich.Origin{Stream: stream, Sequence: sequence})
	}
}

// firstIDs are as many ids of both as a marker names.
func firstIDs(mine, others []string) []string {
	for _, id := range others {
		if len(mine) < maxIDs && !slices.Contains(mine, id) {
			mine = append(slices.Clip(mine), id)
		}
	}
	return mine
}

// maxStreams is of how many streams a comment remembers the highest sequence.
const maxStreams = 8

// follow notes how far a stream was counted.
func (c *commentRef) follow(o enrich.Origin) {
	if o.Sequence == 0 {
		return
	}
	if _, known := c.Sequences[o.Stream]; !known && len(c.Sequences) >= maxStreams {
		return
	}
	if c.Sequences == nil {
		c.Sequences = map[string]uint64{}
	}
	c.Sequences[o.Stream] = max(c.Sequences[o.Stream], o.Sequence)
}
