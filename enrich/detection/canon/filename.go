package canon

import (
	"strings"
	"unicode/utf8"
)

// MaxFileName is how many bytes of a file name are kept: what common file systems allow.
const MaxFileName = 255

// FileName reduces what a sender calls a file to a name: the last part of a path of any system,
// without control or bidirectional characters, no name of a Windows device, no leading or
// trailing dots and spaces, at most 255 bytes with its ending kept. It is never empty.
func FileName(s string) string {
	s = Plain(s, false)
	if i := strings.LastIndexAny(s, `/\:`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>"|?*`, r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, s)
	s = strings.Trim(s, ". ")
	if stem, _, _ := strings.Cut(s, "."); isDevice(stem) {
		s = "_" + s
	}
	if len(s) > MaxFileName {
		s = shorten(s)
	}
	if s == "" {
		return "file"
	}
	return s
}

// shorten cuts a long name in front of its ending.
func shorten(s string) string {
	ending := ""
	if i := strings.LastIndexByte(s, '.'); i > 0 && len(s)-i <= 16 {
		ending = s[i:]
	}
	cut := MaxFileName - len(ending)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimRight(s[:cut], ". ") + ending
}

// isDevice tells whether Windows takes a name for a device, whatever its ending.
func isDevice(stem string) bool {
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$":
		return true
	}
	port, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		port, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && (len(port) == 1 && port[0] >= '0' && port[0] <= '9' || port == "¹" || port == "²" || port == "³")
}
