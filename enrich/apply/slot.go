package apply

import (
	"context"
	"time"

	"forager/enrich/claim"
)

// slots bounds how many applies work at TheHive at a time.
type slots chan struct{}

func (s slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return claim.Ended(ctx)
	}
}

func (s slots) give() { <-s }

// slot is an apply slot that can be left while waiting.
type slot struct {
	slots slots
	taken bool
}

func (s *slot) take(ctx context.Context) error {
	if s.taken {
		return nil
	}
	err := s.slots.take(ctx)
	s.taken = err == nil
	return err
}

func (s *slot) leave() {
	if s.taken {
		s.slots.give()
		s.taken = false
	}
}

// rest waits without the slot, and takes one again.
func (s *slot) rest(ctx context.Context, d time.Duration) error {
	s.leave()
	if err := claim.Wait(ctx, d); err != nil {
		return err
	}
	return s.take(ctx)
}
