package hive_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/hive"
)

// TestEachAttemptSendsTheSecretOfItsTime: what is no secret, as in the middle of an exchange, is not
// sent; the last good one is.
func TestEachAttemptSendsTheSecretOfItsTime(t *testing.T) {
	t.Parallel()
	given := []string{"first", "second", "", "line\nend", " space", strings.Repeat("x", 2000), "third"}
	sent := []string{"first", "second", "second", "second", "second", "second", "third"}
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+s)) }
	for name, c := range map[string]struct {
		user string
		want func(string) string
	}{
		"key":      {"", func(s string) string { return "Bearer " + s }},
		"password": {"me", basic},
	} {
		var now atomic.Pointer[string]
		now.Store(&given[0])
		client, log := serve(t, answer(200, caseJSON), func(o *hive.Options) {
			o.APIKey, o.User, o.Secret = "", c.user, func() string { return *now.Load() }
		})
		var want []string
		for i := range given {
			now.Store(&given[i])
			if _, err := client.Case(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
			want = append(want, c.want(sent[i]))
		}
		var got []string
		for _, r := range log.all() {
			got = append(got, r.Header.Get("Authorization"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestErrorsBlotOutTheSecretThatWasSent: it was exchanged while the server thought about it.
func TestErrorsBlotOutTheSecretThatWasSent(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[string]
	secrets := []string{"s3cr3t/first", "s3cr3t/second"}
	now.Store(&secrets[0])
	var client *hive.Client
	client, _ = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if now.Swap(&secrets[1]) == &secrets[0] {
			_, _ = client.Case(t.Context(), "2") // another call takes up the new one
		}
		answer(401, "denied: "+r.Header.Get("Authorization"))(w, r)
	}, func(o *hive.Options) { o.APIKey, o.Secret = "", func() string { return *now.Load() } })
	for range secrets {
		_, err := client.Case(t.Context(), "1")
		if e, ok := errors.AsType[*hive.Error](err); !ok || !strings.Contains(e.Message, "denied") || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%v", err)
		}
	}
}

func TestASecretThatCannotWorkAtFirstIsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]hive.Options{
		"nothing":             {Secret: func() string { return "" }},
		"nothing for a user":  {User: "me", Secret: func() string { return "" }},
		"line end":            {Secret: func() string { return "sekret\n" }},
		"beside a key":        {APIKey: "sekret", Secret: func() string { return "sekret" }},
		"beside a password":   {User: "me", Password: "sekret", Secret: func() string { return "sekret" }},
		"long, and for basic": {User: "me", Secret: func() string { return strings.Repeat("sekret", 1000) }},
	} {
		o.URL = "http://hive.test"
		if _, err := hive.New(o); !errors.Is(err, hive.ErrInvalid) || strings.Contains(err.Error(), "sekret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
