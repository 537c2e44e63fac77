package inspect

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/audit"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

var update = flag.Bool("update", false, "write golden files anew")

// site is a JetStream server, and what a worker expects of it: one of four calls in flight.
type site struct {
	link     *stream.Link
	js       jetstream.JetStream
	expected Expected
}

func newSite(t *testing.T) *site {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	must(t, err)
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	must(t, err)
	t.Cleanup(link.Close)
	topology := stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true, MaxAckPending: 4096}
	return &site{link: link, js: link.JetStream(), expected: Expected{
		Topology: topology.WithDefaults(), MaxMessageBytes: 1 << 20, MaxInFlight: 256, MaxBytesHeld: 32 << 20,
		Confirm: 5 * time.Second,
	}}
}

// TestInspectFindsWhatHurts breaks one setting at a time of what Ensure makes, on a real server, and
// compares what is found beyond what is found anyway.
func TestInspectFindsWhatHurts(t *testing.T) {
	t.Parallel()
	anyway := map[string]bool{}
	for _, f := range lookAt(t, nil) {
		anyway[shown(f)] = true
	}
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			for _, f := range lookAt(t, spoil) {
				if line := shown(f); f.Level != LevelOK && !anyway[line] {
					text.WriteString(line)
				}
			}
			if text.Len() == 0 {
				t.Error("nothing was found")
			}
			golden(t, name, text.String())
		})
	}
}

// TestInspectOfAFreshSiteOnOneNode: nothing but what is true of a single node.
func TestInspectOfAFreshSiteOnOneNode(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, f := range lookAt(t, nil) {
		if f.Level == LevelBroken {
			t.Errorf("broken: %+v", f)
		}
		text.WriteString(shown(f))
	}
	golden(t, "fresh", text.String())
}

// TestInspectBeforeAnythingIsMade: with manage it will be made, without it is broken.
func TestInspectBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for name, manage := range map[string]bool{"missing, manage": true, "missing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newSite(t)
			r.expected.Manage, r.expected.Audit = manage, &audit.Options{Manage: manage}
			var text strings.Builder
			for _, f := range look(t, r.link, r.expected) {
				text.WriteString(shown(f))
				if manage && f.Level == LevelBroken {
					t.Errorf("broken: %+v", f)
				}
			}
			golden(t, name, text.String())
			for s := range r.js.StreamNames(t.Context()).Name() {
				t.Errorf("the inspection made stream %s", s)
			}
		})
	}
}

// TestInspectSaysThatTheLedgerIsGone: nobody makes it anew once messages were delivered, manage or not.
func TestInspectSaysThatTheLedgerIsGone(t *testing.T) {
	t.Parallel()
	r := newSite(t)
	must(t, stream.Ensure(t.Context(), r.link, r.expected.Topology))
	_, err := r.js.Publish(t.Context(), "alerts.x", []byte("{}"))
	must(t, err)
	consumer, err := r.js.Consumer(t.Context(), r.expected.Stream, r.expected.Consumer)
	must(t, err)
	batch, err := consumer.Fetch(1)
	must(t, err)
	for range batch.Messages() { // delivered
	}
	must(t, r.js.DeleteKeyValue(t.Context(), "FORAGER_LEDGER"))
	for _, f := range look(t, r.link, r.expected) {
		if f.About == "ledger FORAGER_LEDGER" && f.Level == LevelBroken && f.What == "it is not there, although messages were delivered already" {
			return
		}
	}
	t.Error("it was not said")
}

// TestInspectChangesNothing: after an inspection of a site at work no stream has another state, and
// no consumer has delivered anything.
func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	r := newSite(t)
	if err := stream.Ensure(t.Context(), r.link, r.expected.Topology); err != nil {
		t.Fatal(err)
	}
	audits := madeAudits(t, r.link)
	for range 3 {
		if _, err := r.js.Publish(t.Context(), "alerts.x", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	consumer, err := r.js.Consumer(t.Context(), r.expected.Stream, r.expected.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(1)
	if err != nil {
		t.Fatal(err)
	}
	for range batch.Messages() { // one is being worked on
	}
	before := stateOf(t, r.js)
	r.expected.Audit = audits
	look(t, r.link, r.expected)
	if diff := cmp.Diff(before, stateOf(t, r.js)); diff != "" {
		t.Errorf("the inspection changed something:\n%s", diff)
	}
}

// stateOf is what streams and consumers hold and have done.
func stateOf(t *testing.T, js jetstream.JetStream) []string {
	t.Helper()
	var all []string
	for s := range js.ListStreams(t.Context()).Info() {
		all = append(all, fmt.Sprintf("%s %+v", s.Config.Name, s.State))
		stream, err := js.Stream(t.Context(), s.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		for c := range stream.ListConsumers(t.Context()).Info() {
			all = append(all, fmt.Sprintf("%s %s %d %d %d %d", s.Config.Name, c.Name, c.Delivered.Consumer, c.AckFloor.Stream, c.NumAckPending, c.NumRedelivered))
		}
	}
	return all
}

// lookAt makes what Ensure makes, spoils it and inspects it.
func lookAt(t *testing.T, spoil func(*testing.T, *site)) []Finding {
	t.Helper()
	r := newSite(t)
	if err := stream.Ensure(t.Context(), r.link, r.expected.Topology); err != nil {
		t.Fatal(err)
	}
	r.expected.Manage = false
	audits := madeAudits(t, r.link)
	if spoil != nil {
		spoil(t, r)
	}
	r.expected.Window, r.expected.Audit = 24*time.Hour, audits
	return look(t, r.link, r.expected)
}

func madeAudits(t *testing.T, link *stream.Link) *audit.Options {
	t.Helper()
	options := audit.Options{Manage: true}
	audits, err := audit.New(link, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := audits.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	options.Manage = false
	return &options
}

func look(t *testing.T, link *stream.Link, what Expected) []Finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	found, err := Inspect(ctx, link, what)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// shown is a finding as a golden file has it, without what differs from run to run.
func shown(f Finding) string {
	what := f.What
	if version, _, ok := strings.Cut(what, " at nats://"); ok {
		what = version[:len("connected to")] + " …"
	}
	text := fmt.Sprintf("%s %s: %s\n", f.Level, f.About, what)
	for _, more := range []string{f.Why, f.Remedy} {
		if more != "" {
			text += "\t" + more + "\n"
		}
	}
	return text
}

// TestEveryGoldenFileHasACase: a file that nobody writes any more goes.
func TestEveryGoldenFileHasACase(t *testing.T) {
	t.Parallel()
	known := map[string]bool{goldenFile("fresh"): true, goldenFile("missing"): true, goldenFile("missing, manage"): true}
	for name := range spoilt {
		known[goldenFile(name)] = true
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*"))
	must(t, err)
	for _, file := range files {
		if !known[file] {
			t.Errorf("%s is of no case", file)
		}
	}
}

func goldenFile(name string) string {
	return filepath.Join("testdata", strings.NewReplacer(" ", "_", ",", "", "'", "").Replace(name)+".golden")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := goldenFile(name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBoundSaysWhatInspectSaysOfAConsumer: so that a worker refuses in the words of the check.
func TestBoundSaysWhatInspectSaysOfAConsumer(t *testing.T) {
	t.Parallel()
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			must(t, stream.Ensure(t.Context(), s.link, s.expected.Topology))
			madeAudits(t, s.link)
			spoil(t, s)
			s.expected.Manage = false
			consumer, err := s.js.Consumer(t.Context(), s.expected.Stream, s.expected.Consumer)
			if err != nil {
				return // the consumer is missing, or pushes
			}
			var broken []Finding
			for _, f := range look(t, s.link, s.expected) {
				about, _, _ := strings.Cut(f.About, " ")
				if f.Level == LevelBroken && (about == "consumer" || about == "ledger" || about == "dead") && f.What != "it is not there" &&
					!strings.HasSuffix(f.What, "ack_wait, is 1s") { // a worker that is there already does its best
					broken = append(broken, f)
				}
			}
			var bound []Finding
			for _, f := range Bound(t.Context(), s.link, s.expected, consumer.CachedInfo()) {
				if f.Level == LevelBroken {
					bound = append(bound, f)
				}
			}
			if diff := cmp.Diff(broken, bound); diff != "" {
				t.Errorf("inspect and bound differ:\n%s", diff)
			}
		})
	}
}
