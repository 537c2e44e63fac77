package history_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"forager/pipeline/history"
)

// TestAbreastWorksAllAndTellsInOrder, what came before an error, too.
func TestAbreastWorksAllAndTellsInOrder(t *testing.T) {
	t.Parallel()
	torn := errors.New("torn")
	for _, end := range []error{nil, torn} {
		read := func(_ context.Context, each func(history.Message) error) error {
			for n := range uint64(1000) {
				if err := each(history.Message{Sequence: n}); err != nil {
					return err
				}
			}
			return end
		}
		var worked atomic.Int64
		var told []uint64
		err := history.Abreast(t.Context(), read, func(all []history.Message) func() {
			worked.Add(int64(len(all)))
			return func() {
				for _, m := range all {
					told = append(told, m.Sequence)
				}
			}
		})
		if !errors.Is(err, end) || worked.Load() != 1000 || len(told) != 1000 {
			t.Fatalf("%v, %d worked, %d told", err, worked.Load(), len(told))
		}
		for n, sequence := range told {
			if sequence != uint64(n) {
				t.Fatalf("message %d was told at place %d", sequence, n)
			}
		}
	}
}

func TestAbreastStopsReadingWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	reads := 0
	err := history.Abreast(ctx, func(_ context.Context, each func(history.Message) error) error {
		for {
			reads++
			if err := each(history.Message{}); err != nil {
				return err
			}
		}
	}, func([]history.Message) func() { return func() {} })
	if !errors.Is(err, context.Canceled) || reads != 1 {
		t.Errorf("%v after %d", err, reads)
	}
}
