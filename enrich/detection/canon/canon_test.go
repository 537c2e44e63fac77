package canon

import (
	"testing"

	"pgregory.net/rapid"
)

func TestValuesAreCanonicalOrNone(t *testing.T) {
	for _, c := range []struct{ dataType, in, wantType, want string }{
		{"ip", "1.2.3.4", "ip", "1.2.3.4"}, {"ip", " 1.2.3[.]4 ", "ip", "1.2.3.4"}, {"ip", "1.2.3.4:443", "ip", "1.2.3.4"}, {"ip", "::ffff:1.2.3.4", "ip", "1.2.3.4"},
		{"ip", "[2001:DB8::1]:443", "ip", "2001:db8::1"}, {"ip", "fe80::1%eth0", "ip", "fe80::1"}, {"ip", "2001:0db8:0:0:0:0:0:1", "ip", "2001:db8::1"}, {"ip", "1.2.3.4/32", "ip", "1.2.3.4"},
		{"ip", "1.2.3.0/24", "", ""}, {"ip", "010.1.1.1", "", ""}, {"ip", "VICTIM_IP", "", ""}, {"ip", "-", "", ""}, {"ip", "10.0.XX.XX", "", ""},
		{"host", "Evil.Example.COM.", "fqdn", "evil.example.com"}, {"host", "example.co.uk", "domain", "example.co.uk"}, {"host", "bücher.example.org", "fqdn", "xn--bcher-kva.example.org"},
		{"host", "WS-01", "hostname", "ws-01"}, {"host", "dc.corp.local", "hostname", "dc.corp.local"}, {"host", "10.1.1.1", "ip", "10.1.1.1"}, {"host", "evil[.]com", "domain", "evil.com"},
		{"host", "localhost", "", ""}, {"host", "a b", "", ""}, {"host", "1.2.3", "", ""}, {"host", "x..y", "", ""}, {"host", "_dmarc.example.com", "fqdn", "_dmarc.example.com"}, {"host", "*.example.com", "domain", "example.com"},
		{"domain", "evil.lan", "domain", "evil.lan"},
		{"url", "hxxps://Evil[.]Example.com:443/A?b=C#d", "url", "https://evil.example.com/A?b=C#d"}, {"url", "HTTP://u:p@Host.example.com:8080", "url", "http://u:p@host.example.com:8080"},
		{"url", "https://example.com/", "url", "https://example.com"}, {"url", "http://[2001:DB8::1]:80/x", "url", "http://[2001:db8::1]/x"}, {"url", "evil.com", "domain", "evil.com"},
		{"url", "evil.com/a", "url", "evil.com/a"}, {"url", "1.0.9.6/", "ip", "1.0.9.6"}, {"url", "evil.com:8080/", "domain", "evil.com"}, {"url", "/a/b", "uri_path", "/a/b"}, {"url", "redacted/redacted", "", ""}, {"url", "file:///etc/passwd", "", ""}, {"url", "http://a b/", "", ""}, {"url", "javascript:alert(1)", "", ""}, {"url", "http:///x", "", ""}, {"url", "http://1.2.3.4:99999999/", "", ""},
		{"mail", "John.DOE@Company.EU", "mail", "john.doe@company.eu"}, {"mail", "\"J, D\" <j@x.org>", "mail", "j@x.org"}, {"mail", "a@b", "mail", "a@b"}, {"mail", "no mail", "", ""}, {"mail", "@x.org", "", ""}, {"mail", "a@", "", ""}, {"mail", "a@@b.org", "", ""}, {"mail", `"@x.2"@b.org`, "", ""}, {"mail", "a!b@x.org", "mail", "a!b@x.org"},
		{"hash", "D41D8CD98F00B204E9800998ECF8427E", "", ""}, {"hash", "266AEDBEC51E35277729294996A213DD", "hash", "266aedbec51e35277729294996a213dd"}, {"hash", "sha256:9f68f5fc21270a06bb934b5f3fa5aee2068a56a1260d4e7e4b48f2dca501b8c9", "hash", "9f68f5fc21270a06bb934b5f3fa5aee2068a56a1260d4e7e4b48f2dca501b8c9"},
		{"hash", "0000000000000000000000000000000000000000", "", ""}, {"hash", "abc", "", ""}, {"hash", "zz6aedbec51e35277729294996a213dd", "", ""},
		{"filename", `"C:\\Windows\\a.exe"`, "filename", `C:\Windows\a.exe`}, {"filename", `\\srv\share\a`, "filename", `\\srv\share\a`}, {"filename", `\\\\Device\\HarddiskVolume1\\a`, "filename", `\Device\HarddiskVolume1\a`}, {"filename", "''", "", ""}, {"filename", "N/A", "", ""},
		{"registry", `HKEY_LOCAL_MACHINE\Software`, "registry", `HKLM\Software`}, {"registry", `\REGISTRY\MACHINE\System`, "registry", `HKLM\System`}, {"registry", "x", "", ""},
		{"autonomous-system", "as64496", "autonomous-system", "AS64496"}, {"autonomous-system", "64496", "autonomous-system", "AS64496"}, {"autonomous-system", "-1", "", ""},
		{"auto", "1.2.3.4", "ip", "1.2.3.4"}, {"auto", "evil.com", "domain", "evil.com"}, {"auto", "a thing", "other", "a thing"}, {"auto", "a@b.org", "mail", "a@b.org"},
	} {
		v, ok := Canonical(c.dataType, c.in)
		if ok != (c.wantType != "") || ok && (v.DataType != c.wantType || v.Data != c.want) {
			t.Errorf("%s %q: %v %q %v, want %s %q", c.dataType, c.in, v.DataType, v.Data, ok, c.wantType, c.want)
		}
	}
}

// TestCanonicalIsCanonical: reading what was read gives the same.
func TestCanonicalIsCanonical(t *testing.T) {
	parts := rapid.SampledFrom([]string{"http://", "a", "b.com", "1.2.3.4", ":", "80", "/", "@", "[", "]", "::1", `\`, "%", "x", "-", ".", "é", " ", "AS", "12", "hxxp", "[.]", "266aedbec51e35277729294996a213dd"})
	rapid.Check(t, func(r *rapid.T) {
		dataType := rapid.SampledFrom(BuiltinTypes).Draw(r, "type")
		s := ""
		for _, p := range rapid.SliceOfN(parts, 0, 8).Draw(r, "parts") {
			s += p
		}
		v, ok := Canonical(dataType, s)
		if !ok {
			return
		}
		again, ok := Canonical(v.DataType, v.Data)
		if !ok || again.Data != v.Data || again.DataType != v.DataType {
			r.Fatalf("%s %q: %v %q, then %v %q %v", dataType, s, v.DataType, v.Data, again.DataType, again.Data, ok)
		}
	})
}
