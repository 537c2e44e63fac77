//go:build integration

package integration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// figures are what the workers' logs say of a run.
type figures struct {
	settled      map[string]int // by action
	redelivered  int            // of the acknowledged: delivered more than once
	messages     map[string]int // lines of each other message: "claim taken over", …
	lastAck      map[string]time.Time
	acknowledged map[string]int // by worker
	takeovers    []takeover
}

// takeover is a worker taking the claim of another.
type takeover struct {
	worker string
	at     time.Time
}

// takenOver is how often a worker took a claim over in a time.
func (f *figures) takenOver(worker string, from, to time.Time) (n int) {
	for _, o := range f.takeovers {
		if o.worker == worker && o.at.After(from) && o.at.Before(to) {
			n++
		}
	}
	return n
}

// takenOver is the word for it in a worker's log.
const takenOver = "claim taken over"

// line is what is read of a line of a worker's log.
type line struct {
	Time       time.Time `json:"ts"`
	Message    string    `json:"msg"`
	Action     string    `json:"action"`
	Deliveries int       `json:"deliveries"`
}

// figuresOf reads the logs of workers.
func figuresOf(t *testing.T, workers []*box) figures {
	t.Helper()
	f := figures{settled: map[string]int{}, messages: map[string]int{}, lastAck: map[string]time.Time{}, acknowledged: map[string]int{}}
	for _, w := range workers {
		for text := range w.lines(t.Context(), t) {
			var l line
			if json.Unmarshal([]byte(text), &l) != nil {
				if strings.Contains(text, "panic") {
					t.Errorf("%s: %s", w.name, text)
				}
				continue // cut short by kill -9
			}
			f.add(w.name, l)
		}
	}
	return f
}

func (f *figures) add(worker string, l line) {
	if l.Message != "message settled" {
		f.messages[l.Message]++
		if l.Message == takenOver {
			f.takeovers = append(f.takeovers, takeover{worker, l.Time})
		}
		return
	}
	f.settled[l.Action]++
	if l.Action != "ack" {
		return
	}
	f.acknowledged[worker]++
	f.lastAck[worker] = l.Time
	if l.Deliveries > 1 {
		f.redelivered++
	}
}
