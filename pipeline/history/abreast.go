package history

import (
	"context"
	"runtime"

	"github.com/sourcegraph/conc/stream"
)

// batch is how many messages are worked together.
const batch = 128

// Abreast works what read gives on all processors, in batches. work is called for several batches at a time; what it returns is called one
// after the other, in the order of the messages. The error is read's, after all that was read is worked; a panic in work is the caller's.
func Abreast(ctx context.Context, read func(context.Context, func(Message) error) error, work func([]Message) (done func())) error {
	working := stream.New().WithMaxGoroutines(2 * runtime.GOMAXPROCS(0))
	var waiting []Message
	flush := func() {
		all := waiting
		waiting = make([]Message, 0, batch)
		working.Go(func() stream.Callback { return work(all) })
	}
	err := read(ctx, func(m Message) error {
		if waiting = append(waiting, m); len(waiting) == batch {
			flush()
		}
		return ctx.Err()
	})
	flush()
	working.Wait()
	return err
}
