package pipeline

import "time"

// recent remembers how the last hundred settlements of a sender ended.
type recent struct {
	reasons []string // a ring; "" for a success
	next    int
	counts  map[string]int
}

const recentLength = 100

func newRecent() recent {
	return recent{counts: map[string]int{}}
}

// add counts a settlement and returns how many of the last hundred had its reason.
func (r *recent) add(reason string) int {
	if len(r.reasons) < recentLength {
		r.reasons = append(r.reasons, reason)
	} else {
		r.forget(r.reasons[r.next])
		r.reasons[r.next] = reason
		r.next = (r.next + 1) % recentLength
	}
	if reason != "" {
		r.counts[reason]++
	}
	return r.counts[reason]
}

// length is how many settlements are remembered.
func (r *recent) length() int { return len(r.reasons) }

func (r *recent) forget(reason string) {
	if reason == "" {
		return
	}
	if r.counts[reason]--; r.counts[reason] == 0 {
		delete(r.counts, reason)
	}
}

// streak counts failures without a success between them.
type streak struct {
	length int
	queues map[string]struct{}
	asked  time.Time
	every  time.Duration // so often TheHive may be asked
}

// A streak that long, over so many queues, is no matter of single messages. Where TheHive can be
// asked, it is asked at the first failure, and now and then while they go on: no more often than a message is
// tried again.
const (
	streakLength = 20
	streakQueues = 3
	streakAsk    = 5 * time.Second
)

func newStreak(every time.Duration) streak {
	return streak{queues: map[string]struct{}{}, every: every}
}

// add counts a failure; ask says that TheHive should be asked, and lost that nothing but TheHive
// can be the cause.
func (s *streak) add(queue string, now time.Time) (ask, lost bool) {
	s.length++
	ask = now.Sub(s.asked) >= s.every
	if ask {
		s.asked = now
	}
	if len(s.queues) < streakQueues {
		s.queues[queue] = struct{}{}
	}
	return ask, s.length >= streakLength && len(s.queues) >= streakQueues
}
