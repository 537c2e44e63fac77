package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/rules"
)

// assets is a table of two hosts.
type assets map[string][]string

func (assets) Columns() []string { return []string{"owner", "tier"} }

func (a assets) Find(key string) (func(int) string, bool) {
	row, found := a[key]
	return func(column int) string { return row[column] }, found
}

// lookups are tables as rules know them.
func lookups() map[string]rules.Lookup {
	return map[string]rules.Lookup{"assets": assets{"web01": {"ann@example.test", "1"}, "web02": {"", "3"}}, "empty": assets{}}
}

func TestARuleLooksUpWhatATableSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host, text, want string
	}{
		"a cell":              {"web01", "{{ lookup.assets[detection.host].owner }}", "ann@example.test"},
		"an empty cell":       {"web02", "{{ lookup.assets[detection.host].owner }}", ""},
		"no row":              {"db01", "{{ lookup.assets[detection.host].owner }}", ""},
		"an empty table":      {"web01", "{{ lookup.empty[detection.host].owner }}", ""},
		"a row is there":      {"web01", "{{ detection.host in lookup.assets }}", "true"},
		"no row is there":     {"db01", "{{ detection.host in lookup.assets }}", "false"},
		"a condition":         {"web01", "{{ lookup.assets[detection.host].tier == '1' ? 'critical' : string(detection.severity) }}", "critical"},
		"the other way":       {"web02", "{{ lookup.assets[detection.host].tier == '1' ? 'critical' : string(detection.severity) }}", "2"},
		"whether it is given": {"web02", "{{ has(lookup.assets[detection.host].owner) }}", "false"},
		"by a cell":           {"web01", "{{ lookup.empty[lookup.assets[detection.host].owner].tier }}", ""},
		"a fixed key":         {"db01", "{{ lookup.assets['web01'].tier }}", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			router, err := rules.NewRouter(rules.Rules{Lookups: lookups(), Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Title: "<" + c.text + ">"}}}})
			if err != nil {
				t.Fatal(err)
			}
			d := router.Decide(rules.Seen{Host: c.host, Severity: 2}, time.Now())
			if len(d.Faults) != 0 || d.Title == nil || *d.Title != "<"+c.want+">" {
				t.Errorf("title %v, faults %v, want %q", d.Title, d.Faults, c.want)
			}
		})
	}
}

func TestAConditionMayAskATable(t *testing.T) {
	t.Parallel()
	router, err := rules.NewRouter(rules.Rules{Lookups: lookups(), Routes: []rules.Route{
		{Name: "crown jewels", When: `lookup.assets[detection.host].tier == "1"`}, {Name: "known", When: `detection.host in lookup.assets`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, host := range []string{"web01", "web02", "db01", ""} {
		got[host] = router.Decide(rules.Seen{Host: host}, time.Now()).Route
	}
	if diff := cmp.Diff(map[string]string{"web01": "crown jewels", "web02": "known", "db01": "", "": ""}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMistakeInALookupIsToldByItsName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`lookup.assets[detection.host].ownr == "x"`:       `lookup assets has no column "ownr": its columns are owner, tier`,
		`lookup.asets[detection.host].owner == "x"`:       `there is no lookup "asets": write one of assets, empty`,
		`lookup.assets[detection.severity].owner == "x"`:  `found no matching overload for '_[_]' applied to '(map(string, lookup.assets), int)'`,
		`lookup.assets[detection.host] == detection.host`: `found no matching overload for '_==_' applied to '(lookup.assets, string)'`,
		`lookup.assets == lookup.assets`:                  `lookups are asked for a row: lookup.assets[detection.host].owner`,
		`lookup.assets.size() > 0`:                        `lookups are asked for a row: lookup.assets[detection.host].owner`,
		`lookup.assets.exists(k, k == "x")`:               `lookups are asked for a row: lookup.assets[detection.host].owner`,
	} {
		_, err := rules.NewRouter(rules.Rules{Lookups: lookups(), Routes: []rules.Route{{Name: "r", When: text}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestWithoutLookupsTheirNameIsExplained(t *testing.T) {
	t.Parallel()
	_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", When: `lookup.assets[detection.host].owner == ""`}}})
	if err == nil || !strings.Contains(err.Error(), `there is no lookup "assets": none is configured under lookups`) {
		t.Error(err)
	}
}
