package rules

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"

	"forager/hive"
)

// compiler collects what is wrong with the rules.
type compiler struct {
	env      conditions
	rule     string
	problems []error
}

func (c *compiler) report(field string, e *RuleError) {
	if e != nil {
		e.Rule, e.Field = c.rule, field
		c.problems = append(c.problems, e)
	}
}

func (c *compiler) complain(field, format string, args ...any) {
	c.report(field, &RuleError{Err: fmt.Errorf(format, args...)})
}

func (c *compiler) condition(field, text string, want *cel.Type) cel.Program {
	if text == "" {
		return nil
	}
	p, err := c.env.compile(text, exactly(want))
	c.report(field, err)
	return p
}

func (c *compiler) text(field, source string, kind textKind) *text {
	t, wrong := newText(c.env, source, kind)
	for _, e := range wrong {
		c.report(field, e)
	}
	return t
}

// level is a text that must give a level; one that is always the same is checked at once.
func (c *compiler) level(field, source string, words map[string]int, low, high int) *text {
	t := c.text(field, source, plainText)
	if t != nil && t.parts == nil {
		if _, err := level(t.fixed, words, low, high); err != nil {
			c.complain(field, "%w", err)
		}
	}
	return t
}

func (c *compiler) route(raw Route) route {
	r := route{Route: raw, when: c.condition("when", raw.When, cel.BoolType), key: c.condition("key", raw.Key, cel.StringType)}
	if raw.Name == "" {
		c.complain("name", "is missing")
	}
	switch raw.Closed {
	case "", ClosedNew, ClosedReopen, ClosedComment:
	default:
		c.complain("closed", "%q is none of new, reopen, comment", raw.Closed)
	}
	switch raw.Via {
	case "", ViaCase, ViaAlert:
	default:
		c.complain("via", "%q is none of case, alert", raw.Via)
	}
	c.alertMode(raw)
	if raw.Minimum < 0 || raw.Minimum > 4 {
		c.complain("minimum", "%d is no severity from 1 to 4", raw.Minimum)
	}
	for i, t := range raw.Filter {
		at := fmt.Sprintf("filter[%d]", i)
		if _, err := filterOf(t, ""); err != nil {
			c.complain(at, "%w", err)
		}
		r.filter = append(r.filter, c.term(at, t))
	}
	for i, a := range raw.Analyze {
		c.analysis(fmt.Sprintf("analyze[%d]", i), a)
	}
	r.fields = c.fields(raw.Case)
	r.threshold = c.threshold(raw)
	return r
}

// analysis refuses what no analyzer can be asked for.
func (c *compiler) analysis(at string, a Analysis) {
	if a.Analyzer == "" {
		c.complain(at+".analyzer", "is missing")
	}
	if _, known := tlpWords[a.MaxTLP]; a.MaxTLP != "" && !known {
		c.complain(at+".maxTLP", "%q is no TLP", a.MaxTLP)
	}
	if a.Raise != "" && a.RaiseTo() == 0 {
		c.complain(at+".raise", "%q is none of low, medium, high, critical", a.Raise)
	}
	if a.Level != "" && a.Level != "malicious" && a.Level != "suspicious" {
		c.complain(at+".level", "%q is none of malicious, suspicious", a.Level)
	}
	switch a.Once {
	case "", OnceCase:
		if a.Window != 0 {
			c.complain(at+".window", "is for once: window")
		}
	case OnceWindow:
		if a.Window < LeastWindow {
			c.complain(at+".window", "%v is less than %v", a.Window, LeastWindow)
		}
	default:
		c.complain(at+".once", "%q is none of case, window", a.Once)
	}
}

// alertMode refuses what alerts have not, and what only alerts have.
func (c *compiler) alertMode(raw Route) {
	const onlyCases, onlyAlerts = "is for cases, and the route makes alerts (as: alert)", "is for alerts, and the route makes cases"
	refuse := func(field string, set bool, why string) {
		if set {
			c.complain(field, "%s", why)
		}
	}
	switch raw.Group {
	case "", GroupEvent, GroupRule:
	default:
		c.complain("group", "%q is none of event, rule", raw.Group)
	}
	switch raw.As {
	case "", AsCase:
		refuse("group", raw.Group != "", onlyAlerts)
		refuse("maxNewAlerts", raw.MaxNewAlerts != 0, onlyAlerts)
	case AsAlert:
		refuse("via", raw.Via == ViaAlert, onlyCases)
		refuse("filter", len(raw.Filter) > 0, onlyCases)
		refuse("analyze", len(raw.Analyze) > 0, onlyCases)
		refuse("closed", raw.Closed != "", onlyCases)
		refuse("maxNewCases", raw.MaxNewCases != 0, onlyCases)
		refuse("case.tasks", len(raw.Case.Tasks) > 0, onlyCases)
		refuse("case.pages", len(raw.Case.Pages) > 0, onlyCases)
		refuse("key", raw.Key != "" && raw.Group != GroupRule, "is not looked at, since each event has its alert: say group: rule")
		refuse("window", raw.Window != nil && raw.Group != GroupRule, "is not looked at, since each event has its alert: say group: rule")
	default:
		c.complain("as", "%q is none of case, alert", raw.As)
	}
}

func (c *compiler) fields(raw CaseFields) fields {
	f := fields{
		title:       c.text("case.title", raw.Title, plainText),
		description: c.text("case.description", raw.Description, markdownText),
		severity:    c.level("case.severity", raw.Severity, severityWords, 1, 4),
		tlp:         c.level("case.tlp", raw.TLP, tlpWords, 0, 4),
		pap:         c.level("case.pap", raw.PAP, papWords, 0, 3),
		assignee:    c.text("case.assignee", raw.Assignee, plainText),
		template:    c.text("case.template", raw.Template, plainText),
	}
	for i, t := range raw.Tags {
		f.tags = append(f.tags, c.text("case.tags["+strconv.Itoa(i)+"]", t, plainText))
	}
	for i, x := range raw.Rows {
		f.rows = append(f.rows, row{x.Name, c.text("case.rows["+strconv.Itoa(i)+"].value", x.Value, plainText)})
	}
	for i, l := range raw.Links {
		at := "case.links[" + strconv.Itoa(i) + "]"
		f.links = append(f.links, link{c.text(at+".name", l.Name, markdownText), c.text(at+".url", l.URL, linkText)})
	}
	for i, x := range raw.Fields {
		at := "case.fields[" + strconv.Itoa(i) + "]"
		f.field = append(f.field, c.field(at, x))
	}
	for i, x := range raw.Tasks {
		at := "case.tasks[" + strconv.Itoa(i) + "]"
		f.tasks = append(f.tasks, task{
			c.text(at+".title", x.Title, plainText), c.text(at+".group", x.Group, plainText),
			c.text(at+".description", x.Description, markdownText),
		})
	}
	for i, x := range raw.Pages {
		at := "case.pages[" + strconv.Itoa(i) + "]"
		f.pages = append(f.pages, page{
			c.text(at+".title", x.Title, plainText), c.text(at+".category", x.Category, plainText),
			c.text(at+".content", x.Content, markdownText),
		})
	}
	return f
}

// field is a custom field; a value that is always the same is checked at once.
func (c *compiler) field(at string, x Field) customField {
	kind := plainText
	if x.Type == "url" {
		kind = linkText // TheHive makes a link of it
	}
	f := customField{x.Name, x.Type, c.text(at+".value", x.Value, kind)}
	if _, err := typed(x.Type, "0"); err != nil {
		c.complain(at+".type", "%w", err)
	} else if f.value != nil && f.value.parts == nil {
		if _, err := typed(x.Type, f.value.fixed); err != nil {
			c.complain(at+".value", "%q is no value of the type %s", f.value.fixed, x.Type)
		}
	}
	return f
}

func (c *compiler) silence(raw Silence) silence {
	if raw.When == "" {
		c.complain("when", "is missing: it would silence everything")
	}
	for field, value := range map[string]string{"name": raw.Name, "owner": raw.Owner, "reason": raw.Reason} {
		if value == "" {
			c.complain(field, "is missing")
		}
	}
	if raw.Expires.IsZero() {
		c.complain("expires", "is missing: a silence must end")
	}
	if raw.Pierce < 0 || raw.Pierce > 4 {
		c.complain("pierce", "%d is no severity from 1 to 4", raw.Pierce)
	}
	return silence{raw, c.condition("when", raw.When, cel.BoolType)}
}

// term is a comparison. What an event gives is only compared as a whole: by its beginning, end or
// middle, or by what it is not, an event could reach any case.
func (c *compiler) term(at string, t Term) term {
	value := c.text(at+".value", t.Value, plainText)
	if value == nil || value.parts == nil {
		return term{t, value}
	}
	switch t.Op {
	case "", "eq":
	case "like":
		if slices.ContainsFunc(value.parts, func(p filled) bool { return strings.ContainsAny(p.literal, "*?%") }) {
			c.complain(at+".value", "has a wildcard beside what an event gives, which could reach any case: name the whole value")
		}
		t.Op = "eq" // which takes the wildcards of an event for what they are
	case "ne", "match", "startsWith", "endsWith":
		c.complain(at+".op", "%s with what an event gives could reach any case: use eq", t.Op)
	}
	return term{t, value}
}

// filterOf makes a filter of a term; the value can only ever be a value.
func filterOf(t Term, value string) (hive.Filter, error) {
	if t.Field == "" {
		return hive.Filter{}, errors.New("has no field")
	}
	switch t.Op {
	case "", "eq":
		return hive.Eq(t.Field, value), nil
	case "ne":
		return hive.Ne(t.Field, value), nil
	case "like":
		return hive.Like(t.Field, value), nil
	case "match":
		return hive.Match(t.Field, value), nil
	case "startsWith":
		return hive.StartsWith(t.Field, value), nil
	case "endsWith":
		return hive.EndsWith(t.Field, value), nil
	default:
		return hive.Filter{}, fmt.Errorf("%q is none of eq, ne, like, match, startsWith, endsWith", t.Op)
	}
}
