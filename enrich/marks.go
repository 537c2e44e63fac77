package enrich

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// marks are what analysts did to a case, as far as it is known: what they removed stays away.
type marks struct {
	removed map[[2]string]bool // kind, hash
}

func (m marks) has(kind, hash string) bool { return m.removed[[2]string{kind, hash}] }

func marksKey(caseID string) string { return "marks." + caseID }

// readMarks reads the marks of the case, with those of the cases that it came of by merging.
func (w *work) readMarks(held context.Context) error {
	w.marks.removed = map[[2]string]bool{}
	for _, from := range w.heirs[w.id] {
		if err := w.inheritFrom(held, from.ID); err != nil {
			return err
		}
	}
	body, _, err := loadMarks(held, w.e.options.Ledger, w.id)
	if err != nil {
		return err
	}
	for _, item := range body.Removed {
		w.marks.removed[item] = true
	}
	return nil
}

// inheritFrom takes over the removals and the high of a case that is gone.
func (w *work) inheritFrom(ctx context.Context, id string) error {
	body, _, err := loadMarks(ctx, w.e.options.Ledger, id)
	if err != nil {
		return err
	}
	old, err := w.loadCase(ctx, id)
	if err != nil {
		return err
	}
	w.body.High.Severity = max(w.body.High.Severity, old.High.Severity)
	w.body.High.TLP = max(w.body.High.TLP, old.High.TLP)
	w.body.High.PAP = max(w.body.High.PAP, old.High.PAP)
	if len(body.Removed) == 0 {
		return nil
	}
	return w.changeMarks(ctx, func(m *marksBody) bool { return m.add(body.Removed...) })
}

// loadCase reads the entry of a case without claiming it.
func (w *work) loadCase(ctx context.Context, id string) (caseBody, error) {
	body := caseBody{High: high{-1, -1, -1}}
	value, _, err := w.e.options.Ledger.Get(ctx, "case."+id)
	if errors.Is(err, ErrNoEntry) {
		return body, nil
	}
	if err != nil {
		return body, fmt.Errorf("%w: %w", ErrLedger, err)
	}
	e, err := parseEntry(value)
	if err != nil {
		return body, err
	}
	return body, e.read(&body)
}

func loadMarks(ctx context.Context, l Ledger, caseID string) (marksBody, uint64, error) {
	var body marksBody
	value, revision, err := l.Get(ctx, marksKey(caseID))
	if errors.Is(err, ErrNoEntry) {
		return body, 0, nil
	}
	if err != nil {
		return body, 0, fmt.Errorf("%w: read marks: %w", ErrLedger, err)
	}
	if err := json.Unmarshal(value, &body); err != nil {
		return body, 0, fmt.Errorf("read marks of %s: %w", caseID, err)
	}
	return body, revision, nil
}

// changeMarks merges a change into the marks by compare-and-set; anybody may, without a claim.
func (w *work) changeMarks(ctx context.Context, change func(*marksBody) bool) error {
	for range 16 {
		body, revision, err := loadMarks(ctx, w.e.options.Ledger, w.id)
		if err != nil {
			return err
		}
		if !change(&body) {
			return nil
		}
		value, err := json.Marshal(body)
		if err != nil {
			return err
		}
		_, err = w.e.options.Ledger.Put(ctx, marksKey(w.id), value, revision)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("%w: write marks: %w", ErrLedger, err)
		}
	}
	return fmt.Errorf("write marks of %s: %w", w.id, ErrConflict)
}

// add unites removals, sorted; it tells whether anything changed.
func (m *marksBody) add(items ...[2]string) bool {
	before := len(m.Removed)
	for _, it := range items {
		if !slices.Contains(m.Removed, it) {
			m.Removed = append(m.Removed, it)
		}
	}
	return len(m.Removed) != before
}

// take removes items that are there again.
func (m *marksBody) take(items ...[2]string) bool {
	before := len(m.Removed)
	m.Removed = slices.DeleteFunc(m.Removed, func(it [2]string) bool { return slices.Contains(items, it) })
	return len(m.Removed) != before
}

// noticed records, of one kind, what analysts removed and what is there again. Only what is
// recorded may be forgotten: a list may lag behind what the entry knows to be there.
func (w *work) noticed(ctx context.Context, kind string, gone, there []string) error {
	mark := func(hashes []string) (items [][2]string) {
		for _, h := range hashes {
			items = append(items, [2]string{kind, h})
		}
		return items
	}
	var back [][2]string
	for _, it := range mark(there) {
		if w.marks.removed[it] {
			back = append(back, it)
			delete(w.marks.removed, it)
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
