package rules

import (
	"strings"

	"forager/enrich/detection/canon"
	"forager/hive"
)

// Shape is what a route makes of the case that a detection may open.
type Shape struct {
	Assignee string // login, or [Nobody]; empty is nobody, too
	Template string // name of a case template; empty is none
	Fields   []hive.CustomField
	Tasks    []hive.NewTask
	Pages    []hive.NewPage
}

// Nobody is the assignee of a case that nobody is assigned to.
const Nobody = "none"

// Bounds of what rules make, in UTF-16 units at most twice as many, which leaves room below TheHive's
// limits (OpenAPI 5.5.13, InputCreateCase).
const (
	MaxTitle = 250 // of a case, in runes
	MaxTag   = 64  // in runes
)

// render runs a template; one that is absent or fails gives the preset, and a failure is told.
func render(t *text, s Seen, preset, name string, fault func(string)) string {
	if t == nil {
		return preset
	}
	out, err := t.render(s)
	if err != nil {
		fault(name)
		return preset
	}
	return out
}

// shape renders the fields of the case that a detection may open.
func (q *route) shape(s Seen, fault func(string)) Shape {
	f, at := &q.fields, "route "+q.Name+" "
	out := Shape{
		Assignee: render(f.assignee, s, "", at+"assignee", fault),
		Template: render(f.template, s, "", at+"template", fault),
	}
	for _, x := range f.field {
		value, err := typed(x.kind, render(x.value, s, "", at+"fields", fault))
		if err != nil {
			fault(at + "fields")
			continue
		}
		out.Fields = append(out.Fields, hive.CustomField{Name: x.name, Value: value})
	}
	for _, x := range f.tasks {
		out.Tasks = append(out.Tasks, hive.NewTask{
			Title: canon.Clean(render(x.title, s, "", at+"tasks", fault), MaxTag),
			Group: render(x.group, s, "", at+"tasks", fault), Description: render(x.description, s, "", at+"tasks", fault),
		})
	}
	for _, x := range f.pages {
		out.Pages = append(out.Pages, hive.NewPage{
			Title:    canon.Clean(render(x.title, s, "", at+"pages", fault), MaxTag),
			Category: render(x.category, s, "Forager", at+"pages", fault), Content: render(x.content, s, "", at+"pages", fault),
		})
	}
	return out
}

// tags renders the tags that a route adds.
func (q *route) tags(s Seen, fault func(string)) (tags []string) {
	for _, t := range q.fields.tags {
		if tag := canon.Clean(render(t, s, "", "route "+q.Name+" tags", fault), MaxTag); tag != "" {
			tags = append(tags, tag)
		}
	}
	return tags
}

// rows renders the rows that a route adds to the table of a description.
func (q *route) rows(s Seen, fault func(string)) (rows []Row) {
	for _, r := range q.fields.rows {
		if value := render(r.value, s, "", "route "+q.Name+" rows", fault); value != "" {
			rows = append(rows, Row{r.name, value})
		}
	}
	return rows
}

// links renders the pivots of a route as a Markdown list.
func (q *route) links(s Seen, fault func(string)) string {
	var list strings.Builder
	for _, l := range q.fields.links {
		name, to := render(l.name, s, "", "route "+q.Name+" links", fault), render(l.url, s, "", "route "+q.Name+" links", fault)
		if to != "" {
			list.WriteString("- [" + label(name) + "](" + to + ")\n")
		}
	}
	return list.String()
}

// label writes Markdown as the label of a link: on one line, and with no bracket, but in code, that could end it or begin
// an image or another link with its address.
func label(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			b.WriteString(text[i:min(i+2, len(text))])
			i++
		case '`':
			end := codeEnd(text[i:])
			b.WriteString(text[i : i+end])
			i += end - 1
		case '[', ']':
			b.WriteString("\\" + text[i:i+1])
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// codeEnd is where the code span ends that begins a text with a run of backticks; the end of the run where there is none.
func codeEnd(text string) int {
	fence := len(text) - len(strings.TrimLeft(text, "`"))
	for at := fence; at < len(text); {
		begin := strings.IndexByte(text[at:], '`')
		if begin < 0 {
			break
		}
		at += begin
		run := len(text[at:]) - len(strings.TrimLeft(text[at:], "`"))
		if at += run; run == fence {
			return at
		}
	}
	return fence
}
