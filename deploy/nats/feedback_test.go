package nats

import (
	"context"
	"fmt"

	told "forager/enrich/feedback"
	"forager/pipeline/feedback"
)

// tellSources stores what sources are told, and once more, where the stream is there.
func tellSources(ctx context.Context, s *site) error {
	made, err := feedback.New(s.admin, feedback.Options{Subject: "forager.feedback", Manage: true})
	if err != nil {
		return err
	}
	if err := made.Ensure(ctx); err != nil {
		return err
	}
	return tellOnce(ctx, s, feedback.Options{Subject: "forager.feedback"})
}

// feedbackManaged is the same where nothing is there yet.
func feedbackManaged(ctx context.Context, s *site) error {
	return tellOnce(ctx, s, feedback.Options{Subject: "forager.feedback", Manage: true})
}

// tellOnce stores a message that is there already, without its id, and another.
func tellOnce(ctx context.Context, s *site, o feedback.Options) error {
	outbox, err := feedback.New(s.worker, o)
	if err != nil {
		return err
	}
	if err := outbox.Ensure(ctx); err != nil {
		return err
	}
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	there, anew := fmt.Sprintf("%032d", 1), fmt.Sprintf("%032d", 2)
	if _, err := js.Publish(ctx, "forager.feedback.elastic.0."+there, []byte("{}")); err != nil {
		return err
	}
	for _, id := range []string{there, anew} {
		if err := outbox.Put(ctx, []told.Message{{Schema: told.Schema, ID: id, Alert: told.Alert{Source: "elastic", ID: "a"}}}); err != nil {
			return err
		}
	}
	return nil
}

// readFeedback reads what a source is told, and acknowledges it.
func readFeedback(ctx context.Context, s *site) error {
	o := feedback.Options{Subject: "forager.feedback", Manage: true}
	made, err := feedback.New(s.admin, o)
	if err != nil {
		return err
	}
	if err := made.Ensure(ctx); err != nil {
		return err
	}
	if err := made.Put(ctx, []told.Message{{Schema: told.Schema, ID: fmt.Sprintf("%032d", 1), Alert: told.Alert{Source: "elastic", ID: "a"}}}); err != nil {
		return err
	}
	reader := feedback.NewReader(s.worker, feedback.Reading{Stream: "FORAGER_FEEDBACK", Subject: o.OfSource("elastic"), Consumer: "elastic"})
	if err := reader.Open(ctx); err != nil {
		return err
	}
	got, _, err := reader.Take(ctx)
	if err != nil {
		return err
	}
	if len(got.Messages) != 1 {
		return fmt.Errorf("%d messages are read", len(got.Messages))
	}
	got.Working()
	if err := got.Done(ctx); err != nil {
		return err
	}
	return s.acknowledged(ctx, "FORAGER_FEEDBACK", "elastic")
}
