package markdown_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"forager/enrich/detection/canon"
	"forager/enrich/markdown"
	"forager/enrich/markdown/markdowntest"
)

func TestP7ATextIsItselfAndNothingElse(t *testing.T) {
	t.Parallel()
	corpus := markdowntest.Hostile()
	if len(corpus) < 1000 {
		t.Fatalf("%d texts", len(corpus))
	}
	var texts []markdowntest.Text
	for _, s := range corpus {
		texts = append(texts,
			markdowntest.Text{Name: fmt.Sprintf("text of %q", s), Markdown: markdown.Text(s), Says: canon.Plain(s, true)},
			markdowntest.Text{Name: fmt.Sprintf("in a sentence %q", s), Markdown: "Rule " + markdown.Line(s) + " fired.", Says: "Rule " + canon.Plain(s, false) + " fired."},
			markdowntest.Text{Name: fmt.Sprintf("in bold %q", s), Markdown: "**Title** " + markdown.Line(s) + "\n\n- " + markdown.Line(s), Says: "Title " + canon.Plain(s, false) + " " + canon.Plain(s, false), Tags: []string{"strong", "ul", "li"}},
			markdowntest.Text{Name: fmt.Sprintf("code of %q", s), Markdown: "x " + markdown.Code(s) + " y", Says: "x " + canon.Plain(s, false) + " y"},
			markdowntest.Text{Name: fmt.Sprintf("block of %q", s), Markdown: "x\n\n" + markdown.Block(s, "") + "\ny", Says: "x " + canon.Plain(s, true) + " y", Tags: []string{"pre"}},
			markdowntest.Text{
				Name:     fmt.Sprintf("cells of %q", s),
				Markdown: "| a | b |\n|---|---|\n| " + markdown.CellText(s) + " | " + markdown.Cell(s) + " |\n| c | d |\n", Says: "a b " + canon.Plain(s, false) + " " + canon.Plain(s, false) + " c d",
				Tags: []string{"table", "thead", "tbody", "tr", "th", "td"},
			})
	}
	markdowntest.Check(t, texts)
}

func TestAnyMixtureOfTextsIsItself(t *testing.T) {
	t.Parallel()
	pieces := rapid.SampledFrom(append([]string{"\n", " ", "a", "  ", "\t", "é", "1", "\n\n", "\\", "_", ".", "+", "="}, markdowntest.Hostile()...))
	rapid.Check(t, func(r *rapid.T) {
		s := strings.Join(rapid.SliceOfN(pieces, 0, 6).Draw(r, "pieces"), "")
		markdowntest.CheckQuickly(t, []markdowntest.Text{{Name: s, Markdown: markdown.Text(s), Says: canon.Plain(s, true)}})
	})
}

func TestTextsAreStoredAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-03-02 08:12": "2026-03-02 08:12", "198.51.100.23": "`198.51.100.23`", `db07\svc`: `db07\svc`, `CORP\anna.meyer`: "`CORP\\anna.meyer`",
		"sshd: brute force (5 of 10), 50%!": "sshd: brute force (5 of 10), 50%!", "Notepad++ and C# 5.2": "Notepad++ and C# 5.2", "[AWS] key_of_user used": "[AWS] key_of_user used",
		"login by anna@corp.example.": "login by `anna@corp.example`.", "(see https://evil.example/x)": "(see `https://evil.example/x`)", "a * b": `a \* b`, "R&D, AT&T": "R&D, AT&T",
		"WS01$ joined": "WS01$ joined", `C:\Windows\System32`: `C:\Windows\System32`, "a - b": "a - b", "10% of < 5": "10% of < 5", "  in": "\u00a0\u00a0in", "a\nb\n": "a\nb",
	} {
		if got := markdown.Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"198.51.100.23": "`198.51.100.23`", " \t": "", "a`b": "``a`b``", "a|b": "`a`\\|`b`", "a\nb": "`a b`"} {
		if got := markdown.Code(in); got != want {
			t.Errorf("Code(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestALinkLeadsWhereItSays(t *testing.T) {
	t.Parallel()
	var texts []markdowntest.Text
	for _, to := range []string{"https://siem.corp.example/alerts/1?a=1&lt=2#x", "http://10.0.0.7:5601/app/a(b)[c]*d_e|f", "https://x.example/%7C/a'b"} {
		texts = append(texts, markdowntest.Text{
			Name: to, Markdown: "| a |\n|---|\n| " + markdown.Link(to) + " |\n\n" + markdown.Link(to), Tags: []string{"a", "table", "thead", "tbody", "tr", "th", "td"},
			Links: []string{to, strings.NewReplacer("|", "%7C").Replace(to), strings.NewReplacer("|", "%7C", "[", "%5B", "]", "%5D").Replace(to)},
		})
		if !strings.Contains(markdowntest.Goldmark(t, markdown.Link(to)), `<a href="http`) {
			t.Errorf("%s is no link: %s", to, markdown.Link(to))
		}
	}
	markdowntest.Check(t, texts)
	for _, to := range []string{"javascript:alert(1)", "https://", "//x.example", "https://x.example/>x", "https://x.example/\u202e", "ftp://x.example", ""} {
		if got := markdown.Link(to); got != markdown.Code(to) {
			t.Errorf("%q became %s", to, got)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range markdowntest.Hostile()[:200] {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) < 1<<12 {
			markdowntest.CheckQuickly(t, []markdowntest.Text{{Name: s, Markdown: markdown.Text(s), Says: canon.Plain(s, true)}})
		}
	})
}
