package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline"
	"forager/pipeline/kvledger"
	"forager/pipeline/replay"
	"forager/pipeline/stream"
)

// replayAll does what "worker replay" does, with a live consumer of one subject and of several.
func replayAll(ctx context.Context, s *site) error {
	for _, subjects := range [][]string{{"detections.>"}, {"detections.native", "detections.b"}} {
		if err := s.clear(ctx); err != nil {
			return err
		}
		o := options()
		o.Subjects = subjects
		if err := replayOf(ctx, s, o); err != nil {
			return err
		}
	}
	return nil
}

func replayOf(ctx context.Context, s *site, o pipeline.Options) error {
	if err := stream.Ensure(ctx, s.admin, o.Streams()); err != nil {
		return err
	}
	admin, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	for range 2 {
		if _, err := admin.Publish(ctx, "detections.native", []byte(event)); err != nil {
			return err
		}
	}
	what := replay.Options{Since: time.Now().Add(-time.Hour), Look: 10 * time.Millisecond, Live: 100}
	dry, err := s.openReplay(ctx, o, what)
	if err != nil {
		return err
	}
	planned := 0
	for _, err := range dry.Plans(ctx) {
		if err != nil {
			return err
		}
		planned++
	}
	if planned != 2 {
		return fmt.Errorf("%d messages were planned, want 2", planned)
	}
	if err := s.unread(ctx, o.Stream, 1); err != nil { // the live consumer's
		return err
	}
	return errors.Join(s.carry(ctx, o, what, 2, false), s.carry(ctx, o, what, 0, true), s.again(ctx, o, what))
}

// carry runs a replay to its end.
func (s *site) carry(ctx context.Context, o pipeline.Options, what replay.Options, acked uint64, resumed bool) error {
	r, err := s.openReplay(ctx, o, what)
	if err != nil {
		return err
	}
	if r.Span().Resumed != resumed {
		return fmt.Errorf("resumed is %v, want %v", !resumed, resumed)
	}
	state, err := r.Run(ctx)
	if err == nil && state.Acked != acked {
		err = fmt.Errorf("%d messages were acknowledged, want %d", state.Acked, acked)
	}
	return err
}

// again begins a replay anew, which deletes its consumer.
func (s *site) again(ctx context.Context, o pipeline.Options, what replay.Options) error {
	what.Again = true
	return s.carry(ctx, o, what, 2, false)
}

func (s *site) openReplay(ctx context.Context, o pipeline.Options, what replay.Options) (*replay.Replay, error) {
	decoder, err := detection.New(detection.Options{})
	if err != nil {
		return nil, err
	}
	ledger := kvledger.New(s.worker, kvledger.Options{})
	return replay.Open(ctx, s.worker, o, what, decoder, enrich.NewPlanner(enrich.PlannerOptions{}), claiming{ledger})
}
