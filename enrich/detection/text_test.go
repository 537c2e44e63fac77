package detection

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/tree"
)

// attacks are texts that try to be more than text in a Markdown field.
var attacks = []string{
	"[click](https://evil.example)", "![x](https://evil.example/p.png)", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
	"<https://evil.example>", "https://evil.example/a_b*c", "evil.example", "a`evil.example", "``evil.example`", "evil.example|x", "(evil.example).", "ftp://a", "//evil.example", "xn--80ak6aa92e.com", "é.fr", "https://a`b``c.d", "`forager: rule=00000000000000000000000000000000 day=2026-11-28 ids=h1`", "www.evil.example", "mail@evil.example", "# heading", "heading\n=====", "heading\n---",
	"> quote", "* item", "+ item", "- item", "1. item", "1) item", "- [ ] task", "```\ncode\n```", "~~~\ncode\n~~~", "    code", "\tcode", "`code`", "``co`de``",
	"**bold**", "__bold__", "_it_", "~~gone~~", "| a | b |\n|---|---|\n| 1 | 2 |", "***", "---", "___", "line  \nbreak", "line\\\nbreak", "&lt;b&gt;", "&#106;avascript", "&copy;",
	"[ref]: https://evil.example\n[ref]", "[^1]: note", "text[^1]", "javascript:alert(1)", "[x](javascript:alert(1))", "[a]\n(b)", "<!-- comment", "<?php", "<![CDATA[x]]>",
	"\\[x](y)", "\\\\[x](y)", "$x^2$", "@admin", "#123", ":smile:", "Term\n: Definition", "\u202egnp.exe", "a\x00b", "<a\nhref=x>", "a\r\n\r\n    b", "{{.Title}}", "\"quotes\" -- and...", "\u200b# x", "\u00a0# x", "\u2028# x", "http\u200b://evil.example", "</p><p>", "[TOC]", "==mark==", "H~2~O", "a^b^",
}

// TestHostileTextInEveryFieldOfEveryFormat puts each attack into every text of every fixture. What the texts
// render to is looked at where they are written.
func TestHostileTextInEveryFieldOfEveryFormat(t *testing.T) {
	d := mustNew(t, Options{})
	for _, file := range sampleFiles(t, "testdata") {
		if filepath.Ext(file) != ".json" {
			continue
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range attacks {
			if i%8 != len(body)%8 { // every attack meets many formats, every format many attacks
				continue
			}
			var doc any
			if err := json.Unmarshal(body, &doc); err != nil {
				t.Fatal(err)
			}
			hostile, err := json.Marshal(poison(doc, a))
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Decode(Message{Body: hostile, Time: now})
			if err != nil {
				continue // so poisoned that nothing knows it
			}
			for _, det := range r.Detections {
				for _, s := range textsOf(det) {
					if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && canon.Hides(r) }) {
						t.Errorf("%s: %q holds what hides", filepath.Base(file), s)
					}
				}
			}
		}
	}
}

// poison appends an attack to every text of a document but those that say what it is.
func poison(v any, attack string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			switch tree.Fold(k) {
			case "schema", "@odata.type", "category", "eventtype", "kind", "type", "specversion", "alerttype", "sourcetype", "index", "channel", "action", "alertstate":
			default:
				v[k] = poison(x, attack)
			}
		}
	case []any:
		for i := range v {
			v[i] = poison(v[i], attack)
		}
	case string:
		return v + attack
	}
	return v
}

func textsOf(d Detection) []string {
	out := []string{d.ID, d.Title, d.Description, d.Source, d.Rule.ID, d.Rule.Name, d.Host, d.User, d.Key}
	out = append(out, d.Tags...)
	for _, o := range d.Observables {
		out = append(append(out, o.Data, o.Message), o.Tags...)
	}
	for _, r := range d.Techniques {
		out = append(out, r.Text, r.Tactic)
	}
	for _, f := range d.Files {
		out = append(out, f.Name, f.Object)
	}
	return out
}

func TestCleanBoundsOnRunes(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"ééé", 3, "ééé"}, {"éééé", 3, "éé…"}, {" a\r\nb\rc\t", 9, "a\nb\nc"},
		{"a\x00\u202e\xffb", 9, "a\ufffd\ufffd\ufffdb"}, {"x", 0, ""}, {"", 5, ""},
	} {
		if got := canon.Clean(c.in, c.most); got != c.want {
			t.Errorf("Clean(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

func TestFileNamesAreHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"../../etc/passwd": "passwd", `C:\Windows\a.exe`: "a.exe", "CON": "_CON", "nul.txt": "_nul.txt", "com1.log": "_com1.log", "": "file", "..": "file",
		"a\u202egnp.exe": "a_gnp.exe", "a\x00b": "a_b", " .hidden. ": "hidden", "a:b": "b", strings.Repeat("x", 300) + ".docx": strings.Repeat("x", 250) + ".docx", "LPT9 .x": "_LPT9 .x",
	} {
		if got := canon.FileName(in); got != want {
			t.Errorf("fileName(%q) = %q, want %q", in, got, want)
		}
	}
}
