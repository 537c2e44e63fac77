package nats

import (
	"context"

	"forager/pipeline/journal"
)

// journalled writes a line where the journal's stream is there.
func journalled(ctx context.Context, s *site) error {
	o := journal.Options{Stream: "FORAGER_JOURNAL", Of: "DETECTIONS", Manage: true}
	made, err := journal.New(s.admin, o)
	if err != nil {
		return err
	}
	if err := made.Ensure(ctx); err != nil {
		return err
	}
	o.Manage = false
	return writeLine(ctx, s, o)
}

// journalManaged is the same where nothing is there yet.
func journalManaged(ctx context.Context, s *site) error {
	return writeLine(ctx, s, journal.Options{Stream: "FORAGER_JOURNAL", Of: "DETECTIONS", Manage: true})
}

func writeLine(ctx context.Context, s *site, o journal.Options) error {
	lines, err := journal.New(s.worker, o)
	if err != nil {
		return err
	}
	if err := lines.Ensure(ctx); err != nil {
		return err
	}
	return lines.Write(ctx, journal.Entry{Stream: "DETECTIONS", Sequence: 7, Outcome: journal.Acknowledged})
}
