package canon

import (
	"strings"
)

// maxURL is how long, in bytes, a URL is parsed: TheHive takes observables of 4096.
const maxURL = 4096

// urlValue reads a URL: its scheme and host in lower case, the host in ASCII, without a port that
// the scheme implies; the rest as it was sent. Without a scheme, a name alone is a name, a name
// with a path stays a URL as it is, and a path alone is a uri_path.
func urlValue(s string) (Value, bool) {
	s = strings.Trim(refang(s), `"'<>`)
	if len(s) > maxURL || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || Hides(r) }) {
		return Value{}, false
	}
	if strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") {
		return Value{DataType: "uri_path", Data: s}, s != "/"
	}
	scheme, rest, absolute := strings.Cut(s, "://")
	if !absolute {
		return bareURL(strings.TrimPrefix(s, "//"))
	}
	scheme = strings.ToLower(scheme)
	if scheme == "" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") != "" || scheme == "file" {
		return Value{}, false
	}
	rest, _, ok := authority(scheme, rest)
	return Value{DataType: "url", Data: scheme + "://" + rest}, ok
}

// bareURL reads what has no scheme: "evil.example/path".
func bareURL(s string) (Value, bool) {
	if !strings.ContainsAny(s, "/?#") {
		return hostValue("host", strings.TrimSuffix(s, ":443"))
	}
	rest, host, ok := authority("", s)
	if !ok || host.DataType == "hostname" && !strings.Contains(host.Data, ".") {
		return Value{}, false // a path, a word with a slash
	}
	if !strings.ContainsAny(rest, "/?#") {
		return host, true // there was a slash at the end, no more
	}
	return Value{DataType: "url", Data: rest}, true
}

// authority makes what follows the scheme canonical.
func authority(scheme, s string) (string, Value, bool) {
	end := strings.IndexAny(s, "/?#")
	if end < 0 {
		end = len(s)
	}
	auth, tail := s[:end], s[end:]
	user, host := "", auth
	if i := strings.LastIndexByte(auth, '@'); i >= 0 {
		user, host = auth[:i+1], auth[i+1:]
	}
	host, port, ok := splitPort(host)
	if !ok {
		return "", Value{}, false
	}
	v, ok := hostValue("host", host)
	if !ok {
		if !strings.EqualFold(host, "localhost") {
			return "", Value{}, false
		}
		v = Value{DataType: "hostname", Data: "localhost"}
	}
	name := v.Data
	if v.Addr.Is6() {
		name = "[" + name + "]"
	}
	if port != "" && !implied(scheme, port) {
		name += ":" + port
	}
	if tail == "/" {
		tail = ""
	}
	return user + name + tail, v, true
}

// splitPort takes the port off a host, which is in brackets where it has colons.
func splitPort(s string) (host, port string, ok bool) {
	if inner, bracketed := strings.CutPrefix(s, "["); bracketed {
		host, port, ok = strings.Cut(inner, "]")
		if !ok || port != "" && port[0] != ':' {
			return "", "", false
		}
		return host, strings.TrimPrefix(port, ":"), AllDigits(strings.TrimPrefix(port, ":"))
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port, host != "" && len(port) <= 5 && AllDigits(port)
}

func implied(scheme, port string) bool {
	return scheme == "http" && port == "80" || scheme == "https" && port == "443" || scheme == "ftp" && port == "21"
}

// pathValue reads the path or name of a file: quotes go, and backslashes that a forwarder doubled.
func pathValue(dataType, s string) (Value, bool) {
	s = HalveBackslashes(strings.Trim(Line(s, len(s)), `"' `))
	s = WithoutScheme(s)
	if strings.HasPrefix(s, `\\Device\`) {
		s = s[1:] // no server: a device of Windows, its backslash doubled
	}
	return Value{DataType: dataType, Data: s}, s != "" && !IsJunk(s) && strings.Trim(s, `/\.`) != ""
}

// WithoutScheme takes off what ESET and Defender write before a drive's path.
func WithoutScheme(s string) string {
	for _, scheme := range []string{"file:///", "file:_"} {
		if rest, ok := strings.CutPrefix(s, scheme); ok && len(rest) > 1 && rest[1] == ':' {
			return rest
		}
	}
	return s
}

// HalveBackslashes makes one of every run of backslashes, two of one at the start (\\server\share).
func HalveBackslashes(s string) string {
	if !strings.Contains(s, `\\`) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	if strings.HasPrefix(s, `\\`) {
		b.WriteByte('\\')
	}
	for i := range len(s) {
		if s[i] != '\\' || i == 0 || s[i-1] != '\\' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// hives are the long names of the registry's roots.
var hives = []struct{ long, short string }{
	{`\REGISTRY\MACHINE\`, `HKLM\`}, {`\REGISTRY\USER\`, `HKU\`}, {`HKEY_LOCAL_MACHINE\`, `HKLM\`}, {`HKEY_USERS\`, `HKU\`},
	{`HKEY_CURRENT_USER\`, `HKCU\`}, {`HKEY_CLASSES_ROOT\`, `HKCR\`}, {`HKEY_CURRENT_CONFIG\`, `HKCC\`}, {`REGISTRY\MACHINE\`, `HKLM\`},
}

// registryValue reads a registry key, its root in the short form.
func registryValue(s string) (Value, bool) {
	v, ok := pathValue("registry", s)
	for _, h := range hives {
		if len(v.Data) > len(h.long) && strings.EqualFold(v.Data[:len(h.long)], h.long) {
			v.Data = h.short + v.Data[len(h.long):]
			break
		}
	}
	return v, ok && strings.Contains(v.Data, `\`)
}
