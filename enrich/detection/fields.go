package detection

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// address is the first text that is an address of somebody.
func (e *event) address() string {
	found := ""
	e.candidates(e.format.IP, func(_ *field, s, path string) bool {
		if v, ok := ipValue(strings.TrimSpace(s)); ok && judgeAddr(v.addr, nil) != leaveOut {
			found = v.data
			e.note("ip", path, found)
		}
		return found == ""
	})
	return found
}

// inbound and outbound are the words of senders for the direction of traffic.
var inbound, outbound = []string{"in", "inbound", "ingress", "incoming", "toclient"}, []string{"out", "outbound", "egress", "outgoing", "toserver"}

func (e *event) direction() string {
	found := ""
	e.candidates(e.format.Direction, func(_ *field, s, path string) bool {
		switch s = fold(s); {
		case slices.Contains(inbound, s):
			found = "inbound"
		case slices.Contains(outbound, s):
			found = "outbound"
		default:
			return true
		}
		e.note("direction", path, s)
		return false
	})
	return found
}

// words are the names of severities that need no table in a format file.
var words = map[string]Severity{
	"informational": Low, "information": Low, "info": Low, "low": Low, "minor": Low, "debug": Low, "verbose": Low, "trivial": Low,
	"medium": Medium, "med": Medium, "moderate": Medium, "warning": Medium, "warn": Medium, "notice": Low,
	"high": High, "major": High, "error": High, "err": High, "important": High,
	"critical": Critical, "crit": Critical, "fatal": Critical, "severe": Critical, "emergency": Critical, "emerg": Critical, "alert": Critical,
	"urgent": Critical, "veryhigh": Critical,
}

func (e *event) severity() Severity {
	found := e.format.fallback
	e.candidates(e.format.Severity, func(f *field, s, path string) bool {
		got := f.severityOf(strings.TrimSpace(s))
		if got == 0 {
			return true
		}
		found = got
		e.note("severity", path, s)
		return false
	})
	return found
}

// severityOf reads a text by the field's bands and words, and by the usual words.
func (f *field) severityOf(s string) Severity {
	if len(f.bands) > 0 {
		if n, err := strconv.ParseFloat(s, 64); err == nil {
			for _, b := range f.bands {
				if n >= b.from {
					return b.severity
				}
			}
		}
	}
	s = fold(s)
	if got, ok := f.words[s]; ok {
		return got
	}
	return words[s]
}

func (e *event) time() {
	e.candidates(e.format.Time, func(_ *field, s, path string) bool {
		t, ok := moment(s)
		if !ok || !plausible(t, e.message.Time) {
			return true
		}
		e.det.Time = t.Truncate(time.Millisecond)
		e.note("time", path, s)
		return false
	})
	if e.det.Time.IsZero() {
		e.det.Time, e.det.TimeReplaced = e.message.Time.UTC().Truncate(time.Millisecond), true
	}
}
