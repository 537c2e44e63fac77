package detection

import (
	"slices"
	"strings"
	"time"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
	"forager/enrich/detection/tree"
)

// address is the first text that is an address of somebody.
func (e *event) address() string {
	found := ""
	e.candidates(e.format.IP, func(_ *formats.Field, s, path string) bool {
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
	e.candidates(e.format.Direction, func(_ *formats.Field, s, path string) bool {
		switch s = tree.Fold(s); {
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

func (e *event) severity() canon.Severity {
	found, unread := e.format.Fallback, false
	e.candidates(e.format.Severity, func(f *formats.Field, s, path string) bool {
		got := f.SeverityOf(strings.TrimSpace(s))
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

func (e *event) time() {
	e.candidates(e.format.Time, func(_ *formats.Field, s, path string) bool {
		t, guessed, ok := canon.Instant(s, e.message.Time)
		if !ok || !canon.Plausible(t, e.message.Time) {
			e.lost("time", path, s, "no possible time")
			return true
		}
		if guessed && !strings.Contains(tree.Fold(path), "utc") {
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
