package markdown

import (
	"net/url"
	"strings"

	"forager/enrich/detection/canon"
)

// Code writes a text of one line as a Markdown code span, as which it means nothing, whatever it
// is; an empty text is none. White space around it goes, line feeds become spaces.
func Code(s string) string {
	return spans(s, "|") // in a code span of a table's cell it would end the cell
}

// Cell is Code for a cell of a table: renderers that look for the end of a cell know only fences of one backtick.
// Backticks stand between the spans.
func Cell(s string) string { return spans(s, "|`") }

// spans writes a text of one line as code spans, and between them, escaped, what may not stand in one.
func spans(s, between string) string {
	s = strings.TrimSpace(canon.Plain(s, false))
	var b strings.Builder
	for {
		at := strings.IndexAny(s, between)
		part := s
		if at >= 0 {
			part = s[:at]
		}
		words := strings.Trim(part, " ")
		before := len(part) - len(strings.TrimLeft(part, " "))
		b.WriteString(part[:before])
		if words != "" {
			span(&b, words)
			b.WriteString(part[before+len(words):])
		}
		if at < 0 {
			return b.String()
		}
		b.WriteString(`\` + s[at:at+1])
		s = s[at+1:]
	}
}

// CellText is Line for a cell of a table.
func CellText(s string) string {
	if strings.Contains(s, "`") {
		return Cell(s)
	}
	return Line(s)
}

// span puts a text that is not blank between fences that it does not hold. Where it begins or
// ends with a backtick or a space, the span has spaces of its own, which a renderer takes away.
func span(b *strings.Builder, s string) {
	fence, space := strings.Repeat("`", longestRun(s)+1), ""
	if strings.ContainsRune("` ", rune(s[0])) || strings.ContainsRune("` ", rune(s[len(s)-1])) {
		space = " "
	}
	b.WriteString(fence + space + s + space + fence)
}

// longestRun is how many backticks stand in a row in a text.
func longestRun(s string) int {
	longest, run := 0, 0
	for i := range len(s) {
		if run++; s[i] != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// Block writes lines as a fenced code block that nothing in them can close. The language is for
// highlighting, one word or empty. The block ends with a line feed; it must begin a line, outside of lists and quotes.
func Block(s, language string) string {
	s = strings.Trim(canon.Plain(s, true), "\n")
	fence := strings.Repeat("`", max(longestRun(s)+1, 3))
	return fence + language + "\n" + s + "\n" + fence + "\n"
}

// Link writes an address of http or https as a link under the name of its host, so that a reader sees where it
// leads. An address that is none of a page gives its text in a code span.
func Link(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !canon.IsPlain(to) || strings.ContainsAny(to, " <>\"\\`") {
		return Code(to)
	}
	return "[" + Code(u.Host) + "](<" + inAddress.Replace(to) + ">)"
}

// inAddress keeps an address from ending the cell of a table, and its parts from being read as references
// to characters.
var inAddress = strings.NewReplacer("|", "%7C", "&", "&amp;")
