package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"forager/enrich"
	"forager/enrich/answertest"
)

// impatient gives up after few tries.
func impatient(o *Options) {
	o.Policy.MaxTries, o.Policy.MaxAge = 2, time.Millisecond
}

// TestWhatEverybodyMeetsIsNoTry: nothing succeeds, and TheHive, asked, is not well either, or says itself
// that it is busy: however often a message comes back, it is no nearer to its end.
func TestWhatEverybodyMeetsIsNoTry(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		well bool // TheHive, asked
	}{
		"502 of a proxy":             {answertest.Foreign(502, ""), false},
		"503 of a proxy":             {answertest.Foreign(503, ""), false},
		"429 of a proxy, to a write": {answertest.Foreign(429, ""), false},
		"429 of a proxy, to a read":  {answertest.ForeignRead(429), true},
		"no answer":                  {answertest.Reset(), false},
		"503 of TheHive":             {answertest.Own(503, "Unavailable"), true},
		"429 of TheHive":             {answertest.Own(429, "TooManyRequests"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var down atomic.Bool
			r := newRig(t, func(o *Options) {
				impatient(o)
				o.Check = func(context.Context) error {
					if down.Load() && !c.well {
						return errors.New("502 of a proxy")
					}
					return nil
				}
			})
			r.ensure()
			r.publish(alert{ID: "before", Keys: []string{"k"}})
			r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
				if down.Load() {
					return repeat(c.err, len(plans))
				}
				return make([]error, len(plans))
			})
			r.start()
			r.ended(1)
			down.Store(true)
			for i := range 4 {
				r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprint("k", i)}})
			}
			r.seen.until(t, "many deliveries, or the gate", func() bool { // a closed one lets nothing through before TheHive is well
				often := r.seen.count(func(s Settlement) bool { return s.Deliveries > 6 }) > 0
				back := r.seen.count(func(s Settlement) bool { return s.Action == ActionNak }) > 0
				return often || back && len(r.seen.gateLines()) > 0
			})
			if n := r.seen.count(func(s Settlement) bool { return s.Tries > 0 }); n > 0 {
				t.Errorf("%d settlements count a try", n)
			}
			down.Store(false)
			r.ended(5)
			if n := len(r.letters()); n != 0 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

// TestWhatOneMessageMeetsForEverIsATry: a proxy is busy for one message alone. It becomes a dead letter with
// the answer's first line, whether others succeed meanwhile or none is left; no other pays.
func TestWhatOneMessageMeetsForEverIsATry(t *testing.T) {
	for _, status := range []int{429, 502, 503, 504, 0} {
		for _, alone := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d, alone %t", status, alone), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, func(o *Options) {
					impatient(o)
					o.Check = isWell
				})
				r.ensure()
				bad := answertest.Foreign(status, "<title>Web Guard</title>")
				r.applier.set(func(_ context.Context, _ string, plans []enrich.Plan) []error {
					errs := make([]error, len(plans))
					for i, p := range plans {
						if strings.HasPrefix(p.SourceID, "bad") {
							errs[i] = &enrich.UnsettledError{Err: bad}
						}
					}
					return errs
				})
				r.publish(alert{ID: "bad", Keys: []string{"k"}})
				n := 1
				if !alone {
					for n = range 40 {
						r.publish(alert{ID: fmt.Sprint(n), Keys: []string{fmt.Sprint("k", n%3)}})
					}
					n += 2
				}
				r.start()
				r.ended(n)
				letters := r.letters()
				if len(letters) != 1 || !strings.Contains(letters[0].Detail, "Web Guard") {
					t.Errorf("letters %+v", letters)
				}
			})
		}
	}
}
