package prove

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// judgeCases judges what cases hold. What an analyst added is theirs: of effects that the account did not make
// nothing is said.
func (p *proof) judgeCases() {
	twins := map[string]int{}
	for _, c := range p.cases {
		p.doubled(c)
		for _, t := range c.Tags {
			if !keyTag.MatchString(t) || c.alert != "" { // TheHive takes an alert's reference once
				continue
			}
			name := fmt.Sprint(t, " ", c.Start)
			if other := twins[name]; other != 0 {
				p.fault(Fault{Kind: CaseDoubled, Case: c.Number, What: fmt.Sprintf("it has key and start of case %d", other)})
			}
			twins[name] = c.Number
		}
		if !p.whole() || c.By != p.login {
			continue
		}
		w := p.wants[c]
		switch {
		case w == nil && p.report.Unaccounted == 0:
			p.fault(Fault{Kind: WithoutMessage, Case: c.Number, What: c.said("no message of the stream belongs to it")})
		case w != nil && !w.foreign && c.alert == "":
			p.surplus(c, w)
		}
	}
}

// doubled looks for what must be there once.
func (p *proof) doubled(c *theCase) {
	count := map[string]int{}
	for _, o := range c.observables {
		if o.Data != "" {
			count["observable "+o.Type+" "+o.Data]++
		}
	}
	for _, x := range c.procedures {
		if x.By == p.login {
			count["procedure "+x.Pattern+" "+x.Tactic]++
		}
	}
	counts := slices.ContainsFunc(c.pages, func(x page) bool { return x.Title == ownTitle })
	for _, m := range c.comments {
		for _, found := range markers.FindAllStringSubmatch(m.Message, -1) {
			name := "comment of " + found[1] + " " + found[2]
			if !counts { // then days are told apart
				name += " of " + found[3]
			}
			if m.By == p.login {
				count[name]++
			}
		}
	}
	for _, x := range c.pages {
		if x.Title == ownTitle {
			count["page "+x.Title]++
		}
	}
	for what, n := range count {
		if n > 1 {
			p.fault(Fault{Kind: EffectDoubled, Case: c.Number, What: c.said(fmt.Sprintf("%s is there %d times", what, n))})
		}
	}
}

// surplus looks for effects that no message asked for, and for times that none has. It needs to know all messages of the case.
func (p *proof) surplus(c *theCase, w *wants) {
	for _, o := range c.observables {
		if o.By == p.login && o.Data != "" && !w.values[folded(o.Data)] && !p.mentioned(c, o.Data) {
			p.fault(Fault{Kind: WithoutMessage, Case: c.Number, What: "no message of it has " + o.Type + " " + o.Data})
		}
	}
	if !w.times[c.Start] {
		p.fault(Fault{Kind: DatedWrongly, Case: c.Number, What: "it begins at " + stamp(c.Start) + ", when nothing was detected"})
	}
	if w.mapped {
		return
	}
	for _, x := range c.procedures {
		times := w.used[x.Pattern]
		switch {
		case x.By != p.login:
		case times == nil:
			p.fault(Fault{Kind: WithoutMessage, Case: c.Number, What: "no message of it has technique " + x.Pattern})
		case !times[x.At]:
			p.fault(Fault{Kind: DatedWrongly, Case: c.Number, What: "procedure " + x.Pattern + " is of " + stamp(x.At) + ", when it was not detected"})
		}
	}
}

// mentioned tells whether a value is the case's own subject: host, user or address become observables, too.
func (p *proof) mentioned(c *theCase, data string) bool {
	return strings.Contains(strings.ToLower(c.Description), strings.ToLower(data)) ||
		slices.ContainsFunc(keysOf(data, p.organisations), func(t string) bool { return slices.Contains(c.Tags, t) })
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
