package nats

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/cmd/worker/prove"
	"forager/config"
	"forager/hive/hivetest"
)

// proven reads everything, and leaves nothing behind.
func proven(ctx context.Context, s *site) error {
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	subjects := map[string]string{
		"DETECTIONS": "detections.a", "FORAGER_DLQ": "forager.dlq.DETECTIONS.1", "FORAGER_JOURNAL": "forager.journal.DETECTIONS.0",
		"KV_FORAGER_LEDGER": "$KV.FORAGER_LEDGER.marks.=7E1",
	}
	for name, subject := range subjects {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{subject}}); err != nil {
			return err
		}
		if _, err := js.Publish(ctx, subject, []byte("{}")); err != nil {
			return err
		}
	}
	if _, err := js.CreateConsumer(ctx, "DETECTIONS", jetstream.ConsumerConfig{Durable: "forager", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		return err
	}
	simulated, err := hivetest.Listen("127.0.0.1:0", hivetest.New(hivetest.Options{}))
	if err != nil {
		return err
	}
	defer func() { _ = simulated.Close() }()
	c, err := config.Load(config.Source{
		Env: []string{
			"FORAGER_NATS_URL=" + s.server.URL(), "FORAGER_NATS_USER=forager", "FORAGER_NATS_PASSWORD=" + password, "FORAGER_NATS_INBOX_PREFIX=_INBOX_forager",
			"FORAGER_HIVE_URL=" + simulated.URL(), "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey, "FORAGER_JOURNAL_STREAM=FORAGER_JOURNAL",
		},
		Connects: []string{config.ToNATS, config.ToHive},
	})
	if err != nil {
		return err
	}
	if _, err := prove.Prove(ctx, c, prove.Options{}); errors.Is(err, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w: %w", errRefused, err)
	} else if err != nil {
		return err
	}
	for name := range subjects {
		of, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		consumers := 0
		for c := range of.ListConsumers(ctx).Info() {
			if c.Name != "forager" {
				consumers++
			}
		}
		if consumers > 0 {
			return fmt.Errorf("%w: to remove a consumer of %s", errRefused, name)
		}
	}
	return nil
}
