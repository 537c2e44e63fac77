package simulation

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"

	"forager/hive"
	"forager/hive/hivetest"
)

// play is one run of a schedule.
type play struct {
	*world

	plan  schedule
	book  *book
	shift int
	begun time.Time // the shift
	later []later   // what ends faults and brings replicas back

	garbled  map[string]int        // what must become dead letters, and how often it was sent
	since    []forwarded           // since NATS' store was copied
	cut      uint64                // the last message that the copy has
	beside   conc.WaitGroup        // replays
	failed   atomic.Pointer[error] // one of them, for good
	newest   map[int][]byte        // the last event of a host
	told     []string              // what happened, in order
	done     map[kind]int          // what really happened
	findings []string
	heard    int           // lines of the replicas that were judged
	troubles int           // of replicas and NATS, that go on
	rest     time.Duration // the longest that it took to come to rest after a shift
	used     time.Duration // and then until what an analyzer said was used
}

// later is something to be done at a time.
type later struct {
	at time.Time
	do func() error
}

func (p *play) found(format string, args ...any) {
	p.findings = append(p.findings, fmt.Sprintf("shift %d: ", p.shift)+fmt.Sprintf(format, args...))
}

func (p *play) tell(format string, args ...any) {
	p.told = append(p.told, fmt.Sprintf("%d %9s ", p.shift, time.Since(p.begun).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// run lives through all shifts.
func (p *play) run(ctx context.Context) error {
	for n, s := range p.plan.Shifts {
		p.shift, p.begun = n, time.Now()
		p.book.begin()
		p.newest = map[int][]byte{}
		for _, e := range s {
			if err := p.until(p.begun.Add(e.At)); err != nil {
				return err
			}
			if err := p.happen(ctx, e); err != nil {
				return fmt.Errorf("%s: %w", e, err)
			}
		}
		if err := p.until(time.Time{}); err != nil {
			return err
		}
		if !p.comesToRest(ctx) {
			return nil
		}
		p.analysed()
		<-time.After(quietAfter)
		p.judge(ctx)
		if len(p.findings) > 0 {
			return nil
		}
		if n < len(p.plan.Shifts)-1 {
			<-time.After(time.Until(p.begun.Add(shiftLong + betweenTwo)))
		}
	}
	return nil
}

// until waits for a time, and does what is due before; the zero time is when nothing is due any more.
func (p *play) until(at time.Time) error {
	for {
		slices.SortStableFunc(p.later, func(a, b later) int { return a.at.Compare(b.at) })
		if len(p.later) == 0 || !at.IsZero() && p.later[0].at.After(at) {
			break
		}
		next := p.later[0]
		p.later = p.later[1:]
		<-time.After(time.Until(next.at))
		if err := next.do(); err != nil {
			return err
		}
	}
	if !at.IsZero() {
		<-time.After(time.Until(at))
	}
	return nil
}

func (p *play) after(d time.Duration, do func() error) {
	p.later = append(p.later, later{time.Now().Add(d), do})
}

// happen makes an event happen.
func (p *play) happen(ctx context.Context, e event) error {
	p.done[e.Kind]++
	switch e.Kind {
	case detects, batches, repeats, garbles, chatters:
		return p.forward(ctx, e)
	case closes, merges, deletes, removes, restricts:
		return p.act(ctx, e)
	case saves, rolls:
		return p.back(ctx, e)
	case replays:
		return p.replay(ctx, e)
	case hangs, stalls, cuts, kills, restarts, reboots, reloads:
		return p.trouble(ctx, e)
	default:
		p.tell("%s", e)
		over := p.begin(e)
		p.after(e.For, func() error { over(); return nil })
		return nil
	}
}

// forward publishes something.
func (p *play) forward(ctx context.Context, e event) error {
	at := time.Now().Truncate(time.Millisecond).Add(-e.Late)
	var body []byte
	switch e.Kind {
	case detects:
		d := p.book.saw(e, at)
		body = e.body(at, d.ip)
		p.newest[e.Who] = body
	case batches:
		body = p.batch(e, at)
		p.newest[e.Who] = body
	case repeats:
		if body = p.newest[e.Who]; body == nil {
			return nil
		}
	case garbles:
		body = garbled(len(p.garbled))
	default:
		body = chatter(at)
	}
	if e.Kind == garbles {
		p.garbled[string(body)]++
	}
	sequence, err := p.publish(ctx, body)
	if p.saved != "" {
		p.since = append(p.since, forwarded{body, sequence})
	}
	p.tell("%s (message %d)", e, sequence)
	return err
}

// batch is many detections in one message.
func (p *play) batch(e event, at time.Time) []byte {
	var all []json.RawMessage
	for n := range e.What {
		one := e
		one.What, one.Which, one.ID = n, e.Which+n, fmt.Sprintf("%s-%d", e.ID, n)
		all = append(all, one.body(at, p.book.saw(one, at).ip))
	}
	return toJSON(all)
}

// trouble is what befalls replicas and NATS.
func (p *play) trouble(ctx context.Context, e event) error {
	p.tell("%s", e)
	p.disturb(true)
	p.troubles++
	p.after(2*e.For+time.Minute, func() error {
		if p.troubles--; p.troubles == 0 {
			p.disturb(false)
		}
		return nil
	})
	r := p.replicas[e.Who%len(p.replicas)]
	switch e.Kind {
	case hangs, stalls:
		w := r.nats
		if e.Kind == stalls {
			w = r.hive
		}
		w.hang()
		p.after(e.For, func() error { w.thaw(); return nil })
	case cuts:
		r.nats.cut()
		r.hive.cut()
	case kills, restarts:
		if !r.lives() {
			return nil
		}
		if e.Kind == kills {
			r.kill()
		} else if err := r.stop(); err != nil {
			p.found("replica %d did not stop in order: %v", r.number, err)
		}
		p.after(e.For, func() error { return r.start(ctx) })
	case reboots:
		return p.reboot(e.For, nil)
	default:
		r.rules = e.What
		select {
		case r.hangup <- os.Interrupt:
		default:
		}
	}
	return nil
}

func (r *replica) lives() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end != nil
}

// act is what analysts do, with what there is at this moment.
func (p *play) act(ctx context.Context, e event) error {
	return p.quietly(func() error {
		one, ok := p.caseOf(e.Who)
		if !ok {
			return nil
		}
		switch e.Kind {
		case closes:
			status, end := "TruePositive", hive.MillisOf(time.Now())
			if err := p.analyst.UpdateCase(ctx, fmt.Sprint(one.Number), hive.CaseUpdate{Status: &status, EndDate: &end}); err != nil {
				return err
			}
			p.tell("%s: case %d", e, one.Number)
			p.book.close(e.Who, time.Now())
		case deletes:
			if err := p.analyst.DeleteCase(ctx, fmt.Sprint(one.Number)); err != nil {
				return err
			}
			p.tell("%s: case %d", e, one.Number)
			p.book.remove(e.Who, len(p.later) == 0)
		case merges:
			return p.merge(ctx, e, one)
		case restricts:
			return p.restrict(ctx, e, one)
		default:
			return p.removeItem(ctx, e, one)
		}
		return nil
	})
}

func (p *play) merge(ctx context.Context, e event, one hivetest.Case) error {
	two, ok := p.caseOf(e.What)
	if !ok || two.Number == one.Number {
		return nil
	}
	var ids []string
	for _, c := range []hivetest.Case{one, two} {
		found, err := p.analyst.Case(ctx, fmt.Sprint(c.Number))
		if err != nil {
			return err
		}
		ids = append(ids, found.ID)
	}
	merged, err := p.analyst.MergeCases(ctx, ids...)
	if err != nil {
		return err
	}
	p.tell("%s: cases %d and %d become %d", e, one.Number, two.Number, merged.Number)
	p.book.merge(e.Who, e.What)
	return nil
}

// removeItem removes an indicator or a technique that Forager has added.
func (p *play) removeItem(ctx context.Context, e event, one hivetest.Case) error {
	id := fmt.Sprint(one.Number)
	if e.Which%2 == 0 {
		for o, err := range p.analyst.CaseObservables(ctx, id) {
			if err != nil {
				return err
			}
			if o.DataType == "fqdn" {
				p.tell("%s: %s of case %d", e, o.Data, one.Number)
				p.book.take(e.Who, "fqdn "+o.Data)
				return p.analyst.DeleteObservable(ctx, o.ID)
			}
		}
		return nil
	}
	for o, err := range p.analyst.CaseProcedures(ctx, id) {
		if err != nil {
			return err
		}
		if n := procedures(one, o.PatternID); n != 1 {
			return nil // a merge left more than one, of which the others stay
		}
		p.tell("%s: %s of case %d", e, o.PatternID, one.Number)
		p.book.take(e.Who, "procedure "+o.PatternID)
		return p.analyst.DeleteProcedure(ctx, o.ID)
	}
	return nil
}

func procedures(c hivetest.Case, pattern string) (n int) {
	for _, o := range c.Procedures {
		if o.PatternID == pattern {
			n++
		}
	}
	return n
}

// caseOf is the case that a host's detections go to now, if TheHive has it.
func (p *play) caseOf(host int) (hivetest.Case, bool) {
	now := p.book.now(host)
	var newest hivetest.Case
	for _, c := range p.hive.Snapshot().Cases {
		if c.Stage == "Closed" || c.Number < newest.Number {
			continue
		}
		if slices.ContainsFunc(c.Observables, func(o hivetest.Observable) bool { return p.book.at(o.Data, now) }) {
			newest = c
		}
	}
	return newest, newest.Number > 0
}

// Bounds of what follows a shift.
const (
	restWithin = 4 * time.Hour    // so long a shift's messages may take, once all faults are over
	quietAfter = 10 * time.Minute // so long after the last message its digest is written, even that of a case that was found without one
)

// comesToRest waits until every message is settled, and tells whether that came about.
func (p *play) comesToRest(ctx context.Context) bool {
	begun := time.Now()
	p.beside.Wait()
	if failed := p.failed.Swap(nil); failed != nil {
		p.found("a replay failed: %v", *failed)
	}
	var state string
	for time.Since(begun) < restWithin {
		<-time.After(5 * time.Second)
		c, err := p.link.JetStream().Consumer(ctx, streamName, consumerName)
		if err != nil {
			state = err.Error()
			continue
		}
		info := c.CachedInfo()
		if state = fmt.Sprintf("%d messages wait, %d are not acknowledged", info.NumPending, info.NumAckPending); info.NumPending == 0 && info.NumAckPending == 0 {
			p.rest = max(p.rest, time.Since(begun))
			return true
		}
	}
	p.found("nothing comes to rest within %s: %s", restWithin, state)
	for _, r := range p.replicas {
		ready, why := r.service.Ready()
		p.found("replica %d: ready %t %s", r.number, ready, strings.Join(why, "; "))
	}
	return false
}

// detection is one that was forwarded.
type detection struct {
	event event
	at    time.Time
	ip    string
	shift int
}

// book is what the judge knows: what was forwarded, and which cases that must be.
type book struct {
	shift int
	all   []*detection
	byIP  map[string]*detection
	spans map[int][]*span // of this shift, by host, in their order
}

// span is a case that must be, if anything belongs to it.
type span struct {
	into    *span // that it was merged into; nil: itself
	end     time.Time
	deleted bool
	open    bool // deleted or out of sight, and nobody knows whether that is known in time
	forgot  bool // the ledger went back
	sources int
	taken   map[string]bool
	free    map[string]bool // taken, and whether that is still known is open
}

func newSpan() *span { return &span{sources: 1, taken: map[string]bool{}, free: map[string]bool{}} }

func (s *span) root() *span {
	for s.into != nil {
		s = s.into
	}
	return s
}

func newBook() *book { return &book{shift: -1, byIP: map[string]*detection{}} }

func (b *book) begin() {
	b.shift++
	b.spans = map[int][]*span{}
	for h := range hosts {
		b.spans[h] = []*span{newSpan()}
	}
}

func (b *book) saw(e event, at time.Time) *detection {
	d := &detection{event: e, at: at, ip: address(len(b.all)), shift: b.shift}
	b.all = append(b.all, d)
	b.byIP[d.ip] = d
	return d
}

// now is the span that a detection of this moment belongs to.
func (b *book) now(host int) *span { return b.spans[host][len(b.spans[host])-1].root() }

// of is the span of a detection: the first that has not ended before it.
func (b *book) of(d *detection) *span {
	all := b.spans[d.event.Who]
	for _, s := range all {
		if r := s.root(); r.end.IsZero() || d.at.UnixMilli() <= r.end.UnixMilli() {
			return r
		}
	}
	return all[len(all)-1].root()
}

// at tells whether a value is that of a detection of a span.
func (b *book) at(value string, s *span) bool {
	d := b.byIP[value]
	return d != nil && d.shift == b.shift && b.of(d) == s
}

func (b *book) close(host int, at time.Time) {
	s := b.now(host)
	s.end = at
	for h := range hosts {
		if b.now(h) == s {
			b.spans[h] = append(b.spans[h], newSpan())
		}
	}
}

func (b *book) merge(one, two int) {
	a, z := b.now(one), b.now(two)
	z.into = a
	a.sources += z.sources
	a.taken = map[string]bool{} // the other may have had it
}

// remove notes a deletion. Where a fault is about, the document that says so may come after the next detection, for which a
// new case is then opened.
func (b *book) remove(host int, told bool) {
	s := b.now(host)
	s.deleted, s.open = true, s.open || !told
}

func (b *book) take(host int, item string) { b.now(host).taken[item] = true }

// hostsOf names the hosts of a span, for people.
func (b *book) hostsOf(s *span) string {
	var all []string
	for h := range hosts {
		for i, one := range b.spans[h] {
			if one.root() == s {
				all = append(all, fmt.Sprintf("host%d/%d", h, i))
			}
		}
	}
	return cmp.Or(strings.Join(all, "+"), "nobody")
}
