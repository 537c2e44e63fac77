package page

import (
	"fmt"
	"strconv"
	"strings"

	g "maragu.dev/gomponents"
)

// The charts' own units; the style stretches them.
const (
	chartHigh = 100
	barWide   = 10
)

// rate shows the settled messages of each minute, and of those the dead.
func rate(minutes []Minute) g.Node {
	most, last := 1, 0
	for _, m := range minutes {
		most, last = max(most, m.Settled, m.Again), m.Settled
	}
	says := fmt.Sprintf("Settled in this minute: %d; at most %d a minute in the last hour", last, most)
	bars := g.Group{}
	for i, m := range minutes {
		bars = append(bars, bar(i, m.Settled, most, "settled"), bar(i, m.Dead, most, "dead"), bar(i, m.Again, most, "again"))
	}
	return chart(says, len(minutes), bars)
}

// bar is one minute's, from the ground; nothing is none.
func bar(i, n, most int, kind string) g.Node {
	if n == 0 {
		return nil
	}
	tall, wide := max(chartHigh*n/most, 1), barWide-2
	if kind != "settled" {
		wide = (barWide - 2) / 2
	}
	return el("rect", attr("class", "bar-"+kind), coordinate("x", i*barWide+1), coordinate("y", chartHigh-tall), coordinate("width", wide), coordinate("height", tall))
}

// lag shows how many messages waited.
func lag(f Flow) g.Node {
	most := uint64(0)
	for _, m := range f.Minutes {
		most = max(most, m.Lag)
	}
	var line strings.Builder
	for i, m := range f.Minutes {
		if m.Known {
			x, y := i*barWide+barWide/2, chartHigh-1-int(m.Lag*(chartHigh-2)/max(most, 1))
			fmt.Fprintf(&line, "%d,%d %d,%d ", x, y, x, y) // twice: a point alone shows, too
		}
	}
	says := "not measured yet"
	if f.Behind.Known {
		says = thousands(f.Behind.Waiting) + " wait in the stream; replicas hold " + thousands(f.Behind.Unanswered)
		if f.Behind.Limit > 0 {
			says += " of at most " + thousands(f.Behind.Limit)
		}
	}
	return chart(says+"; at most "+thousands(most)+" waited in the last hour", len(f.Minutes), el("polyline", attr("class", "line"), attr("points", strings.TrimSpace(line.String()))))
}

// chart is a picture, and what it says in words.
func chart(says string, minutes int, inner g.Node) g.Node {
	return el("figure",
		el("svg", attr("class", "chart"), attr("role", "img"), aria("label", says), attr("viewBox", fmt.Sprintf("0 0 %d %d", max(minutes, 1)*barWide, chartHigh)),
			attr("preserveAspectRatio", "none"), inner),
		el("figcaption", say(says)),
	)
}

func coordinate(name string, n int) g.Node { return attr(name, strconv.Itoa(n)) }
