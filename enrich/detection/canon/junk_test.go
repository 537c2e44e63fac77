package canon

import (
	"strings"
	"testing"
)

// TestTextsThatSayNothing: in any case of letters, and nothing that only looks like one of them.
func TestTextsThatSayNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "-", "--", "0", "00", "0.0", ":", "...", "00:00:00:00:00:00", "00000000-0000-0000-0000-000000000000", "0x0", "-1", "n/a", "na", "none", "null",
		"nil", "nan", "unknown", "undefined", "unspecified", "(null)", "(none)", "(empty)", "<nil>", "<na>", "<null>", "<none>", "<unknown>", "?",
		"empty", "not available", "not applicable", "''", `""`, "[]", "{}", "*", "%%1833",
	} {
		for _, spelt := range []string{s, strings.ToUpper(s), strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):]} {
			if !IsJunk(spelt) {
				t.Errorf("%q says something", spelt)
			}
		}
	}
	for _, s := range []string{"0.0.0.0", "::", "0x1", "-2", "nginx", "nobody", "emptyhost", "unknown-01", "root", "%%1834", "*.example", "[x]", "::1", "Übung"} {
		if IsJunk(s) {
			t.Errorf("%q says nothing", s)
		}
	}
}
