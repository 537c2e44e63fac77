//go:build week && linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/conc/pool"

	"forager/cmd/worker/workertest"
	"forager/enrich/feedback"
	"forager/hive/hivetest"
	"forager/pipeline/stream"
)

// The story: analysts who change their minds, and workers that are killed all the while.
const (
	verdictCases   = 40
	verdictAlerts  = 5 // of each case, most of them while it is closed and opened again
	verdictTurns   = 1200
	verdictKills   = 39
	verdictWorkers = 3
)

// TestAWeekOfVerdictsIsToldOnceAndInOrder: processes are killed without a word while cases are closed, opened again and joined. In the end
// each alert's source was told of what its case is, of each turn once, and of nothing twice in a row.
func TestAWeekOfVerdictsIsToldOnceAndInOrder(t *testing.T) {
	d := &anyWorker{addresses: make([]string, verdictWorkers)}
	front := httptest.NewServer(d)
	t.Cleanup(front.Close)
	b := newToldBackyard(t, hivetest.Webhook{URL: front.URL + "/hooks/thehive", Version: 1, Bearer: "tok"})
	b.env = append(b.env, "FORAGER_FEEDBACK_SUBJECT=forager.feedback", "FORAGER_FEEDBACK_LOOK=10s", "FORAGER_HIVE_TIMEOUT=3s", "FORAGER_LEDGER_LEASE=5s", "FORAGER_WEBHOOK_TOKEN=tok")
	binary := builtWorker(t)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 19))
	for n := range verdictCases {
		b.publish(fmt.Sprintf("host%d/0", n), fmt.Sprintf("host%d", n), weekAgo(), "203.0.113.1", "T1059")
	}
	site := pool.New()
	begun, over := make(chan struct{}), make(chan struct{})
	for n := range verdictWorkers {
		address, err := workertest.FreeAddress(t.Context())
		workertest.Must(t, err)
		d.addresses[n] = address
		site.Go(func() { b.mortal(binary, address, begun, over) })
	}
	defer site.Wait()
	defer close(over)
	workertest.Eventually(t, "a case of each host", func() bool { return len(b.cases()) == verdictCases })
	close(begun)
	b.told(b.changeMinds(random))
}

// anyWorker leads to whichever worker is there, as a service of Kubernetes does.
type anyWorker struct{ addresses []string }

func (d *anyWorker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	for _, n := range rand.Perm(len(d.addresses)) {
		if err != nil {
			break
		}
		on, _ := http.NewRequestWithContext(r.Context(), r.Method, "http://"+d.addresses[n]+r.URL.Path, bytes.NewReader(body))
		on.Header = r.Header.Clone()
		answer, failed := http.DefaultTransport.RoundTrip(on)
		if failed == nil {
			_ = answer.Body.Close()
			w.WriteHeader(answer.StatusCode)
			return
		}
	}
	w.WriteHeader(http.StatusServiceUnavailable)
}

// mortal is a worker that is killed again and again from the time when analysts begin, and then works in peace.
func (b *backyard) mortal(binary, hook string, begun, over <-chan struct{}) {
	for life := range verdictKills/verdictWorkers + 1 {
		cmd := exec.Command(binary, "run") //nolint:noctx // it is killed below
		cmd.Env = append([]string{"TMPDIR=" + b.t.TempDir(), "FORAGER_WEBHOOK_ADDR=" + hook}, b.env...)
		if err := cmd.Start(); err != nil {
			b.t.Error(err)
			return
		}
		<-begun
		span := time.NewTimer(time.Second + time.Duration(rand.Int64N(int64(3*time.Second)))) // the world decides where it dies
		if life == verdictKills/verdictWorkers {
			span.Stop()
		}
		select {
		case <-span.C:
		case <-over:
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// changeMinds closes cases and opens them again, by one way or the other, and lets alerts join. It gives how many alerts each host has.
func (b *backyard) changeMinds(random *rand.Rand) map[string]int {
	alerts := map[string]int{}
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for range verdictTurns {
		<-tick.C
		n := random.IntN(verdictCases)
		host, number := hostOfCase(b.cases()[n]), b.cases()[n].Number
		switch random.IntN(10) {
		case 0:
			if alerts[host]+1 < verdictAlerts {
				alerts[host]++
				b.publish(fmt.Sprintf("%s/%d", host, alerts[host]), host, weekAgo(), "203.0.113.1", "T1059")
			}
		case 1, 2, 3, 4:
			b.analyst(number, `{"status":"InProgress"}`)
		case 5, 6, 7:
			b.analyst(number, `{"status":"FalsePositive","summary":"a scanner","impactStatus":"NotApplicable"}`)
		default:
			b.analyst(number, `{"status":"TruePositive","summary":"done","impactStatus":"NoImpact"}`)
		}
	}
	return alerts
}

// hostOfCase is the host that a case's title ends with.
func hostOfCase(c hivetest.Case) string { return c.Title[strings.LastIndex(c.Title, " ")+1:] }

// told judges what the stream holds of each host's alerts.
func (b *backyard) told(alerts map[string]int) {
	b.t.Helper()
	link, err := stream.Connect(b.t.Context(), stream.Connection{URLs: []string{strings.TrimPrefix(b.env[0], "FORAGER_NATS_URL=")}}, nil)
	workertest.Must(b.t, err)
	defer link.Close()
	var all map[string][]feedback.Message
	workertest.Eventually(b.t, "the last word to each alert", func() bool {
		all = b.messages(link)
		return b.late(all, alerts) == ""
	}, func() string { return b.late(all, alerts) })
	n := 0
	for id, of := range all {
		n += len(of)
		for i := 1; i < len(of); i++ {
			before, now := of[i-1], of[i]
			if now.Turn <= before.Turn || now.Event == before.Event && now.Verdict == before.Verdict {
				b.t.Errorf("alert %s is told %s %s (turn %d) after %s %s (turn %d)", id, now.Event, now.Verdict, now.Turn, before.Event, before.Verdict, before.Turn)
			}
		}
	}
	b.t.Logf("%d messages on %d alerts of %d cases, over %d kills", n, len(all), verdictCases, verdictKills)
}

// messages are those of the stream by alert, in its order.
func (b *backyard) messages(link *stream.Link) map[string][]feedback.Message {
	all := map[string][]feedback.Message{}
	s, err := link.JetStream().Stream(b.t.Context(), "FORAGER_FEEDBACK")
	if err != nil {
		return nil
	}
	for sequence := s.CachedInfo().State.FirstSeq; sequence > 0 && sequence <= s.CachedInfo().State.LastSeq; sequence++ {
		raw, err := s.GetMsg(b.t.Context(), sequence)
		workertest.Must(b.t, err)
		var m feedback.Message
		workertest.Must(b.t, json.Unmarshal(raw.Data, &m))
		all[m.Alert.ID] = append(all[m.Alert.ID], m)
	}
	return all
}

// late names an alert that was not told yet what its case is; empty: each was.
func (b *backyard) late(all map[string][]feedback.Message, alerts map[string]int) string {
	for _, c := range b.cases() {
		host := hostOfCase(c)
		for i := range alerts[host] + 1 {
			of := all[fmt.Sprintf("%s/%d", host, i)]
			last := feedback.Message{Event: feedback.EventReopened} // who was told nothing believes it open
			if len(of) > 0 {
				last = of[len(of)-1]
			}
			open := c.Stage != "Closed"
			if open != (last.Event == feedback.EventReopened) || !open && last.Verdict != c.Status {
				return fmt.Sprintf("alert %s/%d: case %d is %s, and it was told %s %s", host, i, c.Number, c.Status, last.Event, last.Verdict)
			}
		}
	}
	return ""
}
