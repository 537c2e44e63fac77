package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/retry"
)

// inOrganisation plans alerts whose keys begin with their organisation.
type inOrganisation struct{ planning }

func (in inOrganisation) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	p, err := in.planning.Plan(d, from)
	p.Organisation, _, _ = strings.Cut(d.Key, ":")
	return p, err
}

// several is a rig that serves organisations a and b.
func several(t *testing.T, check func(context.Context) error) (*rig, *observer.ObservedLogs) {
	t.Helper()
	core, lines := observer.New(zapcore.InfoLevel)
	r := newRig(t, func(o *Options) {
		o.Check, o.Organisations, o.Log = check, func() []string { return []string{"a", "b"} }, zap.New(core)
	})
	r.ensure()
	return r, lines
}

// startIn starts a worker whose detections belong to the organisation that their key begins with.
func (r *rig) startIn() *Worker {
	r.t.Helper()
	w, err := New(r.link, r.options, decoding{}, inOrganisation{}, r.applier)
	if err != nil {
		r.t.Fatal(err)
	}
	r.run(w)
	return w
}

// TestARefusedOrganisationHoldsUpNoOther: of two hundred messages of each, those of the other are
// done at their first delivery, and one of both has its other half done; there is no dead letter, and
// the rest lands when the worker is let in again.
func TestARefusedOrganisationHoldsUpNoOther(t *testing.T) {
	r, lines := several(t, nil)
	var refuses atomic.Bool
	var inside, most atomic.Int32
	refuses.Store(true)
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		if !strings.HasPrefix(queue, "a:") || !refuses.Load() {
			return make([]error, len(plans))
		}
		if len(r.seen.gateLines()) == 0 && r.seen.heard(NoticeRefused) > 0 {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
		}
		return repeat(refusedIn("a"), len(plans))
	})
	w := r.startIn()
	r.publish(alert{ID: "first", Keys: []string{"a:0"}})
	r.seen.until(t, "the breaker", func() bool { return r.seen.heard(NoticeRefused) == 1 })
	const n = 200
	for i := range n {
		r.publish(alert{ID: fmt.Sprint("a", i), Keys: []string{fmt.Sprint("a:", i%17)}}, alert{ID: fmt.Sprint("b", i), Keys: []string{fmt.Sprint("b:", i%17)}})
	}
	r.publish(alert{ID: "both", Keys: []string{"a:1", "b:1"}})
	r.ended(n)
	r.seen.until(t, "the other half of what is of both", func() bool { return r.applier.count("both/1") == 1 })
	r.seen.until(t, "probes", func() bool { return r.seen.count(func(s Settlement) bool { return s.Deliveries > 4 }) > 0 })
	if ok, reasons := w.Ready(); !ok {
		t.Errorf("not ready: %q", reasons)
	}
	if notes := w.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "organisation a is closed") || !strings.Contains(notes[0], "not a member") {
		t.Errorf("notes %q", notes)
	}
	late := func(s Settlement) bool { return final(s) && s.Deliveries > 1 }
	if got := r.seen.count(late); got != 0 {
		t.Errorf("%d messages of the organisation that refuses nothing came more than once", got)
	}
	turned := r.seen.count(func(s Settlement) bool { return errors.Is(s.Err, errOrganisationClosed) })
	if said := lines.FilterField(zap.String("organisation", "a")).Len(); said != 1 || turned < n {
		t.Errorf("%d lines name the organisation, want the closing alone; %d messages were turned away", said, turned)
	}
	for _, line := range lines.FilterMessage("message settled").All() {
		if line.Level == zapcore.WarnLevel && strings.Contains(fmt.Sprint(line.ContextMap()["error"]), errOrganisationClosed.Error()) {
			t.Errorf("a message that was turned away is worth a warning: %v", line.ContextMap())
			break
		}
	}
	refuses.Store(false)
	r.ended(2*n + 2)
	if got := r.seen.gateLines(); len(got) != 0 || most.Load() > 1 || len(r.letters()) != 0 {
		t.Errorf("gate said %q, %d probes at once, %d letters", got, most.Load(), len(r.letters()))
	}
	for id, times := range r.applier.applied {
		if times != 1 {
			t.Errorf("%s was applied %d times", id, times)
		}
	}
	if notes := w.Notes(); len(notes) != 0 || w.Organisations()[0] != (Organisation{Name: "a", Open: true, Waiting: w.Organisations()[0].Waiting}) {
		t.Errorf("in the end: notes %q, %+v", notes, w.Organisations())
	}
}

func TestWhenAllOrganisationsRefuseTheWorkerIsNotReady(t *testing.T) {
	r, _ := several(t, nil)
	refuses := map[string]*atomic.Bool{"a": {}, "b": {}}
	refuses["a"].Store(true)
	refuses["b"].Store(true)
	r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
		name, _, _ := strings.Cut(queue, ":")
		if refuses[name].Load() {
			return repeat(refusedIn(name), len(plans))
		}
		return make([]error, len(plans))
	})
	w := r.startIn()
	for i := range 20 {
		r.publish(alert{ID: fmt.Sprint("a", i), Keys: []string{"a:k"}}, alert{ID: fmt.Sprint("b", i), Keys: []string{"b:k"}})
	}
	r.seen.until(t, "both breakers", func() bool { return r.seen.heard(NoticeRefused) == 2 })
	if ok, reasons := w.Ready(); ok || len(reasons) != 2 || len(w.Notes()) != 0 {
		t.Errorf("ready %v, reasons %q, notes %q", ok, reasons, w.Notes())
	}
	refuses["b"].Store(false) // the messages of the other do not stand before its own
	r.ended(20)
	refuses["a"].Store(false)
	r.ended(40)
}

func TestRefusedCredentialsAreAskedAboutBeforeOneOrganisationIsBlamed(t *testing.T) {
	for name, c := range map[string]struct {
		elsewhere error
		gate      []string
		breakers  int
	}{
		"let in elsewhere":   {nil, nil, 1},
		"refused everywhere": {errRefusesUs, []string{reasonBlocked, "open"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var mended, pulling atomic.Bool
			r, _ := several(t, func(context.Context) error {
				if !pulling.Load() || mended.Load() {
					return nil
				}
				return c.elsewhere
			})
			r.applier.set(func(_ context.Context, queue string, plans []enrich.Plan) []error {
				pulling.Store(true)
				if mended.Load() || !strings.HasPrefix(queue, "a:") {
					return make([]error, len(plans))
				}
				return repeat(&enrich.OrganisationError{Organisation: "a", Credentials: true, Err: errPassing}, len(plans))
			})
			r.startIn()
			for i := range 10 {
				r.publish(alert{ID: fmt.Sprint(i), Keys: []string{fmt.Sprint("a:", i)}})
			}
			r.seen.until(t, "a verdict", func() bool {
				return len(r.seen.gateLines())+r.seen.heard(NoticeRefused) > 0
			})
			mended.Store(true)
			r.ended(10)
			if got := r.seen.gateLines(); !slices.Equal(got, c.gate) || r.seen.heard(NoticeRefused) != c.breakers {
				t.Errorf("gate said %q, %d breakers closed; want %q, %d", got, r.seen.heard(NoticeRefused), c.gate, c.breakers)
			}
		})
	}
}

// TestARefusedOrganisationThatCrowdsTheOthersIsToldOf: by the bound that the consumer itself has.
func TestARefusedOrganisationThatCrowdsTheOthersIsToldOf(t *testing.T) {
	r, lines := several(t, nil)
	r.options.Policy.Blocked = retry.Backoff{First: 10 * time.Second, Last: 10 * time.Second}
	r.options.MaxAckPending = 1 << 20 // not what the consumer was made with
	c, err := r.js.Consumer(t.Context(), r.options.Stream, r.options.Consumer)
	if err != nil {
		t.Fatal(err)
	}
	config := c.CachedInfo().Config
	config.MaxAckPending = 40
	if _, err := r.js.UpdateConsumer(t.Context(), r.options.Stream, config); err != nil {
		t.Fatal(err)
	}
	r.options.Manage = false
	r.applier.set(all(refusedIn("a")))
	for i := range 40 {
		r.publish(alert{ID: fmt.Sprint(i), Keys: []string{"a:k"}})
	}
	w := r.startIn()
	r.seen.until(t, "all to go back", func() bool { return r.seen.count(func(Settlement) bool { return true }) == 40 })
	if got := r.seen.heard(NoticeCrowded); got != 1 || w.Organisations()[0].Waiting != 40 {
		t.Errorf("told %d times, %+v", got, w.Organisations())
	}
	if got := lines.FilterField(zap.Int("maxAckPending", 40)).Len(); got < 1 {
		t.Errorf("no line says it: %v", lines.All())
	}
}
