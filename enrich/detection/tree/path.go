package tree

import (
	"fmt"
	"strings"
)

// Step is one name of a path. Where pick is set, the step holds only for objects whose member
// key says value: `ruleLabels[key=severity]`.
type Step struct {
	Name string // folded
	Pick *Selector
}

// Selector is what an object has to say to be meant.
type Selector struct{ key, value string } // folded

// AnyName is the step that every member matches.
const AnyName = "*"

// is tells whether a name, or a part of one, is the step's.
func (st *Step) is(name string) bool { return st.Name == AnyName || FoldsTo(name, st.Name) }

// ParsePath reads `a.b.c` and `a.b[key=value].c`. The empty path is the event itself.
func ParsePath(s string) ([]Step, error) {
	if s == "" {
		return nil, nil
	}
	steps := make([]Step, 0, strings.Count(s, ".")+1)
	for part := range strings.SplitSeq(s, ".") {
		name, rest, picked := strings.Cut(part, "[")
		st := Step{Name: Fold(name)}
		if picked {
			body, closed := strings.CutSuffix(rest, "]")
			key, value, equals := strings.Cut(body, "=")
			if !closed || !equals || key == "" {
				return nil, fmt.Errorf("path %q: a selector is [key=value]", s)
			}
			st.Pick = &Selector{Fold(key), Fold(value)}
		}
		if st.Name == "" {
			return nil, fmt.Errorf("path %q: an empty name", s)
		}
		steps = append(steps, st)
	}
	return steps, nil
}

// Picks tells whether an object satisfies the selector of a step.
func (t *Tree) Picks(n int32, s *Selector) bool {
	if t.Nodes[n].Kind != Object {
		return false
	}
	for c := t.Nodes[n].First; c != 0; c = t.Nodes[c].Next {
		if FoldsTo(t.Nodes[c].Key, s.key) {
			return FoldsTo(t.Nodes[c].Text, s.value)
		}
	}
	return false
}

// Under yields every value that the steps lead to from n, in the order of the document:
// names match nested, flat ("a.b") and mixed, arrays on the way fan out. With prefix, it yields
// instead what stands at flat names that go on beyond the last step ("a.b.c" for a.b), which says
// that there is an object in all but form. It returns false when yield did.
func (t *Tree) Under(n int32, steps []Step, prefix bool, yield func(int32) bool) bool {
	if len(steps) == 0 {
		return prefix || yield(n)
	}
	if t.Nodes[n].Kind == List {
		for c := t.Nodes[n].First; c != 0; c = t.Nodes[c].Next {
			if !t.Under(c, steps, prefix, yield) {
				return false
			}
		}
		return true
	}
	if t.Nodes[n].Kind != Object {
		return true
	}
	for c := t.Nodes[n].First; c != 0; c = t.Nodes[c].Next {
		if !t.member(c, t.Nodes[c].Key, steps, prefix, yield) {
			return false
		}
	}
	return true
}

// member matches one member name, which may be several steps long, and goes on below it.
func (t *Tree) member(c int32, name string, steps []Step, prefix bool, yield func(int32) bool) bool {
	for i := range steps {
		st := &steps[i]
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			if !st.is(name) {
				return true
			}
			if st.Pick != nil {
				return t.picked(c, st, steps[i+1:], prefix, yield)
			}
			return t.Under(c, steps[i+1:], prefix, yield)
		}
		if !st.is(name[:dot]) || st.Pick != nil {
			return true
		}
		name = name[dot+1:]
	}
	return !prefix || yield(c)
}

// picked goes on below those objects at c that satisfy the selector.
func (t *Tree) picked(c int32, st *Step, rest []Step, prefix bool, yield func(int32) bool) bool {
	if t.Nodes[c].Kind == List {
		for e := t.Nodes[c].First; e != 0; e = t.Nodes[e].Next {
			if !t.picked(e, st, rest, prefix, yield) {
				return false
			}
		}
		return true
	}
	if !t.Picks(c, st.Pick) {
		return true
	}
	return t.Under(c, rest, prefix, yield)
}

// Leaves yields n, or what an array holds in its place, arrays in arrays included.
func (t *Tree) Leaves(n int32, yield func(int32) bool) bool {
	if t.Nodes[n].Kind != List {
		return yield(n)
	}
	for c := t.Nodes[n].First; c != 0; c = t.Nodes[c].Next {
		if !t.Leaves(c, yield) {
			return false
		}
	}
	return true
}
