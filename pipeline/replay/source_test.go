package replay

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/pipeline"
)

func TestReplayYieldsToLiveTraffic(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 50)
	waits, free := make(chan struct{}), make(chan struct{})
	replay := r.replay(func(o *Options) {
		o.Live = 10 // 50 wait for the live consumer
		o.Told = func(s State) {
			if s.Waits != "" && s.LiveAhead == 50 {
				select {
				case <-waits:
				default:
					close(waits)
				}
			}
		}
	})
	var running conc.WaitGroup
	running.Go(func() {
		defer close(free)
		r.carry(replay)
	})
	<-waits
	if r.applier.count("1") != 0 {
		t.Error("the replay worked while live traffic waited")
	}
	r.start()
	<-free
	running.Wait()
	if got := r.applier.count("1"); got != 2 {
		t.Errorf("applied %d times, want live and replayed", got)
	}
}

// TestReplayKeepsItsRate counts what may be pulled in ten seconds of virtual time.
func TestReplayKeepsItsRate(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	replay := r.replay(func(o *Options) { o.Rate = 30 })
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		pulled := 0
		for ctx.Err() == nil {
			n := replay.Allow(ctx, 1000)
			if n > replay.limiter.Burst() {
				t.Fatalf("%d at once, at most %d", n, replay.limiter.Burst())
			}
			pulled += n
		}
		if burst := replay.limiter.Burst(); burst > 3 || pulled < 300 || pulled > 300+burst {
			t.Errorf("%d messages in ten seconds at 30 a second, %d at once", pulled, burst)
		}
	})
}

func TestReplaySaysThatNobodyWorksForLiveTraffic(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for name, c := range map[string]struct {
		looks []jetstream.ConsumerInfo // one every 20 s
		want  bool
	}{
		"nobody ever":         {looks(5, 0, 5, 5), true},
		"not for a minute":    {looks(4, 0, 5, 5), false},
		"somebody asks":       {looks(9, 1, 5, 5), false},
		"somebody came":       {append(looks(9, 0, 5, 5), looks(1, 1, 5, 5)...), false},
		"something was taken": {append(looks(9, 0, 5, 5), looks(1, 0, 6, 5)...), false},
		"something was done":  {append(looks(9, 0, 5, 4), looks(1, 0, 5, 5)...), false},
		"somebody left":       {append(looks(9, 1, 5, 5), looks(5, 0, 5, 5)...), true},
	} {
		var i idle
		for n := range c.looks {
			i.see(&c.looks[n], at.Add(time.Duration(n)*20*time.Second))
		}
		if i.long.Load() != c.want {
			t.Errorf("%s: %v, want %v", name, i.long.Load(), c.want)
		}
	}
}

// looks are so many answers of the server on a consumer that does not move. The first shows nothing: there is none before it.
func looks(n, waiting int, delivered, floor uint64) []jetstream.ConsumerInfo {
	all := make([]jetstream.ConsumerInfo, n)
	for i := range all {
		all[i].NumWaiting = waiting
		all[i].Delivered.Consumer, all[i].AckFloor.Consumer = delivered, floor
	}
	return all
}

func TestReplayNeedNotYield(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 50) // wait for a live worker that there is not
	state := r.carry(r.replay(func(o *Options) { o.Live = math.MaxUint64 }))
	if state.Acked != 50 || state.Waits != "" || state.LiveAhead != 50 {
		t.Errorf("%+v", state)
	}
}

func TestReplayBringsBackWhatFailed(t *testing.T) {
	r := newRig(t, func(o *pipeline.Options) { o.DeadLetterShare = -1 })
	r.ensure()
	r.fill(1, 20)
	r.publishRaw("alerts.test", []byte("broken"))
	var failed atomic.Int64
	r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
		results := make([]error, len(plans))
		for i := range plans {
			if failed.Add(1) <= 15 {
				results[i] = errPassing
			}
		}
		return results
	})
	since := long()
	replay := r.replay(func(o *Options) { o.Since = since })
	r.fill(22, 40) // beyond the end: must not keep what failed from coming again
	state := r.carry(replay)
	if state.Acked != 20 || state.Dead != 1 {
		t.Errorf("state %+v", state)
	}
	if dead := r.dead(); dead != 1 {
		t.Errorf("%d dead letters", dead)
	}
	anew := r.carry(r.replay(func(o *Options) { o.Since, o.Again, o.Until = since, true, r.storedAt(22) }))
	if dead := r.dead(); dead != 1 || anew.Dead != 1 {
		t.Errorf("replayed again: %d dead letters, %+v", dead, anew)
	}
}

func TestReplaySaysWhatIsGone(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 10)
	stream, err := r.js.Stream(t.Context(), "DET")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(6)); err != nil {
		t.Fatal(err)
	}
	replay := r.replay(nil)
	if span := replay.Span(); !span.Cut || !span.Begins.Equal(r.storedAt(6)) || span.First != 6 {
		t.Errorf("span %+v", span)
	}
	if state := r.carry(replay); state.Acked != 5 {
		t.Errorf("state %+v", state)
	}
}

func TestReplayRefusesWhatCannotBe(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	if _, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "WORK", Subjects: []string{"w.>"}, Retention: jetstream.WorkQueuePolicy}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		stream string
		what   Options
	}{
		"no start":                    {"DET", Options{}},
		"an end before its start":     {"DET", Options{Since: now, Until: now.Add(-time.Hour)}},
		"a subject with a space":      {"DET", Options{Since: long(), Subject: "a b"}},
		"a rate below zero":           {"DET", Options{Since: long(), Rate: -1}},
		"a stream that keeps nothing": {"WORK", Options{Since: long()}},
	} {
		o := r.options
		o.Stream = c.stream
		if _, err := Open(t.Context(), r.link, o, c.what, decoding{}, planning{}, r.applier); !errors.Is(err, ErrImpossible) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReplayPlansWithoutEffect(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.fill(1, 30)
	r.publishRaw("alerts.test", []byte("broken"))
	replay := r.replay(nil)
	r.fill(32, 40)
	var plans, broken int
	for p, err := range replay.Plans(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Err != nil {
			broken++
		}
		plans += len(p.Plans)
	}
	if plans != 30 || broken != 1 || r.applier.count("") != 0 {
		t.Errorf("%d plans, %d broken, %d applies", plans, broken, r.applier.count(""))
	}
	if live := r.consumer(); live.Delivered.Consumer != 0 || r.dead() != 0 {
		t.Errorf("something was touched: %+v", live)
	}
	none := r.replay(func(o *Options) { o.Subject = "alerts.none" })
	for p, err := range none.Plans(t.Context()) {
		t.Errorf("of a subject that nothing has: %+v, error %v", p, err)
	}
}

// TestPlansComeInOrderOverSeveralPulls: a pull is taken whole before anything is made of it, and the next one begins behind it.
func TestPlansComeInOrderOverSeveralPulls(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.options.MaxBytesHeld = 1 << 20
	for range 12 { // six pulls: the server takes messages of 1 MiB
		r.publishRaw("alerts.test", bytes.Repeat([]byte("x"), 500<<10))
	}
	replay := r.replay(nil)
	of, err := r.js.Stream(t.Context(), r.options.Stream)
	must(t, err)
	must(t, of.DeleteMsg(t.Context(), 5))
	var got []uint64
	for p, err := range replay.Plans(t.Context()) {
		must(t, err)
		got = append(got, p.Sequence)
	}
	if want := []uint64{1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12}; !slices.Equal(got, want) {
		t.Errorf("messages %d, want %d", got, want)
	}
	for c := range of.ListConsumers(t.Context()).Info() {
		if c.Name != r.options.Consumer {
			t.Errorf("consumer %s is left", c.Name)
		}
	}
}
