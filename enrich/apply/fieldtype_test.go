package apply_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/rules"
	"forager/hive/hivetest"
)

const queryRoute = "POST /api/v1/query"

// TestATextThatTheHiveWouldMakeALinkOfIsLeftOut: the configuration calls the field a string, TheHive
// holds it as url, and the event has written a scheme that acts. That value is dropped and told; the case
// has all else. Fields of other types keep what looks like a scheme.
func TestATextThatTheHiveWouldMakeALinkOfIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		title string
		kept  bool
	}{
		"a script":            {"javascript:alert(document.cookie)", false},
		"in capitals":         {"JavaScript:alert(1)", false},
		"with a space before": {" javascript:alert(1)", false},
		"data":                {"data:text/html;base64,PHNjcmlwdD4=", false},
		"vbscript":            {"vbscript:msgbox(1)", false},
		"a local file":        {"file:///etc/passwd", false},
		"a program":           {"ms-msdt:/id", false},
		"a page":              {"https://siem.example/alert/7", true},
		"a page, plain":       {"HTTP://siem.example/alert/7", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				s.administer(t, "customField", "admin", `{"name":"ref","group":"g","description":"d","type":"url"}`)
				s.administer(t, "customField", "admin", `{"name":"words","group":"g","description":"d","type":"string"}`)
				heard := &heardEvents{}
				e := s.worker(t, func(o *apply.Options) { o.Events = heard })
				p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Fields: []rules.Field{
					{Name: "ref", Type: "string", Value: "{{ detection.title }}"}, {Name: "words", Value: "{{ detection.title }}"},
				}}}}})
				d := seen("web01", "a", day(9))
				d.Title = c.title
				mustApply(t, e, []enrich.Plan{planned(t, p, 1, d)})
				got := s.hive.Snapshot().Cases[0]
				if _, there := got.CustomFields["ref"]; there != c.kept {
					t.Errorf("custom fields %v", got.CustomFields)
				}
				if _, there := got.CustomFields["words"]; !there || len(got.Procedures) != 2 || len(got.Observables) == 0 {
					t.Errorf("the case lacks what nobody refused: %+v", got)
				}
				told := heard.degradations()
				if slices.Contains(got.Tags, "forager:degraded") == c.kept || (len(told) == 0) != c.kept {
					t.Errorf("tags %v, told %q", got.Tags, told)
				}
				if !c.kept && (len(told) != 1 || !strings.Contains(told[0], "custom field ref") || !strings.Contains(told[0], "https://") || strings.Contains(told[0], "words")) {
					t.Errorf("told %q", told)
				}
			})
		})
	}
}

// TestTypesOfFieldsAreAskedForWhereAValueMayAct: and then kept; where TheHive does not tell them, such a
// value is left out, and the case is opened.
func TestTypesOfFieldsAreAskedForWhereAValueMayAct(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		title  string
		refuse int // status of the list
		asked  int
		kept   bool
	}{
		"plain words":             {"Logon of alice at 10:15", 0, 0, true},
		"words with a scheme":     {"user:alice", 0, 1, true},
		"TheHive does not say":    {"user:alice", 403, 2, false},
		"TheHive does, not plain": {"Logon", 403, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				s.administer(t, "customField", "admin", `{"name":"words","group":"g","description":"d","type":"string"}`)
				asked := 0
				s.hive.On(hivetest.BeforeEffect, queryRoute, func(call hivetest.Call) hivetest.Action {
					if !strings.Contains(string(call.Body), "listCustomField") {
						return hivetest.Action{}
					}
					if asked++; c.refuse == 0 {
						return hivetest.Action{}
					}
					return hivetest.Action{Status: c.refuse, Type: "AuthorizationError", Message: http.StatusText(c.refuse)}
				})
				e := s.worker(t)
				p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Fields: []rules.Field{{Name: "words", Value: "{{ detection.title }}"}}}}}})
				for i, host := range []string{"web01", "web02"} {
					d := seen(host, "a"+host, day(9))
					d.Title = c.title
					mustApply(t, e, []enrich.Plan{planned(t, p, uint64(i+1), d)})
				}
				cases := s.hive.Snapshot().Cases
				if len(cases) != 2 || asked != c.asked {
					t.Fatalf("%d cases, asked %d times", len(cases), asked)
				}
				for _, got := range cases {
					if _, there := got.CustomFields["words"]; there != c.kept {
						t.Errorf("custom fields %v", got.CustomFields)
					}
				}
			})
		})
	}
}
