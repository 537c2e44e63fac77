package digest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"forager/enrich"
	"forager/enrich/digest"
	"forager/enrich/markdown/markdowntest"
)

// hash is that of the nth rule.
func hash(n int) string { return fmt.Sprintf("%032x", n+1) }

const begin = 1_772_439_164_000 // 2026-03-02 08:12:44 UTC

func TestADigestSaysWhoHowOftenAndSinceWhen(t *testing.T) {
	t.Parallel()
	var d digest.Digest
	for i := range 50 {
		d.Add(hash(1), enrich.Sighting{At: begin + int64(i)*1000, Rule: "sshd: failed login", Severity: 2, User: fmt.Sprintf("user%d", i), From: fmt.Sprintf("198.51.100.%d:%d", i, 40000+i), To: "db07", ID: fmt.Sprint("e", i)})
	}
	for range 3 {
		d.Add(hash(1), enrich.Sighting{At: begin + 50_000, Rule: "sshd: failed login", Severity: 2, User: "anna", From: fmt.Sprint("203.0.113.9:", 1+begin%7), ID: "again"})
	}
	d.Add(hash(2), enrich.Sighting{At: begin + 60_120, Rule: "login after several failures", Severity: 4, User: "anna", From: "203.0.113.9", ID: "f1", Link: "https://siem.corp.example/f1", Techniques: []string{"T1110 Brute Force", "T1078 Valid Accounts"}})
	text := d.Text()
	for _, want := range []string{
		"**At least 54 detections** of 2 rules, first seen 2026-03-02 08:12:44 UTC, last seen 2026-03-02 08:13:44.120 UTC\n",
		"| login after several failures | critical | 1 | 2026-03-02 08:13:44.120 UTC | 2026-03-02 08:13:44.120 UTC | T1110 Brute Force, T1078 Valid Accounts | `anna` | `203.0.113.9` | [`siem.corp.example`](<https://siem.corp.example/f1>) |\n| sshd: failed login | medium | 53 |",
		"The newest:\n\n| Time | What | User | From → to | Process or file | Id |\n|---|---|---|---|---|---|\n| 2026-03-02 08:13:44.120 UTC | login after several failures | `anna` | `203.0.113.9` |  | `f1` [`siem.corp.example`](<https://siem.corp.example/f1>) |\n",
		"| 2026-03-02 08:13:33 UTC | sshd: failed login | `user49` | `198.51.100.49:40049` → `db07` |  | `e49` |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nlacks\n%s", text, want)
		}
	}
	if n := strings.Count(text, "\n| 2026-"); n != digest.MaxRows {
		t.Errorf("%d detections are told of", n)
	}
}

// TestPlansAreCountedAsOneByOne: the rows that a storm is spared are those that would not stay.
func TestPlansAreCountedAsOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		one, all := drawn(r, "before"), digest.Digest{}
		all.Join(one)
		all.JoinRows(one.Rows)
		one = digest.Digest{}
		one.Join(all)
		one.JoinRows(all.Rows)
		var plans []enrich.Plan
		for i := range rapid.IntRange(0, 3*digest.MaxRows).Draw(r, "plans") {
			at := time.UnixMilli(begin + int64(rapid.IntRange(0, 300).Draw(r, "at")))
			plans = append(plans, enrich.Plan{RuleHash: hash(i % 3), Title: fmt.Sprint("title ", i), SourceID: fmt.Sprint(i), Severity: 2, At: at})
		}
		for _, p := range plans {
			one.Add(p.RuleHash, p.Sighting())
		}
		all.AddAll(plans)
		if d := cmp.Diff(one, all); d != "" {
			r.Fatalf("(-one by one +all):\n%s", d)
		}
	})
}

// drawn is a digest of anything.
func drawn(r *rapid.T, name string) digest.Digest {
	var d digest.Digest
	texts := rapid.SampledFrom(append([]string{"", "a", `db\`, "a`, `b", "x (3)", "a|b", "`", "a, b"}, markdowntest.Hostile()...))
	for i := range rapid.IntRange(1, 30).Draw(r, name) {
		link := ""
		if rapid.Bool().Draw(r, "linked") {
			link = "https://siem.corp.example/a?b=|c&lt;=" + fmt.Sprint(i)
		}
		d.Add(hash(rapid.IntRange(0, 4).Draw(r, "rule")), enrich.Sighting{
			At: begin + int64(rapid.IntRange(0, 100_000).Draw(r, "at")), Severity: rapid.IntRange(1, 4).Draw(r, "severity"), Rule: texts.Draw(r, "name"),
			User: texts.Draw(r, "user"), From: texts.Draw(r, "from"), To: texts.Draw(r, "to"), Process: texts.Draw(r, "process"), File: texts.Draw(r, "file"), ID: texts.Draw(r, "id"), Link: link,
			Techniques: rapid.SliceOfN(rapid.SampledFrom([]string{"T1059.001 PowerShell", "T1110 Brute Force", "T1078 Valid Accounts", "`T1 x`", `T1\_a`, "T1486 x (2)"}), 0, 3).Draw(r, "techniques"),
		})
	}
	for _, n := range rapid.SliceOfN(rapid.IntRange(1, 1<<30), 0, 12).Draw(r, "related") {
		d.Relate(n)
	}
	for range rapid.IntRange(0, 12).Draw(r, "unseen") {
		d.NotAnalysed(texts.Draw(r, "analyzer"), rapid.SampledFrom([]string{"Cortex has no such analyzer", "its TLP is above amber"}).Draw(r, "why"))
	}
	return d
}

// TestAPageIsReadBackAsItWasWritten: whatever events say, what is read back makes the same page, and nothing in it acts.
func TestAPageIsReadBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		d := drawn(r, "n")
		text := d.Text()
		again, intact := digest.Parse(text)
		if !intact {
			r.Fatalf("changed by nobody: %s", text)
		}
		if diff := cmp.Diff(text, again.Text()); diff != "" {
			r.Fatal(diff)
		}
		again.JoinRows(d.Rows)
		if diff := cmp.Diff(text, again.Text()); diff != "" {
			r.Fatalf("written twice: %s", diff)
		}
		markdowntest.CheckQuickly(t, []markdowntest.Text{page(text)})
	})
}

// page is a page and what may be in it.
func page(text string) markdowntest.Text {
	links := []string{}
	for i := range 200 {
		links = append(links, "https://siem.corp.example/a?b=%7Cc&lt;="+fmt.Sprint(i), fmt.Sprintf("https://siem.corp.example/%d", i))
	}
	return markdowntest.Text{Name: "page", Markdown: text, Tags: []string{"strong", "table", "thead", "tbody", "tr", "th", "td", "a"}, Links: links}
}

func TestP7NothingOfAnEventActsInAPage(t *testing.T) {
	t.Parallel()
	var texts []markdowntest.Text
	for i, s := range markdowntest.Hostile() {
		var d digest.Digest
		d.Add(hash(1), enrich.Sighting{At: begin, Severity: 1, Rule: s, User: s, From: s, To: s, Process: s, File: s, ID: s, Link: fmt.Sprintf("https://siem.corp.example/%d", i%200)})
		texts = append(texts, page(d.Text()))
	}
	markdowntest.Check(t, texts)
}

func TestAPageThatSomebodyChangedIsNotRead(t *testing.T) {
	t.Parallel()
	var d digest.Digest
	d.Add(hash(1), enrich.Sighting{At: begin, Rule: "r", Severity: 1, User: "u"})
	text := d.Text()
	for name, changed := range map[string]string{
		"a word":       strings.Replace(text, "`u`", "`v`", 1),
		"a note":       text + "\nSeen by me.",
		"a first line": "Mine.\n" + text,
		"the numbers":  strings.Replace(text, ":1:1:", ":1:9:", 1),
		"all of it":    "My notes.",
		"nothing":      "",
	} {
		if changed == text {
			t.Fatalf("%s changes nothing", name)
		}
		if got, intact := digest.Parse(changed); intact || got.N != 0 {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	if _, intact := digest.Parse(strings.ReplaceAll(strings.TrimSpace(text), "\n", "\r\n")); !intact {
		t.Error("other line ends count as a change")
	}
}

func TestAPageHasABound(t *testing.T) {
	t.Parallel()
	var d digest.Digest
	wide := strings.Repeat("界`|*", 40)
	for i := range 20_000 {
		d.Add(hash(i%150), enrich.Sighting{At: begin + int64(i)*1000, Rule: wide, Severity: i%4 + 1, User: fmt.Sprint(i, wide), From: fmt.Sprint(i, wide), To: wide, Process: wide, File: wide, ID: wide, Link: "https://x.example/" + strings.Repeat("a", 250)})
	}
	text := d.Text()
	if len(text) > digest.MaxText || !strings.Contains(text, "At least 20000 detections** of 100 rules") || !strings.Contains(text, " more rules.") || !strings.Contains(text, "Further rules: ") {
		t.Errorf("%d bytes: %.300s", len(text), text)
	}
	again, intact := digest.Parse(text)
	if !intact || again.N != 20_000 || len(again.Rules) != digest.MaxRules {
		t.Errorf("read back: intact %v, %d detections of %d rules", intact, again.N, len(again.Rules))
	}
}

func TestDigestsAreJoined(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		a, b := drawn(r, "a"), drawn(r, "b")
		n, rows := a.N+b.N, max(len(a.Rows), len(b.Rows))
		a.Join(b)
		sum := a.Other
		for _, rule := range a.Rules {
			sum += rule.N
		}
		if a.N != n || sum != n || len(a.Rows) < rows || a.Last < b.Last || a.First > b.First {
			r.Fatalf("%+v", a)
		}
		before := a.Text()
		a.AtLeast(b)
		if diff := cmp.Diff(before, a.Text()); diff != "" {
			r.Fatalf("of the same detections: %s", diff)
		}
	})
}
