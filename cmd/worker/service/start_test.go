package service

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// TestPanicOfALookEndsTheStart: although the other look would go on for ever.
func TestPanicOfALookEndsTheStart(t *testing.T) {
	s := newStart(zap.NewNop())
	s.need("NATS", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	s.need("TheHive", func(context.Context) error { panic("over") })
	if err := s.wait(t.Context()); err == nil || !strings.Contains(err.Error(), "look for TheHive: panic: over") {
		t.Errorf("%v", err)
	}
}

// TestPanicBesideTheWorkerEndsTheService: at once, and not when it is told to stop.
func TestPanicBesideTheWorkerEndsTheService(t *testing.T) {
	s := &Service{log: zap.NewNop(), start: newStart(zap.NewNop()), reloader: &reloader{}} // which falls over
	s.start.need("TheHive", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "reload: panic") {
		t.Errorf("%v", err)
	}
}
