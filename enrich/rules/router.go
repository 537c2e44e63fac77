package rules

import (
	"errors"
	"fmt"
	"time"

	"cel.dev/cel-go/cel"
)

// Router is a set of rules that was checked: conditions and texts compiled. It is
// immutable and safe for concurrent use; a reload makes another.
type Router struct {
	routes      []route
	silences    []silence
	readsEvents bool
}

// ReadsEvents tells whether a rule may look at the event itself, by `detection.raw` or `detection.fields`: then
// [Seen] must have them.
func (r *Router) ReadsEvents() bool { return r.readsEvents }

type route struct {
	Route
	when, key cel.Program
	filter    []term
	fields    fields
	threshold *below
}

type silence struct {
	Silence
	when cel.Program
}

type term struct {
	Term
	value *text
}

// fields are the compiled templates of a route's case.
type fields struct {
	title, description, severity, tlp, pap, assignee, template *text

	tags  []*text
	rows  []row
	links []link
	field []customField
	tasks []task
	pages []page
}

type (
	link        struct{ name, url *text }
	customField struct {
		name, kind string
		value      *text
	}
	row struct {
		name  string
		value *text
	}
	task struct{ title, group, description *text }
	page struct{ title, category, content *text }
)

// NewRouter checks rules and gives all that is wrong with them, as *RuleErrors joined.
func NewRouter(r Rules) (*Router, error) {
	env, err := newConditions(r.Lookups)
	if err != nil {
		return nil, err
	}
	out := &Router{}
	c := &compiler{env: env}
	for i, raw := range r.Routes {
		c.rule = fmt.Sprintf("routes[%d]", i)
		out.routes = append(out.routes, c.route(raw))
	}
	for i, raw := range r.Silences {
		c.rule = fmt.Sprintf("silences[%d]", i)
		out.silences = append(out.silences, c.silence(raw))
	}
	out.readsEvents = *env.readsEvents
	return out, errors.Join(c.problems...)
}

// silencedBy names the silence that holds a detection back at a time, or "". Rules that fail at
// run time do not hold, and are told.
func (r *Router) silencedBy(s Seen, now time.Time, fault func(string)) string {
	for i := range r.silences {
		q := &r.silences[i]
		if now.After(q.Expires) || q.Pierce != 0 && s.Severity >= q.Pierce {
			continue
		}
		holds, err := evaluate[bool](q.when, s)
		if err != nil {
			fault("silence " + q.Name)
			continue
		}
		if holds {
			return q.Name
		}
	}
	return ""
}

// choose gives the first route whose condition holds; nil is none.
func (r *Router) choose(s Seen, fault func(string)) *route {
	for i := range r.routes {
		q := &r.routes[i]
		if q.when == nil {
			return q
		}
		holds, err := evaluate[bool](q.when, s)
		if err != nil {
			fault("route " + q.Name + " when")
			continue
		}
		if holds {
			return q
		}
	}
	return nil
}
