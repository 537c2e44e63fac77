package silences

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/shell"
	"forager/config"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// TestProposalsSayWhatTheyWouldDropOfTheStream: six detections of the rule on the host, two elsewhere, one that is more severe; one that is silenced already.
func TestProposalsSayWhatTheyWouldDropOfTheStream(t *testing.T) {
	t.Parallel()
	server, err := natstest.Start(t.TempDir())
	must(t, err)
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	must(t, err)
	t.Cleanup(link.Close)
	must(t, stream.Ensure(t.Context(), link, stream.Topology{Stream: "DETECTIONS", Consumer: "forager", Subjects: []string{"detections.>"}, Manage: true}.WithDefaults()))
	hosts := append(times(6, "h1"), "h2", "h3", "h1 severe", "h9")
	for i, host := range hosts {
		name, severe := strings.CutSuffix(host, " severe")
		severity := 2
		if severe {
			severity = 4
		}
		_, err := link.JetStream().Publish(t.Context(), "detections.x", fmt.Appendf(nil,
			`{"schema":"forager.detection/v1","id":"d-%d","time":"2026-0%d-02T08:00:00Z","title":"Scan","severity":%d,"host":%q,"rule":{"id":"r1","name":"Scan"}}`, i, 1+i%9, severity, name))
		must(t, err)
	}
	cfg := config.Default()
	cfg.NATS.URL = server.URL()
	cfg.Silences = []config.Silence{{Name: "proposed: r1 on h1", When: `detection.host == "h9"`, Owner: "o", Reason: "r", Expires: time.Now().Add(time.Hour)}}
	cases := made(times(5, "false h1 r")...)
	g := Gathered{Cases: cases, Rules: map[string]Rule{"r": {Format: "native", Name: "r1"}}}
	all := Propose(cases, Options{Least: 5, Wide: 100, Hosts: 10})
	w := Writing{Owner: "o", Expires: time.Now().Add(48 * time.Hour), Taken: silenceNames(&cfg)}
	w.Stream, err = tried(t.Context(), &shell.Shell{Err: io.Discard, RawErr: io.Discard}, &cfg, Write(all, g, w), time.Now().Add(-time.Hour))
	must(t, err)
	want := &Dropped{Messages: 10, Detections: 10, Opened: 9, Fewer: 6, By: map[string]int{"proposed: r1 on h1 (2)": 6}}
	if diff := cmp.Diff(want, w.Stream); diff != "" {
		t.Error(diff)
	}
	text := Write(all, g, w)
	for _, want := range []string{
		"# Of 10 detections that the stream holds since then they would drop 6; 3 cases would be opened instead of 9.\n",
		"  # Of what the stream holds it would drop 6 detections.\n  - name: 'proposed: r1 on h1 (2)'\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	server.Close()
	if _, err := tried(t.Context(), &shell.Shell{Err: io.Discard, RawErr: io.Discard}, &cfg, text, time.Now()); err == nil {
		t.Error("a server that is gone tells what its stream holds")
	}
}
