package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStream is the client alone, for tasks that the pipeline has no part in. What its user is
// refused is told like what the worker's link is.
func (s *site) jetStream(user string) (jetstream.JetStream, error) {
	nc, err := nats.Connect(s.server.URL(), nats.UserInfo(user, password), nats.CustomInboxPrefix("_INBOX_"+user),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if user != "admin" && errors.Is(err, nats.ErrPermissionViolation) {
				s.refused(fmt.Errorf("%w: %w", errRefused, err))
			}
		}))
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(nc.Close)
	return jetstream.New(nc)
}

// clear removes all that a task may have made.
func (s *site) clear(ctx context.Context) error {
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	for name := range js.StreamNames(ctx).Name() {
		if err := js.DeleteStream(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// unread waits until nobody consumes a stream any more: the client deletes ordered consumers in
// the background, so that a refusal of it comes after the call that needed them.
func (s *site) unread(ctx context.Context, stream string) error {
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		if info.CachedInfo().State.Consumers == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
