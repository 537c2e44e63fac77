package kvledger

import (
	"context"
	"fmt"
	"iter"
)

// Keys goes through the keys that have an entry, in no order; an error ends it. It reads no
// values. Entries written meanwhile may be missed. Beside the ledger's other permissions it
// needs to create and delete a consumer on the bucket's stream:
// $JS.API.CONSUMER.CREATE.KV_<bucket>.>, $JS.API.CONSUMER.DELETE.KV_<bucket>.> and $JS.FC.KV_<bucket>.>.
func (l *Ledger) Keys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		kv, err := l.bind(ctx)
		if err != nil {
			yield("", l.failed(ctx, "list", "keys", err))
			return
		}
		lister, err := kv.ListKeys(ctx)
		if err != nil {
			yield("", l.failed(ctx, "list", "keys", err))
			return
		}
		defer func() { _ = lister.Stop() }() // what is left over ends with the connection
		for key := range lister.Keys() {
			if !yield(decodeKey(key), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield("", fmt.Errorf("ledger list keys: %w", err))
		}
	}
}
