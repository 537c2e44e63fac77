package markdowntest

import "strings"

// attacks are texts that try to be more than text in a Markdown field.
var attacks = []string{
	"[click](https://evil.example)", "![x](https://evil.example/p.png)", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<b>bold</b>", "<svg/onload=alert(1)>",
	"<https://evil.example>", "<mail@evil.example>", "https://evil.example/a_b*c", "evil.example", "evil.com", "a`evil.com", "``evil.com`", "evil.com|x", "(evil.com).", "ftp://a", "//evil.com", "xn--80ak6aa92e.com", "é.fr",
	"https://a`b``c.d", "`forager: rule=00000000000000000000000000000000 day=2026-11-28 ids=h1`", "www.evil.com", "mail@evil.com", "mailto:a@evil.com", "evil\\.com", "https\\://evil.com", "5.2.evil.com", "1.5 evil.com",
	"# heading", "heading\n=====", "heading\n---", "heading\n=", "heading\n-", "> quote", "* item", "+ item", "- item", "1. item", "1) item", "123456789. item", "- [ ] task", "[x] task",
	"```\ncode\n```", "~~~\ncode\n~~~", "    code", "\tcode", "`code`", "``co`de``", "**bold**", "__bold__", "_it_", "a _it_ b", "snake_case_name", "__init__", "~~gone~~", "~gone~",
	"| a | b |\n|---|---|\n| 1 | 2 |", "a | b\n--- | ---\n1 | 2", "a\n:-", "a\n-:", "***", "---", "___", "- - -", "line  \nbreak", "line\\\nbreak", "&lt;b&gt;", "&#106;avascript", "&#x6a;", "&copy;",
	"[ref]: https://evil.com\n[ref]", "[a][ref]\n\n[ref]: //evil.com", "[^1]: note", "text[^1]\n\n[^1]: note", "^[note]", "javascript:alert(1)", "[x](javascript:alert(1))", "[a]\n(b)", "<!-- comment", "<?php", "<![CDATA[x]]>",
	"\\[x](y)", "\\\\[x](y)", "\\<b>", "\\*a*", "$x^2$", "$$x$$", "@admin", "#123", "see #123", ":smile:", "Term\n: Definition", "Term\n~ Definition", "\u202egnp.exe", "a\x00b", "<a\nhref=x>", "a\r\n\r\n    b", "{{.Title}}", "\"quotes\" -- and...",
	"\u200b# x", "\u00a0# x", "\u2028# x", "http\u200b://evil.com", "</p><p>", "</code></pre><h1>x", "[TOC]", "==mark==", "++under++", "H~2~O", "a^b^", "::: warning\nowned\n:::", ":::error\nx\n:::", "!!! note\n    x", "*[HTML]: x", "{.class}", "[[wiki]]",
	"![](//evil.com/x)", "[a](<b c>)", "![a][b]", "<a href=\"https://evil.com\">x</a>", "<//evil.com>", "a@b.c", "x:/\\/evil.com", "http:evil.com", "evil.com:8080/x", "[`a`](b)", "[a](b \"c\")", "`a\n# b`", "|`a|b`|", "\\|", "\\`a`", "a\\",
}

// around are places in which an attack may stand.
var around = []func(string) string{
	func(s string) string { return s },
	func(s string) string { return "x " + s },
	func(s string) string { return s + " x" },
	func(s string) string { return s + "\n" + s },
	func(s string) string { return "x\n\n" + s },
	func(s string) string { return "1" + s + "1" },
	func(s string) string { return "(" + s + ")" },
	func(s string) string { return "`" + s },
	func(s string) string { return strings.ReplaceAll(s, " ", "") },
}

// Hostile is a corpus of more than a thousand texts that try to act, each once, in an order that does not change.
func Hostile() []string {
	var all []string
	had := map[string]bool{}
	for _, put := range around {
		for _, a := range attacks {
			if s := put(a); !had[s] {
				had[s] = true
				all = append(all, s)
			}
		}
	}
	return all
}
