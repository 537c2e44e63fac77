package canon

import (
	"encoding/hex"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// BuiltinTypes are TheHive's own types of observables (OpenAPI 5.5.13) but file, which has no text.
var BuiltinTypes = []string{
	"ip", "domain", "fqdn", "hostname", "url", "mail", "mail-subject", "hash", "filename", "registry",
	"user-agent", "uri_path", "autonomous-system", "regexp", "other",
}

// DataTypes are TheHive's types of observables that detections may bring.
func DataTypes() []string { return append(slices.Clone(BuiltinTypes), "file") }

// RuleTypes are what a format file may name: the built-in types, "host" (a name of whatever kind,
// or an address), "auto" (told by its shape), and kinds that TheHive has no type for.
var RuleTypes = append(slices.Clone(BuiltinTypes), "host", "auto", "user-account", "mac-address", "cve", "process", "command-line", "subnet")

// KnownType tells whether a format file may name a type.
func KnownType(t string) bool { return slices.Contains(RuleTypes, t) }

// Value is an observable's type and data, canonical.
type Value struct {
	DataType, Data string
	Tag            string // what the type alone does not say: "sha256"; may be empty
	Addr           netip.Addr
}

// Canonical brings a text to the one spelling of its value. It reports false for what is no value of
// the type: a host that is none, a hash of an odd length.
func Canonical(dataType, s string) (Value, bool) {
	s = strings.TrimSpace(s)
	if IsJunk(s) {
		return Value{}, false
	}
	switch dataType {
	case "ip":
		return IPValue(s)
	case "host", "hostname", "fqdn", "domain":
		return hostValue(dataType, s)
	case "url":
		return urlValue(s)
	case "mail":
		return mailValue(s)
	case "hash":
		return hashValue(s)
	case "filename", "process":
		return pathValue("filename", s)
	case "registry":
		return registryValue(s)
	case "uri_path":
		s = Line(s, len(s))
		return Value{DataType: dataType, Data: s}, strings.HasPrefix(s, "/") && s != "/"
	case "autonomous-system":
		return systemValue(s)
	case "auto":
		return guess(s), true
	}
	s = Line(s, len(s))
	return Value{DataType: dataType, Data: s}, s != ""
}

// guess types a value by its shape, for senders that do not say.
func guess(s string) Value {
	for _, read := range []func(string) (Value, bool){IPValue, hashValue, schemeURL, mailValue} {
		if v, ok := read(s); ok {
			return v
		}
	}
	if v, ok := hostValue("host", s); ok && (v.DataType == "domain" || v.DataType == "fqdn") {
		return v
	}
	return Value{DataType: "other", Data: Line(s, len(s))}
}

func schemeURL(s string) (Value, bool) {
	if !strings.Contains(s, "://") {
		return Value{}, false
	}
	return urlValue(s)
}

// IsJunk tells the many ways to say nothing. It is asked of every text of an event, and most texts
// begin with what no junk begins with.
func IsJunk(s string) bool {
	if s == "" {
		return true
	}
	switch s[0] {
	case '0', '-', ':', '.':
		if strings.Trim(s, "0-:.") == "" {
			return s != "0.0.0.0" && s != "::"
		}
	case 'n', 'N', 'u', 'U', 'e', 'E', '(', '<', '?', '\'', '"', '[', '{', '*', '%':
	default:
		return false
	}
	if len(s) > 16 {
		return false
	}
	switch strings.ToLower(s) {
	case "0x0", "n/a", "na", "none", "null", "nil", "unknown", "undefined", "(null)", "(none)", "<nil>", "<na>", "<null>", "<none>", "?",
		"nan", "(empty)", "empty", "not available", "not applicable", "''", `""`, "[]", "{}", "-1", "*", "...", "%%1833", "<unknown>", "unspecified":
		return true
	}
	return false
}

// IPValue reads an address, of version 4, 6 or 4 in 6, with or without port, zone, brackets, a
// prefix length of all bits, or defanging.
func IPValue(s string) (Value, bool) {
	a, ok := ParseAddr(s)
	if !ok {
		return Value{}, false
	}
	return Value{DataType: "ip", Data: a.String(), Addr: a}, true
}

// ParseAddr reads an address as [Canonical] does, and gives it as one.
func ParseAddr(s string) (netip.Addr, bool) {
	if !mayBeAddr(s) {
		return netip.Addr{}, false
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if !strings.ContainsAny(s, ":.") {
		return netip.Addr{}, false
	}
	s = strings.Trim(refang(s), `"' `)
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	if p, err := netip.ParsePrefix(s); err == nil && p.IsSingleIP() {
		return p.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}

// mayBeAddr tells most texts that are no address without the cost of an error: an address of
// version 4 starts with a digit, one of version 6 has a colon, and neither is long.
func mayBeAddr(s string) bool {
	if len(s) < 2 || len(s) > 100 {
		return false
	}
	c := s[0]
	return '0' <= c && c <= '9' || (c == '[' || c == '"' || c == '\'') || strings.IndexByte(s, ':') >= 0 && isHex(s[0])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' || c == ':'
}

// refang undoes what people do to make an address harmless to click.
func refang(s string) string {
	if !strings.ContainsAny(s, "[](){}") && !strings.HasPrefix(strings.ToLower(s), "hxxp") && !strings.HasPrefix(strings.ToLower(s), "fxp") {
		return s
	}
	if !strings.HasPrefix(s, "[") || strings.HasPrefix(s, "[.") {
		s = fangs.Replace(s)
	}
	lower := strings.ToLower(s)
	switch {
	case strings.HasPrefix(lower, "hxxp"):
		s = "http" + s[4:]
	case strings.HasPrefix(lower, "fxp"):
		s = "ftp" + s[3:]
	}
	return s
}

var fangs = strings.NewReplacer("[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", "[DOT]", ".",
	"[:]", ":", "[://]", "://", "[@]", "@", "[at]", "@", "(at)", "@", "[/]", "/")

// hostValue reads a name: a domain is what can be registered (public suffix plus one), below it is
// an fqdn, and all else a hostname. An address is an ip.
func hostValue(dataType, s string) (Value, bool) {
	if v, ok := IPValue(s); ok {
		return v, true
	}
	s, ok := hostName(s)
	if !ok || s == "localhost" || IsJunk(s) {
		return Value{}, false
	}
	kind := "hostname"
	if suffix, icann := publicsuffix.PublicSuffix(s); (icann || strings.Contains(suffix, ".")) && suffix != s {
		kind = "fqdn"
		if registered, err := publicsuffix.EffectiveTLDPlusOne(s); err == nil && registered == s {
			kind = "domain"
		}
	} else if dataType == "domain" && strings.Contains(s, ".") {
		kind = "domain" // of a private name service
	}
	return Value{DataType: kind, Data: s}, true
}

// hostName brings a name to lower-case ASCII, without the dot at its end.
func hostName(s string) (string, bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(refang(s)), "*."), ".")
	if s == "" || len(s) > 253 {
		return "", false
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii, err := idna.Lookup.ToASCII(s)
			if err != nil {
				return "", false
			}
			s = ascii
			break
		}
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || !isLabel(label) {
			return "", false
		}
		last = label
	}
	return s, len(last) == len(s) || !AllDigits(last) // 1.2.3 is a broken address
}

func isLabel(l string) bool {
	for i := range len(l) {
		if c := l[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return strings.Trim(l, "-_") != ""
}

// mailValue reads an address by RFC 5322, its name left out, in lower case: no server that matters
// tells John from john.
func mailValue(s string) (Value, bool) {
	s = strings.TrimPrefix(refang(s), "mailto:")
	if !strings.Contains(s, "@") || len(s) > 1000 {
		return Value{}, false
	}
	at := strings.IndexByte(s, '@')
	local, domain := s[:at], s[at+1:]
	if strings.Trim(strings.ToLower(local), "abcdefghijklmnopqrstuvwxyz0123456789.+-_") != "" || strings.HasPrefix(local, ".") || strings.Contains(s, "..") || strings.HasSuffix(local, ".") {
		a, err := mail.ParseAddress(s) // all but the plain form: names, quoted parts
		if err != nil {
			return Value{}, false
		}
		at = strings.LastIndexByte(a.Address, '@')
		local, domain = a.Address[:at], a.Address[at+1:]
	}
	domain, ok := hostName(domain)
	if !ok || local == "" || strings.ContainsAny(local, `@"(),:;<>[\]`) || local[0] == '.' || strings.HasSuffix(local, ".") || strings.Contains(local, "..") || strings.ContainsFunc(local, func(r rune) bool { return r < '!' || Hides(r) }) {
		return Value{}, false
	}
	return Value{DataType: "mail", Data: strings.ToLower(local) + "@" + domain}, true
}

// hashNames are the algorithms by the length of their hexadecimal sums.
var hashNames = map[int]string{32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}

// emptySums are the sums of nothing.
var emptySums = []string{
	"d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
	"d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
	"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
}

// hashValue reads a sum by its length. Sums of nothing, and of one digit only, are none.
func hashValue(s string) (Value, bool) {
	if i := strings.IndexByte(s, ':'); i > 0 && i < 10 {
		s = s[i+1:] // "sha256:…"
	}
	name := hashNames[len(s)]
	if name == "" {
		return Value{}, false
	}
	s = strings.ToLower(s)
	if _, err := hex.DecodeString(s); err != nil || strings.Count(s, s[:1]) == len(s) || slices.Contains(emptySums, s) {
		return Value{}, false
	}
	return Value{DataType: "hash", Data: s, Tag: name}, true
}

// systemValue reads the number of an autonomous system, "AS64496".
func systemValue(s string) (Value, bool) {
	digits := s
	if len(s) > 2 && strings.EqualFold(s[:2], "as") {
		digits = strings.TrimSpace(s[2:])
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return Value{DataType: "autonomous-system", Data: "AS" + strconv.FormatUint(n, 10)}, err == nil && n > 0
}
