package nats

import (
	"context"
	"fmt"

	"forager/pipeline/intake"
	"forager/pipeline/stream"
)

// takeIn stores an event as the intake does, in a stream that is there.
func takeIn(ctx context.Context, s *site) error {
	if err := stream.EnsureStreams(ctx, s.admin, stream.Topology{Stream: "DETECTIONS", Consumer: "forager", Subjects: []string{"detections.>"}}.WithDefaults()); err != nil {
		return err
	}
	to, err := intake.New(s.worker, intake.Options{Stream: "DETECTIONS", Within: patience})
	if err != nil {
		return err
	}
	at, err := to.Put(ctx, intake.Event{Subject: "detections.kibana", ID: "one", Body: []byte("{}")})
	if err == nil && at.Sequence != 1 {
		return fmt.Errorf("stored as %d", at.Sequence)
	}
	return err
}
