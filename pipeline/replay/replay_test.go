package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich"
)

// long is before every message of a test.
func long() time.Time { return time.Now().Add(-time.Hour) }

// replay opens a replay with the rig's applier.
func (r *rig) replay(change func(*Options)) *Replay {
	r.t.Helper()
	o := Options{Since: long(), Look: 20 * time.Millisecond, Live: 1 << 20}
	if change != nil {
		change(&o)
	}
	replay, err := Open(r.t.Context(), r.connect(), r.options, o, decoding{}, planning{}, r.applier)
	if err != nil {
		r.t.Fatal(err)
	}
	return replay
}

func (r *rig) carry(replay *Replay) State {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	state, err := replay.Run(ctx)
	if err != nil {
		r.t.Fatalf("%v: %+v", err, state)
	}
	return state
}

// fill publishes numbered alerts.
func (r *rig) fill(from, to int) {
	for i := from; i <= to; i++ {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprintf("host%d", i%5)}})
	}
}

func TestReplayEndsWhereItBegan(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 40)
	replay := r.replay(nil)
	r.fill(41, 60) // after the end was read
	state := r.carry(replay)
	if state.Acked != 40 || state.Passed != 40 || state.Last != 40 {
		t.Errorf("state %+v", state)
	}
	if r.applier.count("40") != 1 || r.applier.count("41") != 0 {
		t.Errorf("applied 40 %d times, 41 %d times", r.applier.count("40"), r.applier.count("41"))
	}
	if live := r.consumer(); live.Delivered.Consumer != 0 || live.NumPending != 60 {
		t.Errorf("the live consumer was touched: %+v", live)
	}
}

func TestReplayTakesWhatTheRangeHolds(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 10)
	begin := r.storedAt(10).Add(time.Microsecond)
	r.fill(11, 20)
	end := r.storedAt(20).Add(time.Microsecond)
	r.fill(21, 30)
	for name, c := range map[string]struct {
		since, until time.Time
		first, last  uint64
	}{
		"a middle":            {begin, end, 11, 20},
		"to the end":          {begin, time.Time{}, 11, 30},
		"from the start":      {long(), begin, 1, 10},
		"an end in future":    {end, time.Now().Add(time.Hour), 21, 30},
		"before everything":   {long().Add(-time.Hour), long(), 1, 0},
		"after everything":    {time.Now().Add(time.Hour), time.Time{}, 31, 30},
		"between two of them": {begin, begin.Add(time.Nanosecond), 11, 10},
	} {
		replay := r.replay(func(o *Options) { o.Since, o.Until = c.since, c.until })
		if got := replay.Span(); got.First != c.first || got.Last != c.last || got.Cut {
			t.Errorf("%s: %+v, want %d to %d", name, got, c.first, c.last)
		}
		if state := r.carry(replay); state.Acked != replay.Span().Length() {
			t.Errorf("%s: %+v", name, state)
		}
	}
	left := r.consumers()
	for _, name := range left {
		if name != "worker" && len(name) != len("backfill-0123456789ab") {
			t.Errorf("consumers left: %v", left)
		}
	}
}

// storedAt is when the stream stored a message.
func (r *rig) storedAt(sequence uint64) time.Time {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), r.options.Stream)
	if err != nil {
		r.t.Fatal(err)
	}
	msg, err := stream.GetMsg(r.t.Context(), sequence)
	if err != nil {
		r.t.Fatal(err)
	}
	return msg.Time
}

func (r *rig) consumers() []string {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), r.options.Stream)
	if err != nil {
		r.t.Fatal(err)
	}
	var names []string
	for name := range stream.ConsumerNames(r.t.Context()).Name() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestReplayOfASubject(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 5)
	r.publishRaw("alerts.other", []byte(`{"id":"x","keys":["k"]}`))
	r.fill(6, 10)
	state := r.carry(r.replay(func(o *Options) { o.Subject = "alerts.other" }))
	if state.Acked != 1 || r.applier.count("x") != 1 || state.Passed != 11 {
		t.Errorf("state %+v", state)
	}
	if state := r.carry(r.replay(func(o *Options) { o.Subject = "alerts.none" })); state.Acked != 0 {
		t.Errorf("nothing of the subject: %+v", state)
	}
}

func TestReplayGoesOnWhereItStopped(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 100)
	since := long()
	same := func(o *Options) { o.Since = since }
	ctx, cancel := context.WithCancel(t.Context())
	var applied atomic.Int64
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		if applied.Add(int64(len(plans))) >= 10 {
			cancel()
		}
		return make([]error, len(plans))
	})
	state, err := r.replay(same).Run(ctx)
	if !errors.Is(err, ErrUnfinished) || state.Acked == 0 || state.Acked == 100 {
		t.Fatalf("stopped: %v %+v", err, state)
	}
	r.fill(101, 110)
	second := r.replay(same)
	if span := second.Span(); !span.Resumed || span.Last != 100 {
		t.Errorf("second: %+v", span)
	}
	if rest := r.carry(second); rest.Acked+state.Acked != 100 {
		t.Errorf("first %d, then %d", state.Acked, rest.Acked)
	}
	if again := r.carry(r.replay(same)); again.Acked != 0 || again.Passed != 100 {
		t.Errorf("a finished replay did something: %+v", again)
	}
	anew := r.replay(func(o *Options) { o.Since, o.Again = since, true })
	if state := r.carry(anew); state.Acked != 110 || state.Resumed {
		t.Errorf("begun anew: %+v", state)
	}
}

func TestReplayIsSharedByReplicas(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 200)
	since := long()
	var acked atomic.Uint64
	var all conc.WaitGroup
	for range 3 {
		replay := r.replay(func(o *Options) { o.Since = since })
		all.Go(func() {
			state, err := replay.Run(t.Context())
			if err != nil {
				t.Error(err)
			}
			acked.Add(state.Acked)
		})
	}
	all.Wait()
	if acked.Load() != 200 {
		t.Errorf("together %d, want 200", acked.Load())
	}
}
