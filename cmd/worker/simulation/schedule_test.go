package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// kind is what an event is.
type kind string

// What happens. The figures of an event mean what stands behind its kind.
const (
	detects   kind = "detects"   // a product finds something: who (host), what (rule), which (technique, indicator, severity), late
	batches   kind = "batches"   // a product sends many findings in one message: who, what (so many, each by another rule), which
	repeats   kind = "repeats"   // a forwarder sends its newest event of a host again: who
	garbles   kind = "garbles"   // a forwarder sends what nobody can read
	chatters  kind = "chatters"  // a forwarder sends what is no detection
	closes    kind = "closes"    // an analyst closes the newest case of a host: who
	merges    kind = "merges"    // an analyst merges the newest cases of two hosts: who, what
	deletes   kind = "deletes"   // an analyst deletes the newest case of a host: who
	removes   kind = "removes"   // an analyst removes an indicator or a technique from it: who, which
	refuses   kind = "refuses"   // TheHive refuses a part of the calls: how much, for
	loses     kind = "loses"     // answers to writes are lost after the commit: how much, for
	commits   kind = "commits"   // writes commit after the client has gone: how much, for, late (after so long; 8 s)
	resets    kind = "resets"    // connections are reset before the effect: how much, for
	slows     kind = "slows"     // every call takes long: how much, for
	lags      kind = "lags"      // search shows things late: how much, for
	childlags kind = "childlags" // lists of a case, too: how much, for
	forgets   kind = "forgets"   // search never shows what is written now: for
	lies      kind = "lies"      // answers to writes say something else than was done: how much, for
	restricts kind = "restricts" // an analyst closes the newest case of a host to the worker's account: who, for
	replays   kind = "replays"   // the operator replays all of the shift, beside the live traffic
	saves     kind = "saves"     // NATS stops, its store is copied, and it starts again: for
	rolls     kind = "rolls"     // the same, and what was copied is put back: what (0 the stream, 1 the ledger, 2 both), for
	deafens   kind = "deafens"   // what TheHive tells by its webhook is lost: for
	darkens   kind = "darkens"   // TheHive is not there: for
	hangs     kind = "hangs"     // nothing flows between a replica and NATS: who, for
	stalls    kind = "stalls"    // nothing flows between a replica and TheHive: who, for
	cuts      kind = "cuts"      // a replica loses all its connections: who
	kills     kind = "kills"     // a replica is gone at once, and another comes: who, for
	restarts  kind = "restarts"  // a replica is told to stop, and another comes: who, for
	reboots   kind = "reboots"   // NATS stops and starts again: for
	reloads   kind = "reloads"   // the operator changes the rules: what
)

// event is something that happens at a time of the shift.
type event struct {
	At    time.Duration `json:"at"`
	Kind  kind          `json:"kind"`
	Who   int           `json:"who,omitempty"`
	What  int           `json:"what,omitempty"`
	Which int           `json:"which,omitempty"`
	Late  time.Duration `json:"late,omitempty"`
	For   time.Duration `json:"for,omitempty"`
	Much  float64       `json:"much,omitempty"`
	Form  int           `json:"form,omitempty"` // format of a detection
	ID    string        `json:"id,omitempty"`   // of a detection, for all time
}

func (e event) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%9s %-9s", e.At.Round(time.Millisecond), e.Kind)
	switch e.Kind {
	case detects:
		fmt.Fprintf(&s, " %s on host%d by rule%d, %s, severity %d, form %d", e.ID, e.Who, e.What, techniques[e.Which%len(techniques)], 1+e.Which%4, e.Form)
		if e.Late > 0 {
			fmt.Fprintf(&s, ", %s late", e.Late)
		}
	case batches:
		fmt.Fprintf(&s, " %s of %d on host%d", e.ID, e.What, e.Who)
	case repeats, closes, deletes, restricts:
		fmt.Fprintf(&s, " host%d", e.Who)
	case merges:
		fmt.Fprintf(&s, " host%d and host%d", e.Who, e.What)
	case commits:
		fmt.Fprintf(&s, " after %s", cmp.Or(e.Late, lateBy))
	case removes:
		fmt.Fprintf(&s, " of host%d, choice %d", e.Who, e.Which)
	case hangs, stalls, cuts, kills, restarts:
		fmt.Fprintf(&s, " replica %d", e.Who)
	case reloads:
		fmt.Fprintf(&s, " rules %d", e.What)
	case rolls:
		fmt.Fprintf(&s, " %s", []string{"the stream", "the ledger", "stream and ledger"}[e.What])
	default:
	}
	if e.Much > 0 {
		fmt.Fprintf(&s, " %.2f", e.Much)
	}
	if e.For > 0 {
		fmt.Fprintf(&s, " for %s", e.For)
	}
	return s.String()
}

// shift is a while in which things happen; after it all faults end, and all must come to rest.
type shift []event

// schedule is all that happens in a run. It depends on the seed alone.
type schedule struct {
	Seed     uint64
	Replicas int
	Older    int           // so many of the replicas have other limits of time than the rest, as during an upgrade
	Narrow   int           // so many of the replicas make one call of TheHive at a time
	Analyses bool          // Cortex looks at what is new to a case
	JobTime  time.Duration // of Cortex; 0: a second
	Shifts   []shift
}

// Times of a run. A host's shift is shorter than the window, and two shifts are further apart than two windows: so no
// detection is near the border of a span.
const (
	window     = time.Hour
	shiftLong  = 40 * time.Minute
	mostLate   = 5 * time.Minute
	betweenTwo = 3 * window
	hosts      = 14
	calm       = 9 // of them are heard of at any time; the others in storms alone
)

// techniques are what detections name; the simulated TheHive knows all of them, each with one tactic.
var techniques = []string{"T1059.001", "T1110", "T1105", "T1486", "T1003", "T1566.001"}

// newSchedule makes the schedule of a seed: odd ones have stories, even ones what chance brings.
func newSchedule(seed uint64, shifts int) schedule {
	rng := rand.New(rand.NewPCG(seed, 20))
	s := schedule{Seed: seed, Replicas: 2 + rng.IntN(2), Analyses: seed%3 == 0}
	if rng.IntN(4) == 0 {
		s.Older = 1
	}
	if seed%2 == 1 && rng.IntN(2) == 0 {
		s.Narrow = 1
	}
	for n := range shifts {
		one := newShift
		if seed%2 == 1 {
			one = newStories
		}
		all := one(rng, n, s.Replicas)
		slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.At, b.At) })
		s.Shifts = append(s.Shifts, all)
	}
	return s
}

func newShift(rng *rand.Rand, n, replicas int) shift {
	var all shift
	add := func(e event) {
		e.At = time.Duration(rng.Int64N(int64(shiftLong))).Truncate(time.Millisecond)
		all = append(all, e)
	}
	for i := range 30 + rng.IntN(60) {
		e := event{Kind: detects, Who: rng.IntN(calm), What: rng.IntN(5), Which: rng.IntN(24), Form: rng.IntN(forms), ID: fmt.Sprintf("d%d-%d", n, i)}
		if rng.IntN(8) == 0 {
			e.Late = time.Duration(rng.Int64N(int64(mostLate))).Truncate(time.Millisecond)
		}
		add(e)
	}
	for i := range 1 + rng.IntN(3) {
		all = append(all, newStorm(rng, fmt.Sprintf("s%d-%d", n, i), replicas)...)
	}
	for range rng.IntN(8) {
		add(event{Kind: repeats, Who: rng.IntN(hosts)})
	}
	for range rng.IntN(3) {
		add(event{Kind: garbles})
	}
	for range rng.IntN(3) {
		add(event{Kind: chatters})
	}
	for range rng.IntN(3) {
		add(event{Kind: closes, Who: rng.IntN(hosts)})
	}
	if rng.IntN(3) == 0 {
		a := rng.IntN(hosts)
		add(event{Kind: merges, Who: a, What: (a + 1 + rng.IntN(hosts-1)) % hosts})
	}
	if rng.IntN(4) == 0 {
		add(event{Kind: deletes, Who: rng.IntN(hosts)})
	}
	if rng.IntN(6) == 0 {
		add(event{Kind: replays})
	}
	for range rng.IntN(4) {
		add(event{Kind: removes, Who: rng.IntN(hosts), Which: rng.IntN(24)})
	}
	for range 2 + rng.IntN(8) {
		add(fault(rng, replicas))
	}
	return all
}

// newStorm is when it all comes together: hosts that were not heard of, or were, many times within seconds, and faults
// around it.
func newStorm(rng *rand.Rand, name string, replicas int) (all shift) {
	start := time.Minute + time.Duration(rng.Int64N(int64(shiftLong-3*time.Minute))).Truncate(time.Millisecond)
	within := time.Duration(1+rng.IntN(60)) * time.Second
	moment := func() time.Duration {
		return start + time.Duration(rng.Int64N(int64(within))).Truncate(time.Millisecond)
	}
	some := []int{calm + rng.IntN(hosts-calm), calm + rng.IntN(hosts-calm), rng.IntN(hosts)}
	for i := range 3 + rng.IntN(40) {
		all = append(all, event{
			At: moment(), Kind: detects, Who: some[rng.IntN(len(some))], What: rng.IntN(5), Which: rng.IntN(24), Form: rng.IntN(forms),
			ID: fmt.Sprintf("%s-%d", name, i),
		})
	}
	for range 1 + rng.IntN(4) {
		e := fault(rng, replicas)
		e.At = moment() - time.Duration(rng.IntN(20))*time.Second
		all = append(all, e)
	}
	if rng.IntN(2) == 0 { // what a claim is for: calls take long, answers are lost, and their caller goes silent
		all = append(all,
			event{At: start - time.Second, Kind: slows, Much: 1 + 3*rng.Float64(), For: within + 30*time.Second},
			event{At: start - time.Second, Kind: []kind{loses, commits}[rng.IntN(2)], Who: rng.IntN(3), Much: 0.1 + rng.Float64()/2, For: within + 30*time.Second},
		)
		for range 1 + rng.IntN(3) {
			all = append(all, event{
				At: moment() + time.Second, Kind: []kind{kills, kills, hangs, hangs, stalls, restarts}[rng.IntN(6)], Who: rng.IntN(replicas),
				For: time.Duration(10+rng.IntN(60)) * time.Second,
			})
		}
	}
	for range rng.IntN(3) {
		all = append(all, event{At: moment(), Kind: repeats, Who: some[rng.IntN(len(some))]})
	}
	switch who := some[rng.IntN(len(some))]; rng.IntN(8) {
	case 0:
		all = append(all, event{At: moment(), Kind: closes, Who: who})
	case 1:
		all = append(all, event{At: moment(), Kind: deletes, Who: who})
	case 2:
		all = append(all, event{At: moment(), Kind: merges, Who: who, What: (who + 1 + rng.IntN(hosts-1)) % hosts})
	default:
	}
	return all
}

// fault is one fault, within what the promises allow: see the contract's P2 for commits and lags.
func fault(rng *rand.Rand, replicas int) event {
	seconds := func(from, to int) time.Duration { return time.Duration(from+rng.IntN(to-from)) * time.Second }
	e := event{Who: rng.IntN(replicas), For: seconds(5, 180)}
	switch rng.IntN(15) {
	case 0:
		e.Kind, e.Much = refuses, 0.05+rng.Float64()/2
	case 1, 2:
		e.Kind, e.Much = loses, 0.02+rng.Float64()/3
	case 3:
		e.Kind, e.Much = commits, 0.02+rng.Float64()/5
	case 4:
		e.Kind, e.Much = resets, 0.02+rng.Float64()/4
	case 5:
		e.Kind, e.Much = slows, 1+3*rng.Float64()
	case 6:
		e.Kind, e.Much = lags, 1+7*rng.Float64()
	case 7:
		e.Kind, e.Much = childlags, 1+7*rng.Float64()
	case 8:
		e.Kind = forgets
	case 9:
		e.Kind, e.Much = lies, 0.02+rng.Float64()/5
	case 10:
		e.Kind, e.For = darkens, seconds(5, 300)
	case 11:
		e.Kind, e.For = hangs, seconds(5, 90)
	case 12:
		e.Kind, e.For = stalls, seconds(5, 90)
	case 13:
		e.Kind, e.For = []kind{kills, kills, restarts, cuts}[rng.IntN(4)], seconds(1, 60)
	default:
		e.Kind, e.For = []kind{reboots, reloads}[rng.IntN(2)], seconds(1, 20)
		e.What = rng.IntN(2)
	}
	return e
}
