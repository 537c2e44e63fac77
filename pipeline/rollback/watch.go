package rollback

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"forager/pipeline/stream"
)

// Ledger is the memory of all replicas. Errors are those of [claim.Store].
type Ledger interface {
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	Put(ctx context.Context, key string, value []byte, expected uint64) (revision uint64, err error)
	// Reached is the highest revision that this process knows of, and the lowest that a write of it got although a
	// higher one was known; 0 is none.
	Reached() (highest, back uint64)
	// Distrust says that the ledger went back, to a revision: for a while an entry that is missing means nothing.
	Distrust(last uint64)
}

// Options says what is watched. Zero values are replaced by the defaults named with each field.
type Options struct {
	Topology stream.Topology // the stream, its consumer, and the ledger's bucket
	File     string          // beside the worker, for rollbacks of stream and ledger at once; empty is none
	Every    time.Duration   // between looks, 3 s
	Log      *zap.Logger     // nil is silence
}

// Standing is how long an incident is told of after it was noticed.
const Standing = 24 * time.Hour

// lookWithin bounds one look.
const lookWithin = 5 * time.Second

// holdsFor is how many looks in a row see a condition before it is told.
const holdsFor = 3

// Watch looks at intervals whether stream or ledger went back. It is safe for concurrent use; Look and Run are for one
// goroutine.
type Watch struct {
	link    *stream.Link
	ledger  Ledger
	options Options
	blind   atomic.Bool // single messages may not be read
	begun   bool        // the file was read
	floor   uint64
	bucket  End
	entry   uint64 // revision of the ledger's entry, as seen last
	record  Record // the entry, as seen or written last
	filed   Record
	rests   int // looks in a row that read neither consumer nor entry

	delivered uint64       // what the consumer had reached, as seen last
	held      map[Kind]int // for how many looks a condition holds, where it does

	mu         sync.Mutex
	end        End // as seen last
	high       End // of what was settled here since
	reconnects uint64
	seenBy     uint64 // reconnects before the last look
	pauses     []pause
	reused     uint64 // the lowest sequence that a message had that is younger than the look that saw it used
	incidents  []Incident
	conditions []Incident
}

// New makes a watch. It makes no call.
func New(link *stream.Link, ledger Ledger, o Options) *Watch {
	o.Topology, o.Every, o.Log = o.Topology.WithDefaults(), cmp.Or(o.Every, 3*time.Second), cmp.Or(o.Log, zap.NewNop())
	w := &Watch{link: link, ledger: ledger, options: o, held: map[Kind]int{}}
	link.Tolerate(w.reads())
	return w
}

// Settled notes that the stream held a message. It costs a comparison.
func (w *Watch) Settled(sequence uint64, stored time.Time) {
	reconnects := w.link.Conn().Stats().Reconnects
	w.mu.Lock()
	defer w.mu.Unlock()
	if reconnects != w.reconnects { // what was stored before the server was away is looked at, however short that was
		w.reconnects = reconnects
		w.keep(math.MaxInt64)
	}
	switch {
	case sequence > max(w.high.Last, w.end.Last) && !stored.Before(w.end.Seen):
		w.pause(stored)
		w.high = End{Made: w.end.Made, Last: sequence, Stored: stored.UTC()}
	case sequence <= w.end.Last && stored.After(w.end.Seen.Add(clocksApart)) && (w.reused == 0 || sequence < w.reused):
		w.reused = sequence
	}
}

// pause keeps what were the last messages before the longest times without one: a server that comes back has been away,
// and what it stored since could hide what it lost. The worker may have heard nothing of that, as where another server leads the stream.
func (w *Watch) pause(stored time.Time) {
	if gap := stored.Sub(w.furthest().Stored); gap >= leastPause {
		w.keep(gap)
	}
}

// furthest is the end that is known to reach furthest.
func (w *Watch) furthest() End {
	if w.high.Last == 0 {
		return w.end
	}
	return w.high
}

// keep keeps where the stream ends now, as it was before so long a time without a message.
func (w *Watch) keep(gap time.Duration) {
	from := w.furthest()
	if from.Last == 0 {
		return
	}
	w.pauses = append(w.pauses, pause{gap, from})
	slices.SortFunc(w.pauses, func(a, b pause) int { return cmp.Compare(b.gap, a.gap) })
	w.pauses = w.pauses[:min(len(w.pauses), mostPauses)]
}

// pause is a time without a message, and where the stream ended then.
type pause struct {
	gap time.Duration
	end End
}

// mostPauses are kept between two looks; each costs a look one reading.
const mostPauses = 8

// leastPause is shorter than a server can be away.
const leastPause = 5 * time.Millisecond

// clocksApart is how far the clocks of the servers of one stream may be apart.
const clocksApart = 2 * time.Second

// Run looks until ctx ends. That a look failed is told once, until one succeeds.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(w.options.Every)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := w.Look(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			w.options.Log.Info("whether the stream went back cannot be seen now", zap.Error(err))
		}
		failing = err != nil
	}
}

// Look looks once. On an error, of NATS or of the ledger, what was known stays known for the next look.
func (w *Watch) Look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	all, reused := w.known()
	known := all[0]
	highest, put := w.ledger.Reached()
	bucket := w.bucket
	bucket.Last = max(bucket.Last, highest)
	s, err := w.look(ctx)
	if err != nil {
		return err
	}
	record, revision, err := w.recall(ctx, s.idle && len(w.ledgerSince(bucket, s, put)) == 0)
	if err != nil {
		return err
	}
	if record.V > recordVersion {
		return nil // of a later version, which looks itself
	}
	if record.Stream != known {
		all = append(all, record.Stream)
	}
	buckets := []End{bucket}
	if !w.begun {
		w.filed, err = readFile(w.options.File)
		if err != nil {
			return err
		}
		all, buckets = append(all, w.filed.Stream), append(buckets, w.filed.Ledger)
	}
	for _, k := range all {
		found, err := w.streamSince(ctx, k, s)
		if err != nil {
			return err
		}
		s.gone = append(s.gone, found...)
	}
	if w.blind.Load() && reused > 0 && len(s.gone) == 0 {
		s.gone = append(s.gone, Incident{Kind: StreamBack, About: w.options.Topology.Stream, From: reused, To: known.Last, Count: known.Last - reused + 1, Noticed: s.stream.Seen})
	}
	for _, k := range buckets {
		s.gone = append(s.gone, w.ledgerSince(k, s, put)...)
	}
	if revision < w.entry && !slices.ContainsFunc(s.gone, func(i Incident) bool { return i.Kind == LedgerBack || i.Kind == LedgerAnew }) {
		written, err := w.write(ctx, record, revision) // a copy that lags answers reads, and takes no writes
		if err != nil || written == 0 {
			return err
		}
		s.gone = append(s.gone, Incident{Kind: LedgerBack, About: w.options.Topology.Bucket, From: revision + 1, To: bucket.Last, Count: bucket.Last - min(revision, bucket.Last), AtMost: true, Noticed: s.ledger.Seen})
		revision = written
	}
	w.begun = true
	return w.conclude(ctx, s, record, revision)
}

// recall reads the ledger's entry, or remembers it where nothing moved.
func (w *Watch) recall(ctx context.Context, idle bool) (Record, uint64, error) {
	if idle {
		w.rests++
		return w.record, w.entry, nil
	}
	w.rests = 0
	return Read(ctx, w.ledger, w.options.Topology.Stream)
}

// mostRests is how many looks in a row may read neither consumer nor entry: what other replicas noticed is heard of within
// ten seconds.
const mostRests = 2

// idle tells whether nothing can have happened that consumer and entry would show: the stream ends where it ended, the
// entry says so, nothing was settled here, and the connection is the one it was.
func (w *Watch) idle(now End) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	quiet := w.begun && w.rests < mostRests && w.high.Last == 0 && len(w.pauses) == 0 && w.reused == 0 && w.link.Conn().Stats().Reconnects == w.seenBy
	return quiet && len(w.held) == 0 && w.end.same(now) && w.record.Stream.same(now)
}

// known are ends that the stream is known to have had, the furthest first, and the lowest sequence that was used again.
func (w *Watch) known() ([]End, uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := []End{w.end}
	if w.high.Last > w.end.Last && !w.end.Made.IsZero() {
		all[0].Last, all[0].Stored = w.high.Last, w.high.Stored
	}
	for _, p := range w.pauses {
		if p.end.Last >= w.end.Last {
			all = append(all, p.end)
		}
	}
	return all, w.reused
}

// conclude takes over what a look saw, tells what is new, and keeps it for others.
func (w *Watch) conclude(ctx context.Context, s sight, record Record, revision uint64) error {
	before := w.Incidents()
	all := slices.Clone(before)
	for _, i := range slices.Concat(record.Incidents, s.gone) {
		var news bool
		if all, news = add(all, i); news {
			w.tell(i, s)
		}
	}
	all = young(all, s.stream.Seen)
	w.take(s, all)
	var problems []error
	if stale := s.stream.Seen.Sub(record.Stream.Seen) >= w.options.Every; len(s.gone) > 0 || record.Stream.Made.IsZero() || stale && (record.Stream.Last != s.stream.Last || !record.Stream.Stored.Equal(s.stream.Stored)) {
		fresh := Record{V: recordVersion, Stream: s.stream, Incidents: all}
		written, err := w.write(ctx, fresh, revision)
		if written > 0 {
			record = fresh
		}
		revision, problems = max(revision, written), append(problems, err)
	}
	w.entry, w.record = revision, record
	w.bucket = further(End{Made: s.ledger.Made}, s.ledger)
	w.bucket.Last = max(w.bucket.Last, revision)
	filed := Record{V: recordVersion, Stream: s.stream, Ledger: w.bucket, Incidents: all}
	if w.filed.Stream.Last != filed.Stream.Last || w.filed.Ledger.Last != filed.Ledger.Last || len(s.gone) > 0 {
		err := writeFile(w.options.File, filed)
		problems = append(problems, err)
		if err == nil {
			w.filed = filed
		}
	}
	return errors.Join(problems...)
}

// take takes over what a look saw.
func (w *Watch) take(s sight, all []Incident) {
	now := w.conditionsOf(s)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.end = s.stream; len(s.gone) > 0 || w.high.Last <= s.stream.Last {
		w.high, w.reused = End{}, 0
	}
	w.pauses, w.seenBy = nil, s.reconnects
	w.floor, w.delivered = s.floor, s.delivered
	w.incidents, w.conditions = all, now
}

// conditionsOf are the conditions that hold for several looks.
func (w *Watch) conditionsOf(s sight) (all []Incident) {
	now := w.irregular(s)
	for _, kind := range []Kind{MirrorLags, ConsumerOff} {
		n := slices.IndexFunc(now, func(i Incident) bool { return i.Kind == kind })
		if n < 0 {
			delete(w.held, kind)
			continue
		}
		if w.held[kind]++; w.held[kind] < holdsFor {
			continue
		}
		if w.held[kind] == holdsFor {
			w.options.Log.Error(now[n].String(), zap.String("kind", string(kind)))
		}
		all = append(all, now[n])
	}
	return all
}

// tell tells of an incident, once; of one that another replica told long ago in fewer words. Whoever hears that the
// ledger went back concludes nothing from what it lacks; one that was made anew is young by itself.
func (w *Watch) tell(i Incident, s sight) {
	age := s.stream.Seen.Sub(i.Noticed)
	if i.Kind == LedgerBack && age < heals {
		w.ledger.Distrust(s.ledger.Last)
	}
	log := w.options.Log.Error
	if age > sameWithin {
		log = w.options.Log.Info
	}
	log(i.String(), zap.String("kind", string(i.Kind)), zap.Uint64("from", i.From), zap.Uint64("to", i.To), zap.Uint64("count", i.Count), zap.Time("noticed", i.Noticed))
}

// heals is how long a rollback of the ledger matters to a worker that hears of it from another.
const heals = time.Hour

// Incidents are those of the last week, oldest first.
func (w *Watch) Incidents() []Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.incidents)
}

// Stands are the incidents of the last day, and what is not as it should be at this moment.
func (w *Watch) Stands() []Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append(Recent(w.incidents, w.end.Seen), w.conditions...)
}

// Recent are the incidents of the last day.
func Recent(all []Incident, now time.Time) []Incident {
	return slices.DeleteFunc(slices.Clone(all), func(i Incident) bool { return now.Sub(i.Noticed) >= Standing })
}

// Notes are what stands and keeps nobody from work, for people.
func (w *Watch) Notes() (notes []string) {
	for _, i := range w.Stands() {
		if i.Kind != ConsumerOff {
			notes = append(notes, i.String())
		}
	}
	return notes
}

// Reasons are why nothing is consumed, or messages would be passed over.
func (w *Watch) Reasons() (reasons []string) {
	for _, i := range w.Stands() {
		if i.Kind == ConsumerOff {
			reasons = append(reasons, i.String())
		}
	}
	return reasons
}
