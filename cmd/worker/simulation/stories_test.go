package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// stories are courses of events that the protocol was made for, and that chance alone seldom plays: each takes some minutes,
// on two hosts of its own. They come one after the other.
var stories = []func(*teller){frozen, dying, unclear, unheard, joining}

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
		first = t.hosts[1] + 1
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
	e.Kind, e.ID = detects, fmt.Sprintf("%s-%d", t.name, t.ids)
	t.add(after, e)
}

// frozen: a replica hears nothing of NATS for longer than a lease, while its calls take long; others take over what it held.
func frozen(t *teller) {
	t.add(0, event{Kind: slows, Much: 2.5 + 1.5*t.rng.Float64(), For: 150 * time.Second})
	t.burst(12+t.rng.IntN(20), time.Second, 40*time.Second)
	for r := range 1 + t.rng.IntN(t.replicas-1) {
		t.add(t.between(2*time.Second, 20*time.Second), event{Kind: hangs, Who: r, For: t.between(50*time.Second, 90*time.Second)})
	}
	t.burst(6+t.rng.IntN(8), 40*time.Second, 110*time.Second)
}

// dying: writes take effect long after they were sent, and who sent them is gone: later than others may take over what it held,
// and sooner than settle.
func dying(t *teller) {
	t.add(0, event{Kind: commits, Much: 0.5 + t.rng.Float64()/2, Late: t.between(14*time.Second, 22*time.Second), For: 70 * time.Second})
	t.burst(8+t.rng.IntN(10), 0, 25*time.Second)
	for r := range 1 + t.rng.IntN(t.replicas-1) {
		t.add(t.between(time.Second, 25*time.Second), event{Kind: kills, Who: r, For: t.between(20*time.Second, time.Minute)})
	}
	t.burst(6+t.rng.IntN(8), 15*time.Second, 70*time.Second)
}

// unclear: writes take effect after their callers gave up, and nobody dies: the next one may be another replica.
func unclear(t *teller) {
	t.add(0, event{Kind: commits, Much: 0.4 + t.rng.Float64()/2, Late: t.between(12*time.Second, 22*time.Second), For: t.between(30*time.Second, 70*time.Second)})
	t.burst(14+t.rng.IntN(16), 0, 70*time.Second)
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
