package service

import (
	"testing"
	"time"

	"go.uber.org/zap"

	"forager/config"
)

// TestWhatStreamsMayHoldIsCarriedOver: nothing that an operator says of them is left behind.
func TestWhatStreamsMayHoldIsCarriedOver(t *testing.T) {
	c := config.Default()
	c.NATS.Replicas, c.NATS.MaxAge, c.NATS.MaxBytes, c.DeadLetters.MaxBytes = 3, 72*time.Hour, 1<<30, 1<<20
	got := PipelineOptions(&c, zap.NewNop()).Streams()
	if got.Replicas != 3 || got.MaxAge != 72*time.Hour || got.MaxBytes != 1<<30 || got.MaxLetters != 1<<20 {
		t.Errorf("%+v", got)
	}
	if n := AuditOptions(&c, zap.NewNop()).Replicas; n != 3 {
		t.Errorf("%d copies of what the webhook tells", n)
	}
}
