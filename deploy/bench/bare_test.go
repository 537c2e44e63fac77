//go:build bench && linux

package bench

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/pool"
)

// bareAcks is how many confirmations the bare consumer waits for at once: as many as the worker.
const bareAcks = 64

// bare is the rate at which a consumer that does nothing takes messages and has each
// acknowledgement confirmed.
func bare(t *testing.T, built programs) float64 {
	t.Helper()
	const messages = 40_000
	s := newScene(t, built, manners{})
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: streamName, Subjects: []string{"detections.>"}}); err != nil {
		t.Fatal(err)
	}
	consumer, err := s.js.CreateConsumer(t.Context(), streamName, jetstream.ConsumerConfig{
		Durable: consumerName, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxAckPending: 32_768,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.publish(t, messages, 50)
	acks := pool.New().WithMaxGoroutines(bareAcks)
	done := make(chan struct{})
	var n atomic.Int64
	began := time.Now()
	subscription, err := consumer.Consume(func(msg jetstream.Msg) {
		acks.Go(func() {
			if msg.DoubleAck(t.Context()) == nil && n.Add(1) == messages {
				close(done)
			}
		})
	}, jetstream.PullMaxMessages(500), jetstream.PullHeartbeat(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	<-done
	took := time.Since(began)
	subscription.Stop()
	acks.Wait()
	return messages / took.Seconds()
}
