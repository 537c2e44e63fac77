package check

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/workertest"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/pipeline/inspect"
)

// inProcess carries requests to a simulated TheHive without a network, so that time may be virtual.
type inProcess struct{ server http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w, in := httptest.NewRecorder(), r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	p.server.ServeHTTP(w, in)
	return w.Result(), nil
}

// measured lets a measurement run in virtual time, and gives what it found, what TheHive holds
// afterwards, and how long it took.
func measured(t *testing.T, server *hivetest.Hive, ctx context.Context, settle time.Duration) ([]inspect.Finding, []hivetest.Case, time.Duration) { //nolint:revive // t comes first
	t.Helper()
	client, err := hive.New(hive.Options{URL: "http://hive.test", APIKey: hivetest.DefaultAPIKey, Transport: inProcess{server}, Timeout: askWithin})
	workertest.Must(t, err)
	m := &lagMeasure{hive: client, settle: settle}
	begun := time.Now()
	m.run(ctx)
	return m.found, server.Snapshot().Cases, time.Since(begun)
}

const settled = 25 * time.Second

func TestTheMeasuredLagSaysWhatSettleMustBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lag    time.Duration
		level  inspect.Level
		what   string
		remedy string
	}{
		"none":             {0, inspect.LevelOK, "a search by tag showed a new case at once (hive.settle is 25s; to open it took 40ms, a search 40ms at most)", ""},
		"short":            {3 * time.Second, inspect.LevelOK, "a search by tag showed a new case after 3.", ""},
		"long":             {15 * time.Second, inspect.LevelHurts, "a search by tag showed a new case only after 15.", "set hive.settle to 31s or more"},
		"as long as waits": {24900 * time.Millisecond, inspect.LevelHurts, "a search by tag showed a new case only after 25", "set hive.settle to 50s or more"},
		"longer":           {40 * time.Second, inspect.LevelHurts, "no search by tag showed a new case within hive.settle (hive.settle is 25s; ", "look at the index in TheHive's platform management, and measure again with a longer hive.settle"},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := hivetest.New(hivetest.Options{})
			server.Set(hivetest.Misbehaviour{Lag: c.lag, Latency: 40 * time.Millisecond})
			found, left, took := measured(t, server, t.Context(), settled)
			if len(found) != 1 || found[0].Level != c.level || !strings.HasPrefix(found[0].What, c.what) || found[0].Remedy != c.remedy {
				t.Errorf("%s: found %+v", name, found)
			}
			if len(left) != 0 {
				t.Errorf("%s: left %+v", name, left)
			}
			if took > settled+2*time.Second {
				t.Errorf("%s: it took %v", name, took)
			}
		})
	}
}

// TestTheMeasuredCaseSaysWhatItIs: an analyst may see it.
func TestTheMeasuredCaseSaysWhatItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := hivetest.New(hivetest.Options{})
		server.Set(hivetest.Misbehaviour{Lag: time.Second})
		var seen []hivetest.Case
		server.On(hivetest.AfterEffect, "POST /api/v1/case", func(hivetest.Call) hivetest.Action {
			seen = server.Snapshot().Cases
			return hivetest.Action{}
		})
		measured(t, server, t.Context(), settled)
		if len(seen) != 1 {
			t.Fatalf("it opened %+v", seen)
		}
		c := seen[0]
		if !strings.Contains(c.Title, "may be deleted") || !strings.Contains(c.Description, "--measure-lag") || c.Severity != 1 || c.TLP != 2 ||
			len(c.Tags) != 1 || !strings.HasPrefix(c.Tags[0], "forager:check-") {
			t.Errorf("it opened %+v", c)
		}
	})
}

func TestAMeasurementLeavesNothingBehindOrSaysWhat(t *testing.T) {
	t.Parallel()
	refuse := func(status int, kind string) func(hivetest.Call) hivetest.Action {
		return func(hivetest.Call) hivetest.Action { return hivetest.Action{Status: status, Type: kind, Message: "no"} }
	}
	const create, search, remove, change = "POST /api/v1/case", "POST /api/v1/query", "DELETE /api/v1/case/{id}", "PATCH /api/v1/case/{id}"
	for name, c := range map[string]struct {
		spoil func(h *hivetest.Hive)
		found []string // level and what begins so
		left  []string // stages
	}{
		"no right to delete": {
			func(h *hivetest.Hive) { h.On(hivetest.BeforeEffect, remove, refuse(403, "AuthorizationError")) },
			[]string{"note case 1, opened to measure, is left, closed: delete case: ", "ok a search by tag showed"}, []string{"Closed"},
		},
		"no right to delete or to close": {
			func(h *hivetest.Hive) {
				h.On(hivetest.BeforeEffect, remove, refuse(403, "AuthorizationError"))
				h.On(hivetest.BeforeEffect, change, refuse(403, "AuthorizationError"))
			},
			[]string{"note case 1, opened to measure, may be left, open: delete case: ", "ok a search by tag showed"}, []string{"New"},
		},
		"the answer to the deletion is lost": {
			func(h *hivetest.Hive) { h.On(hivetest.AfterEffect, remove, refuse(504, "GatewayTimeout")) },
			[]string{"ok a search by tag showed"}, nil,
		},
		"the answer to the opening is lost": {
			func(h *hivetest.Hive) { h.On(hivetest.AfterEffect, create, refuse(504, "GatewayTimeout")) },
			[]string{"note its lag is not known: the answer to the opening of a case was lost: "}, nil,
		},
		"the opening got lost": {
			func(h *hivetest.Hive) { h.On(hivetest.BeforeEffect, create, refuse(504, "GatewayTimeout")) },
			[]string{"note a case with the tag forager:check-", "note its lag is not known: the answer to the opening of a case was lost: "}, nil,
		},
		"the opening is refused": {
			func(h *hivetest.Hive) { h.On(hivetest.BeforeEffect, create, refuse(403, "AuthorizationError")) },
			[]string{"broken TheHive refuses to open a case: "}, nil,
		},
		"TheHive is overloaded": {
			func(h *hivetest.Hive) { h.On(hivetest.BeforeEffect, create, refuse(503, "Unavailable")) },
			[]string{"note its lag was not measured, TheHive did not open a case: "}, nil,
		},
		"searches fail": {
			func(h *hivetest.Hive) { h.On(hivetest.BeforeEffect, search, refuse(500, "InternalError")) },
			[]string{"note its lag is not known: find cases: "}, nil,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			server := hivetest.New(hivetest.Options{})
			c.spoil(server)
			found, left, took := measured(t, server, t.Context(), settled)
			compareFindings(t, name, found, c.found)
			var stages []string
			for _, l := range left {
				stages = append(stages, l.Stage)
			}
			if diff := cmp.Diff(c.left, stages); diff != "" {
				t.Errorf("%s: left (-want +got):\n%s", name, diff)
			}
			if took > settled+3*askWithin {
				t.Errorf("%s: it took %v", name, took)
			}
		})
	}
}

func compareFindings(t *testing.T, name string, found []inspect.Finding, want []string) {
	t.Helper()
	for i, f := range found {
		if text := string(f.Level) + " " + f.What; i >= len(want) || !strings.HasPrefix(text, want[i]) {
			t.Errorf("%s: found %s", name, text)
		}
		if f.Level != inspect.LevelOK && (f.Why == "" || f.Remedy == "") {
			t.Errorf("%s: nothing says why, or what to do: %+v", name, f)
		}
	}
	if len(found) < len(want) {
		t.Errorf("%s: found %d of %q", name, len(found), want)
	}
}

// TestAnInterruptedMeasurementRemovesItsCase: whether it was still being opened, or searched for.
func TestAnInterruptedMeasurementRemovesItsCase(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]time.Duration{"while it is opened": 20 * time.Millisecond, "while it is searched for": 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			server := hivetest.New(hivetest.Options{})
			server.Set(hivetest.Misbehaviour{Lag: time.Minute, Latency: 100 * time.Millisecond})
			ctx, interrupt := context.WithCancelCause(t.Context())
			time.AfterFunc(after, func() { interrupt(errors.New("interrupt signal received")) })
			opened := false
			server.On(hivetest.AfterEffect, "POST /api/v1/case", func(hivetest.Call) hivetest.Action { opened = true; return hivetest.Action{} })
			found, left, took := measured(t, server, ctx, settled)
			compareFindings(t, name, found, []string{"note its lag is not known: interrupt signal received"})
			if !opened || len(left) != 0 || took > after+time.Second {
				t.Errorf("%s: opened %v, left %+v, after %v", name, opened, left, took)
			}
		})
	}
}
