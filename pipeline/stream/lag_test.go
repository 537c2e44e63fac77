package stream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// look is what the server says at one moment.
type look struct {
	first, delivered, deliveries uint64
	made                         time.Duration
	want                         uint64 // gone, in all
}

func TestGoneIsWhatPassedWithoutADelivery(t *testing.T) {
	for name, test := range map[string]struct {
		filter string
		looks  []look
	}{
		"nothing happens":                        {"", []look{{first: 1}, {first: 1}}},
		"all is delivered":                       {"", []look{{first: 1}, {first: 1, delivered: 10, deliveries: 10}}},
		"the stream overtakes who does not pull": {"", []look{{first: 1, delivered: 5, deliveries: 5}, {first: 101, delivered: 5, deliveries: 5, want: 95}, {first: 201, delivered: 5, deliveries: 5, want: 195}}},
		"what was overtaken is counted once":     {"", []look{{first: 1}, {first: 101, want: 100}, {first: 101, delivered: 110, deliveries: 10, want: 100}}},
		"it was overtaken between two looks":     {"", []look{{first: 1, delivered: 5, deliveries: 5}, {first: 90, delivered: 110, deliveries: 15, want: 95}}},
		"it was overtaken while nobody ran":      {"", []look{{first: 101, delivered: 5, deliveries: 5, want: 95}, {first: 101, delivered: 105, deliveries: 10, want: 95}}},
		"worked messages leave the stream":       {"", []look{{first: 1, delivered: 50, deliveries: 50}, {first: 41, delivered: 60, deliveries: 60}}},
		"redeliveries are not new":               {"", []look{{first: 1, delivered: 50, deliveries: 50}, {first: 1, delivered: 50, deliveries: 90}}},
		"a stream made anew is another stream":   {"", []look{{first: 101, delivered: 100, deliveries: 100}, {first: 1, made: time.Hour}, {first: 1, delivered: 3, deliveries: 3, made: time.Hour}}},
		"the filter takes all":                   {"a.>", []look{{first: 1}, {first: 101, want: 100}}},
		"others' messages are nobody's business": {"a.b", []look{{first: 1}, {first: 101}}},
		"an empty stream has no first":           {"", []look{{first: 0}, {first: 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			var g gone
			for i, l := range test.looks {
				g.measure(
					&jetstream.StreamInfo{
						Config: jetstream.StreamConfig{Subjects: []string{"a.>"}}, Created: time.Unix(1, 0).Add(l.made),
						State: jetstream.StreamState{FirstSeq: l.first},
					},
					&jetstream.ConsumerInfo{
						Config:    jetstream.ConsumerConfig{FilterSubject: test.filter},
						Delivered: jetstream.SequenceInfo{Stream: l.delivered, Consumer: l.deliveries},
					},
				)
				if g.total != l.want {
					t.Errorf("look %d: %d gone, want %d", i, g.total, l.want)
				}
			}
		})
	}
}
