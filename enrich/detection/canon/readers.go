package canon

import (
	"net/netip"
	"strings"
)

// SplitList yields the members of "a, b;c d".
func SplitList(s string) func(func(string) bool) {
	return strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '|' || r == '\t' })
}

// HashList yields the sums of "SHA1=…,MD5=…,SHA256=…,IMPHASH=…". An import hash is no hash of a file.
func HashList(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for one := range SplitList(s) {
			name, sum, named := strings.Cut(one, "=")
			if !named {
				name, sum = "", one
			}
			switch strings.ToUpper(strings.TrimSpace(name)) {
			case "", "MD5", "SHA1", "SHA-1", "SHA256", "SHA-256", "SHA384", "SHA512", "SHA224":
				if !yield(sum) {
					return
				}
			}
		}
	}
}

// Tuple reads "10.0.0.1:34->1.2.3.4:443", as Falco and others name a connection.
func Tuple(s string) (src, dst string, ok bool) {
	left, right, ok := strings.Cut(s, "->")
	if !ok {
		return "", "", false
	}
	var ends [2]string
	for i, end := range []string{left, right} {
		end = strings.TrimSpace(end)
		if a, valid := ParseAddr(end); valid {
			ends[i] = a.String()
			continue
		}
		// an address of version 6 and its port, without brackets
		if at := strings.LastIndexByte(end, ':'); at > 0 {
			if a, err := netip.ParseAddr(end[:at]); err == nil {
				ends[i] = a.String()
			}
		}
	}
	return ends[0], ends[1], ends[0] != "" || ends[1] != ""
}
