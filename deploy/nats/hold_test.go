package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"forager/pipeline/hold"
	"forager/pipeline/stream"
)

// holdBelow holds a message, reads it, lists it and lets it go, and asks how far the consumer is while one waits.
func holdBelow(ctx context.Context, s *site) error {
	o := options().Streams()
	if err := errors.Join(stream.Ensure(ctx, s.admin, o), stream.EnsureHold(ctx, s.admin, o)); err != nil {
		return err
	}
	return holdOne(ctx, s, o)
}

// holdManaged is the same where nothing is there yet.
func holdManaged(ctx context.Context, s *site) error {
	o := options().Streams()
	if err := stream.Ensure(ctx, s.admin, o); err != nil {
		return err
	}
	o.Manage = true
	return holdOne(ctx, s, o)
}

func holdOne(ctx context.Context, s *site, o stream.Topology) error {
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	if _, err := js.Publish(ctx, "detections.native", []byte(event)); err != nil {
		return err
	}
	copies := hold.Open(s.worker, o)
	m := hold.Message{Stream: "DETECTIONS", Sequence: 1, Stored: time.Unix(1, 0), Subject: "detections.native", Body: []byte(event)}
	p := hold.Place{Hash: "aa", Message: m.Name(), Copy: "c"}
	if err := copies.Put(ctx, p, &m, []int{0}); err != nil {
		return err
	}
	if _, _, err := copies.Get(ctx, p); err != nil {
		return err
	}
	if places, err := copies.Places(ctx); err != nil || len(places) != 1 {
		return fmt.Errorf("%d places: %w", len(places), err)
	}
	if err := copies.Delete(ctx, p); err != nil {
		return err
	}
	_, err = stream.WorkedUntil(ctx, s.worker, o)
	return err
}
