package hive_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/hive"
	"forager/hive/throttle"
)

// slowly is a transport that takes its time over every write, and obeys its context.
type slowly struct {
	takes time.Duration
	calls atomic.Int32
	sender
}

func (s *slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls.Add(1)
	select {
	case <-time.After(s.takes):
		return s.sender.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// TestTheWaitForASlotIsNotTheCallsTime: limit 2, 32 comments of a second, two seconds for each.
func TestTheWaitForASlotIsNotTheCallsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowly{takes: time.Second, sender: sender{201, "application/json", `{"_id":"~1"}`}}
		c := newClient(t, hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: s, Timeout: 2 * time.Second, Concurrency: 32, Throttle: throttle.New(2)})
		var wg conc.WaitGroup
		for range 32 {
			wg.Go(func() {
				if _, err := c.AddComment(t.Context(), "~1", "m"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s.calls.Load() != 32 {
			t.Errorf("%d calls", s.calls.Load())
		}
	})
}

// TestRefusedCredentialsAreTriedInMinutesOrWhenTheyChange: two clients of one account are one to a ban.
func TestRefusedCredentialsAreTriedInMinutesOrWhenTheyChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var key atomic.Value
		key.Store("old-key-of-the-account")
		s := &slowly{sender: sender{401, "application/json", `{"type":"AuthenticationError","message":"Authentication failure"}`}}
		both := throttle.New(4)
		clients := []*hive.Client{}
		for range 2 {
			clients = append(clients, newClient(t, hive.Options{
				URL: "http://hive.test", Secret: func() string { s, _ := key.Load().(string); return s }, Transport: s, Throttle: both,
			}))
		}
		for n := range 3600 {
			err := readCase(t.Context(), clients[n%2])
			e, ok := errors.AsType[*hive.Error](err)
			if !ok || e.Verdict() != hive.Unauthenticated && (!errors.Is(err, hive.ErrCredentials) || e.Sent || !e.Refused()) {
				t.Fatalf("%v", err)
			}
			<-time.After(time.Second)
		}
		if n := s.calls.Load(); n < 4 || n > 12 {
			t.Errorf("%d tries in an hour, want one in minutes and fewer than five in twenty", n)
		}
		s.sender = sender{200, "application/json", `{"_id":"~1"}`}
		key.Store("new-key-of-the-account")
		for _, c := range clients {
			if err := readCase(t.Context(), c); err != nil {
				t.Errorf("a new key waits: %v", err)
			}
		}
	})
}

// TestAFirewallsRefusalsAreNoOutage: what answers is not down; what says that nothing answers is.
func TestAFirewallsRefusalsAreNoOutage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sender
		opens bool
	}{
		"firewall": {sender{403, "text/html", "<html>"}, false},
		"portal":   {sender{200, "text/html", "<html>"}, false},
		"gateway":  {sender{502, "text/html", "<html>"}, true},
		"balancer": {sender{503, "", ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				opened := false
				client := newClient(t, hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: c.sender})
				for range 20 {
					opened = opened || errors.Is(create(context.WithoutCancel(t.Context()), client), hive.ErrUnavailable)
				}
				if opened != c.opens {
					t.Errorf("opened %t", opened)
				}
			})
		})
	}
}
