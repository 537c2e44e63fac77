package check

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"forager/config"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/pipeline/inspect"
)

// TestCheckSaysWhatTheHiveLacks: one thing at a time, on a simulated TheHive.
func TestCheckSaysWhatTheHiveLacks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options hivetest.Options
		spoil   func(t *testing.T, url string)
		level   inspect.Level
		what    string
	}{
		"TheHive 4":         {hivetest.Options{Version: "4.1.24-1"}, nil, inspect.LevelBroken, "it is 4.1.24-1"},
		"old":               {hivetest.Options{Version: "5.2.16-1"}, nil, inspect.LevelHurts, "it is older than 5.5"},
		"new":               {hivetest.Options{Version: "5.9.0-1"}, nil, inspect.LevelNote, "it is newer than 5.7"},
		"no patterns":       {hivetest.Options{Patterns: []hivetest.Pattern{}}, nil, inspect.LevelBroken, "TheHive holds no patterns"},
		"few patterns":      {hivetest.Options{}, nil, inspect.LevelHurts, "they are few: Enterprise 18.1 has 691"},
		"clock ahead":       {hivetest.Options{Clock: func() time.Time { return time.Now().Add(time.Hour) }}, nil, inspect.LevelNote, "its clock differs from this machine's by "},
		"large files":       {hivetest.Options{}, nil, inspect.LevelNote, "files.maxBytes 2GiB is above its default limit of uploads"},
		"type is missing":   {hivetest.Options{}, withoutType("registry"), inspect.LevelNote, "TheHive has none called registry"},
		"no type for files": {hivetest.Options{}, withoutType("file"), inspect.LevelHurts, "TheHive has none called file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := hivetest.Listen("127.0.0.1:0", hivetest.New(c.options))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Close() })
			if c.spoil != nil {
				c.spoil(t, server.URL())
			}
			wantFinding(t, lookAtHive(t, server.URL()), c.level, c.what)
		})
	}
}

func lookAtHive(t *testing.T, url string) []inspect.Finding {
	t.Helper()
	c, err := config.Load(config.Source{
		Env:      []string{"FORAGER_HIVE_URL=" + url, "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey, "FORAGER_FILES_MAX_BYTES=2GiB"},
		Connects: []string{config.ToHive},
	})
	if err != nil {
		t.Fatal(err)
	}
	found, err := inspectHive(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func wantFinding(t *testing.T, found []inspect.Finding, level inspect.Level, what string) {
	t.Helper()
	for _, f := range found {
		if f.Level == level && strings.HasPrefix(f.What, what) {
			if f.Why == "" || f.Remedy == "" {
				t.Errorf("nothing says why, or what to do: %+v", f)
			}
			return
		}
	}
	t.Errorf("found %+v, want %s: %s", found, level, what)
}

// withoutType removes a type of observables, as an administrator may.
func withoutType(name string) func(t *testing.T, url string) {
	return func(t *testing.T, url string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url+"/api/v1/observable/type/"+name, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
		req.Header.Set("X-Organisation", "admin")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
}

// TestCheckKnowsATheHiveFromOtherServers: a wrong address often answers.
func TestCheckKnowsATheHiveFromOtherServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		what   string
	}{
		"a page":      {http.StatusOK, "<html></html>", "it is no TheHive: "},
		"other JSON":  {http.StatusOK, "{}", "it is no TheHive: "},
		"nothing":     {http.StatusNotFound, "", "it is no TheHive: "},
		"a proxy":     {http.StatusForbidden, "<html>no</html>", "something in front of it refuses: "},
		"a dead part": {http.StatusBadGateway, "<html></html>", "it answers, and fails: "},
		"no member":   {http.StatusForbidden, `{"type":"AuthorizationError","message":"no"}`, "it refuses the account: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantFinding(t, lookAtHive(t, serve(t, c.status, c.body)), inspect.LevelBroken, c.what)
		})
	}
}

// serve answers everything alike.
func serve(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if strings.HasPrefix(body, "{") {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestCheckEndsWithSilentServers: both take connections and say nothing.
func TestCheckEndsWithSilentServers(t *testing.T) {
	t.Parallel()
	var addresses []string
	for range 4 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		addresses = append(addresses, l.Addr().String())
	}
	c, err := config.Load(config.Source{
		Env: []string{
			"FORAGER_HIVE_URL=http://" + addresses[0], "FORAGER_HIVE_API_KEY=k",
			"FORAGER_NATS_URL=nats://" + strings.Join(addresses[1:], ",nats://"),
		},
		Connects: []string{config.ToHive, config.ToNATS},
	})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	found, err := Inspect(t.Context(), c, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	wantFinding(t, found, inspect.LevelBroken, "no answer")
	if len(found) != 2 || found[0].About != "NATS" || found[1].About != "TheHive" {
		t.Errorf("found %+v", found)
	}
}

func TestCheckLooksAtTheLicence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		licence hive.License
		what    string // empty: nothing is found
	}{
		"good":        {hive.License{Plan: "Gold", IsValid: true, ExpiresAt: hive.MillisOf(now.AddDate(1, 0, 0))}, ""},
		"ends soon":   {hive.License{Plan: "Gold", IsValid: true, ExpiresAt: hive.MillisOf(now.AddDate(0, 0, 10))}, "its licence (Gold) ends on 2026-12-02"},
		"over":        {hive.License{Plan: "Gold", ExpiresAt: hive.MillisOf(now.AddDate(0, 0, -10))}, "its licence (Gold) is not in force"},
		"without end": {hive.License{Plan: "Community", IsValid: true}, ""},
		"unsaid":      {hive.License{}, ""},
	} {
		h := &hiveInspection{}
		h.licence(c.licence, now)
		if c.what == "" && len(h.found) > 0 || c.what != "" && (len(h.found) != 1 || h.found[0].What != c.what) {
			t.Errorf("%s: found %+v", name, h.found)
		}
	}
}

// TestWhoseAffairAFindingIsDecidesWhetherTheHiveWorks, and not what it is called.
func TestWhoseAffairAFindingIsDecidesWhetherTheHiveWorks(t *testing.T) {
	t.Parallel()
	server, err := hivetest.Listen("127.0.0.1:0", hivetest.New(hivetest.Options{Patterns: []hivetest.Pattern{}}))
	if err != nil {
		t.Fatal(err)
	}
	found := lookAtHive(t, server.URL())
	_ = server.Close()
	dead := lookAtHive(t, server.URL())
	for _, f := range append(slices.Clone(found), dead...) {
		if f.Server != inspect.ServerHive {
			t.Errorf("it is not said of TheHive: %+v", f)
		}
	}
	if HiveWorks(found) || HiveWorks(dead) {
		t.Error("a TheHive without patterns, or that is gone, works")
	}
	if !HiveWorks([]inspect.Finding{{Level: inspect.LevelBroken, Server: inspect.ServerNATS, About: "TheHive's stream"}, {Level: inspect.LevelHurts, Server: inspect.ServerHive}}) {
		t.Error("what is broken at NATS, or only hurts, keeps TheHive from being asked")
	}
}
