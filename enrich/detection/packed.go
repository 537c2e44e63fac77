package detection

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"forager/enrich/detection/malformed"
)

// Bounds of what a compressed text may become: a small one may grow to minUnpacked.
const (
	maxGrowth   = 10
	minUnpacked = 256 << 10
)

// unpack decodes base64, and gzip in it, of a text that looks like JSON, lines of text or gzip in base64;
// by says what was decoded, nothing where the text is none. What grows too much is TooLarge.
func (u *unwrapper) unpack(src string) (plain string, by []string, err error) {
	if !mayBeBase64(src) {
		return "", nil, nil
	}
	raw, ok := inBase64(src)
	if !ok {
		return "", nil, nil
	}
	if err := u.spend(len(raw)); err != nil {
		return "", nil, err
	}
	by = []string{"base64"}
	if isGzip(raw) {
		if raw, err = u.gunzip(raw); err != nil {
			return "", nil, err
		}
		by = append(by, "gzip")
	}
	return strings.TrimPrefix(strings.ToValidUTF8(string(raw), "\ufffd"), "\ufeff"), by, nil
}

// shortestBase64 is a length that no event in base64 is below.
const shortestBase64 = 16

// mayBeBase64 tells from the first letters whether a text may hold, in base64, an object, an array, gzip,
// a byte order mark, CEF, LEEF, or syslog.
func mayBeBase64(s string) bool {
	if len(s) < shortestBase64 {
		return false
	}
	switch s[0] {
	case 'e', 'W': // { and [
		return 'w' <= s[1] && s[1] <= 'z' || '0' <= s[1] && s[1] <= '9' || strings.IndexByte("+/-_", s[1]) >= 0
	case 'I': // a space
		return 'A' <= s[1] && s[1] <= 'P'
	case 'C': // an end of a line
		return 'g' <= s[1] && s[1] <= 'v'
	}
	for _, start := range []string{"H4sI", "77u", "Q0VG", "TEVFR", "PD"} {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return false
}

// inBase64 decodes any of the usual alphabets, padded or not.
func inBase64(s string) ([]byte, bool) {
	s = strings.TrimRight(strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\r':
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, s), "=")
	raw, err := base64.RawStdEncoding.DecodeString(s)
	return raw, err == nil
}

func isGzip(raw []byte) bool { return bytes.HasPrefix(raw, []byte{0x1f, 0x8b, 0x08}) }

// gunzip expands within bounds. What is no gzip, or ends early, is as it came.
func (u *unwrapper) gunzip(raw []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return raw, nil //nolint:nilerr // bytes that only look like gzip are no event, and no fault of the message
	}
	most := min(max(maxGrowth*len(raw), minUnpacked), u.limits.Unpacked-u.unpacked)
	plain, err := io.ReadAll(io.LimitReader(r, int64(max(most, 0))+1))
	if len(plain) > most {
		return nil, malformed.New(malformed.TooLarge, fmt.Sprintf("gzip of %d bytes expands to more than %d", len(raw), max(most, 0)))
	}
	if err != nil {
		return raw, nil //nolint:nilerr // as above
	}
	return plain, u.spend(len(plain))
}

// spend counts what was decoded.
func (u *unwrapper) spend(n int) error {
	if u.unpacked += n; u.unpacked > u.limits.Unpacked {
		return malformed.New(malformed.TooLarge, fmt.Sprintf("base64 and gzip in the message decode to more than %d bytes", u.limits.Unpacked))
	}
	return nil
}
