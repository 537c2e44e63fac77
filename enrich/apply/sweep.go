package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
)

// SweepOptions says what a sweep looks at.
type SweepOptions struct {
	// Organisations are those that are served; the first is the worker's own.
	Organisations []string
	// Keep is how old the newest event of a case that is over must be; at least the window and
	// the stream's retention.
	Keep time.Duration
}

// SweepResult is what a sweep did.
type SweepResult struct {
	// Purged is how many entries are gone.
	Purged int
	// Kept is how many entries stay because nobody can tell whether their case is over: their
	// organisation is not served, or refuses the worker, or they do not say which it is and the
	// worker's own does not have their case.
	Kept int
	// Failed is how many entries stay because the ledger or TheHive did not say what was asked.
	Failed int
}

// Sweep purges, each at the revision seen, clean entries that nobody will ask for again: of
// cases that are closed or gone and whose newest event is older than asked. TheHive is asked in
// the entry's organisation. A key whose case is open stays, however old. An entry that fails keeps
// none of the others; where many do in a row, the sweep ends. The error tells how many failed, and
// why the first.
func (e *Applier) Sweep(ctx context.Context, keys iter.Seq2[string, error], o SweepOptions) (SweepResult, error) {
	if len(o.Organisations) == 0 {
		return SweepResult{}, errors.New("sweep: no organisation is served")
	}
	s := sweeper{e: e, served: o.Organisations, before: time.Now().Add(-o.Keep)}
	var failed failures
	for key, err := range keys {
		if err != nil {
			return s.done, fmt.Errorf("sweep: %w", err)
		}
		failed.note(s.sweep(ctx, key))
		s.done.Failed = failed.n
		if failed.hopeless() || ctx.Err() != nil {
			break
		}
	}
	if err := failed.err(); err != nil {
		return s.done, fmt.Errorf("sweep: %w", err)
	}
	return s.done, nil
}

type sweeper struct {
	e      *Applier
	served []string
	before time.Time
	done   SweepResult
}

// errElsewhere: whether a case is over cannot be told from here.
var errElsewhere = errors.New("case of another organisation")

func (s *sweeper) sweep(ctx context.Context, key string) error {
	kind, name, _ := strings.Cut(key, ".")
	value, revision, err := s.e.options.Ledger.Get(ctx, key)
	if errors.Is(err, claim.ErrNoEntry) {
		return nil
	}
	if err != nil {
		return err
	}
	old := false
	switch kind {
	case "key":
		old, err = s.oldKey(ctx, value)
	case "case":
		old, err = s.oldCase(ctx, name, value)
	case "rate":
		var body rateBody
		old = json.Unmarshal(value, &body) == nil && body.Hour < hour(s.before)
	}
	if errors.Is(err, errElsewhere) {
		s.done.Kept++
		return nil
	}
	if err != nil || !old {
		return err
	}
	if kind == "case" {
		err = s.purgeMarks(ctx, name)
	}
	return errors.Join(err, s.purge(ctx, key, revision))
}

func (s *sweeper) purge(ctx context.Context, key string, revision uint64) error {
	err := s.e.options.Ledger.Purge(ctx, key, revision)
	if errors.Is(err, claim.ErrConflict) {
		return nil // somebody needs it after all
	}
	if err == nil {
		s.done.Purged++
	}
	return err
}

func (s *sweeper) purgeMarks(ctx context.Context, id string) error {
	_, revision, err := loadMarks(ctx, s.e.options.Ledger, id)
	if err != nil || revision == 0 {
		return err
	}
	return s.purge(ctx, marksKey(id), revision)
}

// oldKey tells whether all cases of a key are over for long.
func (s *sweeper) oldKey(ctx context.Context, value []byte) (bool, error) {
	e, err := claim.ParseEntry(value)
	if err != nil || e.Dirty() {
		return false, nil //nolint:nilerr // what cannot be read is not ours to purge
	}
	var body keyBody
	if err := e.Read(&body); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	for _, ref := range body.Cases {
		if ref.Last > s.before.UnixMilli() {
			return false, nil
		}
	}
	if !s.serves(body.home) {
		return false, errElsewhere
	}
	for _, ref := range body.Cases {
		if ref.Gone || ref.End != 0 && ref.End < s.before.UnixMilli() {
			continue
		}
		over, err := s.over(ctx, body.home, ref.ID)
		if err != nil || !over {
			return false, err
		}
	}
	return true, nil
}

// oldCase tells whether a case and its newest event are over for long.
func (s *sweeper) oldCase(ctx context.Context, id string, value []byte) (bool, error) {
	e, err := claim.ParseEntry(value)
	if err != nil || e.Dirty() {
		return false, nil //nolint:nilerr // as above
	}
	var body caseBody
	if err := e.Read(&body); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	for _, c := range body.Comments {
		if c.Last > s.before.UnixMilli() {
			return false, nil
		}
	}
	return s.over(ctx, body.home, id)
}

// serves tells whether an entry's organisation can be asked; one that is not named is the own.
func (s *sweeper) serves(h home) bool {
	return h.Organisation == nil || slices.Contains(s.served, *h.Organisation)
}

// over tells whether TheHive says that a case is gone, or closed for long. To the eye of one
// organisation the cases of another are gone: what does not name its organisation is gone only
// where there is no other.
func (s *sweeper) over(ctx context.Context, h home, id string) (bool, error) {
	if !s.serves(h) {
		return false, errElsewhere
	}
	organisation := s.served[0]
	if h.Organisation != nil {
		organisation = *h.Organisation
	}
	c, err := s.e.options.Hive(organisation).Case(ctx, id)
	err = inOrganisation(organisation, err)
	if _, refused := errors.AsType[*enrich.OrganisationError](err); refused {
		return false, errElsewhere
	}
	if isGone(err) {
		if h.Organisation == nil && len(s.served) > 1 {
			return false, errElsewhere
		}
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return c.Stage == stageClosed && int64(c.EndDate) < s.before.UnixMilli(), nil
}
