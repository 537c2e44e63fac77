package hivetest

import (
	"net/http"
	"slices"
	"strings"
)

// maxMerge is TheHive's default for case.maxMergeInCase.
const maxMerge = 50

// mergeCases makes a new case of several: titles and descriptions are joined, tags united, the highest severity, TLP
// and PAP and the earliest start kept, children moved, equal observables merged. The sources are gone afterwards.
func mergeCases(c *call) (reply, error) {
	ids := splitIDs(c.args[0])
	var sources []*entry
	for _, id := range ids {
		e, err := c.get(caseKind, id)
		if err != nil {
			return reply{}, err
		}
		if !slices.Contains(sources, e) {
			sources = append(sources, e)
		}
	}
	if len(sources) < 2 || len(sources) > maxMerge {
		return reply{}, badRequest("Cases to merge: from 2 to %d are expected, not %d", maxMerge, len(sources))
	}
	st := c.stamp()
	merged := c.h.store.add(caseKind, c.viewer.org, nil, c.mergedValues(sources, st), st)
	gone := make([]*doc, 0, len(sources))
	for _, source := range sources {
		gone = append(gone, source.doc)
	}
	c.h.record(audit{action: "merge", sources: gone}, merged, st, c)
	for _, source := range sources {
		c.moveChildren(source, merged, st)
	}
	for a := range c.h.store.of(alertKind).each {
		for _, source := range sources {
			if a.doc.text("caseId") == source.id {
				c.h.store.change(a, map[string]any{"caseId": merged.id}, st)
			}
		}
	}
	for _, source := range sources {
		c.remove(source)
	}
	return show1(http.StatusCreated, merged.doc), nil
}

func (c *call) mergedValues(sources []*entry, st stamp) map[string]any {
	first := sources[0].doc
	values := map[string]any{}
	for i, f := range caseKind.fields {
		if first.vals[i] != nil {
			values[f.name] = first.vals[i]
		}
	}
	var titles, descriptions []string
	for _, e := range sources {
		d := e.doc
		titles, descriptions = append(titles, d.text("title")), append(descriptions, d.text("description"))
		values["tags"] = union(list[string](values, "tags"), d.list("tags"))
		for _, name := range []string{"severity", "tlp", "pap"} {
			values[name] = max(values[name].(int64), d.num(name))
		}
		values["startDate"] = min(values["startDate"].(int64), d.num("startDate"))
		values["customFields"] = unite(values["customFields"], d.get("customFields"))
	}
	for _, name := range []string{"endDate", "impactStatus", "closedDate", "inProgressDate", "summary"} {
		delete(values, name)
	}
	c.h.store.number++
	values["number"], values["newDate"] = c.h.store.number, st.ms
	values["title"], values["description"] = clipRunes(strings.Join(titles, " / "), 512), strings.Join(descriptions, "\n\n")
	values["status"], values["stage"] = "New", "New"
	values["assignee"] = c.viewer.login
	return values
}

func clipRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func unite(a, b any) []customValue {
	first, _ := a.([]customValue)
	second, _ := b.([]customValue)
	out := append([]customValue{}, first...)
	for _, v := range second {
		if !slices.ContainsFunc(out, func(o customValue) bool { return o.Name == v.Name }) {
			out = append(out, v)
		}
	}
	return out
}

// moveChildren takes all that lies below one case to another; observables that are there already lend their tags.
func (c *call) moveChildren(from, to *entry, st stamp) {
	for _, series := range from.kids {
		for _, e := range slices.Clone(series.all) {
			if e.gone {
				continue
			}
			if key := identity(e.doc); key != "" {
				if twin := same(to, key); twin != nil {
					c.h.store.change(twin, map[string]any{"tags": union(twin.doc.list("tags"), e.doc.list("tags"))}, st)
					continue
				}
				if to.values == nil {
					to.values = map[string]struct{}{}
				}
				to.values[key] = struct{}{}
			}
			series.all = slices.DeleteFunc(series.all, func(o *entry) bool { return o == e })
			series.live--
			to.adopt(e)
		}
	}
}

func same(parent *entry, key string) *entry {
	if _, ok := parent.values[key]; !ok {
		return nil
	}
	for e := range parent.children(observableKind).each {
		if identity(e.doc) == key {
			return e
		}
	}
	return nil
}
