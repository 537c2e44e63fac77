package claim

import (
	"context"
	"slices"
)

// Release gives the entry up, with a new body, or the old one where body is nil. Dirty says that it is
// unknown what was done: then whoever claims the entry next is owed settle, for the kinds of the intent.
//
// Errors: ErrLost when the claim was lost or released before, and so for what was done meanwhile; those of
// the store. A release that cannot be written is tried again for as long as the session lives; the next
// holder waits for that, or for the session's end: slower, never wrong.
func (cl *Claim) Release(ctx context.Context, body any, dirty bool) error {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	sound := cl.stop()
	abandoned := cl.entry.released(true, cl.entry.kinds())
	left := &abandoned // what is still to be written, whatever ends this
	defer func() { cl.session.drop(cl, left) }()
	if !sound {
		left = nil
		return ErrLost
	}
	last, err := cl.last(body, dirty)
	if err != nil {
		return err
	}
	left = &last
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cl.own.lease/3)
	defer cancel()
	if err := cl.write(ctx, last); err != nil {
		return err
	}
	left = nil
	cl.own.seen.set(cl.name, last, cl.revision)
	return nil
}

// last is the entry as the claim leaves it.
func (cl *Claim) last(body any, dirty bool) (Entry, error) {
	e, err := cl.entry.with(body)
	if err != nil {
		return e, err
	}
	left := slices.DeleteFunc(slices.Clone(cl.owed), func(kind string) bool { return slices.Contains(cl.looked, kind) })
	if dirty {
		left = cl.entry.kinds()
	}
	return e.released(len(left) > 0, left), nil
}

// released is the entry without a holder; dirty where effects of some kinds may not be in it.
func (e Entry) released(dirty bool, kinds []string) Entry {
	e.head.V, e.head.Token, e.head.Dirty, e.head.Intent = freeVersion, "", dirty, nil
	if dirty { // version 1 would not know for which kinds
		e.head.V, e.head.Intent = entryVersion, &kinds
	}
	return e
}

// stop ends the claim; false when it was lost or ended before, or is no longer certain.
func (cl *Claim) stop() bool {
	certain := cl.session.certain()
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.ended {
		return false
	}
	cl.ended = true
	return !cl.lost && certain
}
