package prove

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/cmd/worker/workertest"
)

// populate fills a world that keeps every promise: cases, dropped messages, dead letters, and some that wait.
func (w *world) populate(cases, most, others int) (droppedOnes, dead []*sent) {
	w.t.Helper()
	var groups [][]*sent
	for i := range cases {
		groups = append(groups, w.detect(fmt.Sprintf("host-%d", i), 1+w.random.IntN(most)))
	}
	for i := range others {
		d := &sent{outcome: dropped}
		w.publish(d, fmt.Appendf(nil, `{"kind":"status","n":%d}`, i))
		l := &sent{outcome: deadLetter}
		w.publish(l, fmt.Appendf(nil, `{"kind":"what is this","n":%d}`, i))
		droppedOnes, dead = append(droppedOnes, d), append(dead, l)
	}
	w.settle()
	for _, g := range groups {
		w.open(g)
	}
	return droppedOnes, dead
}

// record writes journal and dead letters of all messages, but for those that are left out.
func (w *world) record(leaveOut map[*sent]bool) {
	w.t.Helper()
	for _, m := range w.sent {
		if leaveOut[m] {
			continue
		}
		w.note(m, m.outcome, nil)
		if m.outcome == deadLetter {
			w.deadLetter(m, m.body)
		}
	}
}

// TestNothingIsFoundWhereNothingIsWrong: FORAGER_PROOFS worlds that keep every promise, each with its own seed, with a journal and without.
func TestNothingIsFoundWhereNothingIsWrong(t *testing.T) {
	t.Parallel()
	runs := 6
	if n, err := strconv.Atoi(os.Getenv("FORAGER_PROOFS")); err == nil {
		runs = n
	}
	for seed := range runs {
		w := newWorld(t, uint64(seed), seed%2 == 0)
		others := w.random.IntN(10)
		if seed%2 == 1 {
			others = 0 // without a journal a message that was dropped is one that is lost
		}
		w.populate(1+w.random.IntN(20), 30, others)
		w.record(nil)
		waiting := w.random.IntN(4)
		for i := range waiting {
			_, err := w.js.Publish(t.Context(), "detections.a", fmt.Appendf(nil, `{"late":%d}`, i))
			workertest.Must(t, err)
		}
		r := w.prove()
		if len(r.Faults) != 0 || r.Waiting != waiting || r.Messages != len(w.sent)+waiting || r.InCases+r.Dropped+r.DeadLetters != len(w.sent) {
			t.Errorf("seed %d: %d messages, %d waiting of %d, faults %v", seed, r.Messages, r.Waiting, waiting, r.Faults)
		}
	}
}

// TestManyMessagesAreProvenSoon: FORAGER_PROVE_MESSAGES is how many; the time is told.
func TestManyMessagesAreProvenSoon(t *testing.T) {
	t.Parallel()
	messages := 5000
	if n, err := strconv.Atoi(os.Getenv("FORAGER_PROVE_MESSAGES")); err == nil {
		messages = n
	}
	w := newWorld(t, 1, true)
	const perCase = 50
	var groups [][]*sent
	for i := range messages / perCase {
		groups = append(groups, w.detect(fmt.Sprintf("host-%d", i), perCase))
	}
	w.settle()
	for _, g := range groups {
		w.open(g)
	}
	w.record(nil)
	<-w.js.PublishAsyncComplete()
	began := time.Now()
	r := w.prove()
	t.Logf("%d messages in %d cases: %s", r.Messages, r.Cases, time.Since(began).Round(time.Millisecond))
	if len(r.Faults) > 0 || r.InCases != messages {
		t.Errorf("%d in cases, faults %d: %v", r.InCases, len(r.Faults), r.Faults[:min(len(r.Faults), 5)])
	}
}

// TestAWorkerThatAcknowledgesFirstIsFoundOut: twenty lines that acknowledge before they act, and die in between now and then.
func TestAWorkerThatAcknowledgesFirstIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 9, false)
	var groups [][]*sent
	for i := range 40 {
		groups = append(groups, w.detect(fmt.Sprintf("host-%d", i), 1+w.random.IntN(3)))
	}
	w.settle() // it acknowledges
	lost := map[uint64]bool{}
	for i, g := range groups {
		if i%4 == 0 { // and dies
			for _, m := range g {
				lost[m.sequence] = true
			}
			continue
		}
		w.open(g)
	}
	r := w.prove()
	for _, f := range r.Faults {
		if f.Kind != Lost || !lost[f.Sequence] {
			t.Errorf("found %+v, which is none", f)
		}
		delete(lost, f.Sequence)
	}
	if len(lost) > 0 {
		t.Errorf("not found: messages %v", lost)
	}
	if len(r.Unknown) == 0 {
		t.Error("without a journal it must say what it cannot know")
	}
}

// TestWhatIsHeldWaits: a line that says so is no end; other lines are.
func TestWhatIsHeldWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, true)
	applied, alone := w.detect("host-1", 2), w.detect("host-2", 1)
	w.detect("host-3", 1)
	body := fmt.Appendf(nil, `[{"schema":%q,"id":"x1","host":"host-1","observables":[{"dataType":"ip","data":"192.0.2.9"}]},{"schema":%q,"id":"x2","host":"host-4","observables":[{"dataType":"ip","data":"192.0.2.10"}]}]`, schema, schema)
	w.publish(&sent{outcome: acknowledged}, body)
	w.settle()
	c := w.open(applied)
	parts := w.sent[len(w.sent)-1]
	for _, m := range w.sent {
		w.note(m, held, func(l map[string]any) {
			if m == parts { // one of its two detections is in the case
				l["plans"], l["waits"], l["cases"] = 1, 1, []int{c.number}
			}
		})
	}
	for _, m := range applied {
		w.note(m, acknowledged, nil)
	}
	w.note(alone[0], dropped, func(l map[string]any) { l["reason"] = "below threshold" })
	w.note(parts, dropped, func(l map[string]any) { l["reason"] = "below threshold" })
	r := w.prove()
	if len(r.Faults) > 0 || r.Waiting != 1 || r.InCases != 3 || r.Dropped != 1 || r.Reasons["below threshold"] != 1 {
		t.Errorf("%+v", r)
	}
}

// TestWhatAnAnalystTookAwayIsNoLoss: the ledger says so; what it does not name is lost.
func TestWhatAnAnalystTookAwayIsNoLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, true)
	all := w.detect("host-1", 4)
	w.settle()
	c := w.open(all)
	w.record(nil)
	for _, m := range all[1:3] {
		w.ask("DELETE", "observable/"+c.values[m.value], nil)
	}
	w.ask("DELETE", "procedure/"+w.part(c, "procedures", "patternId", techniques[3])["_id"].(string), nil)
	// As the ledger of a worker has it; the hash is of "observable", "ip" and the address, parted by zero bytes.
	sum := sha256.Sum256([]byte("observable\x00ip\x00" + all[1].value))
	raw := fmt.Sprintf(`{"v":2,"removed":[["observable",%q],["procedure","%s/execution"]]}`, base64.RawURLEncoding.EncodeToString(sum[:16]), techniques[3])
	_, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KV_FORAGER_LEDGER", Subjects: []string{"$KV.FORAGER_LEDGER.>"}, Storage: jetstream.MemoryStorage})
	workertest.Must(t, err)
	key := strings.ReplaceAll(c.id, "~", "=7E")
	_, err = w.js.Publish(t.Context(), "$KV.FORAGER_LEDGER.marks."+key, []byte(raw))
	workertest.Must(t, err)
	r := w.prove()
	if len(r.Faults) != 1 || r.Faults[0].Sequence != all[2].sequence || r.Faults[0].Kind != EffectMissing || r.Removed != 2 {
		t.Errorf("%+v", r)
	}
}

// TestAlertsOfTheQueueArePlaces: of a route that wants alerts, what is in one is not lost, and what it lacks is missing.
func TestAlertsOfTheQueueArePlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5, true)
	whole, short, lost := w.detect("host-1", 1)[0], w.detect("host-2", 1)[0], w.detect("host-3", 1)[0]
	w.settle()
	for _, m := range []*sent{whole, short} {
		c := &made{rule: shortHash("r")}
		items := []map[string]any{{"dataType": "ip", "data": []string{m.value}}}
		if m == short {
			items = nil
		}
		w.ask("POST", "alert", map[string]any{
			"type": "wazuh", "source": "siem", "sourceRef": m.id, "title": "seen", "description": "seen\n\n" + c.marker([]*sent{m}), "date": m.at.UnixMilli(),
			"tags": []string{"forager:" + shortHash("", "host", m.host)}, "observables": items,
			"procedures": []map[string]any{{"patternId": m.technique, "tactic": "execution", "occurDate": m.at.UnixMilli()}},
		})
	}
	for _, m := range w.sent {
		w.note(m, acknowledged, nil)
	}
	r := w.prove()
	want := map[uint64]Kind{short.sequence: EffectMissing, lost.sequence: Lost}
	for _, f := range r.Faults {
		if want[f.Sequence] != f.Kind || f.Kind == EffectMissing && !strings.Contains(f.What, "alert wazuh/siem/"+short.id) {
			t.Errorf("found %+v", f)
		}
		delete(want, f.Sequence)
	}
	if len(want) > 0 || r.InAlerts != 2 || r.Alerts != 2 || r.Cases != 0 {
		t.Errorf("not found %v in %+v", want, r)
	}
}

// TestDaysAreToldApartWhereNothingCounts: without a page a rule has a comment a day, with it one.
func TestDaysAreToldApartWhereNothingCounts(t *testing.T) {
	t.Parallel()
	for _, counts := range []bool{true, false} {
		w := newWorld(t, 6, true)
		all := w.detect("host-1", 2)
		w.settle()
		c := w.open(all)
		w.record(nil)
		w.ask("POST", "case/"+c.id+"/comment", map[string]any{"message": "seen\n\n" + strings.Replace(c.marker(all), "day=2026-03-02", "day=2026-03-03", 1)})
		if !counts {
			w.ask("DELETE", "case/"+c.id+"/page/"+w.part(c, "pages", "title", "Detections")["_id"].(string), nil)
		}
		if r := w.prove(); (len(r.Faults) == 1) != counts {
			t.Errorf("counts %t: %+v", counts, r.Faults)
		}
	}
}
