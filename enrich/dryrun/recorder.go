package dryrun

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"forager/enrich/apply"
	"forager/enrich/claim"
	"forager/hive"
)

// Effect is one thing that an apply would change in TheHive.
type Effect struct {
	Kind string // "found" (looked at, no change), "case", "reopen", "alert", "observable", "procedure", "fields", "comment", "file"
	Case string // its number, "#12"; "new-1" for a case that would be opened, "alert 4711" for an alert
	Item string // what: a title, "ip 203.0.113.7", "T1059/execution", a file's name
}

// Recorder stands between an [apply.Applier] and TheHive, and between it and the ledger: what is read
// comes from there, what would be written stays here and is read from here afterwards. So the same
// apply that works in earnest tells what it would do, to the last rule, and does nothing.
//
// Claims of others are not waited for: an entry that somebody holds counts as absent, so that
// TheHive is looked at instead. Memory grows with what would be changed. Give one worker's
// applier a recorder, as Hive and as Ledger; safe for concurrent use.
type Recorder struct {
	hive   func(organisation string) apply.Hive
	ledger claim.Store

	mu      sync.Mutex
	made    int               // ids handed out
	cases   map[string]*draft // by id
	alerts  map[string]hive.NewAlert
	effects []Effect
	entries map[string]kept
	rev     uint64
}

// draft is what a case would hold beside what it holds.
type draft struct {
	hive.Case

	isNew       bool
	name        string // of an alert
	observables []hive.Observable
	listed      bool // there holds what TheHive says
	there       map[string]bool
	procedures  []hive.Procedure
	comments    []hive.Comment
	files       []hive.Attachment
}

// New makes one over TheHive and the ledger, of which it only ever reads.
func New(h func(organisation string) apply.Hive, l claim.Store) *Recorder {
	return &Recorder{hive: h, ledger: l, cases: map[string]*draft{}, alerts: map[string]hive.NewAlert{}, entries: map[string]kept{}}
}

// Take gives the effects since it was called last, in order.
func (r *Recorder) Take() []Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.effects
	r.effects = nil
	return taken
}

// watching is where effects go that happen under a context of Watch.
type watching struct{}

// Watch keeps the effects of what is done under the context that it gives, apart from those of others at the same time. They
// are read when that is done, once, in order.
func (r *Recorder) Watch(ctx context.Context) (context.Context, func() []Effect) {
	own := new([]Effect)
	return context.WithValue(ctx, watching{}, own), func() []Effect {
		r.mu.Lock()
		defer r.mu.Unlock()
		return *own
	}
}

// Hive is TheHive in an organisation, as the dry run shows it.
func (r *Recorder) Hive(organisation string) apply.Hive {
	return &staged{Recorder: r, real: r.hive(organisation)}
}

// staged is one organisation's TheHive: reads go through, writes stay.
type staged struct {
	*Recorder

	real apply.Hive
}

var _ apply.Hive = (*staged)(nil)

// CustomFields lists what TheHive has.
func (s *staged) CustomFields(ctx context.Context) ([]hive.CustomField, error) {
	return s.real.CustomFields(ctx)
}

// TemplateTags gives those that TheHive has.
func (s *staged) TemplateTags(ctx context.Context, template string) ([]string, error) {
	return s.real.TemplateTags(ctx, template)
}

// id hands out an id that no entity of TheHive has. The lock is held.
func (r *Recorder) id() string {
	r.made++
	return fmt.Sprintf("~new%d", r.made)
}

// draft gives what is known of a case. The lock is held.
func (r *Recorder) draft(id string) *draft {
	d := r.cases[id]
	if d == nil {
		d = &draft{}
		r.cases[id] = d
	}
	return d
}

// note notes an effect on a case. The lock is held.
func (d *draft) note(ctx context.Context, r *Recorder, kind, item string) {
	name := fmt.Sprintf("#%d", d.Number)
	if d.name != "" {
		name = d.name
	} else if d.isNew {
		name = fmt.Sprintf("new-%d", -d.Number)
	}
	to := &r.effects
	if own, watched := ctx.Value(watching{}).(*[]Effect); watched {
		to = own
	}
	*to = append(*to, Effect{Kind: kind, Case: name, Item: item})
}

// isNew tells whether a case would be opened, and what it would be.
func (r *Recorder) isNew(id string) (hive.Case, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.cases[id]
	if d == nil || !d.isNew {
		return hive.Case{}, false
	}
	return d.Case, true
}

// Case gives a case with what would have changed in it.
func (s *staged) Case(ctx context.Context, id string) (hive.Case, error) {
	c, fresh := s.isNew(id)
	if !fresh {
		var err error
		if c, err = s.real.Case(ctx, id); err != nil {
			return c, err
		}
		c = s.changed(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draft(c.ID).note(ctx, s.Recorder, "found", c.Title)
	return c, nil
}

// FindCases finds what TheHive holds. Cases that would be opened are in the ledger's entries.
func (s *staged) FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error] {
	return func(yield func(hive.Case, error) bool) {
		for c, err := range s.real.FindCases(ctx, q) {
			if err == nil {
				c = s.changed(c)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// changed is a case of TheHive with what would have changed in it.
func (s *staged) changed(c hive.Case) hive.Case {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.draft(c.ID)
	if d.ID == "" {
		d.Case = c
	}
	return d.Case
}

// CreateCase notes that a case would be opened.
func (s *staged) CreateCase(ctx context.Context, n hive.NewCase) (hive.Case, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.id()
	count := 1
	for _, d := range s.cases {
		if d.isNew {
			count++
		}
	}
	start := n.StartDate
	if start == 0 {
		start = hive.MillisOf(time.Now())
	}
	c := hive.Case{
		ID: id, Number: -count, Title: n.Title, Description: n.Description, Stage: "New", Status: "New",
		StartDate: start, Tags: slices.Clone(n.Tags), Severity: known(n.Severity), TLP: known(n.TLP), PAP: known(n.PAP),
	}
	d := &draft{Case: c, isNew: true}
	s.cases[id] = d
	d.note(ctx, s.Recorder, "case", c.Title)
	return c, nil
}

// known is a level, or TheHive's default.
func known(level *int) int {
	if level == nil {
		return 2
	}
	return *level
}

// UpdateCase notes what would change, and keeps what later decisions depend on.
func (s *staged) UpdateCase(ctx context.Context, id string, u hive.CaseUpdate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.draft(id)
	if u.Status != nil {
		d.Status, d.Stage, d.EndDate = *u.Status, "InProgress", 0
		d.note(ctx, s.Recorder, "reopen", *u.Status)
	}
	for _, level := range []struct {
		name     string
		to, from *int
	}{{"severity", u.Severity, &d.Severity}, {"tlp", u.TLP, &d.TLP}, {"pap", u.PAP, &d.PAP}} {
		if level.to != nil {
			d.note(ctx, s.Recorder, "fields", fmt.Sprintf("%s %d", level.name, *level.to))
			*level.from = *level.to
		}
	}
	for _, tag := range u.AddTags {
		if !slices.Contains(d.Tags, tag) {
			d.Tags = append(slices.Clone(d.Tags), tag)
			d.note(ctx, s.Recorder, "fields", "tag "+tag)
		}
	}
	return nil
}

// CurrentUser asks TheHive.
func (s *staged) CurrentUser(ctx context.Context) (hive.User, error) {
	return s.real.CurrentUser(ctx)
}
