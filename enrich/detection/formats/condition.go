package formats

import (
	"slices"
	"strconv"
	"strings"

	"forager/enrich/detection/tree"
)

// Holds tells whether all conditions hold for the event or object at n.
func Holds(t *tree.Tree, n int32, when []Condition) bool {
	for i := range when {
		if when[i].passes(t, n) == when[i].Not {
			return false
		}
	}
	return true
}

// passes tells whether any value at any of its paths passes, in the event or object at n; whether it is denied does not count.
func (c *Condition) passes(t *tree.Tree, n int32) bool {
	passed := false
	test := func(v int32) bool {
		if c.Type == "array" {
			passed = t.Nodes[v].Kind == tree.List
			return !passed
		}
		return t.Leaves(v, func(v int32) bool {
			passed = c.valuePasses(&t.Nodes[v])
			return !passed
		})
	}
	for _, p := range c.Path {
		if t.Under(n, p.Steps, false, test); passed {
			return true
		}
		if c.bare() && !t.Under(n, p.Steps, true, func(int32) bool { return false }) {
			return true
		}
	}
	return false
}

// bare tells whether a condition asks for presence alone; flat names that go on are presence, too.
func (c *Condition) bare() bool {
	return (c.Type == "" || c.Type == "object") && len(c.Is) == 0 && len(c.Prefix) == 0 &&
		len(c.Suffix) == 0 && len(c.Contains) == 0 && c.Matches.Regexp == nil
}

func (c *Condition) valuePasses(n *tree.Node) bool {
	if n.Kind == tree.Null || !c.typePasses(n) {
		return false
	}
	if c.bare() {
		return true
	}
	if len(c.Is) > 0 && !slices.Contains(c.Is, tree.Fold(n.Text)) {
		return false
	}
	if c.Matches.Regexp != nil && !c.Matches.MatchString(n.Text) {
		return false
	}
	return anyText(c.Prefix, n.Text, strings.HasPrefix) && anyText(c.Suffix, n.Text, strings.HasSuffix) &&
		anyText(c.Contains, n.Text, strings.Contains)
}

func (c *Condition) typePasses(n *tree.Node) bool {
	switch c.Type {
	case "object":
		return n.Kind == tree.Object
	case "string":
		return n.Kind == tree.Text
	case "bool":
		return n.Kind == tree.Boolean
	case "number":
		if n.Kind == tree.Number {
			return true
		}
		_, err := strconv.ParseFloat(n.Text, 64)
		return n.Kind == tree.Text && err == nil
	}
	return true
}

func anyText(of texts, s string, test func(s, part string) bool) bool {
	if len(of) == 0 {
		return true
	}
	s = tree.Fold(s)
	return slices.ContainsFunc(of, func(part string) bool { return test(s, part) })
}
