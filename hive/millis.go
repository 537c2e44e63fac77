package hive

import "time"

// Millis is a moment in TheHive's unit: milliseconds since 1970-01-01, UTC.
// The zero value means "none": TheHive leaves unset dates out of its answers,
// and so do the requests made here.
type Millis int64

// MillisOf is the moment t, cut to the millisecond; the zero time is 0, none.
func MillisOf(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time is the moment in UTC; 0, none, is the zero time.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}
