package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/analyze"
	"forager/enrich/claim"
	"forager/enrich/related"
)

// marks are what analysts did to a case, as far as it is known: what they removed stays away.
type marks struct {
	removed map[[2]string]bool // kind, hash
	lifted  map[[2]string]bool // removals that were taken back before the item is there again
}

func (m marks) has(kind, hash string) bool { return m.removed[[2]string{kind, hash}] }

func marksKey(caseID string) string { return "marks." + caseID }

// readMarks reads the marks of the case, with those of the cases that it came of by merging.
func (w *caseWork) readMarks(held context.Context) error {
	w.marks = marks{removed: map[[2]string]bool{}, lifted: map[[2]string]bool{}}
	for _, from := range w.sources {
		if err := w.takeOver(held, from.ID); err != nil {
			return err
		}
	}
	body, _, err := loadMarks(held, w.a.options.Ledger, w.id)
	if err != nil {
		return err
	}
	for _, item := range body.Removed {
		w.marks.removed[item] = true
	}
	for _, item := range body.Lifted {
		w.marks.lifted[item] = true
	}
	w.forgetLifted()
	return nil
}

// forgetLifted lets the entry forget procedures whose removal was lifted: they count neither as
// there nor, when a list lacks them, as removed.
func (w *caseWork) forgetLifted() {
	for id, ref := range w.body.Procedures {
		if w.marks.lifted[procedureItem(ref[0], ref[1])] {
			delete(w.body.Procedures, id)
		}
	}
}

// takeOver takes over the removals and the high of a case that is gone, and, where this one came
// of it by merging, what it held: what the next list then lacks was removed before the merge.
func (w *caseWork) takeOver(ctx context.Context, id string) error {
	body, _, err := loadMarks(ctx, w.a.options.Ledger, id)
	if err != nil {
		return err
	}
	_, old, err := readCase(ctx, w.a.options.Ledger, id)
	if err != nil {
		return err
	}
	w.body.High.Severity = max(w.body.High.Severity, old.High.Severity)
	w.body.High.TLP = max(w.body.High.TLP, old.High.TLP)
	w.body.High.PAP = max(w.body.High.PAP, old.High.PAP)
	switch {
	case id == w.alert.ID:
		w.absorbAlert(old)
	case body.Moved == w.id || cameOf(w.c.Description, old):
		w.body.absorb(old)
	}
	if len(body.Removed) == 0 {
		return nil
	}
	return w.changeMarks(ctx, func(m *marksBody) bool { return m.add(body.Removed...) })
}

// cameOf tells whether a case came of another by merging, which joins descriptions: its own holds
// the other's marker.
func cameOf(description string, old caseBody) bool {
	return slices.ContainsFunc(markersIn(description), func(m marker) bool {
		ref, ok := old.Comments[m.name()]
		return ok && ref.ID == inDescription &&
			slices.ContainsFunc(m.ids, func(id string) bool { return slices.Contains(ref.IDs, id) })
	})
}

// absorb adds what the entry of a merged case lists. Merging keeps procedures with their ids
// (TheHive 4, CaseSrv.merge).
func (b *caseBody) absorb(old caseBody) {
	maps.Copy(b.Procedures, old.Procedures)
	for name, ref := range old.Comments {
		if _, ok := b.Comments[name]; !ok {
			b.Comments[name] = ref
		}
	}
	if old.Digest != nil {
		if b.Digest == nil {
			b.Digest = &digestBody{}
		}
		b.Digest.AtLeast(old.Digest.Digest)
		b.Digest.Pending = true
	}
	for kind, at := range old.Posted {
		if b.Posted == nil {
			b.Posted = map[string]int64{}
		}
		b.Posted[kind] = max(b.Posted[kind], at)
	}
	b.Jobs = b.Jobs.Absorb(old.Jobs)
	b.SourceAlerts = append(b.SourceAlerts, lacking(b.SourceAlerts, old.SourceAlerts)...)
	b.AlertsOut += old.AlertsOut
	b.Observables = append(b.Observables, subtract(old.Observables, b.Observables)...)
	b.Tags = append(b.Tags, subtract(old.Tags, b.Tags)...)
	for _, f := range subtract(old.Files, b.Files) {
		b.noteFile(f, cmp.Or(old.Stored[f], f))
	}
}

// readCase reads the entry of a case without claiming it; nil when there is none. What a holder
// has not released yet is not in it.
func readCase(ctx context.Context, l claim.Store, id string) (*claim.Entry, caseBody, error) {
	body := caseBody{High: high{-1, -1, -1}}
	value, _, err := l.Get(ctx, caseKey(id))
	if errors.Is(err, claim.ErrNoEntry) {
		return nil, body, nil
	}
	if err != nil {
		return nil, body, fmt.Errorf("%w: read case: %w", enrich.ErrLedger, err)
	}
	e, err := claim.ParseEntry(value)
	if err != nil {
		return nil, body, err
	}
	return &e, body, e.Read(&body)
}

func caseKey(id string) string { return "case." + id }

func loadMarks(ctx context.Context, l claim.Store, caseID string) (marksBody, uint64, error) {
	return claim.ReadRecord[marksBody](ctx, l, marksKey(caseID))
}

// changeMarks merges a change into the marks of the work's case.
func (w *caseWork) changeMarks(ctx context.Context, change func(*marksBody) bool) error {
	return changeMarks(ctx, w.a.options.Ledger, w.id, change)
}

// changeMarks merges a change into the marks of a case; anybody may, without a claim. To make it
// twice changes nothing: marks are sets.
func changeMarks(ctx context.Context, l claim.Store, caseID string, change func(*marksBody) bool) error {
	return claim.ChangeRecord(ctx, l, marksKey(caseID), func(m *marksBody) (bool, error) { return change(m), nil })
}

// add unites removals; it tells whether anything changed. What is removed anew is lifted no more.
func (m *marksBody) add(items ...[2]string) bool {
	added := unite(&m.Removed, items)
	return subtractItems(&m.Lifted, items) || added
}

// take removes items that are there again.
func (m *marksBody) take(items ...[2]string) bool {
	removed := subtractItems(&m.Removed, items)
	return subtractItems(&m.Lifted, items) || removed
}

// lift takes removals back before the items are there again.
func (m *marksBody) lift(items ...[2]string) bool {
	removed := subtractItems(&m.Removed, items)
	return unite(&m.Lifted, items) || removed
}

func unite(to *[][2]string, items [][2]string) bool {
	before := len(*to)
	for _, it := range items {
		if !slices.Contains(*to, it) {
			*to = append(*to, it)
		}
	}
	return len(*to) != before
}

func subtractItems(from *[][2]string, items [][2]string) bool {
	before := len(*from)
	*from = slices.DeleteFunc(*from, func(it [2]string) bool { return slices.Contains(items, it) })
	return len(*from) != before
}

// posted notes that something of a kind was just posted: lists may not show it yet.
func (w *caseWork) posted(kind string) {
	if w.body.Posted == nil {
		w.body.Posted = map[string]int64{}
	}
	w.body.Posted[kind] = time.Now().UnixMilli()
}

// lags tells whether a list of a kind may lack what is there: something was posted less than settle ago, by whatever
// worker's clock. Then what it lacks counts as there, and a later list tells what an analyst removed.
func (w *caseWork) lags(kind string) bool {
	since := time.Since(time.UnixMilli(w.body.Posted[kind]))
	return since.Abs() < w.a.options.Settle
}

// noticed records, of one kind, what analysts removed and what is there again. Only what is
// recorded may be forgotten: a list may lag behind what the entry knows to be there.
func (w *caseWork) noticed(ctx context.Context, kind string, gone, there []string) error {
	mark := func(hashes []string) (items [][2]string) {
		for _, h := range hashes {
			items = append(items, [2]string{kind, h})
		}
		return items
	}
	var back [][2]string
	for _, it := range mark(there) {
		if w.marks.removed[it] || w.marks.lifted[it] {
			back = append(back, it)
			delete(w.marks.removed, it)
			delete(w.marks.lifted, it)
		}
	}
	away := mark(gone)
	for _, it := range away {
		w.marks.removed[it] = true
	}
	if len(away)+len(back) == 0 {
		return nil
	}
	return w.changeMarks(ctx, func(m *marksBody) bool {
		added := m.add(away...)
		return m.take(back...) || added
	})
}

// bodyFields are all fields of entries' bodies, of keys, cases and the organisation whose jobs are asked for, that this version knows.
var bodyFields = []string{
	"cases", "opened", "raised", "names", "procedures", "observables", "tags", "comments", "files", "stored", "tasks", "pages", "digest", "high", "leftOut", "leftItems", "posted", "alerts", "loose", "alert", "from", "organisation", "sourceAlerts", "alertsOut", "related", "jobs", "lately",
}

// home says which organisation an entry is of, as the configuration named it: "" is the account's
// own. Entries of the first versions do not say.
type home struct {
	Organisation *string `json:"organisation,omitempty"`
}

// belong says where an entry belongs that does not say it yet.
func (h *home) belong(organisation string) {
	if h.Organisation == nil {
		h.Organisation = &organisation
	}
}

// caseBody is what the entry case.<id> remembers of Forager's own effects.
type caseBody struct {
	Procedures  map[string]procedureRef `json:"procedures"` // by TheHive's id
	Observables []string                `json:"observables"`
	Tags        []string                `json:"tags"`
	Comments    map[string]commentRef   `json:"comments"`         // by rule and the day that its marker names
	Files       []string                `json:"files,omitempty"`  // as TheHive lists them
	Stored      map[string]string       `json:"stored,omitempty"` // of files in another form: as listed → the file that it stands for
	Tasks       []string                `json:"tasks,omitempty"`
	Pages       []string                `json:"pages,omitempty"`
	Digest      *digestBody             `json:"digest,omitempty"`
	High        high                    `json:"high"`
	LeftOut     map[string]int          `json:"leftOut,omitempty"`   // by kind, what a limit left out
	LeftItems   []string                `json:"leftItems,omitempty"` // hashes of what was counted so
	Posted      map[string]int64        `json:"posted,omitempty"`    // by kind, when something was posted last, ms
	Jobs        *analyze.State          `json:"jobs,omitempty"`      // what analyzers are to look at, and did
	Related     *related.State          `json:"related,omitempty"`   // of a new case: which others it may have to do with
	Alerts      int                     `json:"alerts,omitempty"`    // how many names of alerts for this case are used
	Alert       bool                    `json:"alert,omitempty"`     // it is no case but an alert
	From        []string                `json:"from,omitempty"`      // alerts that became the case, or part of it, and whose entries this one took over
	Loose       bool                    `json:"loose,omitempty"`     // an alert of the next name may be part of no case yet
	// SourceAlerts are the source's name and id of each detection, as far as there is room: they only ever grow, at the
	// end. AlertsOut counts those for which there was none, about: what comes again counts again.
	SourceAlerts [][2]string `json:"sourceAlerts,omitempty"`
	AlertsOut    int         `json:"alertsOut,omitempty"`
	home
}

// high is the most that Forager itself wrote to a case; -1 is nothing.
type high struct {
	Severity int `json:"severity"`
	TLP      int `json:"tlp"`
	PAP      int `json:"pap"`
}

// procedureRef is [technique, tactic].
type procedureRef [2]string

// commentRef is the comment of one rule; where no digest counts, of one day.
type commentRef struct {
	ID        string            `json:"id"` // TheHive's id, inDescription or inDigest
	First     int64             `json:"first"`
	Last      int64             `json:"last"`
	N         int               `json:"n"`   // at least so many detections
	Seq       uint64            `json:"seq"` // highest stream sequence counted by the first versions, of whatever stream
	IDs       []string          `json:"ids,omitempty"`
	Written   string            `json:"written,omitempty"`   // hash of the text that Forager last wrote
	Sequences map[string]uint64 `json:"sequences,omitempty"` // highest counted, by stream
	Pending   bool              `json:"pending,omitempty"`   // the text lags behind these numbers
}

const inDescription = "description"

// marksBody is what the entry marks.<case> remembers of analysts' actions.
type marksBody struct {
	Removed [][2]string `json:"removed,omitempty"` // kind, hash
	Moved   string      `json:"moved,omitempty"`   // id of the case that this one was merged into
	Gone    int64       `json:"gone,omitempty"`    // when a document said that the case was deleted, ms; 0: none did
	Lifted  [][2]string `json:"lifted,omitempty"`  // removals that were taken back, until the items are there again
}

// rememberAlerts adds the source alerts of plans that the entry does not list, as far as there is room; it tells whether
// there were any.
func (b *caseBody) rememberAlerts(plans []enrich.Plan, most int) bool {
	named := make([][2]string, 0, len(plans))
	for _, p := range plans {
		named = append(named, [2]string{p.Format, p.SourceID})
	}
	anew := lacking(b.SourceAlerts, named)
	room := max(most-len(b.SourceAlerts), 0)
	b.AlertsOut += max(len(anew)-room, 0)
	b.SourceAlerts = append(b.SourceAlerts, anew[:min(room, len(anew))]...)
	return len(anew) > 0
}

// lacking are those of a list that another has not, each once.
func lacking(all, of [][2]string) (anew [][2]string) {
	there := make(map[[2]string]bool, len(all))
	for _, a := range all {
		there[a] = true
	}
	for _, a := range of {
		if !there[a] && a[1] != "" {
			there[a] = true
			anew = append(anew, a)
		}
	}
	return anew
}
