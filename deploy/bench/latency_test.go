//go:build bench && linux

package bench

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"forager/hive"
	"forager/hive/hivetest"
)

// probeRoute is the call that probes make; workers make it only before they are ready and when
// applies fail.
const probeRoute = "GET /api/v1/user/current"

// lowLoad is what one call takes when it is alone, through the worker's own client: the median.
func lowLoad(t *testing.T, built programs) time.Duration {
	t.Helper()
	s := newScene(t, built, manners{Latency: latency})
	client := s.client(t)
	var all []time.Duration
	for range 40 {
		took, err := timed(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, took)
	}
	return median(all)
}

// probe makes one call after the other until the returned function is called, which tells the
// mean of what they took: with it, calls in flight ÷ latency is a rate.
func (s *scene) probe(t *testing.T, wanted bool) (stop func() time.Duration) {
	t.Helper()
	if !wanted {
		return func() time.Duration { return 0 }
	}
	client := s.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	var probing conc.WaitGroup
	var all []time.Duration
	probing.Go(func() {
		for ctx.Err() == nil {
			if took, err := timed(ctx, client); err == nil {
				all = append(all, took)
			}
		}
	})
	return func() time.Duration {
		cancel()
		probing.Wait()
		return mean(all)
	}
}

func (s *scene) client(t *testing.T) *hive.Client {
	t.Helper()
	client, err := hive.New(hive.Options{URL: s.hiveURL, APIKey: hivetest.DefaultAPIKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	return client
}

func timed(ctx context.Context, client *hive.Client) (time.Duration, error) {
	began := time.Now()
	_, err := client.CurrentUser(ctx)
	return time.Since(began), err
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func mean(all []time.Duration) (sum time.Duration) {
	for _, took := range all {
		sum += took
	}
	return sum / time.Duration(max(len(all), 1))
}
