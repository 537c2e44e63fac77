package nats

import (
	"context"

	"github.com/sourcegraph/conc"

	"forager/pipeline"
)

// audit stores what TheHive's webhook brings and consumes it, where stream and consumer are there.
func audit(ctx context.Context, s *site) error {
	made, err := pipeline.NewAudits(s.admin, pipeline.AuditOptions{Manage: true})
	if err != nil {
		return err
	}
	if err := made.Ensure(ctx); err != nil {
		return err
	}
	return learnOne(ctx, s, pipeline.AuditOptions{Within: patience})
}

// auditManaged is the same where nothing is there yet.
func auditManaged(ctx context.Context, s *site) error {
	return learnOne(ctx, s, pipeline.AuditOptions{Manage: true, Within: patience})
}

func learnOne(ctx context.Context, s *site, o pipeline.AuditOptions) error {
	audits, err := pipeline.NewAudits(s.worker, o)
	if err != nil {
		return err
	}
	if err := audits.Ensure(ctx); err != nil {
		return err
	}
	if err := audits.Store(ctx, "once", []byte("{}")); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	var beside conc.WaitGroup
	defer beside.Wait()
	defer stop()
	learnt := make(learner, 1)
	beside.Go(func() { _ = audits.Run(running, learnt) })
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-learnt:
	}
	return s.acknowledged(ctx, "FORAGER_AUDIT", "forager")
}

type learner chan struct{}

func (l learner) Learn(context.Context, []byte) error {
	l <- struct{}{}
	return nil
}
