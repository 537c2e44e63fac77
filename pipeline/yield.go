package pipeline

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lookAtLive asks how much waits for the live consumer. Where there is none, nothing does; where
// it cannot be asked, what was known stays.
func (b *backfill) lookAtLive(ctx context.Context) {
	info, err := b.info(ctx, b.live)
	switch {
	case isMissing(err):
		b.ahead.Store(0)
	case err == nil:
		b.ahead.Store(info.NumPending)
	}
}

// yields tells that live traffic waits, so that the replay takes nothing more.
func (b *backfill) yields() bool { return b.ahead.Load() > b.most }

// allow is how many messages may be pulled, of those that there is room for: none while live
// traffic waits, few at a time, and no more than the rate allows. It waits for the rate.
func (b *backfill) allow(ctx context.Context, room int) int {
	if b == nil || room <= 0 {
		return room
	}
	if b.yields() {
		return 0
	}
	room = min(room, b.quantum)
	if b.over.Load() {
		// Only what went back is left: as much as that may be pulled once a look. The server
		// delivers it first, and then what is beyond the end.
		return min(room, int(b.owed.Swap(0)))
	}
	if b.limiter == nil {
		return room
	}
	if b.limiter.Wait(ctx) != nil {
		return 0
	}
	more := min(room-1, int(b.limiter.Tokens()))
	if more > 0 && b.limiter.AllowN(time.Now(), more) {
		return 1 + more
	}
	return 1
}

// beyond takes a message out of the way that the replay does not span. To acknowledge it means
// nothing to anybody else: the consumer is the replay's own.
func (b *backfill) beyond(msg jetstream.Msg) bool {
	if b == nil {
		return false
	}
	meta, err := msg.Metadata()
	if err != nil || meta.Sequence.Stream <= b.span.Last {
		return false
	}
	b.over.Store(true)
	_ = msg.Ack()
	return true
}
