package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"forager/config"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// Bounds of an inspection: whatever the servers do, it ends.
const (
	inspectWithin = 25 * time.Second
	askWithin     = 5 * time.Second // one call, one attempt to connect
)

// errNotWorking is why "worker check --connect" ends with 1.
var errNotWorking = errors.New("the worker would not work")

// inspect looks at NATS and TheHive at once, each for itself: one that is dead hides nothing of the
// other. The findings of NATS come first.
func inspect(ctx context.Context, c *config.Config, within time.Duration) ([]pipeline.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var nats, thehive []pipeline.Finding
	var natsErr, hiveErr error
	var both pipeline.Crew
	both.Go("look at NATS", func() { nats, natsErr = inspectNATS(ctx, c, within) })
	both.Go("look at TheHive", func() { thehive, hiveErr = inspectHive(ctx, c) })
	_ = both.Wait() // a panic has ended the process
	return slices.Concat(nats, thehive), errors.Join(natsErr, hiveErr)
}

// inspectNATS fails with a usageError on what no server could cure.
func inspectNATS(ctx context.Context, c *config.Config, within time.Duration) ([]pipeline.Finding, error) {
	how := connection(c, zap.NewNop())
	how.Timeout = min(askWithin, within/2/time.Duration(len(how.URLs))) // one attempt at each server comes first
	link, err := stream.Connect(ctx, how, nil)
	if err != nil {
		return nil, &usageError{err}
	}
	defer link.Close()
	log := zap.NewNop()
	what := pipeline.Inspection{Options: pipelineOptions(c, log), Window: c.Case.Window}
	what.Options.Confirm = askWithin / 2
	w := c.Webhook
	if w.Addr != "" && (!w.Token.Empty() || w.TokenFile != "" || w.User != "") {
		audit := auditOptions(c, log)
		what.Audit = &audit
	}
	found, err := pipeline.Inspect(ctx, link, what)
	if err != nil {
		return nil, &usageError{err}
	}
	if worst(found) != pipeline.LevelBroken {
		found = append(found, pipeline.Finding{
			Level: pipeline.LevelNote, About: "files", What: "which object stores hold files of detections is known to those who send them alone",
			Why: "they cannot be looked at from here", Remedy: "for each of them, allow the lines of FORAGER_FILES in deploy/nats/permissions.conf",
		})
	}
	return found, nil
}

// worst is the level of the worst finding.
func worst(found []pipeline.Finding) pipeline.Level {
	level := pipeline.LevelOK
	for _, f := range found {
		if f.Level.Exceeds(level) {
			level = f.Level
		}
	}
	return level
}
