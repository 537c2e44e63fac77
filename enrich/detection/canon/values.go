package canon

import (
	"iter"
	"regexp"
	"strings"
)

// ValuesIn yields the values that a text of a type holds: itself, where it is one, else the members
// of a list in it ("a, b"), wherever a format file names a path. Names of hosts are parted by marks
// alone and hold together, since people write names with spaces.
func ValuesIn(dataType, s string) iter.Seq[string] {
	one := func(yield func(string) bool) { yield(s) }
	if !MayBeList(s) {
		return one
	}
	switch dataType {
	case "hash":
		return someOf(dataType, s, HashList(s))
	case "cve", "mac-address":
		return SplitList(s)
	case "ip", "mail", "autonomous-system":
		if _, ok := Canonical(dataType, s); !ok {
			return someOf(dataType, s, SplitList(s))
		}
	case "host", "hostname", "fqdn", "domain":
		if parts := listOf(s, isHost); parts != nil {
			return func(yield func(string) bool) {
				for _, p := range parts {
					if !yield(p) {
						return
					}
				}
			}
		}
	case "url":
		if nextURL.MatchString(s) {
			return strings.SplitSeq(nextURL.ReplaceAllString(s, "\n$1"), "\n")
		}
	}
	return one
}

// someOf is the members of a list when one of them is of the type, else the whole text.
func someOf(dataType, s string, members iter.Seq[string]) iter.Seq[string] {
	for m := range members {
		if _, ok := Canonical(dataType, m); ok {
			return members
		}
	}
	return func(yield func(string) bool) { yield(s) }
}

// MayBeList tells whether a text has what parts the members of a list.
func MayBeList(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case ',', ';', '|', ' ', '\n', '\t':
			return true
		}
	}
	return false
}

// nextURL is where a URL ends and the next one begins.
var nextURL = regexp.MustCompile(`(?i)[\s,;|]+((?:hxxps?|https?|ftp)(?:\[:\]|:)//)`)

// listOf parts a text at commas, semicolons and bars; nil where a part is none of its kind, or
// there is but one.
func listOf(s string, is func(string) bool) []string {
	if !strings.ContainsAny(s, ",;|") {
		return nil
	}
	var parts []string
	for p := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' || r == '|' }) {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if !is(p) {
			return nil
		}
		parts = append(parts, p)
	}
	return parts
}

// FirstHost is the first of a list of hosts in a text, or the text.
func FirstHost(s string) string {
	if parts := listOf(s, isHost); len(parts) > 0 {
		return parts[0]
	}
	return s
}

// FirstAccount is the first of a list of accounts in a text, or the text: "Doe, Jane" is a name.
func FirstAccount(s string) string {
	if parts := listOf(s, isAccount); len(parts) > 0 && (!strings.ContainsAny(s, " ") || strings.ContainsAny(parts[0], `\\@`)) {
		return parts[0]
	}
	return s
}

func isHost(s string) bool {
	_, ok := hostValue("host", s)
	return ok
}

// isAccount tells an account from the parts of a name ("Doe, Jane") and of a directory's name.
func isAccount(s string) bool {
	return !strings.ContainsAny(s, " =(){}[]\"") && !strings.HasPrefix(s, ".")
}
