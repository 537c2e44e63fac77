package pipeline

import (
	"cmp"
	"sync"
	"time"
)

// returning counts the messages that went back with a delay and will come again: the server
// does not count them as pending, and yet they are backlog. Counts are kept by the time of
// return, so that they vanish by themselves, whoever receives the messages.
type returning struct {
	width time.Duration // of a bucket; 0 is returningBucket

	mu      sync.Mutex
	buckets [returningBuckets]int
	first   int64 // the bucket of now: all before it are zero
}

// Buckets of a quarter of a second cover half a minute, of a second two minutes; later returns
// count at the end of it.
const (
	returningBuckets = 128
	returningBucket  = 250 * time.Millisecond
)

// add counts a message that returns after a delay.
func (r *returning) add(now time.Time, delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	bucket := min(int64(delay/r.wide()), returningBuckets-1)
	r.buckets[(r.first+bucket)%returningBuckets]++
}

// count is how many have still to return.
func (r *returning) count(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now)
	n := 0
	for _, b := range r.buckets {
		n += b
	}
	return n
}

func (r *returning) advance(now time.Time) {
	current := now.UnixNano() / int64(r.wide())
	for range min(current-r.first, returningBuckets) {
		r.buckets[r.first%returningBuckets] = 0
		r.first++
	}
	r.first = current
}

func (r *returning) wide() time.Duration { return cmp.Or(r.width, returningBucket) }
