package history_test

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/history"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAStreamIsReadOnceInOrder: across many pulls each message is given once, in order, and nothing is asked for again: on a server that loses
// nothing one consumer does for a reading.
func TestAStreamIsReadOnceInOrder(t *testing.T) {
	t.Parallel()
	server, err := natstest.Start(t.TempDir())
	must(t, err)
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	must(t, err)
	t.Cleanup(link.Close)
	_, err = link.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "D", Subjects: []string{"d.>"}})
	must(t, err)
	const messages, readings = 3000, 5
	for n := range messages {
		body := binary.BigEndian.AppendUint32(make([]byte, 0, 10_000), uint32(n))
		_, err := link.JetStream().PublishMsgAsync(&nats.Msg{Subject: "d.x", Data: body[:10_000]})
		must(t, err)
	}
	<-link.JetStream().PublishAsyncComplete()
	var made atomic.Int64
	_, err = link.Conn().Subscribe("$JS.API.CONSUMER.CREATE.D.>", func(*nats.Msg) { made.Add(1) })
	must(t, err)
	must(t, link.Conn().Flush())
	for range readings {
		next := uint32(0)
		err := history.Read(t.Context(), link, history.Span{Stream: "D", Filters: []string{"d.>"}}, func(m history.Message) error {
			if n := binary.BigEndian.Uint32(m.Body); n != next || m.Sequence != uint64(n)+1 {
				t.Errorf("message %d at %d, want %d", n, m.Sequence, next)
				return context.Canceled
			}
			next++
			return nil
		})
		if err != nil || next != messages {
			t.Fatalf("%d messages: %v", next, err)
		}
	}
	must(t, link.Conn().Flush())
	if made.Load() != readings {
		t.Errorf("%d consumers for %d readings", made.Load(), readings)
	}
}
