package nats

import (
	"context"
	"fmt"

	"forager/pipeline/kvledger"
	"forager/pipeline/rollback"
	"forager/pipeline/stream"
)

// lookBack looks twice at a stream that grew in between. A worker goes on without the right; here it must be missed.
func lookBack(ctx context.Context, s *site) error {
	if err := stream.Ensure(ctx, s.admin, options().Streams()); err != nil {
		return err
	}
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	topology := options().Streams()
	watch := rollback.New(s.worker, kvledger.New(s.worker, kvledger.Options{}), rollback.Options{Topology: topology})
	for range 2 {
		if _, err := js.Publish(ctx, "detections.native", []byte(event)); err != nil {
			return err
		}
		if err := watch.Look(ctx); err != nil {
			return err
		}
	}
	if line := s.worker.API("STREAM.MSG.GET." + topology.Stream); s.worker.Refused(line) {
		return fmt.Errorf("%w: publish to %s", errRefused, line)
	}
	return nil
}
