package detection

import (
	"math"
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
	"02/Jan/2006:15:04:05 -0700", "_2 Jan 2006 15:04:05", "Jan _2, 2006 15:04:05", "Jan _2, 2006 @ 15:04:05",
	"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "Jan _2 2006 15:04:05", "January 2, 2006 3:04:05 PM",
}

// moment reads a time in any layout seen: ISO 8601 with its liberties (space for T, space before
// the offset, offset without colon, none: UTC), names of months, or a number since 1970 in
// seconds, milliseconds, microseconds or nanoseconds, told by its size, whatever its field says.
func moment(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 4 || len(s) > 64 {
		return time.Time{}, false
	}
	if inner, ok := strings.CutPrefix(s, "/Date("); ok { // .NET's JSON
		s, _, _ = strings.Cut(strings.TrimSuffix(inner, "/"), ")")
	}
	if t, ok := epoch(s); ok {
		return t, true
	}
	if !strings.ContainsAny(s, "0123456789") {
		return time.Time{}, false
	}
	if len(s) > 4 && (s[4] == '-' || s[4] == '/') && allDigits(s[:4]) {
		iso := isoLike(s)
		for _, layout := range layouts {
			if t, err := time.Parse(layout, iso); err == nil {
				return t.UTC(), true
			}
		}
		return time.Time{}, false
	}
	s = strings.Join(strings.Fields(s), " ")
	for _, layout := range wordyLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
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
			return cut + "Z"
		}
	}
	if i := strings.LastIndexByte(s, ' '); i > 10 && i+1 < len(s) && (s[i+1] == '+' || s[i+1] == '-') {
		s = s[:i] + s[i+1:]
	}
	return s
}

// epoch reads a number since 1970. Seconds reach 1e11 in the year 5138, so that larger ones are
// milliseconds, and so on; where a field's name says otherwise, the sender was wrong.
func epoch(s string) (time.Time, bool) {
	if s == "" || len(s) > 4 && (s[4] == '-' || s[4] == '/') || s[0] > '9' {
		return time.Time{}, false // a date
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case i < 1e8:
			return time.Time{}, false
		case i < 1e11:
			return time.Unix(i, 0).UTC(), true
		case i < 1e14:
			return time.UnixMilli(i).UTC(), true
		case i < 1e17:
			return time.UnixMicro(i).UTC(), true
		}
		return time.Unix(0, i).UTC(), true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || f < 1e8 || f > 1e19 {
		return time.Time{}, false
	}
	for f >= 1e11 {
		f /= 1000
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true
}

// earliestYear and maxAhead bound the times that an event can have (P8).
const (
	earliestYear = 2000
	maxAhead     = 24 * time.Hour
)

// plausible tells whether an event of a message can have happened then.
func plausible(t, message time.Time) bool {
	return t.Year() >= earliestYear && (message.IsZero() || !t.After(message.Add(maxAhead)))
}
