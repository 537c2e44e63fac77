package enrich

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"time"
)

// Sweep purges, each at the revision seen, clean entries that nobody will ask for again: of
// cases that are closed or gone and whose newest event is older than keep, which must be at
// least the window and the stream's retention. It tells how many it purged. A key whose case is
// open stays, however old.
func (e *Enricher) Sweep(ctx context.Context, keys iter.Seq2[string, error], organisation string, keep time.Duration) (int, error) {
	s := sweeper{e: e, hive: e.options.Hive(organisation), before: time.Now().Add(-keep)}
	for key, err := range keys {
		if err != nil {
			return s.purged, err
		}
		if err := s.sweep(ctx, key); err != nil {
			return s.purged, err
		}
	}
	return s.purged, nil
}

type sweeper struct {
	e      *Enricher
	hive   Hive
	before time.Time
	purged int
}

func (s *sweeper) sweep(ctx context.Context, key string) error {
	kind, name, _ := strings.Cut(key, ".")
	value, revision, err := s.e.options.Ledger.Get(ctx, key)
	if errors.Is(err, ErrNoEntry) {
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
	if errors.Is(err, ErrConflict) {
		return nil // somebody needs it after all
	}
	if err == nil {
		s.purged++
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
	e, err := parseEntry(value)
	if err != nil || e.dirty() {
		return false, nil //nolint:nilerr // what cannot be read is not ours to purge
	}
	var body keyBody
	if err := e.read(&body); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	for _, ref := range body.Cases {
		if ref.Last > s.before.UnixMilli() {
			return false, nil
		}
		if ref.Gone || ref.End != 0 && ref.End < s.before.UnixMilli() {
			continue
		}
		over, err := s.over(ctx, ref.ID)
		if err != nil || !over {
			return false, err
		}
	}
	return true, nil
}

// oldCase tells whether a case and its newest event are over for long.
func (s *sweeper) oldCase(ctx context.Context, id string, value []byte) (bool, error) {
	e, err := parseEntry(value)
	if err != nil || e.dirty() {
		return false, nil //nolint:nilerr // as above
	}
	var body caseBody
	if err := e.read(&body); err != nil {
		return false, nil //nolint:nilerr // as above
	}
	for _, c := range body.Comments {
		if c.Last > s.before.UnixMilli() {
			return false, nil
		}
	}
	return s.over(ctx, id)
}

// over tells whether TheHive says that a case is gone, or closed for long.
func (s *sweeper) over(ctx context.Context, id string) (bool, error) {
	c, err := s.hive.Case(ctx, id)
	if isGone(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return c.Stage == stageClosed && int64(c.EndDate) < s.before.UnixMilli(), nil
}
