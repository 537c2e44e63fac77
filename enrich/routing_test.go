package enrich_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/rules"
)

func TestTheFirstRouteWhoseConditionHoldsDecides(t *testing.T) {
	t.Parallel()
	week := 7 * 24 * time.Hour
	p := planner(t, rules.Rules{Routes: []rules.Route{
		{Name: "noise", When: `detection.rule.id == "scan"`, Drop: true},
		{Name: "vip", When: `detection.user.startsWith("ceo") || "vip" in detection.tags`, Organisation: "board", Window: &week,
			Case: rules.CaseFields{Severity: "critical", TLP: "red", Title: "VIP: {{ detection.title }}", Tags: []string{"user:{{ detection.user }}"}}},
		{Name: "users", When: `detection.observables.exists(o, o.type == "ip" && o.data == "198.51.100.7") && "T1110" in detection.techniques`,
			Key: `"logon " + detection.user`, Minimum: 2, Closed: rules.ClosedReopen},
		{Name: "rest"},
	}})
	at := func(change func(*detection.Detection)) detection.Detection {
		d := seen("web01", "a", day(9))
		change(&d)
		return d
	}
	vip := planned(t, p, 1, at(func(d *detection.Detection) { d.User = "ceo.smith" }))
	if vip.Route != "vip" || vip.Organisation != "board" || vip.Severity != 4 || vip.TLP != 4 || vip.Title != "VIP: Suspicious logon" ||
		vip.Window != week || !slices.Contains(vip.Tags, "user:ceo.smith") {
		t.Errorf("plan %+v", vip)
	}
	users := planned(t, p, 1, at(func(d *detection.Detection) { d.User = "bob" }))
	if users.Route != "users" || users.Key.String() != "key:logon bob" || users.Closed != rules.ClosedReopen {
		t.Errorf("plan %+v", users)
	}
	if rest := planned(t, p, 1, at(func(d *detection.Detection) { d.Techniques = nil })); rest.Route != "rest" {
		t.Errorf("route %q", rest.Route)
	}
	for change, want := range map[string]string{"scan": "dropped: dropped by route: noise", "low": "dropped: below route's level: users"} {
		_, err := p.Plan(at(func(d *detection.Detection) {
			if change == "low" {
				d.Severity = canon.Low
			} else {
				d.Rule.ID = change
			}
		}), enrich.Origin{})
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestASilenceHoldsUntilItExpiresUnlessPierced(t *testing.T) {
	t.Parallel()
	quiet := func(expires time.Time, pierce int) *enrich.Planner {
		return planner(t, rules.Rules{Silences: []rules.Silence{{
			Name: "patching", When: `detection.host == "web01"`, Owner: "ops", Reason: "change 42", Expires: expires, Pierce: pierce,
		}}})
	}
	for name, c := range map[string]struct {
		p        *enrich.Planner
		silenced bool
	}{
		"it holds":                           {quiet(day(13), 0), true},
		"it expired":                         {quiet(day(11), 0), false},
		"a detection at its level passes":    {quiet(day(13), 3), false},
		"a detection below its level is not": {quiet(day(13), 4), true},
	} {
		_, err := c.p.Plan(seen("web01", "a", day(9)), enrich.Origin{})
		if silenced := err != nil && err.Error() == "dropped: silenced: patching"; silenced != c.silenced {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestP7AnEventCannotExtendATemplateOrALink(t *testing.T) {
	t.Parallel()
	p := planner(t, rules.Rules{Routes: []rules.Route{{
		Name: "all", Key: `"k"`,
		Case: rules.CaseFields{
			Title: "on {{ detection.host }}", Description: "Host {{ detection.host }}",
			Links: []rules.Link{{Name: "look at {{ detection.host }}", URL: "https://siem.example/search/{{ detection.host }}?q={{ detection.user }}"}},
		},
		Filter: []rules.Term{{Field: "customFields.host", Value: "{{ detection.host }}"}},
	}}})
	d := seen("a/../../b?x=1#y", "a", day(9))
	d.User = `x&admin=1) [click](javascript:alert(1)) {{detection.id}} "}],"_any":{`
	d.Host += ` {{detection.user}}`
	got := planned(t, p, 1, d)
	want := "(https://siem.example/search/a%2F..%2F..%2Fb%3Fx%3D1%23y%20%7B%7Bdetection.user%7D%7D?q=x%26admin%3D1%29%20%5Bclick%5D%28javascript%3Aalert%281%29%29%20%7B%7Bdetection.id%7D%7D%20%22%7D%5D%2C%22_any%22%3A%7B)"
	if !strings.Contains(got.Description(), want) {
		t.Errorf("description %s\nlacks %s", got.Description(), want)
	}
	if strings.Contains(got.Title, "x&admin") {
		t.Errorf("title %q", got.Title)
	}
}

func TestWhatFailsAtRunTimeGivesWayToTheDefault(t *testing.T) {
	t.Parallel()
	p := planner(t, rules.Rules{Routes: []rules.Route{
		{Name: "broken", When: `detection.tags[5] == "x"`},
		{Name: "rest", Key: `detection.tags[7]`, Case: rules.CaseFields{Title: `{{ detection.tags[9] }}`, Severity: "{{ detection.host }}"}},
	}})
	_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "x", Case: rules.CaseFields{Title: `{{ detection.tags[0] }}`}}}})
	if err != nil {
		t.Fatal(err)
	}
	got := planned(t, p, 1, seen("web01", "a", day(9)))
	if got.Route != "rest" || got.Key.String() != "host:web01" || got.Title != "Suspicious logon on web01" || got.Severity != 3 {
		t.Errorf("plan %+v", got)
	}
	want := []string{"route broken when", "route rest key", "route rest title", "route rest severity"}
	if diff := cmp.Diff(want, got.Faults); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// TestAnAlertIsOfItsEventOrOfItsRule: what the plans of one alert share, and what tells others apart.
func TestAnAlertIsOfItsEventOrOfItsRule(t *testing.T) {
	t.Parallel()
	for group, want := range map[rules.Group]map[string]bool{
		rules.GroupEvent: {"later": true, "another id": false, "another rule": true, "another host": true, "another sender": false},
		rules.GroupRule:  {"later": true, "another id": true, "another rule": false, "another host": false, "another sender": true},
	} {
		p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "queue", As: rules.AsAlert, Group: group, MaxNewAlerts: 7}}})
		first := planned(t, p, 1, seen("web01", "a", day(9)))
		if !first.AsAlert || first.ByEvent != (group == rules.GroupEvent) || first.NewCap != 7 || (first.Window == 0) != first.ByEvent {
			t.Errorf("%s: plan %+v", group, first)
		}
		if of := planned(t, planner(t, rules.Rules{}), 1, seen("web01", "a", day(9))); of.Hash == first.Hash || of.AsAlert {
			t.Errorf("%s: the group of an alert is the key of a case", group)
		}
		for change, same := range want {
			d := seen("web01", "a", day(10))
			switch change {
			case "another id":
				d.ID = "b"
			case "another rule":
				d.Rule.ID = "r9"
			case "another host":
				d.Host = "web02"
			case "another sender":
				d.Source = "manager02"
			}
			if got := planned(t, p, 2, d).Hash == first.Hash; got != same {
				t.Errorf("%s, %s: one alert %t, want %t", group, change, got, same)
			}
		}
	}
	nowhere := seen("", "a", day(9))
	nowhere.Observables, nowhere.User, nowhere.IP = nil, "", ""
	p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "queue", As: rules.AsAlert}}})
	if got := planned(t, p, 1, nowhere); got.Key.String() != "alert:a" {
		t.Errorf("an event without host, user and address: key %s", got.Key)
	}
}
