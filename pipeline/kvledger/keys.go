package kvledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Record is an entry, and how long ago it was written, by the server's clock.
type Record struct {
	Key   string
	Value []byte
	Age   time.Duration
}

// Written goes through the entries whose key begins with a prefix that ends in a dot; an error ends it. Entries
// that are removed meanwhile are left out. It needs what Keys needs.
func (l *Ledger) Written(ctx context.Context, prefix string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		kv, now, err := l.bindAt(ctx)
		if err != nil {
			yield(Record{}, l.failed(ctx, "read", prefix, err))
			return
		}
		asked := time.Now()
		lister, err := kv.ListKeysFiltered(ctx, encodeKey(strings.TrimSuffix(prefix, "."))+".>")
		if err != nil {
			yield(Record{}, l.failed(ctx, "read", prefix, err))
			return
		}
		defer func() { _ = lister.Stop() }() // what is left over ends with the connection
		for key := range lister.Keys() {
			entry, err := kv.Get(ctx, key)
			if errors.Is(err, jetstream.ErrKeyNotFound) {
				continue
			}
			if err != nil {
				yield(Record{}, l.failed(ctx, "read", decodeKey(key), err))
				return
			}
			age := max(now.Add(time.Since(asked)).Sub(entry.Created()), 0)
			if !yield(Record{decodeKey(key), entry.Value(), age}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Record{}, fmt.Errorf("ledger read %s: %w", prefix, err))
		}
	}
}

// bindAt binds the bucket, and gives the server's time.
func (l *Ledger) bindAt(ctx context.Context) (jetstream.KeyValue, time.Time, error) {
	kv, err := l.bind(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	made, age, _, err := l.age(ctx)
	return kv, made.Add(age), err
}

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
