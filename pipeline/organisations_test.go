package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
)

// breakers are those of two organisations, with what they told.
func breakers(served ...string) (*organisations, *[]string) {
	lines := &[]string{}
	o := Options{Organisations: func() []string { return served }}
	return newOrganisations(o.WithDefaults(), time.Now, func(d *breaker, open bool, _ error) {
		*lines = append(*lines, fmt.Sprint(d.name, " ", open))
	}), lines
}

// refusedIn is TheHive's refusal of the worker in an organisation.
func refusedIn(name string) error {
	return &enrich.OrganisationError{Organisation: name, Err: errors.New("403: not a member")}
}

func TestABreakerClosesForItsOwnOrganisationAndSaysSoOnce(t *testing.T) {
	o, told := breakers("a", "b")
	first, _ := o.enter("a", false)
	second, _ := o.enter("a", false)
	o.leave(first, []error{refusedIn("a")}, refusedIn("a"))
	o.leave(second, []error{refusedIn("a")}, refusedIn("a"))
	_, a := o.enter("a", false)
	_, b := o.enter("b", false)
	if a || !b {
		t.Errorf("let in: a %v, b %v; want false, true", a, b)
	}
	if diff := cmp.Diff([]string{"a false"}, *told); diff != "" {
		t.Error(diff)
	}
}

func TestOneApplyAtATimePassesAClosedBreakerAfterPausesThatGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, told := breakers("a", "b")
		open, _ := o.enter("a", false)
		o.leave(open, nil, refusedIn("a"))
		var seconds []int
		closed := time.Now()
		for len(seconds) < 7 {
			<-time.After(100 * time.Millisecond)
			probe, ok := o.enter("a", false)
			if !ok {
				continue
			}
			if _, again := o.enter("a", false); again {
				t.Fatal("two at once")
			}
			<-time.After(time.Millisecond)
			o.leave(probe, nil, refusedIn("a"))
			seconds = append(seconds, int(time.Since(closed).Round(time.Second)/time.Second))
			closed = time.Now()
		}
		for i, want := range []int{1, 2, 4, 8, 16, 30, 30} {
			if low, high := want*7/10, want*13/10+1; seconds[i] < low || seconds[i] > high {
				t.Errorf("pause %d was %d s, want about %d", i, seconds[i], want)
			}
		}
		<-time.After(time.Minute)
		probe, _ := o.enter("a", false)
		o.leave(probe, []error{nil}, nil)
		if _, ok := o.enter("a", false); !ok || !slices.Equal(*told, []string{"a false", "a true"}) {
			t.Errorf("let in %v, told %q", ok, *told)
		}
	})
}

func TestOnlyWhatTheHiveAnsweredOpensABreaker(t *testing.T) {
	for name, c := range map[string]struct {
		result error
		opens  bool
	}{
		"every effect is there":               {nil, true},
		"an item is refused":                  {&enrich.RejectedError{}, true},
		"the ledger alone dropped it":         {&enrich.DroppedError{Reason: "case deleted"}, false},
		"it passed away":                      {errPassing, false},
		"the worker stops":                    {enrich.ErrStopping, false},
		"the ledger is away":                  {enrich.ErrLedger, false},
		"the organisation refuses it as ever": {refusedIn("a"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, _ := breakers("a", "b")
				p, _ := o.enter("a", false)
				o.leave(p, nil, refusedIn("a"))
				<-time.After(time.Minute)
				p, ok := o.enter("a", false)
				if !ok {
					t.Fatal("no probe")
				}
				var refusal error
				if _, is := errors.AsType[*enrich.OrganisationError](c.result); is {
					refusal = c.result
				}
				o.leave(p, []error{c.result}, refusal)
				if open, _, _, _ := o.breaker("a").gate.state(); open != c.opens {
					t.Errorf("open %v, want %v", open, c.opens)
				}
				<-time.After(time.Minute)
				if _, ok := o.enter("a", false); !ok {
					t.Error("no further probe")
				}
			})
		})
	}
}

func TestABreakerThatClosesAsSoonAsItOpenedGoesOnGrowingItsPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := breakers("a", "b")
		var pauses []time.Duration
		for range 4 {
			p, ok := o.enter("a", true)
			if !ok {
				t.Fatal("the worker's own probe is refused")
			}
			o.leave(p, []error{nil}, nil)
			p, _ = o.enter("a", false)
			o.leave(p, nil, refusedIn("a"))
			pauses = append(pauses, o.breaker("a").gate.wait()/time.Second)
		}
		if diff := cmp.Diff([]time.Duration{1, 2, 4, 8}, pauses); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhoServesOneOrganisationHasNoBreakers(t *testing.T) {
	o, told := breakers("a")
	p, ok := o.enter("a", false)
	o.leave(p, nil, refusedIn("a"))
	if _, again := o.enter("a", false); !ok || !again || len(*told) != 0 || len(o.all()) != 0 {
		t.Errorf("let in %v, then %v; told %q; shown %v", ok, again, *told, o.all())
	}
}

func TestHalfOfTheUnacknowledgedWaitingForOneOrganisationIsToldOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := breakers("a", "b")
		told := 0
		for i := range 120 {
			if name, crowded := o.putBack(fmt.Errorf("x: %w", refusedIn("a")), time.Minute, 100); crowded {
				told++
				if name != "a" || i < 49 {
					t.Errorf("told of %q at message %d", name, i)
				}
			}
			if _, crowded := o.putBack(errPassing, time.Minute, 100); crowded {
				t.Error("told of what no organisation refused")
			}
			<-time.After(100 * time.Millisecond)
		}
		if got := o.all()[0].Waiting; told != 1 || got != 120 {
			t.Errorf("told %d times, %d wait; want 1, 120", told, got)
		}
		<-time.After(2 * time.Minute)
		if got := o.all()[0].Waiting; got != 0 {
			t.Errorf("%d wait after all returned", got)
		}
	})
}
