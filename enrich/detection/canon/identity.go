package canon

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// FoldText makes texts that look alike one text, for comparison and never for show: compatibility
// forms are one (NFKC), letters in lower case, white space is one space and none around, and what
// nobody sees is gone: control, format, bidirectional, tag and private characters, variation
// selectors, fillers, the blank braille pattern, and U+FFFD, which stands for such in a Detection.
// FoldText(FoldText(s)) is FoldText(s). Letters of other scripts that look alike stay apart.
func FoldText(s string) string {
	if !IsPlain(s) {
		for {
			folded := norm.NFKC.String(strings.ToLower(strings.Map(seenOnly, norm.NFKC.String(strings.Map(seenOnly, s)))))
			if folded == s {
				break
			}
			s = folded
		}
	}
	s = strings.ToLower(s)
	if strings.Contains(s, "  ") || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		s = strings.Join(strings.Fields(s), " ")
	}
	return s
}

// seenOnly maps white space to a space, and what shows nothing to nothing.
func seenOnly(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case invisible(r):
		return -1
	}
	return r
}

// blanks are letters and signs that Unicode does not call ignorable, and that show nothing.
const blanks = "\u2800\ufffc\ufffd\u303f\U00016fe4\U00013441\U00013442\U0001d159"

// invisible tells whether a character shows nothing, or nothing that two readers would agree on.
func invisible(r rune) bool {
	return Hides(r) || unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Cs) ||
		strings.ContainsRune(blanks, r) || !utf8.ValidRune(r)
}

// FoldHost is what makes a host this host and no other: the name in lower case, its first label
// alone unless full, without a domain of Windows before it and a machine account's "$" behind it; an
// address in its one spelling. Empty is what names no host that others could be told from:
// localhost, addresses of nobody, "unknown".
func FoldHost(s string, full bool) string {
	s = FoldText(s)
	s = strings.TrimRight(strings.TrimLeft(s[strings.LastIndexByte(s, '\\')+1:], `"' `), `"' $`)
	if v, ok := IPValue(s); ok {
		return foldAddr(v.Addr)
	}
	if saysNoHost(s) {
		return ""
	}
	name, ok := hostName(s)
	if !ok {
		return s // a resource, a name that people gave
	}
	first, rest, _ := strings.Cut(name, ".")
	switch {
	case saysNoHost(first):
		if rest == "" || rest == "local" || strings.HasPrefix(rest, "localdomain") {
			return ""
		}
		return name // the domain is all that tells it
	case full:
		return name
	}
	return first
}

// saysNoHost tells names that every host has, or none; a host may well be called nan.
func saysNoHost(s string) bool { return IsJunk(s) && s != "nan" || slices.Contains(nobodys, s) }

// foldAddr is empty for what is the address of nobody, or of everybody.
func foldAddr(a netip.Addr) string {
	if JudgeAddr(a, nil) == LeaveOut {
		return ""
	}
	return a.String()
}

// nobodys are names of hosts that every host has, or none.
var nobodys = []string{
	"localhost", "localhost.localdomain", "localhost4", "localhost6", "localhost4.localdomain4", "localhost6.localdomain6", "localdomain",
	"ip6-localhost", "ip6-loopback", "broadcasthost", "unknown host", "unknown-host", "unknown_host", "no host", "not set", "not found",
	"n.a.", "n.a", "tbd", "-none-", "nohost", "nohostname", "no hostname", "hostname", "no data", "missing", "<hidden>", "<redacted>", "redacted",
}

// FoldIP is an address in its one spelling; empty is what is the address of nobody.
func FoldIP(s string) string {
	s = strings.TrimSpace(s)
	if v, ok := IPValue(s); ok {
		return foldAddr(v.Addr)
	}
	if s = FoldText(s); IsJunk(s) || slices.Contains(nobodys, s) {
		return ""
	}
	return s
}

// FoldKey is what makes a sender's own key this key; empty is what says nothing.
func FoldKey(s string) string {
	if s = FoldText(s); s == "0" || !IsJunk(s) {
		return s
	}
	return ""
}

// FoldUser is what makes an account this account: name, and domain where it is told, in lower case.
// erin@acme.example, ACME\erin and acme.example\erin are "acme\erin": the first label of the domain is
// Windows' short name of it unless somebody chose another, so that erin of another domain stays
// another. A bare erin is an account of its own, since nobody says of which domain. The account of
// a machine (LT-9$) is the machine: host. Both are empty for accounts that every host has (SYSTEM,
// root, ANONYMOUS LOGON, services) and for what says nothing.
func FoldUser(s string) (user, host string) {
	s = strings.Trim(HalveBackslashes(FoldText(s)), `"' `)
	if IsJunk(s) || slices.Contains(nobodys, s) || strings.HasPrefix(s, "s-1-") && everyonesSID.MatchString(s) {
		return "", ""
	}
	if v, ok := IPValue(s); ok {
		return foldAddr(v.Addr), "" // some senders write an address for whoever it was
	}
	domain, name := "", s
	if i := strings.LastIndexByte(s, '\\'); i >= 0 {
		domain, name = strings.Trim(s[:i], `\`), s[i+1:]
	}
	if i := strings.LastIndexByte(name, '@'); i > 0 && !strings.ContainsAny(name[:i], `:/=`) {
		if slices.Contains(authorities, name[i+1:]) {
			return "", ""
		}
		if at, ok := hostName(name[i+1:]); ok {
			return joinAccount(at, name[:i])
		}
	}
	if slices.Contains(authorities, domain) || slices.Contains(everyones, name) || IsJunk(name) || everyonesSession.MatchString(name) {
		return "", ""
	}
	return joinAccount(domain, name)
}

func joinAccount(domain, name string) (user, host string) {
	if machine, ok := strings.CutSuffix(name, "$"); ok && machine != "" {
		return "", FoldHost(machine, true)
	}
	if full, ok := hostName(domain); ok {
		domain, _, _ = strings.Cut(full, ".")
	}
	if domain == "" || domain == "." {
		return name, ""
	}
	return domain + `\` + name, ""
}

// everyones are accounts that every host has, in the languages of Windows.
var everyones = []string{
	"system", "système", "systeme", "sistema", "systém", "rendszer", "система", "local system", "localsystem", "root", "nobody", "anonymous", "anonymous logon", "anonymous-anmeldung",
	"local service", "localservice", "network service", "networkservice", "lokaler dienst", "netzwerkdienst", "service local", "service réseau",
	"servizio locale", "servizio di rete", "servicio local", "servicio de red", "serviço local", "serviço de rede", "lokale service", "netwerkservice",
	"system:anonymous", "system:unauthenticated", "everyone", "self", "iusr", "<anonymous>", "unauthenticated", "(unknown user)", "unknown user", "no user", "trustedinstaller",
}

// authorities are the domains of accounts that every host has.
var authorities = []string{
	"nt authority", "nt-autorität", "nt-autoritat", "autorite nt", "autorité nt", "nt instans", "autoridade nt", "nt service", "nt-dienst", "iis apppool",
	"window manager", "font driver host", "nt virtual machine", "nt hatóság", "zarządzanie nt",
}

// everyonesSID are the identifiers of such accounts; everyonesSession their sessions.
var (
	everyonesSID     = regexp.MustCompile(`^s-1-(0-0|1-0|2-[01]|3-\d+|5-(6|7|1[0-9]|20)|5-(80|82|83|90|96)(-\d+)*)$`)
	everyonesSession = regexp.MustCompile(`^(dwm|umfd)-\d+$`)
)
