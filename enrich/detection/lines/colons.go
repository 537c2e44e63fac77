package lines

import (
	"regexp"
	"strings"
)

// colonName is a name before a colon and a value: `Result description: Detected`, `SrcIP: 10.0.0.1`.
var colonName = regexp.MustCompile(`^ ?([A-Za-z][A-Za-z0-9_ ()/.\\-]{0,47}):(?: +|$)`)

// fewestColons is the number of names from which on a text is one of "Name: value".
const fewestColons = 3

// ReadColons reads "Name: value" in lines of their own, or between commas, as members at the top; what stands
// before the first name is the member "text". Nil where there are too few.
func ReadColons(s string) []Member {
	if rows := blockLines(s); len(rows) >= fewestColons {
		return colonsOf(rows, "\n")
	}
	return commaColons(s)
}

// blockLines splits a text into its lines, whose ends may be written out as \r\n.
func blockLines(s string) []string {
	if !strings.Contains(s, "\n") && strings.Contains(s, `\r\n`) {
		s = strings.ReplaceAll(s, `\r\n`, "\n")
	}
	return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
}

// commaColons reads names and values between commas, with or without a space after each comma.
func commaColons(s string) []Member {
	fields := csvFields(s, true)
	if len(fields) < fewestColons || len(csvFields(s, false)) > 2*len(fields) {
		fields = csvFields(s, false)
	}
	return colonsOf(fields, ", ")
}

// colonsOf reads parts; one without a name belongs to the value before it, and a third have to have one.
func colonsOf(parts []string, glue string) []Member {
	var out []Member
	var first []string
	named := 0
	for _, part := range parts {
		m := colonName.FindStringSubmatch(part)
		switch {
		case m != nil:
			named++
			out = append(out, Member{Name: m[1], Text: strings.TrimSpace(part[len(m[0]):])})
		case len(out) > 0:
			out[len(out)-1].Text += glue + strings.TrimSpace(part)
		default:
			first = append(first, strings.TrimSpace(part))
		}
	}
	if named < fewestColons || 3*named < len(parts) {
		return nil
	}
	if len(first) > 0 {
		out = append([]Member{{Name: "text", Text: strings.Join(first, ", ")}}, out...)
	}
	return out
}

// IsBlock tells whether the lines of a text are one record of "Name: value" and not a record each.
func IsBlock(s string) bool {
	rows := blockLines(s)
	if len(rows) < fewestColons {
		return false
	}
	named := 0
	for _, row := range rows {
		if colonName.MatchString(row) {
			named++
		}
	}
	return named >= fewestColons && 4*named >= 3*len(rows)
}
