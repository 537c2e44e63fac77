package intake

import (
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// sender is a source, and what it has in hand.
type sender struct {
	*Source
	share
}

// share is what one source, or all who are not known yet together, may have in hand.
type share struct {
	rate     *rate.Limiter // nil: no limit
	requests *semaphore.Weighted
	bytes    *semaphore.Weighted
}

// newShare has half of the bytes, so that one source cannot hold up all others.
func newShare(o Options, perSecond int) share {
	s := share{requests: semaphore.NewWeighted(int64(o.MaxInFlight)), bytes: semaphore.NewWeighted(max(o.MaxBytesHeld/2, o.MaxBody))}
	if perSecond > 0 {
		s.rate = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
	return s
}

// admit lets one request in; leave ends it.
func (s *share) admit() (leave func(), refused *problem) {
	if s.rate != nil && !s.rate.Allow() {
		return nil, tooManyRequests("more requests a second than the source may send")
	}
	if !s.requests.TryAcquire(1) {
		return nil, tooManyRequests("more requests at a time than the source may send")
	}
	return func() { s.requests.Release(1) }, nil
}

// reserve sets room for a body aside, of the source's share and of the whole.
func (h *Handler) reserve(s *share, n int64) (release func(), refused *problem) {
	if !s.bytes.TryAcquire(n) {
		return nil, busy("the source has too many bytes in hand")
	}
	if !h.bytes.TryAcquire(n) {
		s.bytes.Release(n)
		return nil, busy("too many bytes in hand")
	}
	return func() {
		h.bytes.Release(n)
		s.bytes.Release(n)
	}, nil
}
