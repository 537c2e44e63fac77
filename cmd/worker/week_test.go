//go:build week && linux

package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"forager/cmd/worker/workertest"
	"forager/hive/hivetest"
)

// A week passes hour by hour, an hour in a tick. The call's latency is what good senders wait for: it
// is long beside what a busy machine adds.
const (
	weekHours   = 7 * 24
	weekTick    = 60 * time.Millisecond
	weekLatency = 60 * time.Millisecond
	weekMemory  = 300 << 20
	weekSlower  = 2.0 // the 99th percentile of a disturbed week, beside that of a calm one
	weekObject  = 20 << 20
	weekPairs   = 3 // a machine that stalls for a second spoils one week, hostile senders each
)

// TestAWeekOfMixedSenders lets six good senders have a week alone, then one with three hostile ones,
// by a worker that is a process of its own, as people run it.
func TestAWeekOfMixedSenders(t *testing.T) {
	w := newWeek(t)
	w.pass("warm", 24, false)
	ratio := math.Inf(1)
	for n := 0; n < weekPairs && ratio > weekSlower; n++ {
		calm := w.pass(fmt.Sprint("calm", n), weekHours, false)
		wild := w.pass(fmt.Sprint("wild", n), weekHours, true)
		ratio = float64(wild) / float64(calm)
		t.Logf("99 %% of good detections within %v undisturbed, within %v beside hostile ones (%.2f)", calm, wild, ratio)
	}
	peak := resident(t, w.pid, "VmHWM")
	t.Logf("resident memory at most %d MiB", peak>>20)
	if ratio > weekSlower {
		t.Errorf("hostile senders make good ones wait %.2f times as long in each of %d weeks, at most %.1f is allowed", ratio, weekPairs, weekSlower)
	}
	if peak > weekMemory {
		t.Errorf("resident memory of %d MiB, at most %d are allowed", peak>>20, weekMemory>>20)
	}
	w.judge()
}

// week is a worker process, and what it logged of its messages.
type week struct {
	*backyard
	pid  int
	sent []workertest.Sent

	mu   sync.Mutex
	ends map[uint64]weekEnd // by sequence
}

// weekEnd is the line of a message that ended.
type weekEnd struct {
	Msg, Action, Error string
	Sequence           uint64
	Age                float64 // seconds since the stream stored it
}

func newWeek(t *testing.T) *week {
	t.Helper()
	w := &week{backyard: newBackyard(t), ends: map[uint64]weekEnd{}}
	w.hive.Set(hivetest.Misbehaviour{Latency: weekLatency})
	w.object("evidence", "memory.dmp", weekObject)
	cmd := exec.CommandContext(t.Context(), builtWorker(t), "run")
	cmd.Env = append(append([]string{"TMPDIR=" + t.TempDir()}, w.env...), "FORAGER_LOG_LEVEL=info", "FORAGER_LOG_FORMAT=json", "FORAGER_WEBHOOK_ADDR=")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	lines, err := cmd.StderrPipe()
	workertest.Must(t, err)
	workertest.Must(t, cmd.Start())
	w.pid = cmd.Process.Pid
	var reading conc.WaitGroup
	reading.Go(func() { w.read(lines) })
	t.Cleanup(func() {
		_ = cmd.Cancel()
		reading.Wait()
		_ = cmd.Wait()
	})
	return w
}

// read notes the lines of messages that ended.
func (w *week) read(lines io.Reader) {
	for s := bufio.NewScanner(lines); s.Scan(); {
		var end weekEnd
		if json.Unmarshal(s.Bytes(), &end) == nil && end.Msg == "message settled" && end.Action != "nak" {
			w.mu.Lock()
			w.ends[end.Sequence] = end
			w.mu.Unlock()
		}
	}
}

// pass lets hours pass and waits for the end of what good senders sent in them. It gives the 99th
// percentile of the time from the stream to the end.
func (w *week) pass(name string, hours int, hostile bool) time.Duration {
	w.t.Helper()
	began, first := weekAgo(), len(w.sent)
	tick := time.NewTicker(weekTick)
	defer tick.Stop()
	for hour := range hours {
		<-tick.C
		for i, sender := range workertest.GoodSenders {
			if i%2 == hour%2 {
				w.good(sender, fmt.Sprintf("%s-%s-%d", name, sender, hour/2%6), began.Add(time.Duration(hour)*time.Hour))
			}
		}
		if hostile {
			w.hostile(hour)
		}
	}
	workertest.Eventually(w.t, "the good ones of the "+name+" week", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return !slices.ContainsFunc(w.sent[first:], func(d workertest.Sent) bool { return w.ends[d.Sequence].Sequence == 0 })
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	ages := make([]weekEnd, 0, len(w.sent))
	for _, d := range w.sent[first:] {
		ages = append(ages, w.ends[d.Sequence])
	}
	slices.SortFunc(ages, func(a, b weekEnd) int { return cmp.Compare(a.Age, b.Age) })
	return time.Duration(ages[len(ages)*99/100].Age * float64(time.Second)).Round(time.Millisecond)
}

// hostile sends what the hostile senders send in an hour: garbage without end, and now and then a
// large alert or one that names what it may not.
func (w *week) hostile(hour int) {
	w.t.Helper()
	for i := range 2 {
		w.publishRaw("garbage", workertest.GarbageOf(2*hour+i))
	}
	if hour%4 == 0 {
		w.publishRaw("junk", workertest.JunkOf(hour/4))
	}
	if hour%2 == 1 {
		w.publishRaw("reach", workertest.ReachOf(hour/2))
	}
}

func (w *week) good(sender, host string, at time.Time) {
	w.t.Helper()
	n := len(w.sent)
	d := workertest.Sent{ID: fmt.Sprintf("%s-%d", host, n), Host: host, Value: fmt.Sprintf("198.51.%d.%d", n/250, n%250), Technique: []string{"T1110", "T1059", "T1105"}[n%3]}
	d.Sequence = w.publishRaw(sender, fmt.Appendf(nil, `{"schema":"forager.detection/v1","id":%q,"time":%q,"title":"T","severity":2,"host":%q,
		"rule":{"id":"r%d"},"observables":[{"dataType":"ip","data":%q}],"techniques":[%q]}`, d.ID, at.Format(time.RFC3339), host, n%3, d.Value, d.Technique))
	w.sent = append(w.sent, d)
}

// publishRaw publishes bytes as a sender does, and gives their sequence.
func (w *week) publishRaw(sender string, body []byte) uint64 {
	w.t.Helper()
	confirm, err := w.stream.Send("detections."+sender, body)
	workertest.Must(w.t, err)
	sequence, err := confirm(w.t.Context())
	workertest.Must(w.t, err)
	return sequence
}

// judge looks for every good detection in its case, once.
func (w *week) judge() {
	w.t.Helper()
	cases := map[string][]hivetest.Case{}
	for _, c := range w.cases() {
		for _, o := range c.Observables {
			if strings.HasPrefix(o.Data, "198.51.") {
				cases[o.Data] = append(cases[o.Data], c)
			}
		}
	}
	for _, d := range w.sent {
		if end := w.ends[d.Sequence]; end.Action != "ack" || !slices.ContainsFunc(cases[d.Value], d.IsIn) {
			w.t.Errorf("%s: %s %s, in %d cases", d.ID, end.Action, end.Error, len(cases[d.Value]))
		}
	}
	if got := w.hive.Stats(hivetest.DefaultWindow).Duplicates; got.Total() != 0 {
		w.t.Errorf("doubled: %+v", got)
	}
}
