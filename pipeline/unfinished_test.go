package pipeline

import (
	"testing"
	"time"

	"forager/enrich"
)

func TestMemoryForgetsWhatWasUsedLeast(t *testing.T) {
	m := newUnfinished(2)
	at := time.Unix(1, 0)
	touch := func(sequence uint64) { m.change(sequence, at, func(r *record) { r.tries++ }) }
	touch(1)
	touch(2)
	touch(1)
	touch(3)
	for sequence, want := range map[uint64]int{1: 2, 2: 0, 3: 1} {
		if got := m.recall(sequence, at).tries; got != want {
			t.Errorf("message %d: %d tries remembered, want %d", sequence, got, want)
		}
	}
}

func TestMemoryTellsAStreamMadeAnewByTheTime(t *testing.T) {
	m := newUnfinished(2)
	m.change(1, time.Unix(1, 0), func(r *record) { r.results[0] = nil })
	if got := m.recall(1, time.Unix(2, 0)); len(got.results) != 0 {
		t.Error("the results of another message were taken for this one's")
	}
}

func TestKeyIsBlockedOnlyWhenSeveralMessagesFailedForLong(t *testing.T) {
	const after = 10 * time.Minute
	for _, c := range []struct {
		name  string
		do    func(*failing)
		at    time.Duration
		wants bool
	}{
		{"nothing failed", func(*failing) {}, time.Hour, false},
		{"one message alone fails", func(f *failing) {
			for at := time.Duration(0); at <= 20*time.Minute; at += time.Minute {
				f.failed("k", 1, at)
			}
		}, 20 * time.Minute, false},
		{"several fail, not for long", func(f *failing) { f.failed("k", 1, 0); f.failed("k", 2, after-1) }, after - 1, false},
		{"several fail for long", func(f *failing) { f.failed("k", 1, 0); f.failed("k", 2, 1); f.failed("k", 1, after) }, after, true},
		{"another replica settles them", func(f *failing) { f.failed("k", 1, 0); f.failed("k", 2, after/2); f.failed("k", 3, after) }, after, false},
		{"many fail, and one for long", func(f *failing) {
			for i := range uint64(100) {
				f.failed("k", 1, after/100*time.Duration(i))
				f.failed("k", 2+i, after/100*time.Duration(i))
			}
			f.failed("k", 1, after)
		}, after, true},
		{"one succeeded since", func(f *failing) { f.failed("k", 1, 0); f.failed("k", 2, 1); f.succeeded("k"); f.failed("k", 1, after) }, after, false},
		{"nobody tried for as long again", func(f *failing) { f.failed("k", 1, 0); f.failed("k", 2, 1) }, 2 * after, false},
		{"another key", func(f *failing) { f.failed("x", 1, 0); f.failed("x", 2, after) }, after, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFailing(after, 10)
			c.do(f)
			if got := f.blocked("k", c.at); got != c.wants {
				t.Errorf("blocked %v, want %v", got, c.wants)
			}
		})
	}
}

func TestFailingKeysAreBounded(t *testing.T) {
	f := newFailing(time.Minute, 3)
	for i := range 100 {
		f.failed(string(rune('a'+i)), 1, time.Duration(i))
	}
	if f.keys.Len() != 3 {
		t.Errorf("%d keys remembered, want 3", f.keys.Len())
	}
}

func TestMessageOfABlockedKeyIsADeadLetter(t *testing.T) {
	r := newRig(t, func(o *Options) { o.KeyBlocked = 50 * time.Millisecond; o.Check = isWell })
	r.ensure()
	r.applier.set(all(errPassing))
	r.publish(alert{ID: "a", Keys: []string{"k"}}, alert{ID: "b", Keys: []string{"k"}})
	r.start()
	tried := func(sequence uint64) bool {
		return r.seen.count(func(s Settlement) bool {
			return s.Sequence == sequence && s.Class == enrich.Transient && s.Tries > 5
		}) > 0
	}
	r.seen.until(t, "both to fail for a while", func() bool { return tried(1) && tried(2) })
	<-time.After(r.options.KeyBlocked)
	r.publish(alert{ID: "c", Keys: []string{"k"}}, alert{ID: "d", Keys: []string{"other"}})
	r.ended(1)
	letters := r.letters()
	if len(letters) != 1 || letters[0].Reason != "key blocked" || letters[0].Sequence != 3 {
		t.Errorf("letters %+v, want the new message of the key", letters)
	}
	r.applier.set(nil)
	r.ended(4)
}

func TestWorstResultDecidesAndWhatIsVoidCountsAsDropped(t *testing.T) {
	dropped, rejected := &enrich.DroppedError{Reason: "case deleted"}, &enrich.RejectedError{}
	for _, c := range []struct {
		name    string
		results []error
		want    enrich.Class
		dropped int
	}{
		{"all done", []error{nil, nil}, enrich.None, 0},
		{"one void", []error{nil, dropped}, enrich.None, 1},
		{"all void", []error{dropped, dropped}, enrich.Dropped, 2},
		{"refused waits for what may pass", []error{rejected, errPassing, nil}, enrich.Transient, 0},
		{"refused and interrupted", []error{rejected, enrich.ErrStopping}, enrich.Interrupted, 0},
		{"blocked outweighs all", []error{errPassing, errRefusesUs, rejected}, enrich.Blocked, 0},
		{"refused and void", []error{rejected, dropped}, enrich.Rejected, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := waiting(1, make([]string, len(c.results))...)
			m.plans = len(c.results)
			for i, err := range c.results {
				m.parts[i].finish(err, 0)
			}
			if got := enrich.ClassOf(m.conclude()); got != c.want || len(m.dropped) != c.dropped {
				t.Errorf("%v with %d dropped, want %v with %d", got, len(m.dropped), c.want, c.dropped)
			}
		})
	}
}
