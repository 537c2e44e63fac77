package detection

import (
	"slices"
	"strconv"
	"strings"
)

// recognise finds the format of an event. Only formats are tried whose telling name is among
// the names at the top of the event, so that the cost does not grow with the number of formats.
func (d *Decoder) recognise(t *tree, n int32) *format {
	if t.nodes[n].kind != object {
		return nil
	}
	var room [16]*alternative
	found := room[:0]
	var folded [maxFoldedName]byte
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		name, _, _ := strings.Cut(t.nodes[c].key, ".")
		alternatives := d.index[string(foldTo(folded[:0], name))]
		for i := range alternatives {
			if !slices.Contains(found, &alternatives[i]) {
				found = append(found, &alternatives[i])
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *alternative) int { return a.format.Order - b.format.Order })
	for _, a := range found {
		if t.holds(n, a.when) {
			return a.format
		}
	}
	return nil
}

// holds tells whether all conditions hold for the event or object at n.
func (t *tree) holds(n int32, when []condition) bool {
	for i := range when {
		if t.passes(n, &when[i]) == when[i].Not {
			return false
		}
	}
	return true
}

func (t *tree) passes(n int32, c *condition) bool {
	passed := false
	test := func(v int32) bool {
		if c.Type == "array" {
			passed = t.nodes[v].kind == list
			return !passed
		}
		return t.leaves(v, func(v int32) bool {
			passed = t.valuePasses(v, c)
			return !passed
		})
	}
	for _, p := range c.Path {
		if t.under(n, p.steps, false, test); passed {
			return true
		}
		if c.bare() && !t.under(n, p.steps, true, func(int32) bool { return false }) {
			return true
		}
	}
	return false
}

// bare tells whether a condition asks for presence alone; flat names that go on are presence, too.
func (c *condition) bare() bool {
	return (c.Type == "" || c.Type == "object") && len(c.Is) == 0 && len(c.Prefix) == 0 &&
		len(c.Suffix) == 0 && len(c.Contains) == 0 && c.Matches.Regexp == nil
}

func (t *tree) valuePasses(v int32, c *condition) bool {
	n := &t.nodes[v]
	if n.kind == null || !t.typePasses(n, c) {
		return false
	}
	if c.bare() {
		return true
	}
	if len(c.Is) > 0 && !slices.Contains(c.Is, fold(n.text)) {
		return false
	}
	if c.Matches.Regexp != nil && !c.Matches.MatchString(n.text) {
		return false
	}
	return anyText(c.Prefix, n.text, strings.HasPrefix) && anyText(c.Suffix, n.text, strings.HasSuffix) &&
		anyText(c.Contains, n.text, strings.Contains)
}

func (t *tree) typePasses(n *node, c *condition) bool {
	switch c.Type {
	case "object":
		return n.kind == object
	case "string":
		return n.kind == text
	case "bool":
		return n.kind == boolean
	case "number":
		if n.kind == number {
			return true
		}
		_, err := strconv.ParseFloat(n.text, 64)
		return n.kind == text && err == nil
	}
	return true
}

func anyText(of texts, s string, test func(s, part string) bool) bool {
	if len(of) == 0 {
		return true
	}
	s = fold(s)
	return slices.ContainsFunc(of, func(part string) bool { return test(s, part) })
}
