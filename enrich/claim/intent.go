package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// AnyKind stands for all kinds of effects: of a holder that said nothing about what it may do.
const AnyKind = "any"

// kinds are the kinds of effects that the last holder may have done without the entry saying so: those of
// its intent while it held the entry, or left it dirty.
func (e Entry) kinds() []string {
	switch {
	case !e.Dirty():
		return nil
	case e.head.V < entryVersion || e.head.Intent == nil:
		return []string{AnyKind}
	default:
		return *e.head.Intent
	}
}

// union is the kinds of two lists, sorted; AnyKind takes the place of all others.
func union(a, b []string) []string {
	all := append(append(make([]string, 0, len(a)+len(b)), a...), b...) // never null in the entry
	if slices.Contains(all, AnyKind) {
		return []string{AnyKind}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// holds tells whether a list has a kind.
func holds(kinds []string, kind string) bool {
	return slices.Contains(kinds, kind) || slices.Contains(kinds, AnyKind)
}

// Owed is how long the holder must wait before it looks at what an earlier one may have done, and only
// then acts: 0 when nothing is owed. See [Claim.OwedFor] and [Claim.Settled].
func (cl *Claim) Owed() time.Duration {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	return cl.wait(len(cl.owed) > 0)
}

// OwedFor is how long the holder must wait before it looks at the effects of one kind and does its own: 0
// where no earlier holder may have left any that do not show yet.
func (cl *Claim) OwedFor(kind string) time.Duration {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	return cl.wait(holds(cl.owed, kind) && !slices.Contains(cl.looked, kind))
}

// wait is what is left until all that is owed shows; the entry is owned. It is never 0 where a look is
// owed, even if its time has come.
func (cl *Claim) wait(owed bool) time.Duration {
	if !owed {
		return 0
	}
	return max(time.Until(cl.due), time.Nanosecond)
}

// Intend writes down, before it happens, that this claim may do effects of more kinds than it was
// acquired for: whoever takes the entry over must look at those. It costs a write where a kind is new,
// and nothing else. Errors: [ErrLost]; [ErrUnreachable]: then the effect must not be done.
func (cl *Claim) Intend(ctx context.Context, kinds ...string) error {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	had := cl.entry.kinds()
	all := union(had, kinds)
	if slices.Equal(all, union(had, nil)) {
		return nil
	}
	grown := cl.entry
	grown.head.Intent = &all
	return cl.rewrite(ctx, grown)
}

// Allow writes down that a call of this claim may take longer than others: whoever finds the entry
// after a crash waits so much longer, and only then looks and acts. Errors: [ErrLost]; [ErrUnreachable].
func (cl *Claim) Allow(ctx context.Context, longer time.Duration) error {
	if longer <= 0 {
		return nil
	}
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	longest := cl.entry
	longest.head.Settle = max(longest.head.Settle, (cl.own.settle + longer).Milliseconds())
	return cl.rewrite(ctx, longest)
}

// Keep writes a body into the entry at once, which stays held: whoever takes it over finds that. Errors: [ErrLost]; [ErrUnreachable]: then
// what the body says must not be relied on.
func (cl *Claim) Keep(ctx context.Context, body any) error {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	kept, err := cl.entry.with(body)
	if err != nil {
		return err
	}
	return cl.rewrite(ctx, kept)
}

// rewrite writes the entry while it is held; it is owned.
func (cl *Claim) rewrite(ctx context.Context, e Entry) error {
	if err := cl.Check(); err != nil {
		return err
	}
	switch err := cl.write(ctx, e); {
	case errors.Is(err, ErrLost):
		cl.lose(ErrLost)
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	cl.entry = e
	return nil
}

// Settled says that what an earlier holder may have done was looked at after its time: nothing is owed any
// more, and the claim may be released clean. With kinds, that is said of those alone.
func (cl *Claim) Settled(kinds ...string) {
	cl.writing <- struct{}{}
	defer func() { <-cl.writing }()
	cl.looked = append(cl.looked, kinds...)
	unlooked := func(kind string) bool { return !slices.Contains(cl.looked, kind) }
	if len(kinds) > 0 && slices.ContainsFunc(cl.owed, unlooked) {
		return
	}
	cl.owed = nil
	cl.entry.head.Dirty = false
	cl.entry.head.Settle = cl.own.settle.Milliseconds()
}
