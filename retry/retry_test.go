package retry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPausesDoubleUpToTheLast(t *testing.T) {
	b := Backoff{First: time.Second, Last: 5 * time.Second}
	for n, want := range map[int]time.Duration{-1: 1, 0: 1, 1: 1, 2: 2, 3: 4, 4: 5, 5: 5, 1 << 40: 5} {
		if got := b.After(n, 0.5); got != want*time.Second {
			t.Errorf("after %d failures %v, want %ds", n, got, want)
		}
	}
	var pause time.Duration
	for _, want := range []time.Duration{1, 2, 4, 5, 5} {
		if pause = b.Longer(pause); pause != want*time.Second {
			t.Errorf("%v, want %ds", pause, want)
		}
	}
}

func TestPausesAreSpreadByHalf(t *testing.T) {
	b := Backoff{First: time.Second, Last: time.Minute}
	if got := b.After(2, 0); got != time.Second {
		t.Errorf("the shortest pause of 2s is %v", got)
	}
	if got := b.After(2, 0.999); got < 2900*time.Millisecond || got >= 3*time.Second {
		t.Errorf("the longest pause of 2s is %v", got)
	}
	if got := b.After(9, 0.999); got < 89*time.Second || got >= 90*time.Second {
		t.Errorf("the longest pause of 1m is %v", got)
	}
	seen := map[time.Duration]bool{}
	for range 100 {
		p := b.Pauses()
		for _, base := range []time.Duration{1, 2, 4} {
			got := p.Next()
			seen[got] = true
			if got < base*time.Second/2 || got > base*time.Second*3/2 {
				t.Fatalf("%v, want %ds, half less to half more", got, base)
			}
		}
		p.Reset()
		if got := p.Next(); got > 1500*time.Millisecond {
			t.Fatalf("%v after a reset", got)
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d different pauses of 300", len(seen))
	}
}

func TestJitterSpreadsByAFifth(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		got := Jitter(10 * time.Second)
		least, most = min(least, got), max(most, got)
	}
	if least < 8*time.Second || least > 9*time.Second || most > 12*time.Second || most < 11*time.Second {
		t.Errorf("from %v to %v, want 8s to 12s", least, most)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		waited := func(want bool, got bool, took time.Duration) {
			t.Helper()
			if got != want || time.Since(began) != took {
				t.Errorf("%v after %v, want %v after %v", got, time.Since(began), want, took)
			}
			began = time.Now()
		}
		waited(true, Wait(t.Context(), time.Second), time.Second)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		waited(false, Wait(ctx, time.Minute), time.Second)
		waited(false, Wait(ctx, 0), 0)

		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		waited(false, Wait(short, time.Second), 0) // it would end just then
		waited(true, Wait(short, time.Second-1), time.Second-1)

		p := Backoff{First: time.Second, Last: time.Second}.Pauses()
		if !p.Wait(t.Context()) || time.Since(began) < time.Second/2 {
			t.Errorf("waited for %v", time.Since(began))
		}
	})
}
