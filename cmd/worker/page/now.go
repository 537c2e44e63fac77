package page

import (
	"time"

	g "maragu.dev/gomponents"
)

// state says in a few words whether work gets done.
func state(s Snapshot) g.Node {
	if !s.Flow.Ready {
		return el("p", attr("class", "bad"), say("Stuck"), say(since(stuckSince(s.Concerns))))
	}
	if n := len(s.Concerns); n > 0 {
		return el("p", attr("class", "warn"), say("Work gets done; "+needs(n)))
	}
	return el("p", attr("class", "ok"), say("Work gets done"))
}

// needs says how many things somebody should see to.
func needs(n int) string {
	if n == 1 {
		return "1 thing needs attention"
	}
	return thousands(n) + " things need attention"
}

// stuckSince is the first moment of which it is known that no work got done.
func stuckSince(all []Concern) (first time.Time) {
	for _, c := range all {
		if c.Stuck && !c.Since.IsZero() && (first.IsZero() || c.Since.Before(first)) {
			first = c.Since
		}
	}
	return first
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + clock(t) + " UTC"
}

// concerns are what somebody should see to: what is wrong, since when, and what to do.
func concerns(s Snapshot) g.Node {
	if len(s.Concerns) == 0 {
		return g.Group{}
	}
	return el("ul", attr("class", "concerns"), aria("label", "What needs attention"), g.Map(s.Concerns, func(c Concern) g.Node {
		kind := "warn"
		if c.Stuck {
			kind = "stuck"
		}
		return el("li", attr("class", kind),
			el("p", el("strong", say(c.What)), when(!c.Since.IsZero(), el("span", attr("class", "since"), say(lasting(c.Since, s.At))))),
			when(c.Words != "", el("p", attr("class", "why"), say(c.Words))),
			when(c.Do+c.See != "", el("p", attr("class", "do"), say(c.Do), when(c.Do != "", say(" ")), when(c.See != "", el("a", attr("href", "#"+c.See), say("Show"))))),
		)
	}))
}

// lasting is since when something is so, and how long that is.
func lasting(from, now time.Time) string { return since(from) + ", " + ago(now.Sub(from)) }
