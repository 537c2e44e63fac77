//go:build bench && linux

package bench

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Values that the detections of one key bring in turn.
const (
	rules     = 3
	addresses = 50
	hashes    = 20
)

// size of a message in bytes.
const size = 1024

// detectionOf is the n-th message: a detection of key n mod keys.
func detectionOf(n, keys int, at time.Time) []byte {
	key, turn := n%keys, n/keys
	hash := sha256.Sum256(fmt.Appendf(nil, "%d-%d", key, turn%hashes))
	body := fmt.Appendf(nil, `{"schema":"forager.detection/v1","id":"bench-%d","time":%q,"severity":3,`+
		`"title":"Encoded command line on a host of the bench","rule":{"id":"rule-%d","name":"Rule %d"},`+
		`"host":"host-%d.bench.example","observables":[{"dataType":"hostname","data":"host-%d.bench.example"},`+
		`{"dataType":"ip","data":"10.%d.%d.%d"},{"dataType":"hash","data":"%x"}],`+
		`"techniques":["T1059.001","T1055"],"description":"`,
		n, at.Add(time.Duration(n)*time.Millisecond/100).Format(time.RFC3339Nano), turn%rules, turn%rules,
		key, key, key>>8&255, key&255, turn%addresses, hash)
	const end = `"}`
	for len(body) < size-len(end) {
		body = append(body, "powershell -enc aQBlAHgA "[:min(25, size-len(end)-len(body))]...)
	}
	return append(body, end...)
}

// publish fills the stream. All events are of the middle of today, so that no day ends on the way.
func (s *scene) publish(t *testing.T, messages, keys int) {
	t.Helper()
	at := time.Now().UTC().Truncate(24 * time.Hour)
	for n := range messages {
		if _, err := s.js.PublishAsync(subject, detectionOf(n, keys, at), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-s.js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		t.Fatal("the server did not confirm what was published")
	}
}

func TestDetectionsAreOfOneKilobyte(t *testing.T) {
	for _, n := range []int{0, 999_999} {
		if got := len(detectionOf(n, 4000, time.Unix(0, 0).UTC())); got != size {
			t.Errorf("message %d has %d bytes, want %d", n, got, size)
		}
	}
	if strings.Contains(string(detectionOf(1, 5, time.Unix(0, 0).UTC())), "%!") {
		t.Error("a message is badly formatted")
	}
}
