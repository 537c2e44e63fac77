package hivetest

import "slices"

func (c *call) sort(sel *selection, op map[string]any) error {
	if err := c.only(op, "_fields"); err != nil {
		return err
	}
	fields, ok := op["_fields"].([]any)
	if !ok {
		return missing("_fields")
	}
	var by []func(a, b *entry) int
	for _, f := range fields {
		m, ok := f.(map[string]any)
		if !ok || len(m) != 1 {
			return invalid("_fields", f, `{"field":"asc|desc"}`)
		}
		for name, direction := range m {
			compare, err := comparison(sel.kind, name, direction)
			if err != nil {
				return err
			}
			by = append(by, compare)
		}
	}
	sel.entries, sel.sorted = slices.Clone(sel.entries), true
	slices.SortStableFunc(sel.entries, func(a, b *entry) int {
		for _, compare := range by {
			if n := compare(a, b); n != 0 {
				return n
			}
		}
		return 0
	})
	return nil
}

func comparison(k *kind, name string, direction any) (func(a, b *entry) int, error) {
	get, _, err := accessor(k, name)
	if err != nil {
		return nil, err
	}
	switch direction {
	case "asc":
		return func(a, b *entry) int { return order(get(a.doc), get(b.doc)) }, nil
	case "desc":
		return func(a, b *entry) int { return order(get(b.doc), get(a.doc)) }, nil
	}
	return nil, invalid(name, direction, "asc or desc")
}

func (c *call) page(sel *selection, op map[string]any) error {
	if err := c.only(op, "from", "to", "extraData"); err != nil {
		return err
	}
	from, ok1 := whole(op["from"])
	to, ok2 := whole(op["to"])
	if !ok1 || !ok2 || from < 0 || to < from {
		return badRequest("Invalid page: from %v to %v", op["from"], op["to"])
	}
	extra := field{name: "extraData", shape: texts}
	names := []string{}
	if v, sent := op["extraData"]; sent && v != nil {
		got, faults := extra.decodeTexts(v)
		if faults != nil {
			return attributes(faults)
		}
		names = got.([]string)
	}
	sel.entries = c.known(sel)
	n := int64(len(sel.entries))
	all := c.order(sel)
	sel.paged = true
	for _, e := range all[min(from, n):min(to, n)] {
		sel.rows = append(sel.rows, row{doc: e.doc, extra: c.extra(e, names)})
	}
	if slices.Contains(names, "total") {
		sel.total = int(n)
	}
	return nil
}
