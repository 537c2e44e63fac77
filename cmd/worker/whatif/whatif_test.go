package whatif

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/pipeline/history"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

var begin = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// at is an outcome of a key, so many hours after the beginning.
func at(key string, hours float64, severity int) outcome {
	return outcome{by: ruling{"route", "a"}, verdict: inCase, key: key, at: begin.Add(time.Duration(hours * float64(time.Hour))), window: 24 * time.Hour, severity: severity}
}

// TestCasesAreThoseOfTheirSpans: a detection goes into the case whose span holds it, the latest that begins before it.
func TestCasesAreThoseOfTheirSpans(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		all            []outcome
		opened, merged int
		severities     map[string]int
	}{
		"one key, one day":             {[]outcome{at("a", 0, 1), at("a", 5, 3), at("a", 23, 2)}, 1, 2, map[string]int{"high": 1}},
		"two keys":                     {[]outcome{at("a", 0, 1), at("b", 0, 1)}, 2, 0, map[string]int{"low": 2}},
		"beyond the window":            {[]outcome{at("a", 0, 1), at("a", 24.5, 4)}, 2, 0, map[string]int{"low": 1, "critical": 1}},
		"the window moves with a case": {[]outcome{at("a", 0, 1), at("a", 20, 1), at("a", 40, 1)}, 1, 2, map[string]int{"low": 1}},
		"before, within the window":    {[]outcome{at("a", 30, 1), at("a", 10, 1)}, 1, 1, map[string]int{"low": 1}},
		"the later of two":             {[]outcome{at("a", 0, 1), at("a", 30, 1), at("a", 31, 4)}, 2, 1, map[string]int{"low": 1, "critical": 1}},
		"no window":                    {[]outcome{{verdict: inCase, key: "a", at: begin}, {verdict: inCase, key: "a", at: begin.AddDate(3, 0, 0)}}, 1, 1, map[string]int{"low": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSide(100)
			for _, o := range c.all {
				s.take(o, func(fate) {})
			}
			if s.Opened != c.opened || s.Merged != c.merged {
				t.Errorf("opened %d, merged %d, want %d and %d", s.Opened, s.Merged, c.opened, c.merged)
			}
			if diff := cmp.Diff(c.severities, s.Severities); diff != "" {
				t.Errorf("severities (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMemoryIsBounded: what is over is forgotten without a difference, and beyond that the oldest.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := newSide(50)
	for i := range 10_000 {
		s.take(at(fmt.Sprint("k", i), float64(i), 1), func(fate) {})
		if len(s.open) > 51 {
			t.Fatalf("%d keys", len(s.open))
		}
	}
	if s.take(at("k9999", 10_000, 1), func(fate) {}); s.Opened != 10_000 || s.Merged != 1 {
		t.Errorf("opened %d, merged %d", s.Opened, s.Merged)
	}
}

// atBegin is a clock that stands.
func atBegin() time.Time { return begin }

// rules are those of a file.
func rules(t testing.TB, text string) Rules {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rules.yaml")
	workertest.Must(t, os.WriteFile(name, []byte(text), 0o600))
	files := rulefiles.NewWitness()
	c, err := config.Load(config.Source{Env: []string{"FORAGER_RULES_FILES=" + name}, ReadFile: files.ReadFile, ReadDir: files.ReadDir})
	workertest.Must(t, err)
	router, err := rulefiles.NewRouter(c, files)
	workertest.Must(t, err)
	decoder, err := rulefiles.NewDecoder(c, files, rulefiles.Trial{})
	workertest.Must(t, err)
	catalogue, err := rulefiles.NewCatalogue(c)
	workertest.Must(t, err)
	return Rules{Decoder: decoder, Planner: rulefiles.NewPlanner(c, catalogue, nil, router, time.Now)}
}

// event is a detection of about a kilobyte.
func event(n, hosts int) []byte {
	body, _ := json.Marshal(map[string]any{ //nolint:errchkjson // of texts alone
		"schema": "forager.detection/v1", "id": fmt.Sprintf("id-%d", n), "time": begin.Add(time.Duration(n) * time.Second).Format(time.RFC3339),
		"title": "Something was seen", "severity": 1 + n%4, "host": fmt.Sprintf("host-%d", n%hosts), "user": fmt.Sprintf("user-%d", n%7), "rule": map[string]string{"id": fmt.Sprint("r", n%5)},
		"techniques": []string{"T1110"}, "observables": []map[string]string{{"dataType": "ip", "data": fmt.Sprintf("198.51.%d.%d", n/250%250, n%250)}},
		"description": strings.Repeat("what the product said of it, ", 27),
	})
	return body
}

const (
	oldRules = `
routes:
  - {name: crown, when: 'detection.host == "host-1"', case: {assignee: tier2@soc.example}}
  - {name: noise, when: 'detection.severity < 2', drop: true}
`
	newRules = `
routes:
  - {name: crown, when: 'detection.host == "host-1"', case: {assignee: tier3@soc.example, severity: critical}}
silences:
  - {name: scanner, when: 'detection.user == "user-3"', owner: me, reason: test, expires: 2099-01-01T00:00:00Z}
`
)

// TestTwoSetsOfRulesAreCompared: totals and changes are those that a reader of both files counts by hand.
func TestTwoSetsOfRulesAreCompared(t *testing.T) {
	t.Parallel()
	old, now := rules(t, oldRules), rules(t, newRules)
	now.Decoder = old.Decoder
	read := func(_ context.Context, do func(history.Message) error) error {
		for n := range 280 { // 28 of each host, 40 of each user, 70 of each severity
			if err := do(history.Message{Sequence: uint64(n + 1), Subject: "d.x", Body: event(n, 10), Stored: begin}); err != nil {
				return err
			}
		}
		return do(history.Message{Sequence: 281, Subject: "d.x", Body: []byte("{"), Stored: begin})
	}
	r, err := newComparison("D", old, now).run(t.Context(), read, atBegin, func(int) {})
	workertest.Must(t, err)
	type totals struct{ Messages, OldDropped, NewDropped, OldOpened, NewOpened, OldDead, NewDead, OldTier2, NewTier3, Silenced int }
	got := totals{r.Messages, r.Old.Dropped, r.New.Dropped, r.Old.Opened, r.New.Opened, r.Old.Dead, r.New.Dead, r.Old.Assignees["tier2@soc.example"], r.New.Assignees["tier3@soc.example"], r.New.Rules["silence scanner"].Dropped}
	// severity 1 is n%4 == 0: no host-1 (n%10 == 1) is among them, so all 70 are noise
	want := totals{281, 70, 40, 10, 10, 1, 1, 1, 1, 40}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	sum := 0
	for _, c := range r.Changes {
		sum += c.Detections
	}
	if sum != r.Changed || r.Changed == 0 {
		t.Errorf("%d changes, sum %d", r.Changed, sum)
	}
	// by hand: 28 of host-1 change their assignee or are silenced, 40 are silenced, 70 were noise and are not
	if want := unions(280); r.Changed != want {
		t.Errorf("%d changed, want %d", r.Changed, want)
	}
}

// unions counts what one of the three differences concerns.
func unions(n int) (changed int) {
	for i := range n {
		if i%10 == 1 || i%7 == 3 || i%4 == 0 {
			changed++
		}
	}
	return changed
}

// TestTheSameRulesChangeNothing.
func TestTheSameRulesChangeNothing(t *testing.T) {
	t.Parallel()
	r, err := newComparison("D", rules(t, oldRules), rules(t, oldRules)).run(t.Context(), func(_ context.Context, do func(history.Message) error) error {
		for n := range 500 {
			if err := do(history.Message{Sequence: uint64(n + 1), Body: event(n, 10), Stored: begin}); err != nil {
				return err
			}
		}
		return nil
	}, atBegin, func(int) {})
	workertest.Must(t, err)
	if r.Changed != 0 || cmp.Diff(r.Old, r.New) != "" {
		t.Errorf("%d changed: %s", r.Changed, cmp.Diff(r.Old, r.New))
	}
}

// TestAStreamIsComparedSoon reads FORAGER_WHATIF messages of a kilobyte from a real stream, and says how long that takes.
func TestAStreamIsComparedSoon(t *testing.T) {
	t.Parallel()
	messages := 3000
	if n, err := strconv.Atoi(os.Getenv("FORAGER_WHATIF")); err == nil {
		messages = n
	}
	server, err := natstest.Start(t.TempDir())
	workertest.Must(t, err)
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	workertest.Must(t, err)
	t.Cleanup(link.Close)
	workertest.Must(t, stream.Ensure(t.Context(), link, stream.Topology{Stream: "D", Consumer: "c", Subjects: []string{"d.>"}, Manage: true}))
	forward, err := servers.NewForwarder(server.URL())
	workertest.Must(t, err)
	t.Cleanup(forward.Close)
	var last servers.Confirmation
	for n := range messages {
		last, err = forward.Send("d.x", event(n, 5000))
		workertest.Must(t, err)
	}
	_, err = last(t.Context())
	workertest.Must(t, err)
	old, now := rules(t, oldRules), rules(t, newRules)
	apart := now // has a reader of its own
	now.Decoder = old.Decoder
	thresholds := rules(t, thresholdRules)
	thresholds.Decoder = old.Decoder
	for _, c := range []struct {
		name string
		now  Rules
	}{{"one reader", now}, {"two readers", apart}, {"thresholds", thresholds}} {
		begun := uint64(0)
		span := history.Span{Stream: "D", Filters: []string{"d.>"}, Begun: func(n uint64) { begun = n }}
		began, spent := time.Now(), processor()
		r, err := newComparison("D", old, c.now).run(t.Context(), func(ctx context.Context, do func(history.Message) error) error {
			return history.Read(ctx, link, span, do)
		}, time.Now, func(int) {})
		workertest.Must(t, err)
		t.Logf("%s: %d messages of %d bytes: %s, %s of processors, server included", c.name, r.Messages, len(event(1, 5000)), time.Since(began).Round(time.Millisecond), (processor() - spent).Round(time.Millisecond))
		if r.Messages != messages || begun != uint64(messages) {
			t.Errorf("%d messages, %d begun with", r.Messages, begun)
		}
	}
}

// thresholdRules let what is not in crown's case wait.
const thresholdRules = `
routes:
  - {name: crown, when: 'detection.host == "host-1"', case: {assignee: tier3@soc.example, severity: critical}}
  - {name: several, when: 'detection.severity < 4', threshold: {count: 3, by: detection.host, within: 24h}}
`

// processor is what this process took of processors.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
