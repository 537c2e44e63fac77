package detection

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"

	"forager/enrich/detection/tree"
)

// redaction is what is left out of what events say, and of what formats read of them.
type redaction struct {
	names  []string  // folded; the end of a member's name
	paths  []string  // folded; a whole path, or the beginning of one
	ends   [256]bool // the last bytes of both
	inLine *regexp.Regexp
}

// DefaultRedact are the names that are left out unless [Options].Redact names others.
func DefaultRedact() []string { return []string{"password", "token", "secret", "authorization"} }

// newRedaction reads names and paths.
func newRedaction(all []string) *redaction {
	r := &redaction{}
	var names []string
	for _, s := range all {
		if strings.Contains(s, ".") {
			r.paths = append(r.paths, tree.Fold(s))
			continue
		}
		r.names = append(r.names, tree.Fold(s))
		names = append(names, regexp.QuoteMeta(s))
	}
	for _, end := range slices.Concat(r.names, r.paths) {
		r.ends[lastByte(end)] = true
	}
	if names != nil {
		slices.SortFunc(names, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
		r.inLine = regexp.MustCompile(`(?i)((?:` + strings.Join(names, "|") + `)"?\s*[=:]\s*)(?:(?:basic|bearer)\s+)?("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;|&]+)`)
	}
	return r
}

// hides tells which members of a tree are left out: by their path, or, where they hold a text or a number, by the end of
// their name.
func (r *redaction) hides(t *tree.Tree) tree.Hidden {
	return func(way, name string, n int32) bool { return r.named(name, t.Nodes[n].Kind) || r.placed(way, name) }
}

// named tells whether a member is left out by its name.
func (r *redaction) named(name string, k tree.Kind) bool {
	if k == tree.Object || k == tree.Boolean || k == tree.Null {
		return false
	}
	last := tree.Fold(name[strings.LastIndexByte(name, '.')+1:])
	return slices.ContainsFunc(r.names, func(end string) bool { return strings.HasSuffix(last, end) })
}

// placed tells whether a member is left out by its path.
func (r *redaction) placed(way, name string) bool {
	return len(r.paths) > 0 && slices.Contains(r.paths, tree.Fold(tree.Way(way, name)))
}

// line is a line without what stands behind the names.
func (r *redaction) line(s string) string {
	if r.inLine == nil {
		return s
	}
	return r.inLine.ReplaceAllString(s, "${1}"+tree.LeftOut)
}

// mayHide tells quickly that a member is not left out, as hardly any is.
func (r *redaction) mayHide(name string) bool {
	if !r.mayEnd(name) {
		return false
	}
	var room [tree.MaxFoldedName]byte
	last := tree.FoldTo(room[:0], name[strings.LastIndexByte(name, '.')+1:])
	for _, end := range r.names {
		if strings.HasSuffix(string(last), end) {
			return true
		}
	}
	if len(r.paths) == 0 {
		return false
	}
	within := bytes.TrimLeft(tree.FoldTo(room[:0], name), "_- ") // as it is within a way
	return slices.ContainsFunc(r.paths, func(path string) bool { return strings.HasSuffix(path, string(within)) })
}

// mayEnd tells by the last byte that a member is not left out, as most are not.
func (r *redaction) mayEnd(name string) bool {
	last := lastByte(name)
	if 'A' <= last && last <= 'Z' {
		last += 'a' - 'A'
	}
	folds := last == 0 || last == '_' || last == '-' || last == ' ' // it ends earlier
	return r.ends[last] || r.ends[0] || folds
}

// lastByte is 0 for what ends everything: an empty text.
func lastByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1]
}

// concealed are members of an event that formats do not see while they are left out.
type concealed struct {
	*tree.Tree

	rules  *redaction
	at     []int32
	were   []tree.Node
	placed bool // some by their path
}

// conceal leaves out of an event what is redacted, until it is revealed.
func (r *redaction) conceal(t *tree.Tree, root int32) *concealed {
	c := &concealed{Tree: t, rules: r}
	if len(r.names)+len(r.paths) > 0 {
		c.below(root, "")
	}
	return c
}

func (c *concealed) below(n int32, way string) {
	isObject := c.Nodes[n].Kind == tree.Object
	for m := c.Nodes[n].First; m != 0; m = c.Nodes[m].Next {
		node := c.Nodes[m]
		if isObject && c.rules.mayHide(node.Key) && c.hide(m, way) || node.First == 0 {
			continue
		}
		inner := way
		if isObject && len(c.rules.paths) > 0 {
			inner = tree.Way(way, node.Key)
		}
		c.below(m, inner)
	}
}

// hide leaves a member out where that is said of it.
func (c *concealed) hide(m int32, way string) bool {
	node := c.Nodes[m]
	placed := c.rules.placed(way, node.Key)
	if !placed && !c.rules.named(node.Key, node.Kind) {
		return false
	}
	c.placed = c.placed || placed
	c.at, c.were = append(c.at, m), append(c.were, node)
	c.Nodes[m] = tree.Node{Key: node.Key, Next: node.Next, Kind: tree.Null}
	return true
}

// reveal puts back what was left out, and tells whether anything was.
func (c *concealed) reveal() bool {
	for i, m := range c.at {
		c.Nodes[m] = c.were[i]
	}
	return len(c.at) > 0
}

// identify gives the detection its id, and what to correlate it by where it names nobody. Both are made of all that
// the event says, so that events stay apart that differ in what is left out; what lies at a path that is left out is
// told by its digest.
func (e *event) identify(hidden *concealed) error {
	e.det.ID = e.id()
	named := e.det.namesSomebody()
	if !named {
		e.lastKey = e.keyOfLast()
	}
	if !hidden.reveal() {
		return nil
	}
	why := len(e.det.Why)
	if err := e.gather(); err != nil {
		return err
	}
	id, key := e.id(), ""
	if !named {
		key = e.keyOfLast()
	}
	e.det.Why = e.det.Why[:why]
	if hidden.placed && id != e.det.ID && !strings.HasPrefix(id, hashed) {
		id = hashOf(id)
	}
	if hidden.placed && key != e.lastKey {
		key = e.format.Keyed(hashOf(key))
	}
	e.det.ID, e.lastKey = id, key
	return nil
}
