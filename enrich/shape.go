package enrich

import (
	"forager/enrich/detection"
	"forager/hive"
)

// shape is what a route makes of a detection's case.
type shape struct {
	tags     []string
	assignee string
	template string
	fields   []hive.CustomField
	tasks    []hive.NewTask
	pages    []hive.NewPage
	links    string // Markdown
}

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
func (q *route) shape(s Seen, fault func(string)) shape {
	f, at := &q.fields, "route "+q.Name+" "
	out := shape{
		assignee: render(f.assignee, s, "", at+"assignee", fault),
		template: render(f.template, s, "", at+"template", fault),
	}
	for _, t := range f.tags {
		if tag := detection.Clean(render(t, s, "", at+"tags", fault), maxTag); tag != "" {
			out.tags = append(out.tags, tag)
		}
	}
	for _, l := range f.links {
		name, to := render(l.name, s, "", at+"links", fault), render(l.url, s, "", at+"links", fault)
		if to != "" {
			out.links += "- [" + name + "](" + to + ")\n"
		}
	}
	for _, x := range f.field {
		value, err := typed(x.kind, render(x.value, s, "", at+"fields", fault))
		if err != nil {
			fault(at + "fields")
			continue
		}
		out.fields = append(out.fields, hive.CustomField{Name: x.name, Value: value})
	}
	for _, x := range f.tasks {
		out.tasks = append(out.tasks, hive.NewTask{
			Title: detection.Clean(render(x.title, s, "", at+"tasks", fault), maxTag),
			Group: render(x.group, s, "", at+"tasks", fault), Description: render(x.description, s, "", at+"tasks", fault),
		})
	}
	for _, x := range f.pages {
		out.pages = append(out.pages, hive.NewPage{
			Title:    detection.Clean(render(x.title, s, "", at+"pages", fault), maxTag),
			Category: render(x.category, s, "Forager", at+"pages", fault), Content: render(x.content, s, "", at+"pages", fault),
		})
	}
	return out
}
