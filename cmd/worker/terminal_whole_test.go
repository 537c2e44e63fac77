package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rivo/uniseg"
	"github.com/sourcegraph/conc"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
	"forager/hive/hivetest"
)

// evil is what terminals and readers obey: C0 and C1 as letters, escape sequences, DEL, both directions,
// what nobody sees. evilBytes has C1 as bytes, besides, which is no UTF-8.
const (
	evil      = "\x1b]0;owned\x07\x1b[2J\u009b31m\u009d0;x\u009c\u0090q\u0085\u202egnp.exe\u2066\u2069\u200b\u00ad\ufeff\U000e0041\u2800\x7f\r\x08\x00"
	evilBytes = evil + "\x9b2J\x9d0;owned\x9c\xff"
)

// obeyed tells where a text holds what a terminal would obey, or what is no letter.
func obeyed(text string) (at int, found bool) {
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); shell.Acts(r) || r == utf8.RuneError && size == 1 {
			return i, true
		}
	}
	return 0, false
}

// evilDetection has evil in every text that a sender may write.
func evilDetection(t *testing.T, id, title string, also map[string]any) []byte {
	t.Helper()
	d := map[string]any{
		"schema": "forager.detection/v1", "id": id + evil, "time": "2026-03-02T08:12:40Z", "title": title + evil, "description": evil, "severity": 2,
		"source": "s" + evil, "rule": map[string]string{"id": "r" + evil, "name": evil}, "tags": []string{"t" + evil, evil},
		"user": "u" + evil, "ip": "203.0.113.7" + evil, "techniques": []any{"T1059.001", "T" + evil, map[string]string{"id": "T9999" + evil, "name": evil, "tactic": evil}},
		"observables": []map[string]any{
			{"dataType": "domain", "data": "a" + evil + ".example", "message": evil, "tags": []string{evil}}, {"dataType": "x" + evil, "data": evil},
			{"dataType": "filename", "data": "C:\\" + evil}, {"dataType": "ip", "data": "203.0.113.9"},
		},
		"files": []map[string]any{{"name": evil + ".txt", "base64": "eA==", "sha256": evil}, {"name": evil, "object": "BUCKET/" + evil}},
		evil:    evil,
	}
	maps.Copy(d, also)
	body, err := json.Marshal(d)
	workertest.Must(t, err)
	return body
}

// terminalOf collects what a command writes, while it may still write.
type terminalOf struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is called by a command.
func (w *terminalOf) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(text)
}

// String is all that was written.
func (w *terminalOf) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// hostileSite is a worker's surroundings, all of which write what terminals obey: senders, TheHive
// in its error bodies, and a proxy.
type hostileSite struct {
	t    *testing.T
	env  []string
	hive *hivetest.Hive
	js   jetstream.JetStream
}

func newHostileSite(t *testing.T) *hostileSite {
	t.Helper()
	s := &hostileSite{t: t, hive: hivetest.New(hivetest.Options{})}
	server, err := hivetest.Listen("127.0.0.1:0", s.hive)
	workertest.Must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	box := workertest.NewMiddlebox(t, server.URL(), 1)
	says, err := json.Marshal(map[string]string{"type": "BadRequest", "message": "refused " + evil})
	workertest.Must(t, err)
	box.Set(
		workertest.BoxRule{Text: "Foreign", Call: "POST /api/v1/case", Answer: workertest.BoxAnswer{Status: 403, Kind: "text/html", Body: "Web Guard " + evilBytes + "\nsays no"}},
		workertest.BoxRule{Text: "Refused", Call: "POST /api/v1/case", Answer: workertest.BoxAnswer{Status: 400, Kind: "application/json", Body: string(says)}},
	)
	url, js := embeddedJetStream(t)
	s.js = js
	other := func(v string) bool {
		return strings.HasPrefix(v, "FORAGER_LOG_") || strings.HasPrefix(v, "FORAGER_HIVE_SETTLE") || strings.HasPrefix(v, "FORAGER_HIVE_TIMEOUT")
	}
	s.env = append(slices.DeleteFunc(servers.Config(url, box.URL), other), "FORAGER_OPS_ADDR=", "FORAGER_HIVE_SETTLE=500ms", "FORAGER_HIVE_TIMEOUT=500ms") // it answers at once
	return s
}

// send publishes as a sender that writes evil into subject and headers, too.
func (s *hostileSite) send(body []byte) {
	s.t.Helper()
	text := strings.ReplaceAll(evil, "\r", "") // which ends a header
	_, err := s.js.PublishMsg(s.t.Context(), &nats.Msg{
		Subject: "demo.\x1b[2J\u009b31m\u202e", Data: body, // without DEL, which nats-server does not find again
		Header: nats.Header{"X-Evil": {text}, "Content-Type": {text}, "Forager-Format": {text}, "Forager-Time": {text}, "Forager-Requeued": {text}, "traceparent": {text}},
	})
	workertest.Must(s.t, err)
}

// command runs a command and looks at all that it writes.
func (s *hostileSite) command(args ...string) string {
	s.t.Helper()
	var out terminalOf
	run(s.t.Context(), args, s.env, strings.NewReader(""), &out, &out)
	s.look(fmt.Sprint(args), out.String())
	return out.String()
}

func (s *hostileSite) look(who, text string) {
	s.t.Helper()
	if at, found := obeyed(text); found {
		s.t.Errorf("%s wrote %q", who, text[max(0, at-60):min(len(text), at+40)])
	}
	if text == "" {
		s.t.Errorf("%s says nothing", who)
	}
}

// moves are what a command writes to a terminal besides texts: colours, and what moves a bar.
var moves = regexp.MustCompile("\x1b\\[(31;1|32|33|1|2|0|22|0;22)m|\x1b\\[[02]K|\r")

// plain are lines that are not laid out: what a command says beside its results, its log, and single words.
var plain = regexp.MustCompile(`^worker: |^\{|^ *\S+$`)

// terminal runs a command on a terminal of so many columns, and looks at all that it writes. Nothing is wider but single words.
func (s *hostileSite) terminal(columns uint16, args ...string) string {
	s.t.Helper()
	master, tty, err := pty.Open()
	workertest.Must(s.t, err)
	defer master.Close()
	workertest.Must(s.t, pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: columns}))
	var out terminalOf
	var reading conc.WaitGroup
	reading.Go(func() { _, _ = io.Copy(&out, master) }) // it ends with an error where the last writer closes
	run(s.t.Context(), args, s.env, strings.NewReader(""), tty, tty)
	workertest.Must(s.t, tty.Close())
	reading.Wait()
	who := fmt.Sprintf("%v on %d columns", args, columns)
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(out.String(), "\r\n", "\n")) {
		last := strings.Split(strings.TrimSuffix(line, "\n"), "\x1b[2K")
		text := moves.ReplaceAllString(last[len(last)-1], "")
		if lines = append(lines, text); uniseg.StringWidth(text) > int(columns) && columns == 80 && !plain.MatchString(text) {
			s.t.Errorf("%s: %d columns: %q", who, uniseg.StringWidth(text), text)
		}
	}
	text := strings.Join(lines, "\n")
	s.look(who, text)
	if !strings.Contains(out.String(), "\x1b[") {
		s.t.Errorf("%s: no colours: %q", who, out.String())
	}
	s.t.Logf("%s:\n%s", who, text)
	return text
}

// carry runs the worker, in a format of its log, until it has said all that is wanted.
func (s *hostileSite) carry(format string, wanted ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), workertest.Patience)
	defer cancel()
	var log terminalOf
	var running conc.WaitGroup
	running.Go(func() {
		defer cancel()
		run(ctx, []string{"run"}, append(slices.Clone(s.env), "FORAGER_LOG_LEVEL=debug", "FORAGER_LOG_FORMAT="+format), strings.NewReader(""), &log, &log)
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, text := range wanted {
		for !strings.Contains(log.String(), text) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				s.t.Fatalf("waited in vain for %q: %s", text, log.String())
			}
		}
	}
	cancel()
	running.Wait()
	s.look("the log as "+format, log.String())
}

// TestNothingThatASenderWroteSteersTheTerminal: what senders, TheHive and a proxy write is on a terminal
// what it is, and no more: in the worker's log, and wherever dead letters and cases are looked at.
func TestNothingThatASenderWroteSteersTheTerminal(t *testing.T) {
	t.Parallel()
	s := newHostileSite(t)
	event := evilDetection(t, "d-1", "Carried", map[string]any{"host": "web01" + evil})
	for _, format := range []string{"json", "text"} {
		_, err := s.js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "DEMO", Subjects: []string{"demo.>"}})
		workertest.Must(t, err)
		s.send(event)
		s.send(evilDetection(t, "d-2"+format, "No key", map[string]any{"user": "", "ip": ""}))
		s.send(evilDetection(t, "d-3"+format, "Refused", map[string]any{"host": "web02" + format + evil, "files": nil}))
		s.send(evilDetection(t, "d-4"+format, "Foreign", map[string]any{"host": "web03" + evil}))
		s.send([]byte(`{"schema":"forager.detection/v1","id":"` + evilBytes))
		s.send([]byte(evilBytes))
		s.carry(format, "Web Guard", "refused ")
	}
	if n := len(s.hive.Snapshot().Cases); n == 0 {
		t.Error("no case")
	}
	letters := s.command("dlq", "ls")
	s.command("dlq", "ls", "--json")
	for n := range strings.Count(letters, "\n") - 1 {
		s.command("dlq", "show", fmt.Sprint(n+1))
	}
	for _, columns := range []uint16{80, 40} {
		for _, args := range [][]string{
			{"dlq", "ls"}, {"dlq", "ls", "--all"}, {"dlq", "requeue", "--dry-run", "--all"}, {"status"}, {"case", "show", "1"}, {"case", "find", "--host", "web01"}, {"case", "find", "--sequence", "3"},
			{"check", "--connect"}, {"replay", "--dry-run", "--since", "1d"}, {"prove"}, {"attack", "resolve", evilBytes, "T1059"}, {"dlq", "ls", "--reason", evil},
		} {
			s.terminal(columns, args...)
		}
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "e"+strings.NewReplacer("\x00", "", "/", "").Replace(evilBytes)+".json")
	workertest.Must(t, os.WriteFile(name, event, 0o600))
	for _, columns := range []uint16{80, 40} {
		for _, args := range [][]string{{"explain", "--why", name}, {"formats", "test", name}, {"demo", "--once", "--calm", name}, {"publish", name}} {
			s.terminal(columns, args...)
		}
	}
	for _, args := range [][]string{
		{"case", "show", "1"}, {"case", "show", "--json", "1"}, {"case", "show", evil}, {"case", "allow", "1", "T" + evilBytes}, {"explain", name},
		{"explain", "--why", name}, {"check", "--connect"}, {"dlq", "requeue", "--dry-run", "--all"}, {"dlq", "ls", "--reason", evil},
		{"dlq", "show", evilBytes}, {"attack", "layer"}, {"attack", "resolve", evilBytes}, {"replay", "--dry-run", "--since", evilBytes}, {"replay", "--dry-run", "--since", "1d"},
		{"dlq", "requeue", "--all"}, {"dlq", "purge", "--all"}, {"demo", "--once", "--verbose", name}, {"demo", "--addr", evilBytes}, {"simulate", "--addr", evilBytes}, {evilBytes}, {"--" + evilBytes},
	} {
		s.command(args...)
	}
}
