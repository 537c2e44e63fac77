package hivetest_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
)

// wait runs f beside the test and waits for it at the test's end.
func wait(t testing.TB, f func()) {
	t.Helper()
	var group conc.WaitGroup
	group.Go(f)
	t.Cleanup(group.Wait)
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func canceled(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// pass lets virtual time go by, in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }
