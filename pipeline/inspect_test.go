package pipeline

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

	"forager/pipeline/stream"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestInspectFindsWhatHurts breaks one setting at a time of what Ensure makes, on a real server, and
// compares what is found beyond what is found anyway.
func TestInspectFindsWhatHurts(t *testing.T) {
	t.Parallel()
	anyway := map[string]bool{}
	for _, f := range inspectSite(t, nil) {
		anyway[shown(f)] = true
	}
	for name, spoil := range spoilt {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			for _, f := range inspectSite(t, spoil) {
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
	for _, f := range inspectSite(t, nil) {
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
			r := newRig(t, func(o *Options) { o.Manage = manage })
			var text strings.Builder
			for _, f := range inspect(t, r.link, Inspection{Options: r.options, Audit: &AuditOptions{Manage: manage}}) {
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
	r := newRig(t, func(o *Options) { o.Manage = true })
	must(t, stream.Ensure(t.Context(), r.link, r.options.Streams()))
	_, err := r.js.Publish(t.Context(), "alerts.x", []byte("{}"))
	must(t, err)
	consumer, err := r.js.Consumer(t.Context(), r.options.Stream, r.options.Consumer)
	must(t, err)
	batch, err := consumer.Fetch(1)
	must(t, err)
	for range batch.Messages() { // delivered
	}
	must(t, r.js.DeleteKeyValue(t.Context(), "FORAGER_LEDGER"))
	for _, f := range inspect(t, r.link, Inspection{Options: r.options}) {
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
	r := newRig(t, func(o *Options) { o.Manage = true })
	if err := stream.Ensure(t.Context(), r.link, r.options.Streams()); err != nil {
		t.Fatal(err)
	}
	audits := madeAudits(t, r.link)
	for range 3 {
		if _, err := r.js.Publish(t.Context(), "alerts.x", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	consumer, err := r.js.Consumer(t.Context(), r.options.Stream, r.options.Consumer)
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
	inspect(t, r.link, Inspection{Options: r.options, Audit: &audits})
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

// inspectSite makes what Ensure makes, spoils it and inspects it.
func inspectSite(t *testing.T, spoil func(*testing.T, *rig)) []Finding {
	t.Helper()
	r := newRig(t, func(o *Options) { o.Manage, o.AckWait = true, 30*time.Second })
	if err := stream.Ensure(t.Context(), r.link, r.options.Streams()); err != nil {
		t.Fatal(err)
	}
	r.options.Manage = false
	audits := madeAudits(t, r.link)
	if spoil != nil {
		spoil(t, r)
	}
	return inspect(t, r.link, Inspection{Options: r.options, Window: 24 * time.Hour, Audit: &audits})
}

func madeAudits(t *testing.T, link *stream.Link) AuditOptions {
	t.Helper()
	options := AuditOptions{Manage: true}
	audits, err := NewAudits(link, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := audits.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	options.Manage = false
	return options
}

func inspect(t *testing.T, link *stream.Link, what Inspection) []Finding {
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
	files, err := filepath.Glob(filepath.Join("testdata", "inspect", "*"))
	must(t, err)
	for _, file := range files {
		if !known[file] {
			t.Errorf("%s is of no case", file)
		}
	}
}

func goldenFile(name string) string {
	return filepath.Join("testdata", "inspect", strings.NewReplacer(" ", "_", ",", "", "'", "").Replace(name)+".golden")
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
