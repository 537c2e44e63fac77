package service

import (
	"context"
	"iter"
	"strings"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/shell"
	"forager/config"
	told "forager/enrich/feedback"
	"forager/hive"
	"forager/pipeline/feedback"
	"forager/pipeline/metrics"
	"forager/pipeline/stream"
)

// back is the way back: what sources are told of their alerts. nil is off.
type back struct {
	tracker *told.Tracker
	runner  *feedback.Runner
}

// FeedbackOptions says where sources are told; without a subject nobody is.
func FeedbackOptions(c *config.Config) feedback.Options {
	return feedback.Options{Stream: c.Feedback.Stream, Subject: c.Feedback.Subject, Manage: c.NATS.Manage}
}

// searchLags is by how much more than hive.settle the worker's clock and TheHive's may differ.
const searchLags = 5 * time.Minute

// openBack wires the way back, where it is on.
func openBack(c *config.Config, link *stream.Link, parts *Parts, counts *metrics.Metrics, log *zap.Logger) (*back, error) {
	if c.Feedback.Subject == "" {
		return nil, nil //nolint:nilnil // off is no error
	}
	o := FeedbackOptions(c)
	o.Stored = func(event told.Event, anew bool) { counts.Told(string(event), anew) }
	outbox, err := feedback.New(link, o)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	ledger := newLedger(c, link)
	tracker := told.New(told.Options{
		Ledger: ledger, Outbox: outbox, Organisations: parts.clients.served, Link: caseLink(c.Hive.URL),
		Cases:    func(organisation string) told.Cases { return parts.clients.of(organisation) },
		Statuses: c.Feedback.Statuses == "all", Settle: c.Hive.Settle + searchLags,
	})
	b := &back{tracker: tracker, runner: feedback.NewRunner(tracker, outbox, feedback.Running{
		Every: c.Feedback.Look, Failed: counts.NotTold, Log: log,
		Keys: func(ctx context.Context) iter.Seq2[string, error] { return slowly(ctx, ledger.Keys(ctx)) },
	})}
	parts.back.Store(b.runner)
	log.Info("tells sources what became of their alerts", zap.String("stream", o.Stream), zap.String("subject", o.Subject))
	counts.WatchFeedback(b.runner.Waiting)
	return b, nil
}

// caseLink is where people see a case.
func caseLink(hiveURL string) func(id string) string {
	return func(id string) string { return strings.TrimSuffix(hiveURL, "/") + "/cases/" + id + "/details" }
}

// run tells until ctx ends.
func (b *back) run(ctx context.Context) {
	if b != nil {
		b.runner.Run(ctx)
	}
}

// noted takes from an audit document which case may be something else now. Its error is the ledger's: the document is
// read again.
func (b *back) noted(ctx context.Context, a hive.Audit) error {
	if b == nil {
		return nil
	}
	switch d := a.Details; {
	case a.ObjectType == hive.AuditAlert && d.CaseID != "": // it became part of a case
		if err := b.tracker.Merged(ctx, d.CaseID, a.ObjectID); err != nil {
			return err
		}
		b.runner.Note(d.CaseID)
		return nil
	case a.ObjectType != hive.AuditCase:
		return nil
	case a.Action == hive.AuditMerge:
		if err := b.tracker.Merged(ctx, a.ObjectID, d.MergedFrom...); err != nil {
			return err
		}
	case a.Action != hive.AuditUpdate, d.Status == "" && d.Stage == "" && d.EndDate == 0:
		return nil
	}
	b.runner.Note(a.CaseID())
	return nil
}
