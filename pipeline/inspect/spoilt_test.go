package inspect

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/deadletter"
)

// spoilt are settings that hurt, each on its own.
var spoilt = map[string]func(*testing.T, *site){
	"stream without its subject": onStream("DET", func(c *jetstream.StreamConfig) { c.Subjects = []string{"other.>"} }),
	"stream of some subjects":    onStream("DET", func(c *jetstream.StreamConfig) { c.Subjects = []string{"alerts.a", "alerts.b"} }),
	"intake posts elsewhere": func(_ *testing.T, s *site) {
		s.expected.Intake = []string{"alerts.kibana", "falco.warning"} // falcosidekick's own
	},
	"stream is a work queue":          anewStream("DET", func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }),
	"stream by interest":              anewStream("DET", func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }),
	"stream in memory":                anewStream("DET", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }),
	"stream of hours":                 onStream("DET", func(c *jetstream.StreamConfig) { c.MaxAge = 3 * time.Hour }),
	"stream refuses when full":        onStream("DET", func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 1<<30, jetstream.DiscardNew }),
	"stream drops when full":          onStream("DET", func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 30 }),
	"stream of small messages":        onStream("DET", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 4 << 10 }),
	"stream of large messages":        onStream("DET", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 8 << 20 }),
	"stream with a limit per subject": onStream("DET", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }),
	"stream is sealed":                onStream("DET", func(c *jetstream.StreamConfig) { c.Sealed = true }),
	"stream without confirmation":     onStream("DET", func(c *jetstream.StreamConfig) { c.NoAck = true }),
	"stream lost messages":            loseMessages,

	"consumer is missing":                     dropConsumer,
	"consumer pushes":                         anewConsumer(func(c *jetstream.ConsumerConfig) { c.DeliverSubject, c.MaxWaiting = "somewhere", 0 }),
	"consumer without acknowledgements":       anewConsumer(func(c *jetstream.ConsumerConfig) { c.AckPolicy, c.MaxAckPending = jetstream.AckNonePolicy, 0 }),
	"consumer acknowledges all":               anewConsumer(func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }),
	"consumer with nack's ack wait":           onConsumer(func(c *jetstream.ConsumerConfig) { c.AckWait = 1 }),
	"consumer waits for hours":                onConsumer(func(c *jetstream.ConsumerConfig) { c.AckWait = time.Hour }),
	"consumer backs off":                      onConsumer(func(c *jetstream.ConsumerConfig) { c.BackOff = []time.Duration{time.Second, time.Minute} }),
	"consumer gives up":                       onConsumer(func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }),
	"consumer with few pending":               onConsumer(func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 1000 }),
	"consumer of another subject":             onConsumer(func(c *jetstream.ConsumerConfig) { c.FilterSubject = "alerts.wazuh" }),
	"consumer is deleted when it is not used": onConsumer(func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }),
	"consumer is paused": anewConsumer(func(c *jetstream.ConsumerConfig) {
		c.PauseUntil = new(time.Now().Add(24*time.Hour + 400*time.Millisecond))
	}),
	"consumer replays as it was": anewConsumer(func(c *jetstream.ConsumerConfig) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy }),
	"consumer of headers":        onConsumer(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }),
	"consumer in memory":         anewConsumer(func(c *jetstream.ConsumerConfig) { c.MemoryStorage = true }),
	"consumer begins late":       anewConsumer(func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy }),
	"consumer with limits of a pull": onConsumer(func(c *jetstream.ConsumerConfig) {
		c.MaxRequestBatch, c.MaxRequestExpires, c.MaxRequestMaxBytes = 10, time.Second, 1<<20
	}),
	"consumer with few pulls": anewConsumer(func(c *jetstream.ConsumerConfig) { c.MaxWaiting = 2 }),
	"consumer with groups": anewConsumer(func(c *jetstream.ConsumerConfig) {
		c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"workers"}
	}),

	"hold is missing": func(_ *testing.T, s *site) { s.expected.Holds = time.Hour },
	"hold is made": func(_ *testing.T, s *site) {
		s.expected.Holds, s.expected.Manage = time.Hour, true
	},
	"hold of minutes":        onHold(func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }),
	"hold of days":           onHold(func(c *jetstream.StreamConfig) { c.MaxAge = 48 * time.Hour }),
	"hold drops when full":   onHold(func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }),
	"hold of another ledger": onHold(func(c *jetstream.StreamConfig) { c.Subjects = []string{"forager.hold.OTHER.>"} }),
	"hold of a work queue":   onHold(func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }),
	"hold of small messages": onHold(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 4 << 10 }),
	"hold denies removal":    onHold(func(c *jetstream.StreamConfig) { c.DenyPurge = true }),
	"hold fills": func(t *testing.T, s *site) {
		onHold(func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 })(t, s)
		for n := range 8 {
			_, err := s.js.Publish(t.Context(), fmt.Sprintf("forager.hold.%s.x%d", s.expected.Bucket, n), nil)
			must(t, err)
		}
	},
	"stream shorter than a threshold": func(t *testing.T, s *site) {
		onHold(func(*jetstream.StreamConfig) {})(t, s)
		onStream("DET", func(c *jetstream.StreamConfig) { c.MaxAge = 30 * time.Minute })(t, s)
	},
	"feedback is missing": func(_ *testing.T, s *site) { s.expected.Feedback = &Feedback{Stream: "FB", Subject: "fb"} },
	"feedback is made": func(_ *testing.T, s *site) {
		s.expected.Feedback = &Feedback{Stream: "FB", Subject: "fb", Manage: true}
	},
	"feedback of a work queue": func(t *testing.T, s *site) {
		s.expected.Feedback = &Feedback{Stream: "FB", Subject: "fb"}
		_, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FB", Subjects: []string{"fb.elastic.>"}, Retention: jetstream.WorkQueuePolicy, MaxAge: time.Hour, MaxMsgs: 10})
		must(t, err)
	},
	"feedback as it should be": func(t *testing.T, s *site) {
		s.expected.Feedback = &Feedback{Stream: "FB", Subject: "fb"}
		_, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FB", Subjects: []string{"fb.>"}, AllowDirect: true})
		must(t, err)
	},

	"ledger is missing":            func(t *testing.T, s *site) { must(t, s.js.DeleteStream(t.Context(), "KV_FORAGER_LEDGER")) },
	"ledger with history":          onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 }),
	"ledger forgets":               onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }),
	"ledger in memory":             anewStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }),
	"ledger with a limit":          onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }),
	"ledger is full":               fillLedger,
	"ledger of small entries":      onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 << 10 }),
	"ledger without direct reads":  onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.AllowDirect = false }),
	"ledger without purges":        onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.AllowRollup = false }),
	"ledger is sealed":             onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.Sealed = true }),
	"letters are missing":          func(t *testing.T, s *site) { must(t, s.js.DeleteStream(t.Context(), "FORAGER_DLQ")) },
	"letters of another subject":   onStream("FORAGER_DLQ", func(c *jetstream.StreamConfig) { c.Subjects = []string{"forager.dlq.OTHER.>"} }),
	"letters are dropped":          onStream("FORAGER_DLQ", func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 1<<20, jetstream.DiscardOld }),
	"letters expire":               onStream("FORAGER_DLQ", func(c *jetstream.StreamConfig) { c.MaxAge = 72 * time.Hour }),
	"letters are nearly full":      fillLetters,
	"letters of small messages":    onStream("FORAGER_DLQ", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 << 20 }),
	"letters without direct reads": onStream("FORAGER_DLQ", func(c *jetstream.StreamConfig) { c.AllowDirect = false }),
	"letters for ever":             onStream("FORAGER_DLQ", func(c *jetstream.StreamConfig) { c.DenyDelete = true }),
	"webhook without its stream":   func(t *testing.T, s *site) { must(t, s.js.DeleteStream(t.Context(), "FORAGER_AUDIT")) },
	"webhook without its consumer": func(t *testing.T, s *site) { must(t, s.js.DeleteConsumer(t.Context(), "FORAGER_AUDIT", "forager")) },
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onStream changes a stream as an operator may.
func onStream(name string, change func(*jetstream.StreamConfig)) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		stream, err := s.js.Stream(t.Context(), name)
		must(t, err)
		config := stream.CachedInfo().Config
		change(&config)
		_, err = s.js.UpdateStream(t.Context(), config)
		must(t, err)
	}
}

// anewStream makes a stream again, with its consumer, where a change is not possible.
func anewStream(name string, change func(*jetstream.StreamConfig)) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		stream, err := s.js.Stream(t.Context(), name)
		must(t, err)
		var consumers []jetstream.ConsumerConfig
		for c := range stream.ListConsumers(t.Context()).Info() {
			consumers = append(consumers, c.Config)
		}
		config := stream.CachedInfo().Config
		change(&config)
		must(t, s.js.DeleteStream(t.Context(), name))
		_, err = s.js.CreateStream(t.Context(), config)
		must(t, err)
		for _, c := range consumers {
			_, err := s.js.CreateConsumer(t.Context(), name, c)
			must(t, err)
		}
	}
}

func consumerConfig(t *testing.T, s *site) jetstream.ConsumerConfig {
	t.Helper()
	consumer, err := s.js.Consumer(t.Context(), s.expected.Stream, s.expected.Consumer)
	must(t, err)
	return consumer.CachedInfo().Config
}

func onConsumer(change func(*jetstream.ConsumerConfig)) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		config := consumerConfig(t, s)
		change(&config)
		_, err := s.js.UpdateConsumer(t.Context(), s.expected.Stream, config)
		must(t, err)
	}
}

func dropConsumer(t *testing.T, s *site) {
	must(t, s.js.DeleteConsumer(t.Context(), s.expected.Stream, s.expected.Consumer))
}

func anewConsumer(change func(*jetstream.ConsumerConfig)) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		config := consumerConfig(t, s)
		change(&config)
		dropConsumer(t, s)
		var err error
		if config.DeliverSubject != "" {
			_, err = s.js.CreatePushConsumer(t.Context(), s.expected.Stream, config)
		} else {
			_, err = s.js.CreateConsumer(t.Context(), s.expected.Stream, config)
		}
		must(t, err)
	}
}

// loseMessages lets the stream drop what nobody has worked.
func loseMessages(t *testing.T, s *site) {
	for n := range 5 {
		_, err := s.js.Publish(t.Context(), "alerts.x", fmt.Append(nil, n))
		must(t, err)
	}
	onStream(s.expected.Stream, func(c *jetstream.StreamConfig) { c.MaxMsgs = 2 })(t, s)
}

func fillLedger(t *testing.T, s *site) {
	onStream("KV_FORAGER_LEDGER", func(c *jetstream.StreamConfig) { c.MaxBytes = 64 << 10 })(t, s)
	kv, err := s.js.KeyValue(t.Context(), "FORAGER_LEDGER")
	must(t, err)
	_, err = kv.Put(t.Context(), "key.large", make([]byte, 60<<10))
	must(t, err)
}

func fillLetters(t *testing.T, s *site) {
	onStream("FORAGER_DLQ", func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 })(t, s)
	for n := range 4 {
		_, err := s.js.Publish(t.Context(), deadletter.Subject("DET", uint64(n)), nil)
		must(t, errors.Join(err))
	}
}

// onHold makes the hold stream with one setting changed, for a threshold of an hour.
func onHold(change func(*jetstream.StreamConfig)) func(*testing.T, *site) {
	return func(t *testing.T, s *site) {
		t.Helper()
		s.expected.Holds = time.Hour
		c := jetstream.StreamConfig{
			Name: s.expected.Hold, Subjects: []string{"forager.hold." + s.expected.Bucket + ".>"}, Storage: jetstream.FileStorage, Replicas: 1,
			Discard: jetstream.DiscardNew, MaxMsgs: 1 << 20,
		}
		change(&c)
		_, err := s.js.CreateStream(t.Context(), c)
		must(t, err)
	}
}
