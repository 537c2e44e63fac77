package replay

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// lookAtLive asks how much waits for the live consumer. Where there is none, nothing does; where
// it cannot be asked, what was known stays.
func (s *source) lookAtLive(ctx context.Context) {
	info, err := s.info(ctx, s.live)
	switch {
	case stream.IsMissing(err):
		s.ahead.Store(0)
	case err == nil:
		s.ahead.Store(info.NumPending)
		s.idle.see(info, time.Now())
	}
}

// idleAfter is how long nobody may ask for messages of the live consumer before that is said. A
// worker asks anew every few seconds; one that is full, or whose gate is closed, does not.
const idleAfter = time.Minute

// idle watches whether anybody works for the live consumer. One goroutine looks.
type idle struct {
	delivered, floor uint64    // of the last look
	since            time.Time // of the first look in a row that saw nobody; zero: the last one saw somebody
	long             atomic.Bool
}

// see takes in what the server says of the live consumer.
func (i *idle) see(info *jetstream.ConsumerInfo, now time.Time) {
	quiet := info.NumWaiting == 0 && info.Delivered.Consumer == i.delivered && info.AckFloor.Consumer == i.floor
	i.delivered, i.floor = info.Delivered.Consumer, info.AckFloor.Consumer
	switch {
	case !quiet:
		i.since = time.Time{}
	case i.since.IsZero():
		i.since = now
	}
	i.long.Store(!i.since.IsZero() && now.Sub(i.since) >= idleAfter)
}

// yields tells that live traffic waits, so that the replay takes nothing more.
func (s *source) yields() bool { return s.ahead.Load() > s.most }

// Allow is how many messages may be pulled, of those that there is room for: none while live
// traffic waits, few at a time, and no more than the rate allows. It waits for the rate.
func (s *source) Allow(ctx context.Context, room int) int {
	if room <= 0 {
		return room
	}
	if s.yields() {
		return 0
	}
	room = min(room, s.quantum)
	if s.over.Load() {
		// Only what went back is left: as much as that may be pulled once a look. The server
		// delivers it first, and then what is beyond the end.
		return min(room, int(s.owed.Swap(0)))
	}
	if s.limiter == nil {
		return room
	}
	if s.limiter.Wait(ctx) != nil {
		return 0
	}
	more := min(room-1, int(s.limiter.Tokens()))
	if more > 0 && s.limiter.AllowN(time.Now(), more) {
		return 1 + more
	}
	return 1
}

// Beyond takes a message out of the way that the replay does not span. To acknowledge it means
// nothing to anybody else: the consumer is the replay's own.
func (s *source) Beyond(msg jetstream.Msg) bool {
	meta, err := msg.Metadata()
	if err != nil || meta.Sequence.Stream <= s.span.Last {
		return false
	}
	s.over.Store(true)
	_ = msg.Ack()
	return true
}
