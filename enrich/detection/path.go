package detection

import (
	"fmt"
	"strings"
)

// step is one name of a path. Where pick is set, the step holds only for objects whose member
// key says value: `ruleLabels[key=severity]`.
type step struct {
	name string // folded
	pick *selector
}

// selector is what an object has to say to be meant.
type selector struct{ key, value string } // folded

// anyName is the step that every member matches.
const anyName = "*"

// is tells whether a name, or a part of one, is the step's.
func (st *step) is(name string) bool { return st.name == anyName || fold(name) == st.name }

// parsePath reads `a.b.c` and `a.b[key=value].c`. The empty path is the event itself.
func parsePath(s string) ([]step, error) {
	if s == "" {
		return nil, nil
	}
	steps := make([]step, 0, strings.Count(s, ".")+1)
	for part := range strings.SplitSeq(s, ".") {
		name, rest, picked := strings.Cut(part, "[")
		st := step{name: fold(name)}
		if picked {
			body, closed := strings.CutSuffix(rest, "]")
			key, value, equals := strings.Cut(body, "=")
			if !closed || !equals || key == "" {
				return nil, fmt.Errorf("path %q: a selector is [key=value]", s)
			}
			st.pick = &selector{fold(key), fold(value)}
		}
		if st.name == "" {
			return nil, fmt.Errorf("path %q: an empty name", s)
		}
		steps = append(steps, st)
	}
	return steps, nil
}

// picks tells whether an object satisfies the selector of a step.
func (t *tree) picks(n int32, s *selector) bool {
	if t.nodes[n].kind != object {
		return false
	}
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		if fold(t.nodes[c].key) == s.key {
			return fold(t.nodes[c].text) == s.value
		}
	}
	return false
}

// under yields every value that the steps lead to from n, in the order of the document:
// names match nested, flat ("a.b") and mixed, arrays on the way fan out. With prefix, it yields
// instead what stands at flat names that go on beyond the last step ("a.b.c" for a.b), which says
// that there is an object in all but form. It returns false when yield did.
func (t *tree) under(n int32, steps []step, prefix bool, yield func(int32) bool) bool {
	if len(steps) == 0 {
		return prefix || yield(n)
	}
	if t.nodes[n].kind == list {
		for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
			if !t.under(c, steps, prefix, yield) {
				return false
			}
		}
		return true
	}
	if t.nodes[n].kind != object {
		return true
	}
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		if !t.member(c, t.nodes[c].key, steps, prefix, yield) {
			return false
		}
	}
	return true
}

// member matches one member name, which may be several steps long, and goes on below it.
func (t *tree) member(c int32, name string, steps []step, prefix bool, yield func(int32) bool) bool {
	for i := range steps {
		st := &steps[i]
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			if !st.is(name) {
				return true
			}
			if st.pick != nil {
				return t.picked(c, st, steps[i+1:], prefix, yield)
			}
			return t.under(c, steps[i+1:], prefix, yield)
		}
		if !st.is(name[:dot]) || st.pick != nil {
			return true
		}
		name = name[dot+1:]
	}
	return !prefix || yield(c)
}

// picked goes on below those objects at c that satisfy the selector.
func (t *tree) picked(c int32, st *step, rest []step, prefix bool, yield func(int32) bool) bool {
	if t.nodes[c].kind == list {
		for e := t.nodes[c].first; e != 0; e = t.nodes[e].next {
			if !t.picked(e, st, rest, prefix, yield) {
				return false
			}
		}
		return true
	}
	if !t.picks(c, st.pick) {
		return true
	}
	return t.under(c, rest, prefix, yield)
}

// leaves yields n, or what an array holds in its place, arrays in arrays included.
func (t *tree) leaves(n int32, yield func(int32) bool) bool {
	if t.nodes[n].kind != list {
		return yield(n)
	}
	for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
		if !t.leaves(c, yield) {
			return false
		}
	}
	return true
}
