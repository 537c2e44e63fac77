package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// stories are courses of events that the protocol was made for, and that chance alone seldom plays: each takes some minutes,
// on two hosts of its own, or more. They come one after the other.
var stories = []func(*teller){frozen, crowded, dying, leaving, unheard, joining, restricted, merged, replayed, rolled}

// teller writes the stories of a shift.
type teller struct {
	rng      *rand.Rand
	replicas int
	name     string
	hosts    []int         // of the present story
	now      time.Duration // when it begins
	told     shift
	ids      int
}

// newStories is a shift of stories. A deletion comes first: it is judged where no fault is about.
func newStories(rng *rand.Rand, n, replicas int) shift {
	t := &teller{rng: rng, replicas: replicas, name: fmt.Sprint("t", n), now: 10 * time.Second}
	t.tell(deleted)
	for t.now < shiftLong-10*time.Minute && len(t.hosts) > 0 {
		t.tell(stories[rng.IntN(len(stories))])
	}
	return t.told
}

// tell adds one, on the next hosts, and a while in which its faults end.
func (t *teller) tell(story func(*teller)) {
	first := 0
	if len(t.hosts) > 0 {
		first = t.hosts[len(t.hosts)-1] + 1
	}
	if t.hosts = nil; first+1 >= hosts {
		return
	}
	t.hosts = []int{first, first + 1}
	begin := t.now
	story(t)
	last := begin
	for _, e := range t.told {
		last = max(last, e.At+e.For)
	}
	t.now = last + t.between(time.Minute, 3*time.Minute)
}

func (t *teller) between(least, most time.Duration) time.Duration {
	return (least + time.Duration(t.rng.Int64N(int64(most-least)))).Truncate(time.Millisecond)
}

func (t *teller) add(after time.Duration, e event) {
	e.At = t.now + max(after, 0)
	t.told = append(t.told, e)
}

// burst is detections of both hosts within a time.
func (t *teller) burst(n int, begin, end time.Duration) {
	for range n {
		t.detect(t.between(begin, end), event{Who: t.hosts[t.rng.IntN(2)], What: t.rng.IntN(5), Which: t.rng.IntN(24), Form: t.rng.IntN(forms)})
	}
}

func (t *teller) detect(after time.Duration, e event) {
	t.ids++
	e.Kind, e.ID = cmp.Or(e.Kind, detects), fmt.Sprintf("%s-%d", t.name, t.ids)
	t.add(after, e)
}

// frozen: a replica hears nothing of NATS for longer than lease and settle, in the middle of an apply of many comments, whose calls take
// nearly as long as they may; others are given its message, take over what it held, and write the same.
func frozen(t *teller) {
	who := t.hosts[0]
	t.detect(0, event{Who: who, Which: t.rng.IntN(24)})
	t.add(5*time.Second, event{Kind: slows, Much: 6 + 2*t.rng.Float64(), For: 5 * time.Minute})
	t.detect(10*time.Second, event{Kind: batches, Who: who, What: 12 + t.rng.IntN(4), Which: t.rng.IntN(24)})
	t.burst(2+t.rng.IntN(4), 14*time.Second, 3*time.Minute)
	for r := range t.replicas {
		if r == 0 || t.rng.IntN(2) == 0 {
			t.add(t.between(50*time.Second, 80*time.Second), event{Kind: hangs, Who: r, For: t.between(110*time.Second, 150*time.Second)})
		}
	}
}

// crowded: calls take nearly as long as they may, so that those of many hosts wait for each other, longest where a replica makes one at a
// time. While they wait, that replica hears nothing of NATS, and others take over.
func crowded(t *teller) {
	for next := t.hosts[1] + 1; next < hosts && len(t.hosts) < 6; next++ {
		t.hosts = append(t.hosts, next)
	}
	t.add(0, event{Kind: slows, Much: 6 + 3*t.rng.Float64(), For: 150 * time.Second})
	for _, h := range t.hosts {
		for rule := range 3 {
			t.detect(t.between(time.Second, 8*time.Second), event{Who: h, What: rule, Which: t.rng.IntN(24), Form: t.rng.IntN(forms)})
		}
	}
	t.add(t.between(12*time.Second, 30*time.Second), event{Kind: hangs, Who: 0, For: t.between(90*time.Second, 140*time.Second)})
}

// late lets writes take effect long after they were sent: later than others may take over what their sender held, and sooner
// than settle. The first detections of two hosts are on their way then, or more of hosts that are known: what is written of those
// says that nothing is on its way, until somebody writes what will be.
func (t *teller) late() {
	if t.rng.IntN(2) == 0 {
		t.known()
	}
	t.add(0, event{Kind: commits, Much: 0.7 + 0.3*t.rng.Float64(), Late: t.between(16*time.Second, 24*time.Second), For: 50 * time.Second})
	for range 2 {
		for _, h := range t.hosts {
			t.detect(t.between(0, 500*time.Millisecond), event{Who: h, What: t.rng.IntN(5), Which: t.rng.IntN(24), Form: t.rng.IntN(forms)})
		}
	}
	t.burst(8+t.rng.IntN(8), 2*time.Second, 40*time.Second)
}

// known lets a case of both hosts come about before the story goes on; some are closed again.
func (t *teller) known() {
	for _, h := range t.hosts {
		t.detect(t.between(0, time.Second), event{Who: h, Form: t.rng.IntN(forms)})
		if t.rng.IntN(2) == 0 {
			t.add(t.between(20*time.Second, 25*time.Second), event{Kind: closes, Who: h})
		}
	}
	t.now += 30 * time.Second
}

// dying: who sent them is gone, and says nothing.
func dying(t *teller) {
	t.late()
	for r := range 1 + t.rng.IntN(t.replicas-1) {
		t.add(t.between(600*time.Millisecond, 4*time.Second), event{Kind: kills, Who: r, For: t.between(20*time.Second, time.Minute)})
	}
	if t.rng.IntN(2) == 0 {
		t.add(t.between(10*time.Second, 30*time.Second), event{Kind: kills, Who: t.replicas - 1, For: t.between(5*time.Second, 20*time.Second)})
	}
}

// leaving: who sent them is told to stop: it gives up what it held, and says what it does not know.
func leaving(t *teller) {
	t.late()
	for r := range 1 + t.rng.IntN(t.replicas) {
		t.add(t.between(600*time.Millisecond, 6*time.Second)+time.Duration(r)*5*time.Second, event{Kind: restarts, Who: r, For: t.between(time.Second, 5*time.Second)})
	}
}

// unheard: an analyst removes something, and no document says so; answers are lost, so that a later look tells it. Then a
// detection names it again.
func unheard(t *teller) {
	which, who := t.rng.IntN(24), t.hosts[0]
	for range 1 + t.rng.IntN(2) {
		t.detect(t.between(0, 5*time.Second), event{Who: who, What: t.rng.IntN(5), Which: which})
	}
	t.add(40*time.Second, event{Kind: deafens, For: 3 * time.Minute})
	t.add(t.between(45*time.Second, 60*time.Second), event{Kind: removes, Who: who, Which: t.rng.IntN(2)})
	t.add(65*time.Second, event{Kind: loses, Who: t.rng.IntN(3), Much: 0.5 + t.rng.Float64()/2, For: 40 * time.Second})
	for range 3 + t.rng.IntN(5) {
		t.detect(t.between(66*time.Second, 2*time.Minute), event{Who: who, What: t.rng.IntN(5), Which: which + 1 + t.rng.IntN(2), Form: t.rng.IntN(forms)})
	}
	for range 1 + t.rng.IntN(3) {
		t.detect(t.between(150*time.Second, 200*time.Second), event{Who: who, What: t.rng.IntN(5), Which: which})
	}
}

// deleted: an analyst deletes a case, and detections come that belong to it.
func deleted(t *teller) {
	t.burst(3+t.rng.IntN(6), 0, 20*time.Second)
	t.add(t.between(60*time.Second, 90*time.Second), event{Kind: deletes, Who: t.hosts[0]})
	for range 2 + t.rng.IntN(3) {
		late := time.Duration(0)
		if t.rng.IntN(2) == 0 {
			late = t.between(time.Second, 50*time.Second)
		}
		t.detect(t.between(92*time.Second, 200*time.Second), event{Who: t.hosts[0], What: t.rng.IntN(5), Which: t.rng.IntN(24), Form: t.rng.IntN(forms), Late: late})
	}
}

// joining: more detections of one host come than an apply takes, to several replicas, which wait for each other.
func joining(t *teller) {
	t.add(0, event{Kind: slows, Much: 0.3 + t.rng.Float64(), For: 45 * time.Second})
	t.burst(30+t.rng.IntN(30), 0, t.between(5*time.Second, 20*time.Second))
}

// restricted: an analyst closes a case to the worker's account, and opens it again; detections come all the while.
func restricted(t *teller) {
	t.burst(3+t.rng.IntN(6), 0, 20*time.Second)
	t.add(t.between(60*time.Second, 80*time.Second), event{Kind: restricts, Who: t.hosts[0], For: t.between(time.Minute, 3*time.Minute)})
	t.burst(4+t.rng.IntN(6), 80*time.Second, 330*time.Second)
}

// merged: an analyst merges the cases of both hosts, which no document may say, and detections of both come.
func merged(t *teller) {
	for _, h := range t.hosts {
		t.detect(t.between(0, 5*time.Second), event{Who: h, What: t.rng.IntN(5), Which: t.rng.IntN(24), Form: t.rng.IntN(forms)})
	}
	t.burst(t.rng.IntN(6), 5*time.Second, 20*time.Second)
	if t.rng.IntN(2) == 0 {
		t.add(45*time.Second, event{Kind: deafens, For: time.Minute})
	}
	t.add(t.between(50*time.Second, time.Minute), event{Kind: merges, Who: t.hosts[0], What: t.hosts[1]})
	t.burst(4+t.rng.IntN(6), 62*time.Second, 3*time.Minute)
}

// replayed: all of the shift is carried again while new detections come, and a replica dies.
func replayed(t *teller) {
	t.burst(4+t.rng.IntN(6), 0, 20*time.Second)
	t.add(t.between(25*time.Second, 50*time.Second), event{Kind: replays})
	t.burst(10+t.rng.IntN(10), 20*time.Second, 70*time.Second)
	if t.rng.IntN(2) == 0 {
		t.add(t.between(30*time.Second, 60*time.Second), event{Kind: kills, Who: t.rng.IntN(t.replicas), For: t.between(10*time.Second, 40*time.Second)})
	}
}

// rolled: NATS loses what it had confirmed. Whoever forwarded it does so again, as the incident asks for.
func rolled(t *teller) {
	t.burst(3+t.rng.IntN(6), 0, 20*time.Second)
	t.add(40*time.Second, event{Kind: saves, For: time.Second})
	t.burst(3+t.rng.IntN(12), 50*time.Second, 90*time.Second)
	t.add(t.between(100*time.Second, 110*time.Second), event{Kind: rolls, What: t.rng.IntN(3), For: t.between(time.Second, 20*time.Second)})
	t.burst(3+t.rng.IntN(6), 3*time.Minute, 4*time.Minute)
}
