package page

import (
	g "maragu.dev/gomponents"
)

// promises shows what should stay 0, and what to do where it does not.
func promises(all []Promise) g.Node {
	return el("ul", attr("class", "promises"), g.Map(all, func(p Promise) g.Node {
		if p.N == 0 {
			return el("li", attr("class", "kept"), el("strong", say("0 ")), say(p.Name+" "), el("span", attr("class", "why"), say(p.Says)))
		}
		return el("li", attr("class", "broken"), el("details",
			el("summary", el("strong", say(thousands(p.N)+" ")), say(p.Name+": what to do")),
			el("p", say(p.Says+". "+p.Do)),
		))
	}))
}
