package hive_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"forager/hive"
)

// script is a transport that plays answers in order, the last one for ever.
type script struct {
	steps []step
	times []time.Time
}

type step struct {
	status int
	header http.Header
	body   string
	err    error
}

func (s *script) RoundTrip(*http.Request) (*http.Response, error) {
	at := s.steps[min(len(s.times), len(s.steps)-1)]
	s.times = append(s.times, time.Now())
	if at.err != nil {
		return nil, at.err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(header, at.header)
	return &http.Response{StatusCode: at.status, Header: header, Body: io.NopCloser(strings.NewReader(at.body))}, nil
}

// play runs calls against a script in virtual time.
func play(t *testing.T, steps []step, run func(context.Context, *hive.Client, *script)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: steps}
		run(t.Context(), newClient(t, hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: s}), s)
	})
}

var (
	errRefused = &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	okAnswer   = step{status: 201, body: `{"_id":"~1"}`}
)

// own is an answer with TheHive's own error.
func own(status int, kind string) step {
	return step{status: status, body: `{"type":"` + kind + `","message":"no"}`}
}

// busyFor is TheHive's own 429 that asks for a pause.
func busyFor(pause string) step {
	s := own(429, "TooManyRequests")
	s.header = after(pause)
	return s
}

func after(seconds string) http.Header { return http.Header{"Retry-After": {seconds}} }

func create(ctx context.Context, c *hive.Client) error {
	_, err := c.CreateCase(ctx, hive.NewCase{Title: "T"})
	return err
}

func TestWritesAreSentAgainOnlyWhenRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		first    step
		attempts int
	}{
		{"429 of a proxy", step{status: 429}, 1},
		{"503 of a proxy", step{status: 503, body: "<html>"}, 1},
		{"429 of TheHive", own(429, "TooManyRequests"), 2},
		{"503 of TheHive", own(503, "Unavailable"), 2},
		{"503 that names nobody behind", step{status: 503, body: "no available server\n"}, 2},
		{"connection refused", step{err: errRefused}, 2},
		{"429 with a short pause", busyFor("1"), 2},
		{"429 with a long pause", busyFor("3"), 1},
		{"503 of a proxy that lost the connection", step{status: 503, body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination"}, 1},
		{"503 of a proxy that found none", step{status: 503, body: "upstream connect error or disconnect/reset before headers. reset reason: connection failure"}, 2},
		{"400", step{status: 400}, 1}, {"401", step{status: 401}, 1}, {"403", step{status: 403}, 1}, {"404", step{status: 404}, 1},
		{"413", step{status: 413}, 1}, {"500", step{status: 500}, 1}, {"502", step{status: 502}, 1}, {"504", step{status: 504}, 1},
		{"500 of TheHive", step{status: 500, body: `{"type":"InternalError","message":"x"}`}, 1},
		{"redirect", step{status: 302, header: http.Header{"Location": {"https://evil.test/x?y"}}}, 1},
		{"201 of somebody else", step{status: 201, body: `{}`}, 1},
		{"unknown host", step{err: &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			play(t, []step{c.first, okAnswer}, func(ctx context.Context, client *hive.Client, s *script) {
				err := create(ctx, client)
				if len(s.times) != c.attempts || (err == nil) != (c.attempts == 2) {
					t.Errorf("%d attempts, want %d; error %v", len(s.times), c.attempts, err)
				}
				if e, ok := errors.AsType[*hive.Error](err); ok && strings.Contains(e.Error(), "evil.test/x") {
					t.Errorf("path of a redirect shown: %v", err)
				}
			})
		})
	}
}

func TestRefusedWriteGivesUpWithinTwoSecondsAndSixAttempts(t *testing.T) {
	t.Parallel()
	for range 20 {
		play(t, []step{own(503, "Unavailable")}, func(ctx context.Context, c *hive.Client, s *script) {
			start := time.Now()
			err := create(ctx, c)
			e, ok := errors.AsType[*hive.Error](err)
			if !ok || e.Status != 503 || !e.Refused() {
				t.Errorf("error %v", err)
			}
			if took := time.Since(start); took > 2*time.Second || len(s.times) > 6 || len(s.times) < 4 {
				t.Errorf("%d attempts in %s", len(s.times), took)
			}
		})
	}
}

func TestRetryAfterIsHonouredAndReported(t *testing.T) {
	t.Parallel()
	play(t, []step{busyFor("1"), okAnswer}, func(ctx context.Context, c *hive.Client, s *script) {
		if err := create(ctx, c); err != nil {
			t.Fatal(err)
		}
		if gap := s.times[1].Sub(s.times[0]); gap < time.Second {
			t.Errorf("sent again after %s", gap)
		}
	})
	play(t, []step{{status: 429, header: after("120")}}, func(ctx context.Context, c *hive.Client, _ *script) {
		if e, ok := errors.AsType[*hive.Error](create(ctx, c)); !ok || e.RetryAfter != 2*time.Minute {
			t.Errorf("error %+v", e)
		}
	})
	play(t, []step{{status: 429, header: after("Sat, 01 Jan 2000 00:02:00 GMT")}}, func(ctx context.Context, c *hive.Client, _ *script) {
		// virtual time begins at 2000-01-01
		if e, ok := errors.AsType[*hive.Error](create(ctx, c)); !ok || e.RetryAfter != 2*time.Minute {
			t.Errorf("error %+v", e)
		}
	})
}

func TestRetryAfterThatIsNonsenseIsNoPause(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"-1", "soon", "1e9", "0x10", "+5", "Sat, 01 Jan 1990 00:00:00 GMT", "\x00"} {
		play(t, []step{busyFor(v), okAnswer}, func(ctx context.Context, c *hive.Client, _ *script) {
			start := time.Now()
			if err := create(ctx, c); err != nil || time.Since(start) > time.Second {
				t.Errorf("%q: %v after %s", v, err, time.Since(start))
			}
		})
	}
}

func TestReadsAreTriedThreeTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		step     step
		attempts int
	}{
		{"429", step{status: 429}, 3}, {"500", step{status: 500}, 3}, {"502", step{status: 502}, 3}, {"503", step{status: 503}, 3},
		{"504", step{status: 504}, 3}, {"network", step{err: io.ErrUnexpectedEOF}, 3}, {"cut list", step{status: 200, body: `[{"_id":"~1"},{"_`}, 3},
		{"400 of a proxy", step{status: 400}, 3}, {"401 of a proxy", step{status: 401}, 1}, {"403 of a proxy", step{status: 403}, 3}, {"404 of a proxy", step{status: 404, body: "no route"}, 3},
		{"400", own(400, "BadRequest"), 1}, {"401", own(401, "AuthenticationError"), 1}, {"403", own(403, "AuthorizationError"), 1}, {"404", own(404, "NotFoundError"), 1},
		{"a page", step{status: 200, body: "<html>"}, 3},
		{"redirect", step{status: 307}, 1}, {"a long pause", step{status: 503, header: after("60")}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			play(t, []step{c.step}, func(ctx context.Context, client *hive.Client, s *script) {
				_, err := collect(client.FindCases(ctx, hive.Query{}))
				if len(s.times) != c.attempts || err == nil {
					t.Errorf("%d attempts, want %d; error %v", len(s.times), c.attempts, err)
				}
			})
		})
	}
}

func TestPauseEndsWithItsContextAndKeepsTheServersAnswer(t *testing.T) {
	t.Parallel()
	play(t, []step{busyFor("1")}, func(ctx context.Context, c *hive.Client, s *script) {
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		start := time.Now()
		e, ok := errors.AsType[*hive.Error](create(short, c))
		if !ok || e.Status != 429 || len(s.times) != 1 || time.Since(start) >= 500*time.Millisecond {
			t.Errorf("%d attempts, error %v after %s: a pause past the deadline is not begun", len(s.times), e, time.Since(start))
		}
	})
}

func TestGuardIsAskedAgainBeforeEveryAttempt(t *testing.T) {
	t.Parallel()
	lost := errors.New("claim lost")
	play(t, []step{own(503, "Unavailable")}, func(ctx context.Context, c *hive.Client, s *script) {
		err := create(hive.WithGuard(ctx, func() error {
			if len(s.times) == 2 {
				return lost
			}
			return nil
		}), c)
		if !errors.Is(err, lost) || len(s.times) != 2 {
			t.Errorf("%d attempts, error %v", len(s.times), err)
		}
	})
}

func TestCallsBeyondConcurrencyWaitAndLeaveWithTheirContext(t *testing.T) {
	t.Parallel()
	enter, leave := make(chan struct{}), make(chan struct{})
	c, log := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		enter <- struct{}{}
		<-leave
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"_id":"~1"}`)
	}, func(o *hive.Options) { o.Concurrency = 1 })
	first := make(chan error, 1)
	group(t, func() {
		_, err := c.Case(t.Context(), "1")
		first <- err
	})
	<-enter
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("shutting down")
	cancel(reason)
	_, err := c.CreateCase(ctx, hive.NewCase{Title: "T"})
	if e, ok := errors.AsType[*hive.Error](err); !ok || !e.Refused() || !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if n := len(log.all()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// roundTrip is a transport that answers 200 with what a function makes of the
// request's body.
type roundTrip func(body string) string

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(f(string(body))))}, nil
}

// recorder is a transport that hands the request on and says "created".
type recorder func(seen)

func (f recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	f(seen{Method: r.Method, Path: r.URL.Path, Body: string(body), Header: r.Header})
	return &http.Response{StatusCode: 201, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader("[" + observableJSON + "]"))}, nil
}
