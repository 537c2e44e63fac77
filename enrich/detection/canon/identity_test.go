package canon

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// TestInvisibleCharactersMakeNoOtherHost puts what nobody sees into a name, in every place.
func TestInvisibleCharactersMakeNoOtherHost(t *testing.T) {
	for name, s := range map[string]string{
		"braille blank": "\u2800", "variation selector": "\ufe0f", "variation selector 17": "\U000e0100", "zero width joiner": "\u200d",
		"zero width non-joiner": "\u200c", "zero width space": "\u200b", "tag a": "\U000e0061", "language tag": "\U000e0001", "right to left override": "\u202e",
		"isolate": "\u2066", "pop isolate": "\u2069", "soft hyphen": "\u00ad", "word joiner": "\u2060", "byte order mark": "\ufeff", "grapheme joiner": "\u034f",
		"hangul filler": "\u3164", "halfwidth filler": "\uffa0", "choseong filler": "\u115f", "mongolian separator": "\u180b", "arabic letter mark": "\u061c",
		"interlinear": "\ufff9", "object replacement": "\ufffc", "replacement": "\ufffd", "bad byte": "\xff", "null": "\x00", "escape": "\x1b", "delete": "\x7f",
		"invisible times": "\u2062", "khmer inherent": "\u17b4", "shorthand": "\U0001bca0", "musical": "\U0001d173", "private": "\ue000", "next line control": "\u0086",
	} {
		for _, host := range []string{s + "dc01", "dc" + s + "01", "dc01" + s, "dc01" + s + ".corp.example", s + "DC" + s + s + "01"} {
			if got := FoldHost(host, false); got != "dc01" {
				t.Errorf("%s: %q is %q, want dc01", name, host, got)
			}
		}
		if got, _ := FoldUser("er" + s + "in"); got != "erin" {
			t.Errorf("%s: user is %q, want erin", name, got)
		}
		if FoldHost(s, false) != "" || FoldKey(s+" "+s) != "" {
			t.Errorf("%s alone is a key", name)
		}
	}
}

func TestHostsFold(t *testing.T) {
	for s, want := range map[string]string{
		"ws-0119.corp.example": "ws-0119", "WS-0119": "ws-0119", "WS-0119.": "ws-0119", `CORP\WS-0119$`: "ws-0119", `\\WS-0119`: "ws-0119",
		"ｗｓ－０１１９": "ws-0119", "ip-10-0-0-1.eu-west-1.compute.internal": "ip-10-0-0-1",
		"10.20.0.9": "10.20.0.9", "2001:DB8::0001": "2001:db8::1", "::ffff:10.20.0.9": "10.20.0.9", "10.20.0.9:443": "10.20.0.9",
		"arn:aws:ec2:eu-west-1:1:instance/i-0.1": "arn:aws:ec2:eu-west-1:1:instance/i-0.1", "Anna's MacBook  Pro": "anna's macbook pro",
		"münchen.corp.example": "xn--mnchen-3ya",
		"localhost":            "", "LOCALHOST.localdomain": "", "localhost4": "", "ip6-localhost": "", "127.0.0.1": "", "127.9.9.9": "", "::1": "", "0.0.0.0": "", "::": "",
		"-": "", "--": "", "N/A": "", "n/a": "", "unknown": "", "UNKNOWN": "", "null": "", "None": "", "": "", "  ": "", "(none)": "", "undefined": "", "169.254.1.1": "",
		"255.255.255.255": "", "[::1]": "", "127.0.0.1:8080": "", "fe80::1%eth0": "", "localhost.": "",
	} {
		if got := FoldHost(s, false); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
	if got := FoldHost("WS-0119.Corp.Example", true); got != "ws-0119.corp.example" {
		t.Errorf("in full: %q", got)
	}
}

func TestUsersFold(t *testing.T) {
	for s, want := range map[string][2]string{
		"erin@acme.example": {`acme\erin`}, `ACME\erin`: {`acme\erin`}, `ACME\\Erin`: {`acme\erin`}, `acme.example\erin`: {`acme\erin`},
		`AzureAD\erin@acme.example`: {`acme\erin`}, "erin": {"erin"}, "ERIN": {"erin"}, `.\erin`: {"erin"}, `OTHER\erin`: {`other\erin`}, "erin@other.example": {`other\erin`},
		"WS-7$": {"", "ws-7"}, `ACME\WS-7$`: {"", "ws-7"}, "ws-7$@acme.example": {"", "ws-7"},
		"arn:aws:sts::1:assumed-role/Admin/erin@acme.example": {"arn:aws:sts::1:assumed-role/admin/erin@acme.example"},
		"SYSTEM": {}, `NT AUTHORITY\SYSTEM`: {}, `NT-AUTORITÄT\SYSTEM`: {}, `AUTORITE NT\Système`: {}, `WS-7\SYSTEM`: {}, "root": {}, "ANONYMOUS LOGON": {}, `NT AUTHORITY\ANONYMOUS LOGON`: {},
		"LOCAL SERVICE": {}, `nt authority\network service`: {}, "NETWORK SERVICE": {}, `Window Manager\DWM-1`: {}, "UMFD-0": {}, "S-1-5-18": {}, "S-1-5-7": {}, "S-1-0-0": {},
		"-": {}, "N/A": {}, "unknown": {}, "null": {}, "": {}, "(none)": {}, "system:anonymous": {}, "nobody": {}, "0": {}, "SYSTEM@NT AUTHORITY": {}, "$": {"$"},
		"S-1-5-21-1-2-3-1001": {"s-1-5-21-1-2-3-1001"}, "Administrator": {"administrator"}, "root@acme.example": {`acme\root`}, "SYST\u200dEM": {}, "ｒｏｏｔ": {},
	} {
		if user, host := FoldUser(s); user != want[0] || host != want[1] {
			t.Errorf("%q is %q and host %q, want %q", s, user, host, want)
		}
	}
}

// TestFoldingTwiceIsFoldingOnce holds for any text, and what comes out shows all it has.
func TestFoldingTwiceIsFoldingOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("aA.\\@$-01 \u200d\u2800\ufe0fİſKßΣ\u0345\u1e9eﬁ½\u3164\u00a0\ue000")), 0, 12, -1)).Draw(t, "text")
		once := FoldText(s)
		if twice := FoldText(once); twice != once {
			t.Fatalf("%q is %q, then %q", s, once, twice)
		}
		if i := strings.IndexFunc(once, func(r rune) bool { return invisible(r) || r != ' ' && unicode.IsSpace(r) }); i >= 0 {
			t.Fatalf("%q keeps something at %d: %q", s, i, once)
		}
		host := FoldHost(s, false)
		if again := FoldHost(host, false); again != host {
			t.Fatalf("host %q is %q, then %q", s, host, again)
		}
	})
}
