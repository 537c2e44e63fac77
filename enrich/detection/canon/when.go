package canon

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// layouts of times, the offset's "Z07:00" and "Z0700" forms apart. Go takes a fraction of a
// second with any of them.
var layouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z07",
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02",
}

// wordyLayouts name months or write them the American way.
var wordyLayouts = []string{
	"Mon Jan _2 15:04:05 2006 MST", "Mon Jan _2 15:04:05 2006", time.RFC1123, time.RFC1123Z, time.RFC850,
	"02/Jan/2006:15:04:05 -0700", "2-Jan-2006 15:04:05", "_2 Jan 2006 15:04:05", "Jan _2, 2006 15:04:05", "Jan _2, 2006 @ 15:04:05",
	"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "Jan _2 2006 15:04:05", "January 2, 2006 3:04:05 PM",
}

// Instant reads a time in any layout seen: ISO 8601 with its liberties (space for T, space before
// the offset, offset without colon, none: UTC, no separators at all), names of months, or a number
// since 1970 in seconds, milliseconds, microseconds or nanoseconds, or since 1601 as Windows counts,
// told by its size, whatever its field says. A time without a year is of the message's. It tells,
// too, whether something of it had to be guessed: zone, hour, or year.
func Instant(s string, message time.Time) (t time.Time, guessed, ok bool) {
	s = strings.TrimSpace(s)
	if bare, ok := strings.CutSuffix(s, " (UTC)"); ok { // Thinkst Canary's
		s = bare + " UTC"
	}
	if len(s) < 4 || len(s) > 64 || !strings.ContainsAny(s, "0123456789") {
		return time.Time{}, false, false
	}
	if inner, ok := strings.CutPrefix(s, "/Date("); ok { // .NET's JSON
		s, _, _ = strings.Cut(strings.TrimSuffix(inner, "/"), ")")
	}
	if i := strings.IndexByte(s, '['); i > 10 && strings.HasSuffix(s, "]") { // Java names the zone, too
		s = s[:i]
	}
	if len(s) >= 8 && (s[:2] == "20" || s[:2] == "19") && AllDigits(s[:8]) {
		if parts := compactTime.FindStringSubmatch(s); parts != nil {
			s = spread(parts)
		}
	}
	if t, ok := epoch(s); ok {
		return t, false, true
	}
	if len(s) > 4 && (s[4] == '-' || s[4] == '/') && AllDigits(s[:4]) {
		return parseAny(layouts, isoLike(s))
	}
	s = strings.Join(strings.Fields(s), " ")
	if t, guessed, ok = parseAny(wordyLayouts, s); ok {
		return t, guessed, true
	}
	t, _, ok = parseAny(yearlessLayouts, s)
	if !ok || message.IsZero() {
		return time.Time{}, false, false
	}
	t = t.AddDate(message.UTC().Year(), 0, 0)
	if t.After(message.Add(maxAhead)) {
		t = t.AddDate(-1, 0, 0)
	}
	return t, true, true
}

// parseAny reads a time by the first layout that fits, and tells whether its zone or hour is missing.
func parseAny(layouts []string, s string) (t time.Time, guessed, ok bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			zone, offset := t.Zone()
			named := strings.Contains(layout, "MST") && offset == 0 && zone != "UTC" && zone != "GMT" // Go knows no other
			return t.UTC(), named || !strings.Contains(layout, "Z07") && !strings.Contains(layout, "-07") && !strings.Contains(layout, "MST"), true
		}
	}
	return time.Time{}, false, false
}

// yearlessLayouts are those of syslog (RFC 3164).
var yearlessLayouts = []string{"Jan _2 15:04:05", "Jan _2 15:04:05 MST"}

// compactTime is ISO 8601's basic form, and what databases make of it. Ten, eleven and thirteen digits
// are seconds and milliseconds since 1970; of the lengths here, none is a possible time if it is one.
var compactTime = regexp.MustCompile(`^((?:19|20)\d\d)(0[1-9]|1[0-2])([0-3]\d)(?:[T _-]?([0-2]\d)([0-5]\d)([0-5]\d)?(?:[.,]?(\d{3,9}))?)?(Z|z|[+-]\d\d:?\d\d)?$`)

// spread writes the basic form as the extended one.
func spread(parts []string) string {
	s := parts[1] + "-" + parts[2] + "-" + parts[3]
	if parts[4] == "" {
		return s
	}
	s += "T" + parts[4] + ":" + parts[5] + ":" + cmp.Or(parts[6], "00")
	if parts[7] != "" {
		s += "." + parts[7]
	}
	return s + parts[8]
}

// isoLike brings ISO's liberties to one form.
func isoLike(s string) string {
	if len(s) < 11 || s[0] < '0' || s[0] > '9' {
		return s
	}
	if s[4] == '/' && s[7] == '/' {
		s = s[:4] + "-" + s[5:7] + "-" + s[8:]
	}
	if s[10] == ' ' || s[10] == '_' || s[10] == 't' {
		s = s[:10] + "T" + strings.TrimLeft(s[11:], " ")
	}
	for _, utc := range []string{" UTC", " GMT", " Z", "UTC", "z"} {
		if cut, ok := strings.CutSuffix(s, utc); ok {
			if i := strings.LastIndexByte(cut, ' '); i > 10 && i+1 < len(cut) && (cut[i+1] == '+' || cut[i+1] == '-') {
				return cut[:i] + cut[i+1:] // Go writes both
			}
			return cut + "Z"
		}
	}
	if i := strings.LastIndexByte(s, ' '); i > 10 && i+1 < len(s) && (s[i+1] == '+' || s[i+1] == '-') {
		s = s[:i] + s[i+1:]
	}
	return s
}

// epoch reads a number since 1970, to the nanosecond. Seconds reach 1e11 in the year 5138, so that
// larger ones are milliseconds, and so on; where a field's name says otherwise, the sender was wrong.
// Windows counts from 1601 in hundreds of nanoseconds, browsers in microseconds, .NET from the year 1:
// counted from 1970, these sizes would lie before 2000, or beyond 2350.
func epoch(s string) (time.Time, bool) {
	if s == "" || len(s) > 4 && (s[4] == '-' || s[4] == '/') || s[0] > '9' {
		return time.Time{}, false // a date
	}
	whole, fraction, _ := strings.Cut(strings.Replace(s, ",", ".", 1), ".")
	if !AllDigits(whole) || !AllDigits(fraction) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || f < 1e8 || f >= 9e18 {
			return time.Time{}, false
		}
		whole, fraction, _ = strings.Cut(strconv.FormatFloat(f, 'f', -1, 64), ".")
	}
	i, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || i < 1e8 {
		return time.Time{}, false
	}
	nanos, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64) // of the unit; all digits
	switch {
	case i < 1e11:
		return time.Unix(i, nanos).UTC(), true
	case i < 1e14:
		return time.UnixMilli(i).Add(time.Duration(nanos / 1e3)).UTC(), true
	case 125e14 <= i && i < 165e14:
		return time.UnixMicro(i - from1601*1e6).UTC(), true
	case i < 1e17:
		return time.UnixMicro(i).UTC(), true
	case 125e15 <= i && i < 165e15:
		i -= from1601 * 1e7
		return time.Unix(i/1e7, i%1e7*100).UTC(), true
	case 63e16 <= i && i < 66e16:
		i -= from0001 * 1e7
		return time.Unix(i/1e7, i%1e7*100).UTC(), true
	}
	return time.Unix(0, i).UTC(), true
}

// from1601 and from0001 are the seconds from there to 1970.
const from1601, from0001 = 11_644_473_600, 62_135_596_800

// earliestYear and maxAhead bound the times that an event can have (P8).
const (
	EarliestYear = 2000
	maxAhead     = 24 * time.Hour
)

// Plausible tells whether an event of a message can have happened then.
func Plausible(t, message time.Time) bool {
	return t.Year() >= EarliestYear && (message.IsZero() || !t.After(message.Add(maxAhead)))
}

// AllDigits tells whether a text is digits, or nothing.
func AllDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
