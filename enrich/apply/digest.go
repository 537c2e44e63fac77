package apply

import (
	"cmp"
	"context"
	"slices"
	"strings"

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
	Made    bool   `json:"made,omitempty"`    // the case has, or had, a page
	Edited  bool   `json:"edited,omitempty"`  // somebody else changed it: it is never written again
	Pending bool   `json:"pending,omitempty"` // the page lags behind these numbers
}

// firstDigest is the digest of a new case: of the plans that its description names.
func firstDigest(plans []enrich.Plan) digest.Digest {
	var d digest.Digest
	for _, m := range firstMarkers(plans) {
		var ref commentRef
		for _, p := range ref.absorb(plans, m) {
			d.Add(p.RuleHash, p.Sighting())
		}
	}
	return d
}

// isDigest tells the page of detections from those of routes.
func isDigest(p hive.NewPage) bool { return p.Category == digestCategory && p.Title == digestTitle }

// firstPages are the pages of a new case with that of its detections.
func firstPages(plans []enrich.Plan, others []hive.NewPage) []hive.NewPage {
	return append(slices.Clone(others), hive.NewPage{Title: digestTitle, Category: digestCategory, Content: firstDigest(plans).Text()})
}

// digests tells whether cases of an organisation have the page: it is wanted, and the account may write it. Who
// cannot be asked has none this time.
func (a *Applier) digests(ctx context.Context, organisation string, account Account) bool {
	if a.options.NoDigest {
		return false
	}
	if may, known := a.pages.Load(organisation); known {
		return may == true
	}
	user, err := account.CurrentUser(ctx)
	if err != nil {
		return false
	}
	may := user.May("managePage")
	a.pages.Store(organisation, may)
	return may
}

// counts tells whether the entry counts for a digest: the case has one, or will have.
func (w *caseWork) counts() bool { return w.body.Digest != nil }

// digested notes detections in the digest.
func (w *caseWork) digested(plans []enrich.Plan) {
	if !w.counts() {
		return
	}
	for _, p := range plans {
		w.body.Digest.Add(p.RuleHash, p.Sighting())
		w.body.Digest.Pending = true
	}
}

// toldElsewhere tells whether a rule needs no comment of its own: one of another day tells of it, or an analyst took
// it away, or the day has as many as it may have. The digest tells then.
func (w *caseWork) toldElsewhere(m marker) bool {
	if !w.counts() {
		return false
	}
	for item := range w.marks.removed {
		if item[0] == kindComment && strings.HasPrefix(item[1], m.rule+"/") {
			return true
		}
	}
	today := 0
	for name, ref := range w.body.Comments {
		if strings.HasPrefix(name, m.rule+"/") {
			return true
		}
		if strings.HasSuffix(name, "/"+m.day) && ref.ID != inDescription && ref.ID != inDigest {
			today++
		}
	}
	return today >= maxDaily
}

// maxDaily is how many comments a case gets for the detections of a day.
const maxDaily = 20

// digestStep keeps the page of detections.
type digestStep struct {
	*caseWork

	further []hive.Page // of Forager's, unchanged, that a merge brought: their rows go into the one that stays
}

// run writes the page when it is time to.
func (w *digestStep) run(held context.Context) error {
	if d := w.body.Digest; d == nil || !d.Pending || d.Edited || w.marks.has(kindPage, digestTitle) {
		return nil
	}
	if !w.a.pace.due(w.id) {
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

// write brings the page up to date: it looks at what is there, and leaves alone what somebody else changed.
func (w *digestStep) write(held context.Context) error {
	d := w.body.Digest
	content, err := w.find(held)
	if err != nil {
		return err
	}
	switch {
	case d.Page == "" && d.Made:
		return w.noticed(held, kindPage, []string{digestTitle}, nil) // an analyst's answer: it stays away
	case d.Page == "":
		return w.add(held)
	}
	there, intact := digest.Parse(content)
	if !intact {
		d.Edited = true
		return nil
	}
	next := d.Digest
	next.JoinRows(there.Rows)
	for _, p := range w.further {
		other, _ := digest.Parse(p.Content)
		next.JoinRows(other.Rows)
	}
	if text := next.Text(); text != content {
		calls, done := calling(held, w.claim)
		defer done()
		if err := w.hive.UpdatePage(calls, w.c.ID, d.Page, text); err != nil {
			return err
		}
	}
	if err := w.deleteFurther(held); err != nil {
		return err
	}
	d.Rows, d.Pending = nil, false
	return nil
}

// deleteFurther leaves a merged case with one page.
func (w *digestStep) deleteFurther(held context.Context) error {
	calls, done := calling(held, w.claim)
	defer done()
	for _, p := range w.further {
		if err := w.hive.DeletePage(calls, w.c.ID, p.ID); err != nil && !isGone(err) {
			return err
		}
	}
	return nil
}

// find looks for the page; Page is empty where there is none.
func (w *digestStep) find(held context.Context) (content string, err error) {
	calls, done := calling(held, w.claim)
	defer done()
	var mine []hive.Page
	for p, err := range w.hive.CasePages(calls, w.c.ID) {
		if err != nil {
			return "", err
		}
		if p.ID == w.body.Digest.Page || p.Category == digestCategory && p.Title == digestTitle {
			mine = append(mine, p)
		}
	}
	slices.SortStableFunc(mine, func(a, b hive.Page) int { // the one that is known comes first
		return cmp.Compare(btoi(b.ID == w.body.Digest.Page), btoi(a.ID == w.body.Digest.Page))
	})
	w.body.Digest.Page, w.further = "", nil
	for i, p := range mine {
		if i == 0 {
			w.body.Digest.Page, content = p.ID, p.Content
		} else if _, intact := digest.Parse(p.Content); intact {
			w.further = append(w.further, p)
		}
	}
	w.body.Digest.Made = w.body.Digest.Made || w.body.Digest.Page != ""
	return content, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// add posts the page to a case that never had one. TheHive takes doubles, so that it is written down first, and
// looked for after an answer that says nothing certain.
func (w *digestStep) add(held context.Context) error {
	if err := w.claim.Intend(held, kindPage); err != nil {
		return err
	}
	d := w.body.Digest
	calls, done := calling(held, w.claim)
	defer done()
	made, err := w.hive.AddPage(calls, w.c.ID, hive.NewPage{Title: digestTitle, Category: digestCategory, Content: d.Text()})
	if err == nil {
		d.Page, d.Made, d.Rows, d.Pending = made.ID, true, nil, false
		return nil
	}
	if !uncertain(err) {
		return err
	}
	w.a.happened(EventAmbiguous, w.c.Number, "add page")
	return w.look(held, err, func() (bool, error) {
		_, err := w.find(held)
		return d.Page != "", err
	})
}

// adopt makes an entry that the ledger lost, or never had, count on from what the pages say; those of merged cases
// are several. What the entry took over of a merged case is among that, or not in its page yet.
func (w *digestStep) adopt(held context.Context) error {
	known := w.body.Digest
	if known != nil && known.Made || known == nil && !w.a.digests(held, w.organisation, w.hive) {
		return nil
	}
	w.body.Digest = &digestBody{}
	d := w.body.Digest
	content, err := w.find(held)
	if err != nil {
		w.body.Digest = known
		return err
	}
	there, intact := digest.Parse(content)
	d.Edited = d.Made && !intact
	d.Digest, d.Rows = there, nil // its rows are in the page
	for _, p := range w.further {
		other, _ := digest.Parse(p.Content)
		d.Join(other)
		d.Pending = true
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
		d.Count(rule, ref.N, ref.First, ref.Last)
		d.Pending = true
	}
	return nil
}
