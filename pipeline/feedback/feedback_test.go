package feedback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich/claim"
	told "forager/enrich/feedback"
	"forager/hive"
	"forager/pipeline/feedback"
	"forager/pipeline/kvledger"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// site is what workers share: NATS with ledger and outbox, and a TheHive that is a map.
type site struct {
	t      *testing.T
	server *natstest.Server
	link   *stream.Link
	ledger *kvledger.Ledger
	outbox *feedback.Outbox

	mu      sync.Mutex
	history map[string][]told.State
	alerts  map[string]int
}

var options = feedback.Options{Subject: "forager.feedback", Manage: true}

func newSite(t *testing.T) *site {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	must(t, err)
	t.Cleanup(server.Close)
	s := &site{t: t, server: server, history: map[string][]told.State{}, alerts: map[string]int{}}
	s.link = s.connect()
	topology := stream.Topology{Stream: "DETECTIONS", Consumer: "forager", Subjects: []string{"detections.>"}, Manage: true}
	must(t, stream.Ensure(t.Context(), s.link, topology.WithDefaults()))
	s.ledger = kvledger.New(s.link, kvledger.Options{})
	s.outbox, err = feedback.New(s.link, options)
	must(t, err)
	must(t, s.outbox.Ensure(t.Context()))
	return s
}

func (s *site) connect() *stream.Link {
	s.t.Helper()
	link, err := stream.Connect(s.t.Context(), stream.Connection{URLs: []string{s.server.URL()}}, nil)
	must(s.t, err)
	s.t.Cleanup(link.Close)
	return link
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// join adds an alert to a case, as a worker leaves its entry.
func (s *site) join(id string) {
	s.t.Helper()
	s.mu.Lock()
	s.alerts[id]++
	n := s.alerts[id]
	if n == 1 {
		s.history[id] = []told.State{{}}
	}
	s.mu.Unlock()
	named := [][2]string{}
	for i := range n {
		named = append(named, [2]string{"elastic", fmt.Sprintf("%s/%d", id, i)})
	}
	value, err := json.Marshal(map[string]any{"v": 1, "epoch": 1, "organisation": "", "sourceAlerts": named})
	must(s.t, err)
	_, revision, err := s.ledger.Get(s.t.Context(), "case."+id)
	if err != nil && !errors.Is(err, claim.ErrNoEntry) {
		s.t.Fatal(err)
	}
	_, err = s.ledger.Put(s.t.Context(), "case."+id, value, revision)
	must(s.t, err)
}

// set is what an analyst does.
func (s *site) set(id string, state told.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.history[id]; h[len(h)-1] != state {
		s.history[id] = append(h, state)
	}
}

// Case is TheHive's.
func (s *site) Case(ctx context.Context, id string) (hive.Case, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.history[id][len(s.history[id])-1]
	c := hive.Case{ID: id, Number: 7, Title: "T", Stage: hive.StageInProgress, Status: "InProgress", UpdatedAt: hive.MillisOf(time.Now())}
	if now.Closed {
		c.Stage, c.Status = hive.StageClosed, now.Status
	}
	return c, ctx.Err()
}

// FindCases shows all.
func (s *site) FindCases(ctx context.Context, _ hive.Query) iter.Seq2[hive.Case, error] {
	return func(yield func(hive.Case, error) bool) {
		s.mu.Lock()
		ids := []string{}
		for id := range s.history {
			ids = append(ids, id)
		}
		s.mu.Unlock()
		for _, id := range ids {
			if !yield(s.Case(ctx, id)) {
				return
			}
		}
	}
}

// tracker is that of a worker.
func (s *site) tracker(ledger claim.Store, outbox told.Outbox) *told.Tracker {
	return told.New(told.Options{
		Ledger: ledger, Outbox: outbox, Cases: func(string) told.Cases { return s }, Organisations: func() []string { return []string{""} },
		Link: func(id string) string { return "https://thehive.example/cases/" + id + "/details" },
	})
}

// mortal is a worker that loses answers, and dies after so many steps.
type mortal struct {
	claim.Store
	outbox told.Outbox
	left   atomic.Int64
	lost   *rand.Rand
	mu     sync.Mutex
}

var errNoAnswer = errors.New("no answer")

// step counts; after the last one nothing takes effect any more.
func (m *mortal) step() error {
	if m.left.Add(-1) < 0 {
		return errNoAnswer
	}
	return nil
}

// answer is lost now and then.
func (m *mortal) answer() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost.IntN(50) == 0 {
		return errNoAnswer
	}
	return m.step()
}

func (m *mortal) Put(ctx context.Context, key string, value []byte, expected uint64) (uint64, error) {
	if err := m.step(); err != nil {
		return 0, err
	}
	revision, err := m.Store.Put(ctx, key, value, expected)
	return revision, errors.Join(err, m.answer())
}

// messages are the outbox of a mortal: of what it stores at once it may have stored a part.
type messages struct{ *mortal }

func (m messages) Put(ctx context.Context, all []told.Message) error {
	for _, one := range all {
		if err := m.step(); err != nil {
			return err
		}
		if err := errors.Join(m.outbox.Put(ctx, []told.Message{one}), m.answer()); err != nil {
			return err
		}
	}
	return nil
}

// stored are all messages of the stream, in its order.
func (s *site) stored() (all []told.Message) {
	s.t.Helper()
	from, err := s.link.JetStream().Stream(s.t.Context(), "FORAGER_FEEDBACK")
	must(s.t, err)
	for sequence := from.CachedInfo().State.FirstSeq; sequence > 0 && sequence <= from.CachedInfo().State.LastSeq; sequence++ {
		raw, err := from.GetMsg(s.t.Context(), sequence)
		must(s.t, err)
		var m told.Message
		must(s.t, json.Unmarshal(raw.Data, &m))
		all = append(all, m)
	}
	return all
}

// TestTwoWorkersTellEachAlertOnceWhateverDies: on a real stream and bucket, with workers that die at any step and answers
// that are lost, each alert hears states of its case in their order, none twice in a row, and at last how it ended.
func TestTwoWorkersTellEachAlertOnceWhateverDies(t *testing.T) {
	t.Parallel()
	s, chance := newSite(t), rand.New(rand.NewPCG(19, 5))
	verdicts := []told.State{{}, {Closed: true, Status: "TruePositive"}, {Closed: true, Status: "FalsePositive"}}
	cases, kills := []string{"~1", "~2", "~3"}, 0
	for _, id := range cases {
		s.join(id)
	}
	for range 120 {
		id := cases[chance.IntN(len(cases))]
		if s.set(id, verdicts[chance.IntN(len(verdicts))]); chance.IntN(6) == 0 {
			s.join(id)
		}
		var both conc.WaitGroup
		for range 2 {
			m := &mortal{Store: s.ledger, outbox: s.outbox, lost: rand.New(rand.NewPCG(chance.Uint64(), 1))}
			m.left.Store(chance.Int64N(24))
			both.Go(func() { _, _ = s.tracker(m, messages{m}).Look(t.Context(), id) })
			kills++
		}
		both.Wait()
	}
	clean := s.tracker(s.ledger, s.outbox)
	for _, id := range cases {
		_, err := clean.Look(t.Context(), id)
		must(t, err)
	}
	sent, known := s.stored(), map[string]bool{}
	heard := map[string][]told.State{}
	for _, m := range sent {
		if known[m.ID] {
			t.Errorf("stored twice: %+v", m)
		}
		known[m.ID] = true
		heard[m.Alert.ID] = append(heard[m.Alert.ID], told.State{Closed: m.Event == told.EventClosed, Status: m.Verdict})
	}
	for _, id := range cases {
		for i := range s.alerts[id] {
			s.right(id, append([]told.State{{}}, heard[fmt.Sprintf("%s/%d", id, i)]...))
		}
	}
	t.Logf("%d messages after %d looks of workers that died or lost answers", len(sent), kills)
}

// right holds what an alert heard to what became of its case.
func (s *site) right(id string, heard []told.State) {
	s.t.Helper()
	if len(slices.Compact(slices.Clone(heard))) != len(heard) {
		s.t.Errorf("%s: heard twice: %v", id, heard)
	}
	rest := s.history[id]
	if heard[len(heard)-1] != rest[len(rest)-1] {
		s.t.Errorf("%s: heard %v last, and the case is %v", id, heard[len(heard)-1], rest[len(rest)-1])
	}
	for _, h := range heard {
		i := slices.Index(rest, h)
		if i < 0 {
			s.t.Errorf("%s: heard %v of %v", id, heard, s.history[id])
			return
		}
		rest = rest[i:]
	}
}

func TestAMessageIsStoredOnceOnASubjectThatSaysWhose(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := told.Message{Schema: told.Schema, ID: "00112233445566778899aabbccddeeff", Event: told.EventClosed, Verdict: "TruePositive",
		Alert: told.Alert{Source: "trend micro.v1", ID: "x>*. y"}, Case: told.Case{Number: 42}}
	var anew, again int
	o := options
	o.Stored = func(_ told.Event, first bool) {
		if first {
			anew++
		} else {
			again++
		}
	}
	outbox, err := feedback.New(s.link, o)
	must(t, err)
	must(t, outbox.Ensure(t.Context()))
	for range 3 {
		must(t, outbox.Put(t.Context(), []told.Message{m}))
	}
	from, err := s.link.JetStream().Stream(t.Context(), "FORAGER_FEEDBACK")
	must(t, err)
	raw, err := from.GetMsg(t.Context(), 1)
	must(t, err)
	if want := "forager.feedback.trend_micro_v1.42." + m.ID; raw.Subject != want || from.CachedInfo().State.Msgs != 1 || anew != 1 || again != 2 {
		t.Errorf("%s, want %s; %d stored, %d anew, %d again", raw.Subject, want, from.CachedInfo().State.Msgs, anew, again)
	}
}

// TestAMessageIsKnownBySubject: also when the server has forgotten the ids of messages, which it does within hours.
func TestAMessageIsKnownBySubject(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	m := told.Message{Schema: told.Schema, ID: "00112233445566778899aabbccddeeff", Alert: told.Alert{Source: "elastic", ID: "a"}}
	body, err := json.Marshal(m)
	must(t, err)
	_, err = s.link.JetStream().Publish(t.Context(), "forager.feedback.elastic.0."+m.ID, body) // without its id
	must(t, err)
	must(t, s.outbox.Put(t.Context(), []told.Message{m}))
	if n := len(s.stored()); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

func TestASourceReadsItsOwnInOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 250 {
		source := []string{"elastic", "wazuh"}[i%2]
		must(t, s.outbox.Put(t.Context(), []told.Message{{Schema: told.Schema, ID: fmt.Sprintf("%032d", i), Turn: i, Alert: told.Alert{Source: source, ID: "a"}}}))
	}
	_, err := s.link.JetStream().Publish(t.Context(), "forager.feedback.elastic.1.x", []byte("{}"))
	must(t, err)
	reading := feedback.Reading{Stream: "FORAGER_FEEDBACK", Subject: options.OfSource("elastic"), Consumer: "elastic"}
	turns, broken := []int{}, 0
	for len(turns) < 125 || broken == 0 {
		r := feedback.NewReader(s.connect(), reading) // each time another process
		must(t, r.Open(t.Context()))
		got, unreadable, err := r.Take(t.Context())
		must(t, err)
		for _, m := range got.Messages {
			turns = append(turns, m.Turn)
		}
		broken += unreadable
		got.Working()
		must(t, got.Done(t.Context()))
	}
	if !slices.IsSorted(turns) || len(slices.Compact(turns)) != 125 || broken != 1 {
		t.Errorf("%d unreadable; read %v", broken, turns)
	}
}

func TestImpossibleNamesAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []feedback.Options{{}, {Subject: "a.>"}, {Subject: "a b"}, {Subject: "a", Stream: "a.b"}} {
		if _, err := feedback.New(nil, o); !errors.Is(err, stream.ErrTopology) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
