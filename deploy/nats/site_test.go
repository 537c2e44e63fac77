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

// unread waits until a stream has no more than so many consumers: the client deletes ordered
// consumers in the background, so that a refusal of it comes after the call that needed them.
func (s *site) unread(ctx context.Context, stream string, left int) error {
	return s.until(ctx, func(js jetstream.JetStream) (bool, error) {
		info, err := js.Stream(ctx, stream)
		if err != nil {
			return false, err
		}
		return info.CachedInfo().State.Consumers <= left, nil
	})
}

// acknowledged waits until a consumer waits for no acknowledgement.
func (s *site) acknowledged(ctx context.Context, stream, consumer string) error {
	return s.until(ctx, func(js jetstream.JetStream) (bool, error) {
		info, err := js.Consumer(ctx, stream, consumer)
		if err != nil {
			return false, err
		}
		return info.CachedInfo().NumAckPending == 0, nil
	})
}

// until asks, as somebody who may do everything, until something is so.
func (s *site) until(ctx context.Context, so func(jetstream.JetStream) (bool, error)) error {
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if is, err := so(js); is || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
