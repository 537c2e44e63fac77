package page

import (
	"strconv"

	g "maragu.dev/gomponents"
)

// flow shows what passes, and what holds it up.
func flow(f Flow) g.Node {
	return g.Group{
		el("div", attr("class", "cards"),
			card("Settled since "+f.Since.UTC().Format("2 Jan 15:04"), totals(f)),
			card("Per minute, last hour", rate(f.Minutes)),
			card("Waiting, last hour", lag(f)),
			card("Calls at TheHive", calls(f.Calls)),
		),
		replicas(f),
	}
}

func card(name string, body ...g.Node) g.Node {
	return el("div", attr("class", "card"), el("h3", say(name)), g.Group(body))
}

func totals(f Flow) g.Node {
	received := f.InHand
	for _, c := range f.Ended {
		received += c.N
	}
	return el("dl", attr("class", "totals"),
		pair("received", thousands(received), ""),
		g.Map(f.Ended, func(c Count) g.Node { return pair(c.Name, thousands(c.N), worrying(c)) }),
		pair("in hand", thousands(f.InHand), ""),
	)
}

// worrying is how a number looks that should be 0.
func worrying(c Count) string {
	if c.Name == "dead letter" && c.N > 0 {
		return "bad"
	}
	return ""
}

func pair(name, value, of string) g.Node {
	return el("div", when(of != "", attr("class", of)), el("dt", say(name)), el("dd", say(value)))
}

// calls shows how many are under way, and how many may be.
func calls(c Calls) g.Node {
	says := strconv.Itoa(c.InFlight) + " in flight of " + strconv.Itoa(c.Limit)
	if c.Limit < c.Most {
		says += "; TheHive is trusted with fewer than the " + strconv.Itoa(c.Most) + " that may be, since it is slow or asked for it"
	}
	return g.Group{
		el("meter", aria("label", "Calls in flight"), attr("min", "0"), attr("max", strconv.Itoa(max(c.Most, 1))), attr("value", strconv.Itoa(min(c.InFlight, max(c.Most, 1)))), say(says)),
		el("p", say(says)),
	}
}

// replicas lists who shares the work.
func replicas(f Flow) g.Node {
	if f.Trouble != "" {
		return trouble("Replicas", f.Trouble)
	}
	return table("Replicas", []string{"Replica", "State", "Seen", "Started", "Says"}, body(g.Map(f.Replicas, func(r Replica) g.Node {
		says := r.Says
		switch {
		case says == "" && r.State == "live":
			says = "consuming"
		case says != "" && r.State != "live":
			says = "said last: " + says
		}
		name := r.Name
		if r.Own {
			name += " (this one)"
		}
		return row(
			cell("Replica", say(name)), cell("State", el("span", attr("class", "state-"+class(r.State)), say(r.State))), cell("Seen", say(ago(r.Seen)+" ago")),
			cell("Started", stamp(r.Started, "2006-01-02 15:04")), cell("Says", say(says)),
		)
	})))
}
