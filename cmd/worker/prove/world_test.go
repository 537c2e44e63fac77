package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/hive/hivetest"
	"forager/pipeline/natstest"
)

// world is a stream and a TheHive as a worker that keeps its promises would leave them, written by this test alone.
type world struct {
	t      testing.TB
	random *rand.Rand
	js     jetstream.JetStream
	url    string
	config *config.Config
	cases  []*made
	sent   []*sent
}

// made is a case, and the messages in it.
type made struct {
	id     string
	number int
	tag    string
	start  int64
	in     []*sent
	values map[string]string // observable → id
	rule   string
}

// sent is a message.
type sent struct {
	sequence  uint64
	id, host  string
	value     string
	technique string
	at        time.Time
	body      []byte
	stored    time.Time
	in        *made
	outcome   string
}

const testStream = "DETECTIONS"

var begin = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

func newWorld(t testing.TB, seed uint64, journal bool) *world {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	workertest.Must(t, err)
	t.Cleanup(server.Close)
	conn, err := nats.Connect(server.URL())
	workertest.Must(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(4000))
	workertest.Must(t, err)
	h := hivetest.New(hivetest.Options{Patterns: patterns()})
	listening, err := hivetest.Listen("127.0.0.1:0", h)
	workertest.Must(t, err)
	t.Cleanup(func() { _ = listening.Close() })
	env := []string{"FORAGER_NATS_URL=" + server.URL(), "FORAGER_HIVE_URL=" + listening.URL(), "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey}
	if journal {
		env = append(env, "FORAGER_JOURNAL_STREAM=FORAGER_JOURNAL")
	}
	c, err := config.Load(config.Source{Env: env, Connects: []string{config.ToNATS, config.ToHive}})
	workertest.Must(t, err)
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 1)), js: js, url: listening.URL(), config: c}
	for name, subject := range map[string]string{testStream: "detections.>", "FORAGER_DLQ": "forager.dlq.>", "FORAGER_JOURNAL": "forager.journal.>"} {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Storage: jetstream.MemoryStorage})
		workertest.Must(t, err)
	}
	_, err = js.CreateConsumer(t.Context(), testStream, jetstream.ConsumerConfig{Durable: "forager", AckPolicy: jetstream.AckAllPolicy, MaxAckPending: -1})
	workertest.Must(t, err)
	return w
}

var techniques = []string{"T1110", "T1059", "T1105", "T1486"}

func patterns() (all []hivetest.Pattern) {
	for _, id := range techniques {
		all = append(all, hivetest.Pattern{ID: id, Name: id, Tactics: []string{"execution"}})
	}
	return all
}

// ask calls the simulator, and gives what it answered.
func (w *world) ask(method, path string, body any) map[string]any {
	w.t.Helper()
	raw, err := json.Marshal(body)
	workertest.Must(w.t, err)
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+"/api/v1/"+path, bytes.NewReader(raw))
	workertest.Must(w.t, err)
	r.Header = http.Header{"Authorization": {"Bearer " + hivetest.DefaultAPIKey}, "Content-Type": {"application/json"}}
	answer, err := http.DefaultClient.Do(r)
	workertest.Must(w.t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	workertest.Must(w.t, err)
	if answer.StatusCode/100 != 2 {
		w.t.Fatalf("%s %s: %s %s", method, path, answer.Status, text)
	}
	if bytes.HasPrefix(text, []byte("[")) {
		text = append(append([]byte(`{"all":`), text...), '}')
	}
	out := map[string]any{}
	if len(text) > 0 {
		workertest.Must(w.t, json.Unmarshal(text, &out))
	}
	return out
}

// publish stores a body.
func (w *world) publish(m *sent, body []byte) jetstream.PubAckFuture {
	w.t.Helper()
	m.body = body
	ack, err := w.js.PublishAsync("detections.a", body, jetstream.WithStallWait(time.Minute))
	workertest.Must(w.t, err)
	w.sent = append(w.sent, m)
	return ack
}

// detect makes messages of a host, all for one case.
func (w *world) detect(host string, n int) (all []*sent) {
	for i := range n {
		k := len(w.sent)
		m := &sent{
			id: fmt.Sprintf("id-%d", k), host: host, value: fmt.Sprintf("198.%d.%d.%d", k/65536%256, k/256%256, k%256), technique: techniques[i%len(techniques)],
			at: begin.Add(time.Duration(k) * time.Second), outcome: acknowledged,
		}
		body, err := json.Marshal(map[string]any{
			"schema": schema, "id": m.id, "time": m.at.Format(time.RFC3339), "title": "seen", "host": host, "rule": map[string]string{"id": "r"},
			"techniques": []string{m.technique}, "observables": []map[string]string{{"dataType": "ip", "data": m.value}},
		})
		workertest.Must(w.t, err)
		w.publish(m, body)
		all = append(all, m)
	}
	return all
}

// open makes the case of some messages, with all that they ask for.
func (w *world) open(all []*sent) *made {
	w.t.Helper()
	c := &made{tag: "forager:" + shortHash("", "host", all[0].host), start: all[0].at.UnixMilli(), in: all, values: map[string]string{}, rule: shortHash("r")}
	answer := w.ask("POST", "case", map[string]any{
		"title": "seen on " + all[0].host, "severity": 2, "startDate": c.start, "tags": []string{c.tag},
		"description": "seen\n\n" + c.marker(all[:1]),
	})
	c.id, c.number = answer["_id"].(string), int(answer["number"].(float64))
	w.fill(c, all)
	w.cases = append(w.cases, c)
	return c
}

func (c *made) marker(of []*sent) string {
	ids := make([]string, 0, len(of))
	for _, m := range of[:min(len(of), 20)] {
		ids = append(ids, m.id)
	}
	return "`forager: rule=" + c.rule + " day=2026-03-02 ids=" + strings.Join(ids, ",") + "`"
}

func (w *world) fill(c *made, all []*sent) {
	var values []string
	first := map[string]time.Time{}
	for _, m := range all {
		m.in = c
		values = append(values, m.value)
		if _, there := first[m.technique]; !there {
			first[m.technique] = m.at
		}
	}
	for from := 0; from < len(values); from += 100 {
		got := w.ask("POST", "case/"+c.id+"/observable", map[string]any{"dataType": "ip", "data": values[from:min(len(values), from+100)]})
		for _, o := range got["all"].([]any) {
			o := o.(map[string]any)
			c.values[o["data"].(string)] = o["_id"].(string)
		}
	}
	var used []map[string]any
	for _, id := range techniques {
		if at, there := first[id]; there {
			used = append(used, map[string]any{"patternId": id, "tactic": "execution", "occurDate": at.UnixMilli()})
		}
	}
	w.ask("POST", "case/"+c.id+"/procedures", map[string]any{"procedures": used})
	w.ask("POST", "case/"+c.id+"/comment", map[string]any{"message": "seen again\n\n" + c.marker(all)})
	w.ask("POST", "case/"+c.id+"/page", map[string]any{"title": "Detections", "category": "Forager", "order": 0, "content": "| Time | Id |\n|---|---|\n| 1 | " + all[len(all)-1].id + " |\n"})
}

// settle lets the consumer answer everything, and learns where messages are.
func (w *world) settle() {
	w.t.Helper()
	<-w.js.PublishAsyncComplete()
	consumer, err := w.js.Consumer(w.t.Context(), testStream, "forager")
	workertest.Must(w.t, err)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(4000))
	workertest.Must(w.t, err)
	defer messages.Stop()
	for i := range w.sent {
		m, err := messages.Next()
		workertest.Must(w.t, err)
		meta, err := m.Metadata()
		workertest.Must(w.t, err)
		w.sent[i].sequence, w.sent[i].stored = meta.Sequence.Stream, meta.Timestamp
		if i == len(w.sent)-1 {
			workertest.Must(w.t, m.DoubleAck(w.t.Context()))
		}
	}
}

// note writes a line of the journal.
func (w *world) note(m *sent, outcome string, change func(map[string]any)) {
	w.t.Helper()
	l := map[string]any{"v": 1, "stream": testStream, "sequence": m.sequence, "stored": m.stored.UTC(), "outcome": outcome, "digest": digestOf(m.body)}
	if m.in != nil && outcome == acknowledged {
		l["cases"] = []int{m.in.number}
	}
	if change != nil {
		change(l)
	}
	raw, err := json.Marshal(l)
	workertest.Must(w.t, err)
	_, err = w.js.PublishAsync(fmt.Sprintf("forager.journal.%s.%d", testStream, m.sequence/1000), raw, jetstream.WithStallWait(time.Minute))
	workertest.Must(w.t, err)
}

// deadLetter writes a dead letter.
func (w *world) deadLetter(m *sent, body []byte) {
	w.t.Helper()
	msg := nats.NewMsg(fmt.Sprintf("forager.dlq.%s.%d", testStream, m.sequence))
	msg.Data = body
	msg.Header = nats.Header{
		"Forager-Stream": {testStream}, "Forager-Sequence": {fmt.Sprint(m.sequence)}, "Forager-Reason": {"unknown format"},
		"Forager-Stored": {m.stored.UTC().Format(time.RFC3339Nano)},
	}
	_, err := w.js.PublishMsgAsync(msg)
	workertest.Must(w.t, err)
}

// prove runs the proof.
func (w *world) prove() Report {
	w.t.Helper()
	<-w.js.PublishAsyncComplete()
	r, err := Prove(context.WithoutCancel(w.t.Context()), w.config, Options{})
	workertest.Must(w.t, err)
	return r
}
