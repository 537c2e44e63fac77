package hive_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"

	"forager/hive"
	"forager/hive/throttle"
)

// weighing is an object with its id and about so many bytes.
func weighing(bytes int) string {
	return `{"_id":"~1","version":"5.5","message":"` + strings.Repeat("x", bytes) + `"}`
}

func TestAnswersHaveABoundByTheirKind(t *testing.T) {
	t.Parallel()
	comment := func(text string) func(context.Context, *hive.Client) error {
		return func(ctx context.Context, c *hive.Client) error { return second(c.AddComment(ctx, "~1", text)) }
	}
	list := func(ctx context.Context, c *hive.Client) error {
		for _, err := range c.FindCases(ctx, hive.Query{PageSize: 2}) {
			return err
		}
		return nil
	}
	for name, c := range map[string]struct {
		call func(context.Context, *hive.Client) error
		body string
		ok   bool
	}{
		"a case with the longest description": {readCase, `{"_id":"~1","description":"` + strings.Repeat(`\u003c`, hive.MaxText) + `"}`, true},
		"a longer one":                        {readCase, weighing(9 << 20), false},
		"26 MB, a case created":               {create, weighing(26 << 20), false},
		"an ordinary object":                  {func(ctx context.Context, c *hive.Client) error { return second(c.Status(ctx)) }, weighing(1<<20 - 100), true},
		"a large one":                         {func(ctx context.Context, c *hive.Client) error { return second(c.Status(ctx)) }, weighing(1 << 20), false},
		"a short comment":                     {comment("m"), weighing(1<<20 + 100), false},
		"the longest comment, repeated":       {comment(strings.Repeat("x", hive.MaxText)), weighing(hive.MaxText), true},
		"a page":                              {list, "[" + weighing(7<<20) + "]", true},
		"an entity that no page holds":        {list, "[" + weighing(9<<20) + "]", false},
		"empty objects":                       {list, "[" + strings.Repeat("{},", 1<<20) + "{}]", false},
		"fields":                              {readCase, `{"_id":"~1","customFields":[` + strings.Repeat("{},", 1<<16) + "{}]}", false},
		"tags":                                {readCase, `{"_id":"~1","tags":[` + strings.Repeat(`"",`, 1<<20) + `""]}`, false},
		"tags that are a text":                {readCase, `{"_id":"~1","title":"` + strings.Repeat(`{[,\"`, 1<<18) + `"}`, true},
	} {
		err := c.call(t.Context(), newClient(t, hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: sender{200, "application/json", c.body}}))
		if c.ok && err != nil || !c.ok && !errors.Is(err, hive.ErrTooLarge) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	e := answered(t, sender{403, "text/html", strings.Repeat("<html>", 10<<20)}, readCase)
	if e == nil || e.Verdict() != hive.Foreign || !strings.HasPrefix(e.Message, "<html>") {
		t.Errorf("a large error page: %.200v", e)
	}
}

// TestLargeAnswersHaveOneBudgetAndWaitBesideTheirTime: with the budget taken for a minute, calls of two seconds come
// through, small ones at once.
func TestLargeAnswersHaveOneBudgetAndWaitBesideTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := throttle.New(8)
		client := func(body string) *hive.Client {
			return newClient(t, hive.Options{URL: "http://hive.test", APIKey: testKey, Throttle: th, Timeout: 2 * time.Second, Transport: sender{200, "application/json", body}})
		}
		small, large := client(weighing(60<<10)), client(weighing(100<<10))
		done, err := th.Room(t.Context(), throttle.RoomBytes)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var wg conc.WaitGroup
		for range 7 {
			wg.Go(func() {
				if err := readCase(t.Context(), large); err != nil || time.Since(begun) != time.Minute {
					t.Errorf("after %s: %v", time.Since(begun), err)
				}
			})
		}
		synctest.Wait()
		if err := readCase(t.Context(), small); err != nil || time.Since(begun) != 0 {
			t.Errorf("a small one after %s: %v", time.Since(begun), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := readCase(ctx, large); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller who gave up: %v", err)
		}
		<-time.After(time.Until(begun.Add(time.Minute)))
		done()
		wg.Wait()
		if done, err = th.Room(t.Context(), throttle.RoomBytes); err != nil {
			t.Error(err)
		}
		done()
	})
}

// stalled is a body that brings some bytes and then no more, until its request's context ends.
type stalled struct {
	io.Reader
	gone func() error
}

func (s stalled) Read(p []byte) (int, error) {
	if n, err := s.Reader.Read(p); err == nil {
		return n, nil
	}
	return 0, s.gone()
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTheTimeGoesOnWhereItStood: an answer that stops, before or after the wait for room, ends with its time-out.
func TestTheTimeGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 10, 100 << 10, 2 << 20} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			stall := transport(func(r *http.Request) (*http.Response, error) {
				body := io.NopCloser(stalled{strings.NewReader(weighing(n)[:n]), func() error {
					<-r.Context().Done()
					return r.Context().Err()
				}})
				return &http.Response{StatusCode: 201, Header: http.Header{"Content-Type": {"application/json"}}, Body: body, Request: r}, nil
			})
			c := newClient(t, hive.Options{URL: "http://hive.test", APIKey: testKey, Timeout: 2 * time.Second, Transport: stall})
			err := create(t.Context(), c)
			if e, ok := errors.AsType[*hive.Error](err); !ok || !e.Ambiguous() || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				t.Errorf("%d bytes: %v", n, err)
			}
			if took := time.Since(begun); took != 2*time.Second {
				t.Errorf("%d bytes: %s", n, took)
			}
		})
	}
}

// TestAnotherProtocolHasNoAnswer: 101 and bytes without end.
func TestAnotherProtocolHasNoAnswer(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	group(t, func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			for err == nil { // until the client hangs up
				_, err = conn.Write(make([]byte, 1<<16))
			}
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	c := newClient(t, hive.Options{URL: "http://" + l.Addr().String(), APIKey: testKey, Proxy: "direct"})
	for name, err := range map[string]error{"write": create(t.Context(), c), "read": readCase(t.Context(), c)} {
		if e, ok := errors.AsType[*hive.Error](err); !ok || e.Status != 101 || e.Verdict() != hive.Foreign || !e.Ambiguous() {
			t.Errorf("%s: %v", name, err)
		}
	}
}
