package feedback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
	"forager/enrich/feedback"
	"forager/hive"
)

// The model: a case has a history of states, and each alert in it hears some of them in their order, each once in a row;
// when nobody acts any more, the last that it heard is the case as it is.

const theCase = "~1"

// world is one case, its analyst, its alerts, and all that workers share.
type world struct {
	ledger  *claimtest.Memory
	history []feedback.State
	alerts  []string
	known   map[string]bool // ids of messages
	sent    []feedback.Message

	// boundary is asked before and after each effect of a look; an error before it keeps the effect from happening.
	boundary func(l *looker) error
	// old tells whether a read comes from a replica that lags by one write.
	old    func() bool
	before map[string]item
}

// item is what an entry was before its last write.
type item struct {
	value    []byte
	revision uint64
}

// looker is one look of one worker.
type looker struct {
	dead  bool
	depth int
}

type lookerKey struct{}

func newWorld() *world {
	return &world{ledger: claimtest.New(), history: []feedback.State{{}}, known: map[string]bool{}, before: map[string]item{}}
}

func (w *world) now() feedback.State { return w.history[len(w.history)-1] }

// set is what an analyst does.
func (w *world) set(s feedback.State) {
	if s != w.now() {
		w.history = append(w.history, s)
	}
}

// join adds an alert to the case.
func (w *world) join() {
	w.alerts = append(w.alerts, fmt.Sprint("a", len(w.alerts)))
	named := [][2]string{}
	for _, a := range w.alerts {
		named = append(named, [2]string{"native", a})
	}
	w.write(theCase, named)
}

// write makes the entry of a case as a worker leaves it.
func (w *world) write(id string, named [][2]string) {
	value, _ := json.Marshal(map[string]any{"v": 1, "epoch": 1, "organisation": "", "sourceAlerts": named})
	was, revision, err := w.ledger.Get(context.Background(), "case."+id)
	if err == nil {
		w.before["case."+id] = item{was, revision}
	}
	if _, err := w.ledger.Put(context.Background(), "case."+id, value, revision); err != nil {
		panic(err)
	}
}

// tracker is that of one worker.
func (w *world) tracker() *feedback.Tracker {
	return feedback.New(feedback.Options{
		Ledger: store{w}, Outbox: w, Cases: func(string) feedback.Cases { return w },
		Organisations: func() []string { return []string{""} },
		Link:          func(id string) string { return "https://thehive.example/cases/" + id + "/details" },
	})
}

// at does an effect between two boundaries.
func (w *world) at(ctx context.Context, effect func() error) error {
	l, _ := ctx.Value(lookerKey{}).(*looker)
	if l == nil || w.boundary == nil {
		return effect()
	}
	if err := w.boundary(l); err != nil {
		return err
	}
	if err := effect(); err != nil {
		return err
	}
	return w.boundary(l)
}

// Case is TheHive.
func (w *world) Case(ctx context.Context, id string) (c hive.Case, err error) {
	err = w.at(ctx, func() error {
		now := w.now()
		c = hive.Case{ID: id, Number: 1, Title: "T", Stage: hive.StageNew, Status: "New"}
		if now.Closed {
			c.Stage, c.Status, c.EndDate = hive.StageClosed, now.Status, 1_772_439_164_000
		}
		return nil
	})
	return c, err
}

// FindCases is TheHive's search, which shows everything.
func (w *world) FindCases(ctx context.Context, _ hive.Query) iter.Seq2[hive.Case, error] {
	return func(yield func(hive.Case, error) bool) { yield(w.Case(ctx, theCase)) }
}

// Put is an outbox: it knows messages by their ids. Each is stored for itself.
func (w *world) Put(ctx context.Context, all []feedback.Message) error {
	for _, m := range all {
		err := w.at(ctx, func() error {
			if !w.known[m.ID] {
				w.known[m.ID] = true
				w.sent = append(w.sent, m)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// store is the ledger with boundaries.
type store struct{ w *world }

func (s store) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = s.w.at(ctx, func() (err error) {
		value, revision, err = s.w.ledger.Get(ctx, key)
		if was, ok := s.w.before[key]; ok && s.w.old != nil && s.w.old() {
			value, revision, err = was.value, was.revision, nil
		}
		return err
	})
	return value, revision, err
}

func (s store) Put(ctx context.Context, key string, value []byte, expected uint64) (revision uint64, err error) {
	err = s.w.at(ctx, func() (err error) {
		was, at, missing := s.w.ledger.Get(ctx, key)
		revision, err = s.w.ledger.Put(ctx, key, value, expected)
		if err == nil && missing == nil {
			s.w.before[key] = item{was, at}
		}
		return err
	})
	return revision, err
}

func (s store) Purge(ctx context.Context, key string, expected uint64) error {
	return s.w.at(ctx, func() error { return s.w.ledger.Purge(ctx, key, expected) })
}

func (s store) Trusted(ctx context.Context) (bool, error) { return s.w.ledger.Trusted(ctx) }

var (
	_ claim.Store     = store{}
	_ feedback.Outbox = (*world)(nil)
	_ feedback.Cases  = (*world)(nil)
)

// heard are the states that an alert was told, in their order.
func (w *world) heard(alert string) (states []feedback.State) {
	for _, m := range w.sent {
		if m.Alert.ID == alert {
			states = append(states, feedback.State{Closed: m.Event == feedback.EventClosed, Status: m.Verdict})
		}
	}
	return states
}

// wrong says what of the model does not hold once nobody acts any more; empty is nothing.
func (w *world) wrong() string {
	for _, a := range w.alerts {
		heard := append([]feedback.State{{}}, w.heard(a)...)
		if len(slices.Compact(slices.Clone(heard))) < len(heard) {
			return fmt.Sprintf("%s heard one thing twice in a row: %v", a, heard)
		}
		rest := w.history
		for _, h := range heard {
			i := slices.Index(rest, h)
			if i < 0 {
				return fmt.Sprintf("%s heard %v of the history %v", a, heard, w.history)
			}
			rest = rest[i:]
		}
		if last := heard[len(heard)-1]; last != w.now() {
			return fmt.Sprintf("%s heard %v last, and the case is %v", a, last, w.now())
		}
	}
	return ""
}

var errLost = errors.New("no answer")

// play lets analysts, alerts and workers act as a run draws it.
type play struct {
	*rapid.T
	w *world
}

// look is one look of a worker; whoever fails is tried again.
func (p play) look(depth int) {
	ctx := context.WithValue(context.Background(), lookerKey{}, &looker{depth: depth})
	_, _ = p.w.tracker().Look(ctx, theCase)
}

func (p play) set() {
	p.w.set(rapid.SampledFrom([]feedback.State{{}, {Closed: true, Status: "TruePositive"}, {Closed: true, Status: "FalsePositive"}}).Draw(p.T, "state"))
}

func (p play) join() {
	if len(p.w.alerts) < 4 {
		p.w.join()
	}
}

// boundary is what happens between two steps of a look.
func (p play) boundary(l *looker) error {
	if l.dead {
		return errLost
	}
	switch rapid.SampledFrom([]string{"none", "none", "none", "none", "none", "none", "none", "lose", "kill", "look", "look", "set", "join"}).Draw(p.T, "at a boundary") {
	case "lose":
		return errLost
	case "kill":
		l.dead = true
		return errLost
	case "look":
		if l.depth < 3 {
			p.look(l.depth + 1)
		}
	case "set":
		p.set()
	case "join":
		p.join()
	}
	return nil
}

// steps are some steps, one after the other.
func (p play) steps(n int) {
	for range n {
		switch rapid.SampledFrom([]string{"look", "look", "set", "join"}).Draw(p.T, "step") {
		case "look":
			p.look(0)
		case "set":
			p.set()
		case "join":
			p.join()
		}
	}
}

// TestEachAlertHearsEachThingOnce: two workers look, one within the other at every step that it makes; answers are lost
// before and after the effect, workers are killed, replicas of the ledger lag, the analyst acts and alerts join at any
// moment.
func TestEachAlertHearsEachThingOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld()
		p := play{r, w}
		w.join()
		w.boundary = p.boundary
		w.old = func() bool { return rapid.IntRange(0, 5).Draw(r, "replica") == 5 }
		p.steps(rapid.IntRange(1, 12).Draw(r, "steps with faults"))
		w.boundary, w.old = nil, nil
		p.steps(rapid.IntRange(0, 12).Draw(r, "steps without"))
		if _, err := w.tracker().Look(t.Context(), theCase); err != nil {
			r.Fatal(err)
		}
		if wrong := w.wrong(); wrong != "" {
			r.Fatal(wrong)
		}
		before := len(w.sent)
		if n, err := w.tracker().Look(t.Context(), theCase); n != 0 || err != nil || len(w.sent) != before {
			r.Fatalf("looked again: %d told, %v", n, err)
		}
	})
}
