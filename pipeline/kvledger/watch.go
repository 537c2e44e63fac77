package kvledger

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich/claim"
)

var _ claim.Watcher = (*Ledger)(nil)

// Watch tells of the entries whose keys begin with a prefix, and then of every change, in the order in
// which the bucket's stream has them, until the context ends. The prefix ends with a dot, and no dot
// follows in the keys. The client makes the consumer behind it anew when the connection or its server
// was lost. It needs the permissions of Keys.
//
// Errors: of the context; [claim.ErrUnreachable].
func (l *Ledger) Watch(ctx context.Context, prefix string, each func(key string, value []byte, revision uint64)) error {
	kv, err := l.bind(ctx)
	if err != nil {
		return l.failed(ctx, "watch", prefix, err)
	}
	watcher, err := kv.Watch(ctx, prefix+"*")
	if err != nil {
		return l.failed(ctx, "watch", prefix, err)
	}
	defer func() { _ = watcher.Stop() }() // what is left over ends with the connection
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("ledger watch %s: %w", prefix, ctx.Err())
		case entry, open := <-watcher.Updates():
			if !open {
				return fmt.Errorf("ledger watch %s: %w: the watch ended", prefix, claim.ErrUnreachable)
			}
			if entry != nil { // nil says that all entries of the beginning were told
				tell(entry, each)
			}
		}
	}
}

// tell tells of one entry; one that was removed has no value.
func tell(entry jetstream.KeyValueEntry, each func(key string, value []byte, revision uint64)) {
	if entry.Operation() != jetstream.KeyValuePut {
		each(decodeKey(entry.Key()), nil, 0)
		return
	}
	each(decodeKey(entry.Key()), entry.Value(), entry.Revision())
}
