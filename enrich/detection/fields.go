package detection

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"forager/enrich/detection/canon"
)

// address is the first text that is an address of somebody.
func (e *event) address() string {
	found := ""
	e.candidates(e.format.IP, func(_ *field, s, path string) bool {
		s = strings.TrimSpace(s)
		if v, ok := canon.IPValue(s); ok && canon.JudgeAddr(v.Addr, nil) != canon.LeaveOut {
			found = v.Data
			e.note("ip", path, found)
			return false
		}
		if !canon.MayBeList(s) {
			e.lost("ip", path, s, "no address of somebody")
			return true
		}
		for one := range canon.ValuesIn("ip", s) {
			if v, ok := canon.IPValue(one); ok && canon.JudgeAddr(v.Addr, nil) != canon.LeaveOut {
				found = v.Data
				e.note("ip", path, found)
				return false
			}
		}
		e.lost("ip", path, s, "no address of somebody")
		return true
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
	"urgent": Critical, "veryhigh": Critical, "verylow": Low,
	"p0": Critical, "p1": Critical, "p2": High, "p3": Medium, "p4": Low, "p5": Low,
	"priority1": Critical, "priority2": High, "priority3": Medium, "priority4": Low, "priority5": Low,
	"sev0": Critical, "sev1": Critical, "sev2": High, "sev3": Medium, "sev4": Low, "sev5": Low,
}

func (e *event) severity() Severity {
	found, unread := e.format.fallback, false
	e.candidates(e.format.Severity, func(f *field, s, path string) bool {
		got := f.severityOf(strings.TrimSpace(s))
		if got == 0 {
			unread = true
			e.lost("severity", path, s, "no known severity")
			return true
		}
		if found, unread = got, false; f.Mark != "" {
			e.det.mark(f.Mark)
		}
		e.note("severity", path, s)
		return false
	})
	if unread {
		e.det.mark(MarkSeverityUnknown)
	}
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
	if got := f.severityWord(s); got != 0 {
		return got
	}
	return f.severityAmong(s)
}

func (f *field) severityWord(s string) Severity {
	s = fold(s)
	if got, ok := f.words[s]; ok {
		return got
	}
	return words[s]
}

// severityAmong reads a severity with something beside it: "High (8)", "2 - High", "SEVERITY_HIGH".
// Words that disagree, and many words, say nothing.
func (f *field) severityAmong(s string) Severity {
	parts := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' })
	if len(parts) < 2 || len(parts) > 4 {
		return 0
	}
	found := Severity(0)
	for _, part := range parts {
		switch got := f.severityWord(part); {
		case strings.EqualFold(part, "not"), strings.EqualFold(part, "non"), got != 0 && found != 0 && got != found:
			return 0
		case got != 0:
			found = got
		}
	}
	return found
}

func (e *event) time() {
	e.candidates(e.format.Time, func(_ *field, s, path string) bool {
		t, guessed, ok := canon.Instant(s, e.message.Time)
		if !ok || !canon.Plausible(t, e.message.Time) {
			e.lost("time", path, s, "no possible time")
			return true
		}
		if guessed && !strings.Contains(fold(path), "utc") {
			e.det.mark(MarkTimeGuessed)
		}
		e.det.Time = t.Truncate(time.Millisecond)
		e.note("time", path, s)
		return false
	})
	if e.det.Time.IsZero() {
		e.det.Time, e.det.TimeReplaced = e.message.Time.UTC().Truncate(time.Millisecond), true
	}
}
