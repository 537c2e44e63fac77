package silences

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/cmd/worker/rulefiles"
	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/digest"
	"forager/hive"
	"forager/hive/hivetest"
)

// made makes cases of a few words: verdict, host, and rules with their users.
func made(rows ...string) (cases []Case) {
	for i, row := range rows {
		words := strings.Fields(row)
		c := Case{Number: i + 1, Host: strings.Trim(words[1], "-"), Closed: time.Date(2026, 3, 1+i, 0, 0, 0, 0, time.UTC)}
		c.Verdict = map[string]Verdict{"false": False, "true": True, "unclear": Unclear, "nothing": Nothing}[words[0]]
		for _, word := range words[2:] {
			rule, users, known := strings.Cut(word, "/")
			s := Seen{Rule: rule, Detections: 1, Severity: 2}
			if known {
				s.Users, s.AllUsers = strings.Split(users, ","), !strings.HasSuffix(users, ",*")
				if !s.AllUsers {
					s.Users = s.Users[:len(s.Users)-1]
				}
			}
			c.Rules = append(c.Rules, s)
		}
		cases = append(cases, c)
	}
	return cases
}

// times repeats rows.
func times(n int, rows ...string) (all []string) {
	for range n {
		all = append(all, rows...)
	}
	return all
}

func TestWhatIsProposedWasFalseEachTimeAndIsNarrow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows []string
		want []string // scope: false cases
	}{
		"often on a host":                    {times(5, "false h1 r"), []string{"r on h1: 5"}},
		"not often enough":                   {times(4, "false h1 r"), nil},
		"once true":                          {append(times(9, "false h1 r"), "true h1 r"), nil},
		"true on another host":               {append(times(5, "false h1 r"), "true h2 r"), []string{"r on h1: 5"}},
		"true on an unknown host":            {append(times(5, "false h1 r"), "true - r"), nil},
		"true by another rule alone":         {append(times(5, "false h1 r"), "true h1 s"), []string{"r on h1: 5"}},
		"true with another rule":             {append(times(5, "false h1 r"), "true h1 r s"), nil},
		"unclear is neither":                 {append(times(5, "false h1 r"), "unclear h1 r"), []string{"r on h1: 5"}},
		"duplicates say nothing":             {append(times(4, "false h1 r"), "nothing h1 r"), nil},
		"a user on many hosts":               {[]string{"false h1 r/u", "false h2 r/u", "false h3 r/u", "false h4 r/u", "false h5 r/u"}, []string{"r of u: 5"}},
		"of a user, true of another":         {append(times(5, "false - r/u"), "true - r/v"), []string{"r of u: 5"}},
		"of a user, true of nobody knows":    {append(times(5, "false - r/u"), "true - r"), nil},
		"of a user, true of some":            {append(times(5, "false - r/u"), "true - r/v,*"), nil},
		"with others it is not the user's":   {times(5, "false - r/u,v"), nil},
		"a user on a host, true of another":  {append(times(5, "false h1 r/u"), "true h1 r/v", "true h2 r/u"), []string{"r on h1 of u: 5"}},
		"everywhere, but on few hosts":       {append(times(60, "false h1 r"), times(60, "false h2 r")...), []string{"r on h1: 60", "r on h2: 60"}},
		"everywhere":                         {everywhere(120, 12), []string{"r: 120"}},
		"everywhere, once true, not on most": {append(everywhere(120, 12), "true h0 r"), []string{"r on h1: 10", "r on h10: 10", "r on h11: 10", "r on h2: 10", "r on h3: 10", "r on h4: 10", "r on h5: 10", "r on h6: 10", "r on h7: 10", "r on h8: 10", "r on h9: 10"}},
	} {
		var got []string
		for _, p := range Propose(made(c.rows...), Options{Least: 5, Wide: 100, Hosts: 10}) {
			got = append(got, fmt.Sprintf("%s%s: %d", p.Rule, p.where(), len(p.False)))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// everywhere are so many false cases of one rule on so many hosts.
func everywhere(n, hosts int) (rows []string) {
	for i := range n {
		rows = append(rows, fmt.Sprintf("false h%d r", i%hosts))
	}
	return rows
}

func TestWhatWouldHaveBeenHiddenIsCounted(t *testing.T) {
	t.Parallel()
	cases := made(append(times(5, "false h1 r"), "false h1 r s", "true h2 r", "unclear h1 r")...)
	severe := Case{Number: 9, Verdict: False, Host: "h1", Rules: []Seen{{Rule: "r", Detections: 3, Severity: 4}}}
	h := WouldHide(Propose(cases, Options{Least: 5, Wide: 100, Hosts: 10}), append(cases, severe))
	if want := (Hidden{Detections: 7, Cases: map[Verdict]int{False: 5, Unclear: 1}}); !cmp.Equal(h, want) {
		t.Errorf("%+v, want %+v", h, want)
	}
}

// TestProposalsOfRealTextsHoldRealDetections: cases in TheHive with the texts that the worker writes, closed by an analyst,
// become a file of silences that the worker takes, and that holds back these detections and no others.
func TestProposalsOfRealTextsHoldRealDetections(t *testing.T) {
	t.Parallel()
	server, err := hivetest.Listen("127.0.0.1:0", hivetest.New(hivetest.Options{}))
	must(t, err)
	t.Cleanup(func() { _ = server.Close() })
	client, err := hive.New(hive.Options{URL: server.URL(), APIKey: hivetest.DefaultAPIKey, Organisation: hivetest.DefaultOrganisation, Transport: &http.Transport{}})
	must(t, err)
	t.Cleanup(client.CloseIdle)
	falseOne := detected("5710", "It's a \"rule\" of db07.corp.example", `CORP\svc_backup`, "DB07.corp.example")
	trueOne := detected("5711", "Another", "anna", "web01")
	for n := range 12 {
		d, status := falseOne, "FalsePositive"
		if n%2 == 1 {
			d, status = trueOne, []string{"TruePositive", "FalsePositive"}[n/2%2]
		}
		opened(t, client, planned(t, d), status)
	}
	other, err := client.CreateCase(t.Context(), hive.NewCase{Title: "an analyst's", Description: "d", Tags: []string{"forager:degraded"}})
	must(t, err)
	must(t, client.UpdateCase(t.Context(), other.ID, hive.CaseUpdate{Status: new("FalsePositive")}))
	now := time.Now()
	g, err := Gather(t.Context(), client, Reading{Since: now.Add(-time.Hour), Most: 100}, func() {})
	must(t, err)
	if len(g.Cases) != 12 || len(g.Unnamed) != 0 || g.Cut {
		t.Errorf("%d cases, unnamed %v", len(g.Cases), g.Unnamed)
	}
	text := Write(Propose(g.Cases, Options{Least: 5, Wide: 100, Hosts: 10}), g, Writing{Owner: "soc's", Expires: now.Add(48 * time.Hour), Since: now.Add(-time.Hour), Now: now})
	for _, want := range []string{"of 9 false cases would not have been opened, and 0 of 3 true ones", "# 6 cases were false positives, none was true: #1 #3 #5 #7 #9 #11.", "owner: 'soc''s'", "pierce: critical"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	held := silenced(t, text)
	severe, elsewhere, short := falseOne, falseOne, falseOne
	short.Host = "Db07"
	severe.Severity, elsewhere.Host = 4, "db08.corp.example"
	for name, c := range map[string]struct {
		d    detection.Detection
		want bool
	}{"the false one": {falseOne, true}, "by its first label": {short, true}, "more severe": {severe, false}, "elsewhere": {elsewhere, false}, "the true one": {trueOne, false}} {
		if got := held(c.d); got != c.want {
			t.Errorf("%s: silenced %v\n%s", name, got, text)
		}
	}
}

func detected(rule, name, user, host string) detection.Detection {
	return detection.Detection{
		Format: "wazuh", ID: "1", Time: time.Now().Add(-time.Minute), Severity: 3, Title: name, Host: host, User: user,
		Rule: detection.Rule{ID: rule, Name: name},
	}
}

func planned(t *testing.T, d detection.Detection) enrich.Plan {
	t.Helper()
	p, err := enrich.NewPlanner(enrich.PlannerOptions{TLP: -1, PAP: -1}).Plan(d, enrich.Origin{})
	must(t, err)
	return p
}

// opened is a case as the worker opens it, and an analyst closes it.
func opened(t *testing.T, client *hive.Client, p enrich.Plan, status string) {
	t.Helper()
	opening, _ := apply.Written(p)
	var d digest.Digest
	d.Add(p.RuleHash, p.Sighting())
	c, err := client.CreateCase(t.Context(), hive.NewCase{Title: p.Title, Description: opening, Tags: []string{p.Tag()}})
	must(t, err)
	_, err = client.AddPage(t.Context(), c.ID, hive.NewPage{Title: "Detections", Category: "Forager", Content: d.Text()})
	must(t, err)
	must(t, client.UpdateCase(t.Context(), c.ID, hive.CaseUpdate{Status: &status}))
}

// silenced tells what a file of silences holds back.
func silenced(t *testing.T, text string) func(detection.Detection) bool {
	t.Helper()
	c, err := config.Load(config.Source{Name: "silences.yaml", Text: []byte(text)})
	must(t, err)
	router, err := rulefiles.NewRouter(c, rulefiles.NewWitness())
	must(t, err)
	planner := enrich.NewPlanner(enrich.PlannerOptions{TLP: -1, PAP: -1, Router: router})
	return func(d detection.Detection) bool {
		_, err := planner.Plan(d, enrich.Origin{})
		_, dropped := errors.AsType[*enrich.DroppedError](err)
		return dropped
	}
}

func TestNothingIsAFileToo(t *testing.T) {
	t.Parallel()
	text := Write(nil, Gathered{}, Writing{})
	if held := silenced(t, text); held(detected("a", "b", "c", "d")) {
		t.Error(text)
	}
}

func TestConditionsTakeAnyName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`a'b"c\d`, "ü 界", "x: y # z", "{{ detection.id }}", "\x7f", strings.Repeat("n", 300)} {
		d := detected(name, "n", name, "h1")
		cases := made(times(5, "false h1 r/"+"u")...)
		for i := range cases {
			cases[i].Rules[0].Users[0] = name
		}
		g := Gathered{Cases: cases, Rules: map[string]Rule{"r": {Format: "wazuh", Name: name}}}
		all := []Proposal{{Scope: Scope{Rule: "r", Host: "h1", User: name}, Severity: math.MaxInt32}}
		if held := silenced(t, Write(all, g, Writing{Owner: "o", Expires: time.Now().Add(48 * time.Hour)})); !held(d) {
			t.Errorf("%q is not held", name)
		}
	}
}
