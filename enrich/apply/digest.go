package apply

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/digest"
	"forager/hive"
)

// The page of a case that says how many detections of which rules it has (package digest). It comes with the case, so
// that it costs no call and is there once, and is brought up to date at most once a minute and after a quiet minute.
// It is no effect: no detection waits for it, and what fails is tried again by the next. The entry has all its
// numbers, and the page the newest detections; writing it twice changes nothing.

// digestTitle and digestCategory name the page.
const (
	digestTitle    = "Detections"
	digestCategory = "Forager"
)

// kindPage is the kind of the page, in marks and intents.
const kindPage = "page"

// inDigest stands for the comment of a rule and day of which the digest tells alone.
const inDigest = "digest"

// digestBody is what an entry remembers of the page.
type digestBody struct {
	digest.Digest

	Page    string `json:"page,omitempty"`    // TheHive's id, once it was listed
	Comment bool   `json:"comment,omitempty"` // a comment takes the place of the page: all that is said of the page holds of it
	Made    bool   `json:"made,omitempty"`    // the case has, or had, a page
	Without bool   `json:"without,omitempty"` // it was created without one
	Missed  int64  `json:"missed,omitempty"`  // when the page of a case that was found was looked for in vain first, ms
	Wrote   int64  `json:"wrote,omitempty"`   // when it was written last, ms
	Edited  bool   `json:"edited,omitempty"`  // somebody else changed it: it is never written again
	Pending bool   `json:"pending,omitempty"` // the page lags behind these numbers
	Merged  bool   `json:"merged,omitempty"`  // a merge brought pages and comments: what is too much is not removed yet
}

// firstDigest is the digest of a new case: of the plans that its description names.
func firstDigest(plans []enrich.Plan) digest.Digest {
	var d digest.Digest
	for _, m := range firstMarkers(plans) {
		var ref commentRef
		d.AddAll(ref.absorb(plans, m))
	}
	return d
}

// pageState says whether a case was created with the page of its detections.
type pageState int

const (
	pageNone    pageState = iota // it has none
	pageMade                     // it came with the case
	pageLater                    // it was not known whether the account may write it
	pageComment                  // a comment takes its place, later
)

// startedDigest is what the entry of a case that was just created remembers.
func startedDigest(plans []enrich.Plan, page pageState) *digestBody {
	made := page == pageMade
	d := &digestBody{Digest: firstDigest(plans), Made: made, Without: !made, Pending: !made, Comment: page == pageComment, Wrote: time.Now().UnixMilli()}
	if d.Made {
		d.Rows = nil // they are in the page
	}
	return d
}

// isDigest tells the page of detections from those of routes.
func isDigest(p hive.NewPage) bool { return p.Category == digestCategory && p.Title == digestTitle }

// firstPages are the pages of a new case with that of its detections.
func firstPages(plans []enrich.Plan, others []hive.NewPage) []hive.NewPage {
	return append(slices.Clone(others), hive.NewPage{Title: digestTitle, Category: digestCategory, Content: firstDigest(plans).Text()})
}

// digests tells where cases of an organisation count: as it is wanted, and where that is a page, as the account may.
// TheHive is asked once; sure is false where it did not answer.
func (a *Applier) digests(ctx context.Context, organisation string, account Account) (place DigestPlace, sure bool) {
	if a.options.Digest != DigestPage {
		return a.options.Digest, true
	}
	may, known := a.pages.Load(organisation)
	if !known {
		user, err := account.CurrentUser(ctx)
		if err != nil {
			return DigestPage, false
		}
		may = user.May("managePage")
		a.pages.Store(organisation, may)
	}
	if may != true {
		return DigestComment, true
	}
	return DigestPage, true
}

// counts tells whether the entry counts for a digest: the case has one, or will have.
func (w *caseWork) counts() bool { return w.body.Digest != nil }

// digested notes detections in the digest.
func (w *caseWork) digested(plans []enrich.Plan) {
	if !w.counts() || len(plans) == 0 {
		return
	}
	w.body.Digest.AddAll(plans)
	w.body.Digest.Pending = true
}

// toldElsewhere tells whether a rule needs no comment of its own: one of another day tells of it, or an analyst took
// it away, or the day has as many as it may have. The digest tells then.
func (w *caseWork) toldElsewhere(m marker) bool {
	if !w.counts() {
		return false
	}
	return w.told(m.rule) || w.ofDay(m.day) >= maxDaily-keptDaily || len(w.body.Comments) >= w.a.options.Limits.Comments
}

// told tells whether a comment of any day tells of a rule or change, or told until an analyst took it away.
func (w *caseWork) told(rule string) bool {
	for item := range w.marks.removed {
		if item[0] == kindComment && strings.HasPrefix(item[1], rule+"/") {
			return true
		}
	}
	for name := range w.body.Comments {
		if strings.HasPrefix(name, rule+"/") {
			return true
		}
	}
	return false
}

// ofDay is how many comments a case has for the detections of a day.
func (w *caseWork) ofDay(day string) (n int) {
	if w.counts() && w.body.Digest.Comment {
		n++
	}
	for name, ref := range w.body.Comments {
		if strings.HasSuffix(name, "/"+day) && ref.ID != inDescription && ref.ID != inDigest {
			n++
		}
	}
	return n
}

// maxDaily is how many comments a case gets for the detections of a day; the last keptDaily are for changes of the case.
const (
	maxDaily  = 20
	keptDaily = 3
)

// digestStep keeps the page of detections.
type digestStep struct {
	*caseWork

	further []digestText // of Forager's, unchanged, that a merge brought: their rows go into the one that stays
}

// run writes the page when it is time to.
func (w *digestStep) run(held context.Context) error {
	d := w.body.Digest
	if d == nil || !d.Pending {
		return nil
	}
	if d.Edited || w.marks.has(kindPage, digestTitle) {
		d.Pending = false
		return nil
	}
	if w.fresh || !w.a.pace.due(w.id) || !d.due() {
		// What the ledger does not know yet must not be in the page: after a death it would be counted again.
		w.a.pace.later(w.id, w.organisation)
		return nil
	}
	w.a.pace.note(w.id)
	if err := w.write(held); err != nil {
		w.a.pace.later(w.id, w.organisation)
		if scopeOf(err) == scopeAll {
			return err
		}
	}
	return nil // the page is no effect: the next minute tries again
}

// due tells whether a minute has passed since any worker wrote the page, so that lists show what it wrote. A time ahead of
// this worker's is another's clock.
func (d *digestBody) due() bool {
	return away(d.Wrote, commentPace)
}

// away tells whether a time that some worker noted, in ms, is at least so far from now.
func away(noted int64, far time.Duration) bool {
	return time.Since(time.UnixMilli(noted)).Abs() >= far
}

// write brings the page up to date: it looks at what is there, and leaves alone what somebody else changed.
func (w *digestStep) write(held context.Context) error {
	d := w.body.Digest
	content, found, err := w.find(held, d.Merged)
	if err != nil {
		return err
	}
	switch {
	case found:
	case d.Page != "":
		return w.noticed(held, kindPage, []string{digestTitle}, nil) // an analyst's answer: it stays away
	case d.Made:
		return nil // it was never seen: a list may lag, or an analyst was faster
	case !d.Without && time.Since(w.c.CreatedAt.Time()) < surelyListed && !d.missing():
		w.a.pace.later(w.id, w.organisation) // who created the case may have sent one with it
		return nil
	default:
		return w.add(held)
	}
	there, intact := digest.Parse(content)
	if !intact {
		d.Edited, d.Pending = true, false
		return nil
	}
	d.Complete(there)
	for _, p := range w.further {
		other, _ := digest.Parse(p.content)
		d.JoinRows(other.Rows)
	}
	if text := d.Text(); text != content {
		if err := w.update(held, text); err != nil {
			if hive.Uncertain(err) { // it may come late: whoever writes before that would be written over
				d.Wrote = time.Now().UnixMilli()
			}
			return err
		}
	}
	if err := w.deleteFurther(held); err != nil {
		return err
	}
	d.Merged = false
	d.written()
	return nil
}

// written notes that the page says what the numbers do.
func (d *digestBody) written() {
	d.Rows, d.Pending, d.Missed, d.Wrote = nil, false, 0, time.Now().UnixMilli()
}

// surelyListed is an age of a case at which a page that came with it is listed, by whatever clock.
const surelyListed = time.Hour

// missedFor is how long a page is looked for in vain until it is taken for never sent: many times as long as a call and a list take.
const missedFor = 5 * time.Minute

// missing tells whether the page was looked for in vain for so long, by whatever worker; the first time it notes when.
func (d *digestBody) missing() bool {
	if d.Missed == 0 {
		d.Missed = time.Now().UnixMilli()
	}
	return away(d.Missed, missedFor)
}

// update writes the page, or its comment.
func (w *digestStep) update(held context.Context, text string) error {
	calls, done := calling(held, w.claim)
	defer done()
	if w.body.Digest.Comment {
		return w.hive.UpdateComment(calls, w.body.Digest.Page, text)
	}
	return w.hive.UpdatePage(calls, w.c.ID, w.body.Digest.Page, text)
}

// deleteFurther leaves a merged case with one page.
func (w *digestStep) deleteFurther(held context.Context) error {
	calls, done := calling(held, w.claim)
	defer done()
	for _, p := range w.further {
		remove := func() error { return w.hive.DeletePage(calls, w.c.ID, p.id) }
		if p.comment {
			remove = func() error { return w.hive.DeleteComment(calls, p.id) }
		}
		if err := remove(); err != nil && !isGone(err) {
			return err
		}
	}
	return nil
}

// digestText is a page of detections, or the comment in its place.
type digestText struct {
	id, content string
	comment     bool
}

// find looks for the page, or for the comment in its place; where nothing is known yet, or a merge may have brought
// either, for both.
func (w *digestStep) find(held context.Context, both bool) (content string, found bool, err error) {
	d := w.body.Digest
	var mine []digestText
	if both || !d.Comment {
		mine, err = w.pages(held)
	}
	if err == nil && (both || d.Comment) {
		var comments []digestText
		comments, err = w.comments(held)
		mine = append(mine, comments...)
	}
	if err != nil {
		return "", false, err
	}
	slices.SortStableFunc(mine, func(a, b digestText) int { // the one that is known comes first
		return cmp.Compare(btoi(b.id == d.Page), btoi(a.id == d.Page))
	})
	w.further = nil
	for i, p := range mine {
		if i == 0 {
			d.Page, d.Comment, content = p.id, p.comment, p.content
		} else if _, intact := digest.Parse(p.content); intact {
			w.further = append(w.further, p)
		}
	}
	d.Made = d.Made || len(mine) > 0
	return content, len(mine) > 0, nil
}

// pages are the pages of detections that a case has.
func (w *digestStep) pages(held context.Context) (mine []digestText, err error) {
	calls, done := calling(held, w.claim)
	defer done()
	for p, err := range w.hive.CasePages(calls, w.c.ID) {
		if err != nil {
			return nil, err
		}
		if p.ID == w.body.Digest.Page || p.Category == digestCategory && p.Title == digestTitle {
			mine = append(mine, digestText{id: p.ID, content: p.Content})
		}
	}
	return mine, nil
}

// comments are those in place of a page that a case has.
func (w *digestStep) comments(held context.Context) (mine []digestText, err error) {
	calls, done := calling(held, w.claim)
	defer done()
	for c, err := range w.hive.CaseComments(calls, w.c.ID) {
		if err != nil {
			return nil, err
		}
		if c.ID == w.body.Digest.Page || digest.Sealed(c.Message) {
			mine = append(mine, digestText{id: c.ID, content: c.Message, comment: true})
		}
	}
	return mine, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// add posts the page to a case that never had one, or the comment in its place. TheHive takes doubles, so that it is
// written down first, and looked for after an answer that says nothing certain.
func (w *digestStep) add(held context.Context) error {
	if err := w.claim.Intend(held, kindPage); err != nil {
		return err
	}
	d := w.body.Digest
	if place, sure := w.a.digests(held, w.organisation, w.hive); sure && place == DigestComment {
		d.Comment = true
	}
	id, err := w.post(held, d.Text())
	if hive.VerdictOf(err) == hive.Denied && !d.Comment {
		d.Comment = true
		id, err = w.post(held, d.Text())
	}
	if err == nil {
		d.Page, d.Made = id, true
		d.written()
		return nil
	}
	if !hive.Uncertain(err) {
		return err
	}
	w.a.happened(EventAmbiguous, w.c.Number, "add page")
	return w.look(held, err, func() (bool, error) {
		_, found, err := w.find(held, false)
		return found, err
	})
}

// post adds the page, or the comment, and gives its id.
func (w *digestStep) post(held context.Context, text string) (id string, err error) {
	calls, done := calling(held, w.claim)
	defer done()
	if w.body.Digest.Comment {
		made, err := w.hive.AddComment(calls, w.c.ID, text)
		return made.ID, err
	}
	made, err := w.hive.AddPage(calls, w.c.ID, hive.NewPage{Title: digestTitle, Category: digestCategory, Content: text})
	return made.ID, err
}

// adopt makes an entry that the ledger lost, or never had, count on from what the pages say; those of merged cases
// are several. What the entry took over of a merged case is among that, or not in its page yet.
func (w *digestStep) adopt(held context.Context) error {
	known := w.body.Digest
	if w.addsToAlert() {
		return nil // comments tell there
	}
	if known != nil && (known.Made || known.Without) {
		return nil
	}
	place, sure := w.a.digests(held, w.organisation, w.hive)
	if known == nil && sure && place == DigestNone {
		return nil
	}
	w.body.Digest = &digestBody{Comment: sure && place == DigestComment}
	d := w.body.Digest
	content, found, err := w.find(held, true)
	if err != nil {
		w.body.Digest = known
		return err
	}
	there, intact := digest.Parse(content)
	d.Edited = found && !intact
	d.Without = d.Comment && !found // it comes with no case
	d.Digest, d.Rows = there, nil   // its rows are in the page
	for _, p := range w.further {
		other, _ := digest.Parse(p.content)
		d.Join(other)
		d.Pending, d.Merged = true, true
	}
	if known != nil {
		d.AtLeast(known.Digest)
		d.Pending = true
	}
	if d.Made || known != nil {
		return nil
	}
	for name, ref := range w.body.Comments { // of a case that is older than its page
		rule, _, _ := strings.Cut(name, "/")
		if isChange(rule) {
			continue
		}
		d.Count(rule, ref.N, ref.First, ref.Last)
		d.Pending = true
	}
	return nil
}
