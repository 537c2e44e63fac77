package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// maxMerges bounds how often a change of a record meets a faster one.
const maxMerges = 32

// ReadRecord reads a record; without one it is zero, at revision 0.
//
// Errors: [ErrUnreachable]; of JSON, where the record is of other types.
func ReadRecord[T any](ctx context.Context, l Store, key string) (T, uint64, error) {
	var body T
	value, revision, err := l.Get(ctx, key)
	if errors.Is(err, ErrNoEntry) {
		return body, 0, nil
	}
	if err != nil {
		return body, 0, fmt.Errorf("%w: read %s: %w", ErrUnreachable, key, err)
	}
	if err := json.Unmarshal(value, &body); err != nil {
		return body, 0, fmt.Errorf("read %s: %w", key, err)
	}
	return body, revision, nil
}

// ChangeRecord changes a record: a small entry that nobody claims, since anybody may change it by
// compare-and-set. The change tells whether there is one, and is asked again after
// a conflict; its error ends the matter. An answer that was lost may leave the change made: who
// calls must bear that it is made twice.
//
// Errors: of the change, as it is; [ErrUnreachable]; [ErrConflict] after 32 changes by others in a row;
// that of [Ended].
func ChangeRecord[T any](ctx context.Context, l Store, key string, change func(*T) (bool, error)) error {
	for try := range maxMerges {
		body, revision, err := ReadRecord[T](ctx, l, key)
		if err != nil {
			return err
		}
		if changed, err := change(&body); err != nil || !changed {
			return err
		}
		value, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("write %s: %w", key, err)
		}
		_, err = l.Put(ctx, key, value, revision)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return fmt.Errorf("%w: write %s: %w", ErrUnreachable, key, err)
		}
		if err := Wait(ctx, between(0, time.Duration(try)*time.Millisecond)); err != nil {
			return err
		}
	}
	return fmt.Errorf("write %s: %w", key, ErrConflict)
}
