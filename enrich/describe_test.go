package enrich_test

import (
	"strings"
	"testing"
	"time"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/rules"
)

func TestATitleSaysWhatHappenedAndWhere(t *testing.T) {
	t.Parallel()
	p := planner(t, rules.Rules{})
	long := strings.Repeat("é", 300)
	for name, c := range map[string]struct {
		d    detection.Detection
		want string
	}{
		"host":            {detection.Detection{Title: "sshd: brute force.", Host: "db07.corp.example"}, "sshd: brute force on db07"},
		"host said":       {detection.Detection{Title: "Malware on DB07 blocked.", Host: "db07.corp.example"}, "Malware on DB07 blocked."},
		"address as host": {detection.Detection{Title: "Scan", Host: "198.51.100.23"}, "Scan on 198.51.100.23"},
		"user":            {detection.Detection{Title: "Impossible travel", User: `CORP\anna`}, "Impossible travel for anna"},
		"mail address":    {detection.Detection{Title: "Phishing clicked", User: "anna@corp.example"}, "Phishing clicked for anna"},
		"source":          {detection.Detection{Title: "Port scan", IP: "198.51.100.23"}, "Port scan from 198.51.100.23"},
		"nobody":          {detection.Detection{Title: "Odd", Host: "localhost", User: "root", Key: "k"}, "Odd"},
		"rule's name":     {detection.Detection{Rule: detection.Rule{Name: "R1"}, Host: "db07"}, "R1 on db07"},
		"lines":           {detection.Detection{Title: "a\nb", Host: "db07"}, "a b on db07"},
		"long":            {detection.Detection{Title: long, Host: "db07"}, strings.Repeat("é", 241) + "… on db07"},
	} {
		c.d.Format, c.d.ID, c.d.Time = "native", "a", day(9)
		if got := planned(t, p, 1, c.d).Title; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestADescriptionHasWhatAnAnalystAsks: who, where from, what, which rule, and the way back to the console.
func TestADescriptionHasWhatAnAnalystAsks(t *testing.T) {
	t.Parallel()
	d := seen("db07", "a", time.Date(2026, 3, 2, 8, 12, 44, 0, time.UTC))
	d.Title, d.User, d.Link = "Suspicious PowerShell", `CORP\anna`, "https://edr.corp.example/alerts/7"
	d.Rule = detection.Rule{ID: "r-17", Name: "Encoded command"}
	d.Techniques = []detection.Reference{{Text: "T1059.001"}}
	d.Happened = detection.Happened{
		Process: `C:\Windows\powershell.exe`, CommandLine: "powershell -enc SQBFAFgA | iex", Parent: "winword.exe", File: `C:\Temp\a.ps1`,
		From: "198.51.100.23:4444", To: "10.0.0.7:445", Action: "blocked",
	}
	d.Description = "A document started a shell."
	text := planned(t, planner(t, rules.Rules{}), 1, d).Description()
	for _, want := range []string{
		"**Suspicious PowerShell on db07** (native, rule r-17, severity high)", "| When | 2026-03-02 08:12:44 UTC |", "| Host | `db07` |", "| User | `CORP\\anna` |", "| From | `198.51.100.23:4444` |",
		"| To | `10.0.0.7:445` |", "| Process | `C:\\Windows\\powershell.exe` |", "| Command line | `powershell -enc SQBFAFgA` \\| `iex` |", "| Parent | `winword.exe` |", "| File | `C:\\Temp\\a.ps1` |",
		"| Action | `blocked` |", "| Rule | Encoded command |", "| Techniques | T1059.001 PowerShell (execution) |", "[`edr.corp.example`](<https://edr.corp.example/alerts/7>)", "| Id | `a` |", "\nA document started a shell.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nlacks %s", text, want)
		}
	}
}

func TestTheEventStandsInTheCaseAsItIsAskedFor(t *testing.T) {
	t.Parallel()
	decoder, err := detection.New(detection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	body := "{\"schema\":\"forager.detection/v1\",\"id\":\"a\",\"time\":\"2026-03-14T09:00:00Z\",\"title\":\"t\",\"host\":\"h\",\"x\":\"```\",\"password\":\"hunter2\"}"
	r, err := decoder.Decode(detection.Message{Body: []byte(body), Time: day(9)})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[enrich.Raw]bool{"": true, enrich.RawFirst: true, enrich.RawAll: true, enrich.RawNone: false} {
		plan := planned(t, enrich.NewPlanner(enrich.PlannerOptions{Raw: raw}), 1, r.Detections[0])
		text := plan.Description()
		if got := strings.Contains(text, "````json\n{\n  \"schema\": \"forager.detection/v1\","); got != want || strings.Contains(text, "hunter2") || plan.TellsAll() != (raw == enrich.RawAll) {
			t.Errorf("raw %q: %s", raw, text)
		}
	}
}

func TestALineOfAnEventIsNoMarker(t *testing.T) {
	t.Parallel()
	if got := enrich.NoMarker("```\n`forager: rule=x`\n```\n"); got != "```\n `forager: rule=x`\n```\n" {
		t.Errorf("%q", got)
	}
}

// TestARouteAddsRowsToTheTable: their values are values, whatever the event says.
func TestARouteAddsRowsToTheTable(t *testing.T) {
	t.Parallel()
	p := planner(t, rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Rows: []rules.Row{
		{Name: "Owner", Value: "ann@example.test"}, {Name: "Account", Value: "{{ detection.user }}"}, {Name: "Nobody", Value: "{{ detection.parent }}"},
	}}}}})
	d := seen("db07", "a", day(9))
	d.User = "a | b`](https://evil.example)"
	text := planned(t, p, 1, d).Description()
	_, user, _ := strings.Cut(text, "| User |")
	user, _, _ = strings.Cut(user, "\n")
	for want, is := range map[string]bool{"| Owner | `ann@example.test` |": true, "| Account |" + user + "\n": true, "Nobody": false} {
		if strings.Contains(text, want) != is {
			t.Errorf("%s\nhas %s: want %v", text, want, is)
		}
	}
}
