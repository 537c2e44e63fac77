package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/demo/servers"
	"forager/hive/hivetest"
	"forager/mitre"
	"forager/pipeline/natstest"
)

// weekAgo is 08:00 of a day last week.
func weekAgo() time.Time {
	return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -8).Add(8 * time.Hour)
}

// backyard is where replays are tried: a NATS, a TheHive, and the command.
type backyard struct {
	t      *testing.T
	hive   *hivetest.Hive
	env    []string
	stream *servers.Forwarder
}

func newBackyard(t *testing.T) *backyard {
	t.Helper()
	return newToldBackyard(t)
}

// newToldBackyard is a backyard whose TheHive tells of changes.
func newToldBackyard(t *testing.T, hooks ...hivetest.Webhook) *backyard {
	t.Helper()
	nats, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	hive := hivetest.New(hivetest.Options{Patterns: servers.Patterns(mitre.Embedded()), Webhooks: hooks})
	server, err := hivetest.Listen("127.0.0.1:0", hive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	stream, err := servers.NewForwarder(nats.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Close)
	b := &backyard{t: t, hive: hive, stream: stream, env: []string{
		"FORAGER_NATS_URL=" + nats.URL(), "FORAGER_NATS_MANAGE=true", "FORAGER_HIVE_URL=" + server.URL(),
		"FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey, "FORAGER_OPS_ADDR=", "FORAGER_LOG_LEVEL=error",
	}}
	b.worker(0, "replay", "--since", "1h") // makes the stream
	return b
}

// worker runs the command and returns what it wrote.
func (b *backyard) worker(want int, args ...string) (out, said string) {
	b.t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(b.t.Context(), args, b.env, strings.NewReader(""), &stdout, &stderr); got != want {
		b.t.Fatalf("worker %v: exit %d, want %d\n%s%s", args, got, want, stdout.String(), stderr.String())
	}
	return stdout.String(), stderr.String()
}

// publish puts a detection into the stream, now, as of a time of its own.
func (b *backyard) publish(id, host string, at time.Time, address, technique string) {
	b.t.Helper()
	body := fmt.Sprintf(`{"schema":"forager.detection/v1","id":%q,"time":%q,"title":"T","severity":2,"host":%q,
		"rule":{"id":"R-1","name":"R"},"observables":[{"dataType":"ip","data":%q}],"techniques":[%q]}`,
		id, at.Format(time.RFC3339), host, address, technique)
	b.send(body)
}

// send publishes a body.
func (b *backyard) send(body string) {
	b.t.Helper()
	confirm, err := b.stream.Send("detections.test", []byte(body))
	if err == nil {
		_, err = confirm(b.t.Context())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// analyst changes a case as a person would.
func (b *backyard) analyst(number int64, body string) {
	b.t.Helper()
	req := httptest.NewRequestWithContext(b.t.Context(), http.MethodPatch, fmt.Sprintf("/api/v1/case/%d", number), strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	req.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	b.hive.ServeHTTP(answer, req)
	if answer.Code >= http.StatusMultipleChoices {
		b.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}

func (b *backyard) cases() []hivetest.Case { return b.hive.Snapshot().Cases }

// would reads the lines of a dry run.
func (b *backyard) would(out string) (lines []wouldLine) {
	b.t.Helper()
	for text := range strings.Lines(out) {
		var line wouldLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			b.t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestP8ReplayOfAMissedWeekLandsInCasesOfThatWeek(t *testing.T) {
	t.Parallel()
	b := newBackyard(t)
	day := weekAgo()
	b.publish("a", "web01", day, "203.0.113.1", "T1059")
	b.worker(0, "replay", "--since", "1h", "--again")
	closed := day.Add(6 * time.Hour)
	b.analyst(1, fmt.Sprintf(`{"status":"TruePositive","summary":"done","impactStatus":"NoImpact","endDate":%d}`, closed.UnixMilli()))

	b.publish("b", "web01", day.Add(2*time.Hour), "203.0.113.2", "T1566") // in the closed case's span
	b.publish("c", "db01", day.Add(24*time.Hour), "203.0.113.3", "T1110") // of a host without a case
	b.publish("d", "web01", day.Add(9*time.Hour), "203.0.113.4", "T1078") // after the closed case's end
	b.publish("e", "db01", day.Add(25*time.Hour), "203.0.113.3", "T1110") // of the case that "c" opens
	_, said := b.worker(0, "replay", "--since", "1h", "--again")
	if !strings.Contains(said, "5 carried, 0 dropped, 0 dead letters") {
		t.Errorf("said %s", said)
	}
	cases := b.cases()
	if len(cases) != 3 {
		t.Fatalf("%d cases", len(cases))
	}
	first := cases[0]
	if first.Stage != "Closed" || first.EndDate != closed.UnixMilli() || len(first.Observables) != 2 || len(first.Procedures) != 2 {
		t.Errorf("the closed case: %+v", first)
	}
	if !slices.ContainsFunc(first.Procedures, func(p hivetest.Procedure) bool { return p.OccurDate == day.Add(2*time.Hour).UnixMilli() }) {
		t.Errorf("no procedure of the time of its event: %+v", first.Procedures)
	}
	var starts []int64
	for _, c := range cases[1:] {
		starts = append(starts, c.StartDate)
	}
	slices.Sort(starts)
	if want := []int64{day.Add(9 * time.Hour).UnixMilli(), day.Add(24 * time.Hour).UnixMilli()}; !slices.Equal(starts, want) {
		t.Errorf("new cases begin at %v, want %v", starts, want)
	}
}

func TestReplayOfAWeekThatWasWorkedChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBackyard(t)
	day := weekAgo()
	for i := range 40 {
		b.publish(fmt.Sprint("d", i), fmt.Sprintf("host%d", i%4), day.Add(time.Duration(i)*4*time.Hour), fmt.Sprintf("203.0.113.%d", i%9), "T1059")
	}
	// Nothing is live: a replay carries them first.
	b.env = append(b.env, "FORAGER_HIVE_CONCURRENCY=64")
	b.worker(0, "replay", "--since", "1h", "--again")
	before := b.cases()
	if len(before) < 4 {
		t.Fatalf("%d cases", len(before))
	}
	b.analyst(before[0].Number, `{"severity":1,"title":"Seen by an analyst"}`)
	before = b.cases()
	out, said := b.worker(0, "replay", "--since", "1h", "--dry-run")
	for _, line := range b.would(out) {
		if line.Opens || len(line.Observables)+len(line.Procedures)+len(line.Fields)+line.Comments != 0 || line.Case == "" {
			t.Errorf("dry run: %+v", line)
		}
	}
	if !strings.Contains(said, "40 change nothing") {
		t.Errorf("dry run said %s", said)
	}
	b.worker(0, "replay", "--since", "1h", "--again")
	if diff := cmp.Diff(before, b.cases()); diff != "" {
		t.Errorf("replayed again:\n%s", diff)
	}
	if d := b.hive.Stats(24 * time.Hour).Duplicates; d.Total() != 0 {
		t.Errorf("duplicates %+v", d)
	}
}

func TestReplayDryRunSaysWhatWouldChangeAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBackyard(t)
	day := weekAgo()
	b.publish("a", "web01", day, "203.0.113.1", "T1059")
	b.worker(0, "replay", "--since", "1h", "--again")
	b.publish("b", "web01", day.Add(time.Hour), "203.0.113.2", "T1566")
	b.publish("c", "db01", day, "203.0.113.3", "T1110")
	b.publish("d", "db01", day.Add(time.Hour), "203.0.113.3", "T1110")
	before := b.cases()
	calls := b.writes()
	out, said := b.worker(0, "replay", "--since", "1h", "--dry-run")
	if diff := cmp.Diff(before, b.cases()); diff != "" || b.writes() != calls {
		t.Errorf("the dry run wrote:\n%s", diff)
	}
	lines := b.would(out)
	if len(lines) != 4 {
		t.Fatalf("%d lines: %s", len(lines), out)
	}
	for i, want := range []wouldLine{
		{Case: "#1"},
		{Case: "#1", Observables: []string{"ip 203.0.113.2"}, Procedures: []string{"T1566/initial-access"}},
		{Case: "new-1", Opens: true, Observables: []string{"ip 203.0.113.3"}, Procedures: []string{"T1110/credential-access"}},
		{Case: "new-1"},
	} {
		got := lines[i]
		slices.Sort(got.Observables)
		if got.Case != want.Case || got.Opens != want.Opens || !slices.Equal(got.Observables, want.Observables) || !slices.Equal(got.Procedures, want.Procedures) {
			t.Errorf("line %d: %+v", i, got)
		}
	}
	if !strings.Contains(said, "would open 1 cases, add 2 observables and 2 procedures") {
		t.Errorf("said %s", said)
	}
	// What was said is what happens.
	b.worker(0, "replay", "--since", "1h", "--again")
	if after := b.cases(); len(after) != 2 || len(after[0].Observables) != 2 || len(after[1].Observables) != 1 {
		t.Errorf("after: %+v", after)
	}
}

// writes is how many requests so far were no reads.
func (b *backyard) writes() int {
	n := 0
	for endpoint, calls := range b.hive.Stats(24 * time.Hour).Calls {
		if !strings.HasPrefix(endpoint, http.MethodGet) && !strings.Contains(endpoint, "/query") {
			n += calls
		}
	}
	return n
}

func TestReplayRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	b := newBackyard(t)
	for _, args := range [][]string{
		{"replay"}, {"replay", "--since", "yesterday"}, {"replay", "--since", "1h", "--until", "2h"},
		{"replay", "--since", "1h", "--rate", "-1"}, {"replay", "--since", "1h", "--subject", "a b"},
	} {
		b.worker(exitUsage, args...)
	}
	if _, said := b.worker(0, "replay", "--since", "2099-01-01"); !strings.Contains(said, "nothing was stored in that time") {
		t.Errorf("said %s", said)
	}
}
