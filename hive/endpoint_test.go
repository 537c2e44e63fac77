package hive_test

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"forager/hive"
)

// endpoint is one method of the client and what it must put on the wire.
type endpoint struct {
	name   string
	call   func(context.Context, *hive.Client) (any, error)
	method string
	path   string
	body   string // JSON; "": none
	status int
	answer string
	want   any
	read   bool
	since  string // the first description that has it; "": all
	of     string // the description that the answer follows; "": the first that has it
}

// none wraps a method without a result.
func none(err error) (any, error) { return nil, err }

// collect reads a list to its end.
func collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for v, err := range list {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// anyOf drops the static type of a result.
func anyOf[T any](v T, err error) (any, error) { return v, err }

const queryPath = "/api/v1/query"

// childQuery is the body that lists what belongs to a case.
func childQuery(idOrName, part string) string {
	return `{"query":[{"_name":"getCase","idOrName":"` + idOrName + `"},{"_name":"` + part + `"},
		{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":500}]}`
}

// endpoints are all that answer with JSON or nothing.
func endpoints() []endpoint {
	return slices.Concat(caseEndpoints(), observableEndpoints(), procedureEndpoints(), otherEndpoints(), alertEndpoints(), alertPartEndpoints(), taskEndpoints(),
		shareEndpoints(), caseMoreEndpoints(), userEndpoints(), organisationEndpoints(), templateEndpoints(), connectorEndpoints())
}

func TestEndpointsSpeakTheHive(t *testing.T) {
	t.Parallel()
	for _, e := range endpoints() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			t.Run("request and answer", e.succeeds)
			t.Run("described", e.isDescribed)
			t.Run("server's refusal", e.failsTyped)
			t.Run("server's own 500", e.tellsRollback)
			t.Run("foreign 2xx", e.refusesForeignAnswer)
			t.Run("ended context", e.sendsNothingWhenOver)
			t.Run("guard", e.obeysGuard)
		})
	}
}

func (e endpoint) succeeds(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(e.status, e.answer))
	got, err := e.call(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if e.want != nil {
		if diff := gocmp.Diff(e.want, got); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
	}
	calls := log.all()
	if len(calls) != 1 {
		t.Fatalf("%d requests, want 1", len(calls))
	}
	r := calls[0]
	if r.Method != e.method || r.Path != e.path {
		t.Errorf("request line %s %s, want %s %s", r.Method, r.Path, e.method, e.path)
	}
	if got, want := r.Header.Get("Authorization"), "Bearer "+testKey; got != want {
		t.Errorf("Authorization %q, want %q", got, want)
	}
	if e.body != "" {
		sameJSON(t, "body", e.body, r.Body)
		if r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("content type %q", r.Header.Get("Content-Type"))
		}
	} else if r.Body != "" && e.method != http.MethodPost {
		t.Errorf("unexpected body %q", r.Body)
	}
}

// isDescribed holds the request against every description of TheHive's API, and the answer that the
// table gives against one of them.
func (e endpoint) isDescribed(t *testing.T) {
	t.Parallel()
	if all, err := descriptions(); err != nil || len(all) == 0 {
		t.Skip("no OpenAPI description: ../shared/data/thehive is not there", err)
	}
	j := &judge{t: t, since: e.since, answers: cmp.Or(e.of, e.since, "5.5.13"), deviated: map[string]bool{}}
	known := strings.NewReplacer(`,"futureField":{}`, "", `,"futureField":1`, "").Replace(e.answer)
	c, _ := serve(t, answer(e.status, known), func(o *hive.Options) {
		next, err := hive.NewTransport(*o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(next.CloseIdleConnections)
		j.next, o.Transport = next, j
	})
	if _, err := e.call(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func (e endpoint) failsTyped(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(http.StatusNotFound, `{"type":"NotFoundError","message":"Thing ~1 not found"}`))
	_, err := e.call(t.Context(), c)
	got, ok := errors.AsType[*hive.Error](err)
	if !ok {
		t.Fatalf("error %v (%T)", err, err)
	}
	if got.Op == "" || got.Method != e.method || got.Path != e.path || got.Status != 404 ||
		got.Type != "NotFoundError" || got.Message != "Thing ~1 not found" || !got.Sent {
		t.Errorf("error %+v", *got)
	}
	if !got.Refused() || got.Ambiguous() || got.RolledBack() {
		t.Errorf("a 404 is refused, not ambiguous: %v", err)
	}
	if n := len(log.all()); n != 1 {
		t.Errorf("%d requests after a 404, want 1", n)
	}
}

func (e endpoint) tellsRollback(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(500, `{"type":"org.janusgraph.diskstorage.locking.PermanentLockingException","message":"lock"}`))
	_, err := e.call(t.Context(), c)
	got, ok := errors.AsType[*hive.Error](err)
	if !ok || !got.RolledBack() || got.Refused() || got.Ambiguous() {
		t.Fatalf("error %v", err)
	}
	want := 1
	if e.read {
		want = 3
	}
	if n := len(log.all()); n != want {
		t.Errorf("%d requests, want %d", n, want)
	}
}

func (e endpoint) refusesForeignAnswer(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, answer(200, "<html>please log in</html>"))
	_, err := e.call(t.Context(), c)
	got, ok := errors.AsType[*hive.Error](err)
	if !ok || !errors.Is(err, hive.ErrShape) || !got.Ambiguous() {
		t.Errorf("a log-in page passes for an answer: %v", err)
	}
}

func (e endpoint) sendsNothingWhenOver(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(e.status, e.answer))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.call(ctx, c)
	got, ok := errors.AsType[*hive.Error](err)
	if !ok || !errors.Is(err, context.Canceled) || !got.Refused() || got.Sent {
		t.Errorf("error %v", err)
	}
	if n := len(log.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func (e endpoint) obeysGuard(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(e.status, e.answer))
	lost := errors.New("claim lost")
	_, err := e.call(hive.WithGuard(t.Context(), func() error { return lost }), c)
	if e.read {
		if err != nil {
			t.Errorf("a read asks no guard: %v", err)
		}
		return
	}
	got, ok := errors.AsType[*hive.Error](err)
	if !ok || !errors.Is(err, lost) || !got.Refused() || got.Sent {
		t.Errorf("error %v", err)
	}
	if n := len(log.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}
