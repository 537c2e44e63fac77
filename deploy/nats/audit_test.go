package nats

import (
	"context"

	"github.com/sourcegraph/conc"

	"forager/pipeline/audit"
)

// learnAudits stores what TheHive's webhook brings and consumes it, where stream and consumer are there.
func learnAudits(ctx context.Context, s *site) error {
	made, err := audit.New(s.admin, audit.Options{Manage: true})
	if err != nil {
		return err
	}
	if err := made.Ensure(ctx); err != nil {
		return err
	}
	return learnOne(ctx, s, audit.Options{Within: patience})
}

// auditManaged is the same where nothing is there yet.
func auditManaged(ctx context.Context, s *site) error {
	return learnOne(ctx, s, audit.Options{Manage: true, Within: patience})
}

func learnOne(ctx context.Context, s *site, o audit.Options) error {
	audits, err := audit.New(s.worker, o)
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
