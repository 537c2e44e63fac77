package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/journal"
)

// lines reads the journal of a rig.
func (r *rig) lines() map[uint64][]journal.Entry {
	r.t.Helper()
	of, err := r.js.Stream(r.t.Context(), "JOURNAL")
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[uint64][]journal.Entry{}
	info, err := of.Info(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for n := uint64(1); n <= info.State.LastSeq; n++ {
		raw, err := of.GetMsg(r.t.Context(), n)
		if err != nil {
			r.t.Fatal(err)
		}
		var e journal.Entry
		if err := json.Unmarshal(raw.Data, &e); err != nil {
			r.t.Fatal(err)
		}
		if want := "forager.journal.DET.0"; raw.Subject != want {
			r.t.Errorf("subject %q, want %q", raw.Subject, want)
		}
		all[e.Sequence] = append(all[e.Sequence], e)
	}
	return all
}

func journalledRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, func(o *Options) { o.Worker = "pod" })
	lines, err := journal.New(r.link, journal.Options{Stream: "JOURNAL", Of: "DET", Manage: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := lines.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.options.Journal = lines
	r.ensure()
	return r
}

// TestEverySettlementHasItsLine: what was done, why, and a digest of the body, once; nothing of the event.
func TestEverySettlementHasItsLine(t *testing.T) {
	t.Parallel()
	r := journalledRig(t)
	r.publish(alert{ID: "a", Keys: []string{"h"}}, alert{ID: "b", Drop: "status"}, alert{ID: "c", Broken: true})
	_, stop := r.start()
	r.ended(3)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := r.lines()
	type line struct {
		outcome journal.Outcome
		reason  string
		plans   int
		worker  string
	}
	want := map[uint64]line{
		1: {journal.Acknowledged, "", 1, "pod"},
		2: {journal.Dropped, "status", 0, "pod"},
		3: {journal.DeadLetter, "unknown format", 0, "pod"},
	}
	for sequence, w := range want {
		if len(got[sequence]) != 1 {
			t.Fatalf("message %d has %d lines", sequence, len(got[sequence]))
		}
		e := got[sequence][0]
		if g := (line{e.Outcome, e.Reason, e.Plans, e.Worker}); g != w {
			t.Errorf("message %d: %+v, want %+v", sequence, g, w)
		}
		raw, err := mustStream(t, r).GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		if e.Digest != journal.Digest(raw.Data) || !e.Stored.Equal(raw.Time) {
			t.Errorf("message %d: digest %s, stored %s", sequence, e.Digest, e.Stored)
		}
	}
}

func mustStream(t *testing.T, r *rig) jetstream.Stream {
	t.Helper()
	of, err := r.js.Stream(t.Context(), "DET")
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// refusing is a journal that takes nothing at first, and notes what the consumer had confirmed when it was asked.
type refusing struct {
	Journal

	times  int64
	asked  atomic.Int64
	before func()
}

func (j *refusing) Write(ctx context.Context, e journal.Entry) error {
	j.before()
	if j.asked.Add(1) <= j.times {
		return errors.New("the stream is full")
	}
	return j.Journal.Write(ctx, e)
}

// TestNothingIsSettledWithoutItsLine: while the journal takes nothing, messages come again, and what they did is not done again.
func TestNothingIsSettledWithoutItsLine(t *testing.T) {
	t.Parallel()
	r := journalledRig(t)
	unsettled := func() {
		if floor := r.consumer().AckFloor.Stream; floor > 0 {
			t.Errorf("acknowledged up to %d before its line was written", floor)
		}
	}
	r.options.Journal = &refusing{Journal: r.options.Journal, times: 3, before: unsettled}
	r.publish(alert{ID: "a", Keys: []string{"h"}})
	_, stop := r.start()
	r.ended(1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(r.lines()[1]); n != 1 {
		t.Errorf("%d lines", n)
	}
	if n := r.applier.count("a/0"); n != 1 {
		t.Errorf("applied %d times", n)
	}
}

// TestALineThatIsWrittenAgainIsOne by the stream's own memory of ids.
func TestALineThatIsWrittenAgainIsOne(t *testing.T) {
	t.Parallel()
	r := journalledRig(t)
	e := journal.Entry{Stream: "DET", Sequence: 4, Stored: time.Unix(5, 6), Outcome: journal.Acknowledged}
	for range 3 {
		if err := r.options.Journal.Write(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	e.Outcome = journal.DeadLetter
	if err := r.options.Journal.Write(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	var got []journal.Outcome
	for _, l := range r.lines()[4] {
		got = append(got, l.Outcome)
	}
	if diff := cmp.Diff([]journal.Outcome{journal.Acknowledged, journal.DeadLetter}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
