package hivetest

import (
	"slices"
	"strings"
	"time"
)

// common are the fields that every kind can be searched by.
var common = map[string]struct {
	shape shapeOf
	get   func(*doc) any
}{
	"_id":        {text, func(d *doc) any { return d.entry.id }},
	"_type":      {text, func(d *doc) any { return d.kind.name }},
	"_createdBy": {text, func(d *doc) any { return d.by }},
	"_createdAt": {date, func(d *doc) any { return d.at }},
	"_updatedBy": {text, func(d *doc) any { return set(d.upBy) }},
	"_updatedAt": {date, func(d *doc) any { return set(d.upAt) }},
}

// set turns a zero value into an absent one.
func set[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}

// accessor finds the property that a filter or a sort names.
func accessor(k *kind, name string) (func(*doc) any, shapeOf, error) {
	if f, ok := common[name]; ok {
		return f.get, f.shape, nil
	}
	if f, ok := common["_"+name]; ok && k.style == plain {
		return f.get, f.shape, nil
	}
	if custom, ok := strings.CutPrefix(name, "customFields."); ok {
		if _, has := k.slot("customFields"); has && custom != "" {
			return func(d *doc) any { return customOf(d, custom) }, anyJSON, nil
		}
	}
	i, ok := k.slot(name)
	if !ok || !searchable(k.fields[i]) {
		return nil, 0, badRequest("Property %s for type %s not found", name, k.name)
	}
	shape := k.fields[i].shape
	if shape == anyJSON { // an observable's data
		shape = text
	}
	return func(d *doc) any { return d.vals[i] }, shape, nil
}

func searchable(f field) bool {
	return f.use&show != 0 && f.shape != refs && f.shape != items && f.shape != object && f.shape != custom &&
		f.name != "attachment" && f.name != "options"
}

func customOf(d *doc, name string) any {
	values, _ := d.get("customFields").([]customValue)
	at := slices.IndexFunc(values, func(v customValue) bool { return v.Name == name })
	if at < 0 {
		return nil
	}
	return values[at].Value
}

// candidates are the entities that a filter can match, where it names a value that the index knows.
func (c *call) candidates(k *kind, filter map[string]any) ([]*entry, bool) {
	for op, v := range filter {
		switch op {
		case "_id":
			id, ok := v.(string)
			if e := c.h.store.byID[id]; e != nil && e.doc.kind == k {
				return []*entry{e}, ok
			}
			return nil, ok
		case "_eq", "_is", "_in":
			if entries, ok := c.byValue(k, v); ok {
				return entries, true
			}
		case "_and":
			list, _ := v.([]any)
			for _, e := range list {
				m, _ := e.(map[string]any)
				if entries, ok := c.candidates(k, m); ok {
					return entries, true
				}
			}
		}
	}
	return nil, false
}

// byValue serves equality of an indexed field.
func (c *call) byValue(k *kind, v any) ([]*entry, bool) {
	m, _ := v.(map[string]any)
	name, _ := m["_field"].(string)
	if !slices.Contains(k.indexed, name) {
		return nil, false
	}
	values, isList := m["_values"].([]any)
	if !isList {
		values = []any{m["_value"]}
	}
	var out []*entry
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		out = append(out, c.h.store.found(k, name, s)...)
	}
	if len(values) > 1 {
		slices.SortFunc(out, func(a, b *entry) int { return int(a.serial - b.serial) })
		out = slices.Compact(out)
	}
	return out, true
}

// relativeDate resolves {"amount","unit","look","timezone","modifier"} against the server's clock, in ms.
func relativeDate(name string, m map[string]any, now time.Time) (any, error) {
	amount, ok := whole(m["amount"])
	unit, _ := m["unit"].(string)
	look, _ := m["look"].(string)
	if !ok || amount < 0 || amount > 1<<20 || look != "behind" && look != "ahead" {
		return nil, invalid(name, m, "relative date")
	}
	zone := time.UTC
	if tz, given := m["timezone"].(string); given {
		var err error
		if zone, err = time.LoadLocation(tz); err != nil {
			return nil, invalid(name, m, "relative date with a known timezone")
		}
	}
	n := int(amount)
	if look == "behind" {
		n = -n
	}
	at, ok := shift(now.In(zone), n, unit)
	if !ok {
		return nil, invalid(name, m, "relative date in minutes, hours, days, weeks, months or years")
	}
	year, month, day := at.Date()
	switch m["modifier"] {
	case nil:
	case "startOfDay":
		at = time.Date(year, month, day, 0, 0, 0, 0, zone)
	case "endOfDay":
		at = time.Date(year, month, day, 23, 59, 59, 999_999_999, zone)
	default:
		return nil, invalid(name, m, "startOfDay or endOfDay")
	}
	return at.UnixMilli(), nil
}

func shift(t time.Time, n int, unit string) (time.Time, bool) {
	switch unit {
	case "minutes":
		return t.Add(time.Duration(n) * time.Minute), true
	case "hours":
		return t.Add(time.Duration(n) * time.Hour), true
	case "days":
		return t.AddDate(0, 0, n), true
	case "weeks":
		return t.AddDate(0, 0, 7*n), true
	case "months":
		return t.AddDate(0, n, 0), true
	case "years":
		return t.AddDate(n, 0, 0), true
	}
	return t, false
}
