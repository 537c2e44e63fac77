package hive_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/hive"
)

// listening is a transport that notes what its requests are for, and refuses them all.
type listening struct{ heard []hive.Attempt }

func (l *listening) RoundTrip(r *http.Request) (*http.Response, error) {
	a, _ := hive.AttemptOf(r.Context())
	l.heard = append(l.heard, a)
	return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Request: r}, nil
}

func TestATransportLearnsWhatARequestIsFor(t *testing.T) {
	l := &listening{}
	c := newClient(t, hive.Options{URL: "http://127.0.0.1:1", APIKey: testKey, Transport: l})
	if _, err := c.Case(t.Context(), "~1"); err == nil {
		t.Error("a refusal is no error")
	}
	if _, err := c.Download(t.Context(), "~1", "~2"); err == nil {
		t.Error("a refusal is no error")
	}
	var want []hive.Attempt
	for _, op := range []string{"get case", "download"} {
		for n := range 3 {
			want = append(want, hive.Attempt{Op: op, Number: n + 1})
		}
	}
	if d := cmp.Diff(want, l.heard); d != "" {
		t.Error(d)
	}
	if a, ok := hive.AttemptOf(t.Context()); ok {
		t.Errorf("a request of nobody is for %v", a)
	}
}
