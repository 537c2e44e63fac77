package hold

import (
	"context"
	"errors"
	"slices"
	"time"

	"forager/enrich/claim"
	"forager/enrich/threshold"
)

// Taken is a message that goes on, for some of its detections.
type Taken struct {
	Place   Place
	Message Message
	Parts   []int // the detections that go on; the others of the message were not held here, or wait
	Passed  bool  // they belong to a burst: nothing is to be waited for
	Due     bool  // they were held for as long as they had to be
}

// mostTaken bounds the messages of one take.
const mostTaken = 64

// Take gives what of an entry goes on, where nobody else carries it: what passed, and what is over where all that was stored until worked is
// settled; a zero worked lets nothing be over. Whoever carries something calls Settled when it is settled for good, and else nothing:
// it is taken again.
func (k *Keeper) Take(ctx context.Context, hash string, worked time.Time) ([]Taken, error) {
	var passed, due []threshold.Item
	err := k.change(ctx, hash, func(s *threshold.State) (bool, error) {
		now := k.now()
		forgot := s.Forget(now)
		passed, due = s.Ready(worked)
		if len(passed)+len(due) == 0 {
			return forgot, nil
		}
		if s.Turn.By != k.who && s.Turn.Until > now.UnixMilli() {
			passed, due = nil, nil
			return forgot, nil
		}
		again := s.Turn.By == k.who && s.Turn.Until > now.Add(turnLasts/2).UnixMilli()
		if !again {
			s.Turn = threshold.Turn{By: k.who, Until: now.Add(turnLasts).UnixMilli()}
		}
		return forgot || !again, nil
	}, func(s *threshold.State) { k.mirror.set(hash, s, k.who) })
	if err != nil {
		return nil, err
	}
	taken, broken := k.read(ctx, hash, passed, true)
	if errors.Is(broken, claim.ErrUnreachable) || len(taken) >= mostTaken {
		return taken, broken
	}
	over, err := k.read(ctx, hash, due, false)
	return append(taken, over...), errors.Join(broken, err)
}

// read reads the copies of items. Whose copy is gone was settled by somebody who died before he could say so.
func (k *Keeper) read(ctx context.Context, hash string, items []threshold.Item, passed bool) ([]Taken, error) {
	var taken []Taken
	var broken error // of copies that nobody can read: they keep no other waiting
	for len(items) > 0 && len(taken) < mostTaken {
		p := Place{Hash: hash, Message: items[0].Message, Copy: items[0].Copy}
		var parts []int
		items = slices.DeleteFunc(slices.Clone(items), func(x threshold.Item) bool {
			same := x.Message == p.Message && x.Copy == p.Copy
			if same {
				parts = append(parts, x.Part)
			}
			return same
		})
		m, _, err := k.copies.Get(ctx, p)
		if errors.Is(err, ErrGone) {
			err = k.Settled(ctx, p, parts...)
			if err == nil {
				continue
			}
		}
		if errors.Is(err, claim.ErrUnreachable) || ctx.Err() != nil {
			return taken, err
		}
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		taken = append(taken, Taken{Place: p, Message: m, Parts: parts, Passed: passed, Due: !passed})
	}
	return taken, broken
}

// Settled says that detections were settled for good. The copy goes with its last, before the entry forgets it: so what an entry has
// and no copy is settled, and what a copy has and no entry is not. Once the copy is gone the matter is ended, also where the entry
// cannot be written: whoever takes it next finds that out.
func (k *Keeper) Settled(ctx context.Context, p Place, parts ...int) error {
	gone := false
	err := k.change(ctx, p.Hash, func(s *threshold.State) (bool, error) {
		changed, last := s.Settled(p.Message, p.Copy, parts...)
		if last && !gone {
			if err := k.remove(ctx, p); err != nil {
				return false, err
			}
			gone = true
		}
		return changed, nil
	}, func(s *threshold.State) { k.mirror.set(p.Hash, s, k.who) })
	if gone {
		return nil
	}
	return err
}

// remove removes a copy. An answer that was lost is looked after.
func (k *Keeper) remove(ctx context.Context, p Place) error {
	err := k.copies.Delete(ctx, p)
	if err == nil {
		return nil
	}
	if _, _, look := k.copies.Get(ctx, p); errors.Is(look, ErrGone) {
		return nil
	}
	return err
}

// Lost gives copies that no entry names: their replica died before it wrote the entry, or the ledger was lost. They count anew. A copy is one
// only when it was seen so by the call before, too, which the caller keeps: what is just being written is not lost.
func (k *Keeper) Lost(ctx context.Context, before map[Place]bool) (lost []Taken, seen map[Place]bool, err error) {
	places, err := k.copies.Places(ctx)
	if err != nil {
		return nil, before, err
	}
	seen = map[Place]bool{}
	entries := map[string]threshold.State{}
	for _, p := range places {
		s, known := entries[p.Hash]
		if !known {
			if s, err = k.entry(ctx, p.Hash); err != nil {
				return lost, before, err
			}
			entries[p.Hash] = s
		}
		if s.Holds(p.Message, p.Copy) {
			continue
		}
		seen[p] = true
		if !before[p] || len(lost) >= mostTaken {
			continue
		}
		m, parts, err := k.copies.Get(ctx, p)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			return lost, before, err
		}
		lost = append(lost, Taken{Place: p, Message: m, Parts: parts})
	}
	return lost, seen, nil
}

// entry reads an entry.
func (k *Keeper) entry(ctx context.Context, hash string) (read threshold.State, err error) {
	err = k.change(ctx, hash, func(s *threshold.State) (bool, error) {
		read = *s
		return false, nil
	}, func(*threshold.State) {})
	return read, err
}
