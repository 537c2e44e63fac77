package hivetest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// keep decides whether a version matches a filter.
type keep func(*doc) bool

// compile turns a filter of TheHive's query language into a function, and refuses what TheHive would.
func (c *call) compile(k *kind, f map[string]any, top bool) (keep, error) {
	var op string
	for name := range f {
		if top && name == "_name" {
			continue
		}
		if op != "" {
			return nil, badRequest("Invalid filter: more than one operator: %s, %s", min(op, name), max(op, name))
		}
		op = name
	}
	if op == "" {
		return func(*doc) bool { return true }, nil
	}
	v := f[op]
	switch op {
	case "_and", "_or":
		return c.combine(k, op, v)
	case "_not":
		return c.negate(k, v)
	case "_any":
		return func(*doc) bool { return true }, nil
	case "_id":
		id, ok := v.(string)
		if !ok {
			return nil, invalid("_id", v, "string")
		}
		return func(d *doc) bool { return d.entry.id == id }, nil
	case "_has", "_contains":
		return has(k, v)
	}
	return c.compileField(k, op, v)
}

func (c *call) combine(k *kind, op string, v any) (keep, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, invalid(op, v, "array of filters")
	}
	all := make([]keep, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, invalid(op, e, "filter")
		}
		var err error
		if all[i], err = c.compile(k, m, false); err != nil {
			return nil, err
		}
	}
	if op == "_and" {
		return func(d *doc) bool { return !slices.ContainsFunc(all, func(f keep) bool { return !f(d) }) }, nil
	}
	return func(d *doc) bool { return slices.ContainsFunc(all, func(f keep) bool { return f(d) }) }, nil
}

func (c *call) negate(k *kind, v any) (keep, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("_not", v, "filter")
	}
	f, err := c.compile(k, m, false)
	if err != nil {
		return nil, err
	}
	return func(d *doc) bool { return !f(d) }, nil
}

func has(k *kind, v any) (keep, error) {
	name, ok := v.(string)
	if !ok {
		return nil, invalid("_has", v, "string")
	}
	get, _, err := accessor(k, name)
	if err != nil {
		return nil, err
	}
	return func(d *doc) bool { return present(get(d)) }, nil
}

func present(v any) bool {
	l, isList := v.([]string)
	return v != nil && (!isList || len(l) > 0)
}

// parametersOf are what the operators on a field take beside _field.
var parametersOf = map[string][]string{
	"_eq": {"_value"}, "_is": {"_value"}, "_ne": {"_value"},
	"_lt": {"_value"}, "_lte": {"_value"}, "_gt": {"_value"}, "_gte": {"_value"},
	"_like": {"_value"}, "_match": {"_value"}, "_startsWith": {"_value"}, "_endsWith": {"_value"},
	"_in": {"_values"}, "_between": {"_from", "_to"},
}

func (c *call) compileField(k *kind, op string, v any) (keep, error) {
	names, known := parametersOf[op]
	if !known {
		return nil, badRequest("Invalid filter: unknown operator %s", op)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, invalid(op, v, "object")
	}
	m = renewed(m, names)
	name, ok := m["_field"].(string)
	if !ok {
		return nil, missing("_field")
	}
	for _, p := range names {
		if _, sent := m[p]; !sent {
			return nil, missing(p)
		}
	}
	if len(m) != len(names)+1 {
		return nil, badRequest("Invalid filter: %s takes _field and %s", op, strings.Join(names, ", "))
	}
	get, shape, err := accessor(k, name)
	if err != nil {
		return nil, err
	}
	t := test{c: c, name: name, shape: shape, get: get}
	switch op {
	case "_in":
		return t.in(m["_values"])
	case "_between":
		return t.between(m["_from"], m["_to"])
	case "_like", "_match", "_startsWith", "_endsWith":
		return t.words(op, m["_value"])
	}
	return t.compare(op, m["_value"])
}

// renewed is a filter of the older form, {"_gt":{"field":value}}, in the present one.
func renewed(m map[string]any, names []string) map[string]any {
	if len(m) != 1 || len(names) != 1 || names[0] != "_value" {
		return m
	}
	for name, v := range m {
		if !strings.HasPrefix(name, "_") || common[name].get != nil {
			return map[string]any{"_field": name, "_value": v}
		}
	}
	return m
}

// test builds the comparisons of one field.
type test struct {
	c     *call
	name  string
	shape shapeOf
	get   func(*doc) any
}

// value reads what a field is compared with; relative dates are allowed where the order counts.
func (t test) value(v any, relative bool) (any, error) {
	if m, ok := v.(map[string]any); ok && t.shape == date && relative {
		return relativeDate(t.name, m, t.c.h.options.Clock())
	}
	switch t.shape {
	case integer, date:
		if n, ok := whole(v); ok {
			return n, nil
		}
	case boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case anyJSON: // custom fields: any scalar
		switch n := v.(type) {
		case string, bool:
			return v, nil
		case json.Number:
			if i, ok := whole(n); ok {
				return i, nil
			}
			if f, err := strconv.ParseFloat(n.String(), 64); err == nil {
				return f, nil
			}
		}
	default:
		if s, ok := v.(string); ok {
			return s, nil
		}
	}
	return nil, invalid(t.name, v, t.shape.String())
}

func (t test) compare(op string, v any) (keep, error) {
	ordered := op != "_eq" && op != "_is" && op != "_ne"
	want, err := t.value(v, ordered)
	if err != nil {
		return nil, err
	}
	is := func(d *doc) bool { return t.any(d, func(got any) bool { return order(got, want) == 0 }) }
	var ok func(n int) bool
	switch op {
	case "_ne":
		return func(d *doc) bool { return !is(d) }, nil
	case "_lt":
		ok = func(n int) bool { return n < 0 }
	case "_lte":
		ok = func(n int) bool { return n <= 0 }
	case "_gt":
		ok = func(n int) bool { return n > 0 }
	case "_gte":
		ok = func(n int) bool { return n >= 0 }
	default:
		return is, nil
	}
	return func(d *doc) bool { return t.any(d, func(got any) bool { return ok(order(got, want)) }) }, nil
}

// any is true if the field, or one of its elements, fulfils f; an absent field never does.
func (t test) any(d *doc, f func(any) bool) bool {
	switch v := t.get(d).(type) {
	case nil:
		return false
	case []string:
		return slices.ContainsFunc(v, func(s string) bool { return f(s) })
	default:
		return f(v)
	}
}

func (t test) in(v any) (keep, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, invalid("_values", v, "array")
	}
	want := make([]any, len(list))
	for i, e := range list {
		var err error
		if want[i], err = t.value(e, false); err != nil {
			return nil, err
		}
	}
	return func(d *doc) bool {
		return t.any(d, func(got any) bool {
			return slices.ContainsFunc(want, func(w any) bool { return order(got, w) == 0 })
		})
	}, nil
}

func (t test) between(from, to any) (keep, error) {
	low, err := t.value(from, true)
	if err != nil {
		return nil, err
	}
	high, err := t.value(to, true)
	if err != nil {
		return nil, err
	}
	return func(d *doc) bool {
		return t.any(d, func(got any) bool { return order(got, low) >= 0 && order(got, high) < 0 })
	}, nil
}

func (t test) words(op string, v any) (keep, error) {
	want, ok := v.(string)
	if !ok || t.shape == integer || t.shape == date || t.shape == boolean {
		return nil, invalid(t.name, v, "string field and value")
	}
	match := map[string]func(got, want string) bool{
		"_startsWith": strings.HasPrefix, "_endsWith": strings.HasSuffix, "_like": like, "_match": hasWord,
	}[op]
	return func(d *doc) bool {
		return t.any(d, func(got any) bool { s, ok := got.(string); return ok && match(s, want) })
	}, nil
}

// like finds a substring; stars at the ends of the value are the older way to say where it may lie.
func like(got, want string) bool {
	got, want = strings.ToLower(got), strings.ToLower(want)
	front, back := strings.HasPrefix(want, "*"), strings.HasSuffix(want, "*")
	part := strings.TrimSuffix(strings.TrimPrefix(want, "*"), "*")
	switch {
	case front && !back:
		return strings.HasSuffix(got, part)
	case back && !front:
		return strings.HasPrefix(got, part)
	}
	return strings.Contains(got, part)
}

// hasWord finds all the words of the value among those of the field, whatever their case.
func hasWord(got, want string) bool {
	split := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	have, need := split(got), split(want)
	return len(need) > 0 && !slices.ContainsFunc(need, func(w string) bool { return !slices.Contains(have, w) })
}

// order compares two values; values of different forms are ordered by form, and absent ones come first.
func order(a, b any) int {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	case int64:
		switch b := b.(type) {
		case int64:
			return cmp.Compare(a, b)
		case float64:
			return cmp.Compare(float64(a), b)
		}
	case float64:
		switch b := b.(type) {
		case float64:
			return cmp.Compare(a, b)
		case int64:
			return cmp.Compare(a, float64(b))
		}
	case bool:
		if b, ok := b.(bool); ok {
			return cmp.Compare(strconv.FormatBool(a), strconv.FormatBool(b))
		}
	case []string:
		if b, ok := b.([]string); ok {
			return slices.Compare(a, b)
		}
	}
	return cmp.Compare(rank(a), rank(b))
}

func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case int64, float64:
		return 2
	case string:
		return 3
	}
	return 4
}

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
