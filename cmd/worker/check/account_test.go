package check

import (
	"slices"
	"strings"
	"testing"

	"forager/config"
	"forager/hive/hivetest"
	"forager/pipeline/inspect"
)

// TestCheckLooksAtTheAccountsType: a case that is restricted vanishes for a normal account alone.
func TestCheckLooksAtTheAccountsType(t *testing.T) {
	t.Parallel()
	const what = "is an account of the type Normal"
	for kind, told := range map[string]bool{"": true, "Normal": true, "Service": false} {
		found := lookAs(t, hivetest.Options{}, hivetest.User{Type: kind})
		if got := slices.ContainsFunc(found, func(f inspect.Finding) bool { return strings.Contains(f.What, what) && f.Level == inspect.LevelNote }); got != told {
			t.Errorf("type %q: told %t: %+v", kind, got, found)
		}
	}
}

// TestCheckAsksForTheRightToReopen: where something reopens, and the release knows the right.
func TestCheckAsksForTheRightToReopen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, closed, profile string
		told                     bool
	}{
		{"5.5.13-1", "reopen", "few", true}, {"5.7.3-1", "reopen", "few", true}, {"5.2.5-1", "reopen", "few", false},
		{"5.5.13-1", "new", "few", false}, {"5.5.13-1", "reopen", "analyst", false},
	} {
		found := lookAs(t, hivetest.Options{Version: c.version}, hivetest.User{Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: c.profile}}},
			"FORAGER_CASE_CLOSED="+c.closed)
		if got := slices.ContainsFunc(found, func(f inspect.Finding) bool {
			return strings.Contains(f.What, "may not reopen cases, and case.closed wants it") && f.Level == inspect.LevelHurts
		}); got != c.told {
			t.Errorf("%+v: %+v", c, found)
		}
	}
}

// TestCheckNotesListsOfTasks: they are whole from 5.6.3.
func TestCheckNotesListsOfTasks(t *testing.T) {
	t.Parallel()
	for version, told := range map[string]bool{"5.5.13-1": true, "5.6.2-1": true, "5.6.3-1": false, "5.7.3-1": false} {
		found := lookAs(t, hivetest.Options{Version: version}, hivetest.User{})
		if got := slices.ContainsFunc(found, func(f inspect.Finding) bool { return f.What == "it is older than 5.6.3" }); got != told {
			t.Errorf("%s: %+v", version, found)
		}
	}
}

// TestCheckAsksForTheRightsToAlerts: only where a route uses them, and then it says that nobody has seen it.
func TestCheckAsksForTheRightsToAlerts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		via, profile string
		lacks, noted bool
	}{{"alert", "few", true, true}, {"alert", "analyst", false, true}, {"case", "few", false, false}, {"", "few", false, false}} {
		found := lookWith(t, hivetest.Options{}, hivetest.User{Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: c.profile}}},
			func(all *config.Config) {
				all.Routes = []config.Route{{Name: "storms", Via: c.via, Organisation: all.Hive.Organisation}}
			})
		lacks := slices.ContainsFunc(found, func(f inspect.Finding) bool {
			return f.Level == inspect.LevelHurts && strings.Contains(f.What, "route storms wants it (via: alert)") && strings.HasSuffix(f.Remedy, "manageAlert/create and manageAlert/import")
		})
		noted := slices.ContainsFunc(found, func(f inspect.Finding) bool {
			return f.Level == inspect.LevelNote && f.What == "route storms opens cases by alert"
		})
		if lacks != c.lacks || noted != c.noted {
			t.Errorf("%+v: %+v", c, found)
		}
	}
}

// TestCheckAsksForTheRightsOfAlertMode: only where a route makes alerts.
func TestCheckAsksForTheRightsOfAlertMode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		as, profile string
		lacks       int
	}{{"alert", "few", 2}, {"alert", "analyst", 0}, {"", "few", 0}} {
		found := lookWith(t, hivetest.Options{}, hivetest.User{Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: c.profile}}},
			func(all *config.Config) {
				all.Routes = []config.Route{{Name: "queue", As: c.as, Organisation: all.Hive.Organisation}}
			})
		lacks := 0
		for _, f := range found {
			if strings.Contains(f.What, "route queue wants it (as: alert)") {
				lacks++
			}
		}
		if lacks != c.lacks {
			t.Errorf("%+v: %+v", c, found)
		}
	}
}

// TestCheckLooksForAnalyzers: only where a route names one; whether the account may run it, and whether it is there.
func TestCheckLooksForAnalyzers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		analyzer, profile string
		cortex            []string
		level             inspect.Level
		what              string
	}{
		{"virustotal", "analyst", []string{"local"}, inspect.LevelOK, "every analyzer that routes name is there: virustotal"},
		{"VirusTotal_GetReport_3_1", "analyst", []string{"local"}, inspect.LevelOK, "every analyzer that routes name is there: VirusTotal_GetReport_3_1"},
		{"virustotal", "analyst", nil, inspect.LevelHurts, `Cortex has no analyzer "virustotal" for `},
		{"nobody", "analyst", []string{"local"}, inspect.LevelHurts, `Cortex has no analyzer "nobody" for `},
		{"virustotal", "few", []string{"local"}, inspect.LevelHurts, "forager@x.example (profile few) may not run analyzers, and routes want it (analyze)"},
		{"", "few", nil, "", ""},
	} {
		found := lookWith(t, hivetest.Options{Cortex: c.cortex}, hivetest.User{Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: c.profile}}},
			func(all *config.Config) {
				all.Routes = []config.Route{{Name: "all", Organisation: all.Hive.Organisation}}
				if c.analyzer != "" {
					all.Routes[0].Analyze = []config.Analysis{{Analyzer: c.analyzer}}
				}
			})
		var got []inspect.Finding
		for _, f := range found {
			if f.About == "analyzers" {
				got = append(got, f)
			}
		}
		if c.what == "" && len(got) == 0 {
			continue
		}
		if !slices.ContainsFunc(got, func(f inspect.Finding) bool { return f.Level == c.level && strings.HasPrefix(f.What, c.what) }) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// lookAs looks at a server as an account that it has.
func lookAs(t *testing.T, o hivetest.Options, u hivetest.User, env ...string) []inspect.Finding {
	t.Helper()
	return lookWith(t, o, u, func(*config.Config) {}, env...)
}

// lookWith does so with a changed configuration.
func lookWith(t *testing.T, o hivetest.Options, u hivetest.User, change func(*config.Config), env ...string) []inspect.Finding {
	t.Helper()
	u.Login, u.APIKey = "forager@x.example", "a-key"
	if u.Memberships == nil {
		u.Memberships = []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "analyst"}}
	}
	o.Users = []hivetest.User{u}
	o.Profiles = map[string][]string{"few": {"manageCase/create", "manageCase/update", "manageObservable", "manageProcedure", "manageComment", "managePage"}}
	server, err := hivetest.Listen("127.0.0.1:0", hivetest.New(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	c, err := config.Load(config.Source{
		Env:      append(env, "FORAGER_HIVE_URL="+server.URL(), "FORAGER_HIVE_API_KEY=a-key"),
		Connects: []string{config.ToHive},
	})
	if err != nil {
		t.Fatal(err)
	}
	change(c)
	found, err := inspectHive(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
