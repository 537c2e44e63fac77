package check

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/pipeline"
	"forager/pipeline/inspect"
	"forager/pipeline/stream"
)

// Bounds of an inspection: whatever the servers do, it ends.
const (
	InspectWithin = 25 * time.Second
	askWithin     = 5 * time.Second // one call, one attempt to connect
)

// ErrNotWorking is why "worker check --connect" ends with 1.
var ErrNotWorking = errors.New("the worker would not work")

// Inspect looks at NATS and TheHive at once, each for itself: one that is dead hides nothing of the
// other. The findings of NATS come first.
func Inspect(ctx context.Context, c *config.Config, within time.Duration) ([]inspect.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var nats, thehive []inspect.Finding
	var natsErr, hiveErr error
	var both pipeline.Tasks
	both.Go("look at NATS", func() { nats, natsErr = inspectNATS(ctx, c, within) })
	both.Go("look at TheHive", func() { thehive, hiveErr = inspectHive(ctx, c) })
	_ = both.Wait() // a panic has ended the process
	return slices.Concat(nats, thehive), errors.Join(natsErr, hiveErr)
}

// inspectNATS fails with a UsageError on what no server could cure.
func inspectNATS(ctx context.Context, c *config.Config, within time.Duration) ([]inspect.Finding, error) {
	how := service.Connection(c, zap.NewNop())
	how.Timeout = min(askWithin, within/2/time.Duration(len(how.URLs))) // one attempt at each server comes first
	link, err := stream.Connect(ctx, how, nil)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	defer link.Close()
	log := zap.NewNop()
	what := service.PipelineOptions(c, log).Expected()
	what.Window, what.Confirm = c.Case.Window, askWithin/2
	for _, s := range c.Intake.Sources {
		what.Intake = append(what.Intake, s.Subject)
	}
	for _, r := range c.Routes {
		what.Holds = max(what.Holds, r.Threshold.Within)
	}
	what.Journal = c.Journal.Stream
	w := c.Webhook
	if w.Addr != "" && (!w.Token.Empty() || w.TokenFile != "" || w.User != "") {
		what.Audit = new(service.AuditOptions(c, log))
	}
	if f := c.Feedback; f.Subject != "" {
		what.Feedback = &inspect.Feedback{Stream: f.Stream, Subject: f.Subject, Manage: c.NATS.Manage}
	}
	found, err := inspect.Inspect(ctx, link, what)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	if Worst(found) != inspect.LevelBroken {
		found = append(found, inspect.Finding{
			Level: inspect.LevelNote, About: "files", What: "which object stores hold files of detections is known to those who send them alone",
			Why: "they cannot be looked at from here", Remedy: "for each of them, allow the lines of FORAGER_FILES in deploy/nats/permissions.conf",
		})
	}
	return found, nil
}

// HiveWorks tells whether nothing is broken that TheHive was asked for, whatever NATS says.
func HiveWorks(found []inspect.Finding) bool {
	return !slices.ContainsFunc(found, func(f inspect.Finding) bool {
		return f.Level == inspect.LevelBroken && f.Server == inspect.ServerHive
	})
}

// Worst is the level of the worst finding.
func Worst(found []inspect.Finding) inspect.Level {
	level := inspect.LevelOK
	for _, f := range found {
		if f.Level.Exceeds(level) {
			level = f.Level
		}
	}
	return level
}
