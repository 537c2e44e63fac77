package workertest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Patience is how long a test waits for something that is certain to come, with the race detector and beside others, too.
const Patience = 3 * time.Minute

// Must ends a test that cannot go on.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// FreeAddress is one that nobody listens on, for now.
func FreeAddress(ctx context.Context) (string, error) {
	var listening net.ListenConfig
	l, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Root is the folder that holds go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the working directory", err)
	return ""
}

// pause is how often a condition is looked at that is waited for.
const pause = 10 * time.Millisecond

// Eventually looks until something holds that is certain to come, and gives up after [patience]
// with the words of those who know how things stand.
func Eventually(t testing.TB, what string, holds func() bool, stands ...func() string) {
	t.Helper()
	late := time.NewTimer(Patience)
	defer late.Stop()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late.C:
			said := []string{"waited in vain for " + what}
			for _, f := range stands {
				said = append(said, f())
			}
			t.Fatal(strings.Join(said, "; "))
		case <-t.Context().Done():
			t.Fatal("the test ends, and waits for " + what)
		}
	}
}
