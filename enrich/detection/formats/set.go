package formats

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"forager/enrich/detection/tree"
)

// Set has the formats that events can be of. It never changes once it is made.
type Set struct {
	formats map[string]*Format
	names   []string
	index   map[string][]alternative // by folded first name of what tells an alternative
}

// alternative is one list of conditions by which a format is recognised.
type alternative struct {
	format *Format
	when   []Condition
}

// builtInSet is made once in a process: to read the files takes a tenth of a second and 44 MB of garbage.
var builtInSet = sync.OnceValues(func() (*Set, error) { return read() })

// New reads and compiles the embedded files, then those of an operator's folders: a file replaces one of its name, and a later
// folder an earlier one. Its error is an *Error for each file that is wrong, joined. Without folders it is the same set every time.
func New(folders ...fs.FS) (*Set, error) {
	if len(folders) == 0 {
		return builtInSet()
	}
	return read(folders...)
}

func read(folders ...fs.FS) (*Set, error) {
	specs, err := load(append([]fs.FS{embedded()}, folders...))
	if err != nil {
		return nil, err
	}
	s := &Set{}
	if err := s.compile(specs); err != nil {
		return nil, err
	}
	return s, nil
}

// Named is the format of a name; nil where there is none.
func (s *Set) Named(name string) *Format { return s.formats[name] }

// Names are the names of all formats, sorted; not to be changed.
func (s *Set) Names() []string { return s.names }

func (s *Set) compile(specs map[string]*spec) error {
	s.names = sortedNames(specs)
	s.formats = make(map[string]*Format, len(s.names))
	s.index = map[string][]alternative{}
	var wrong []error
	for _, name := range s.names {
		f := &Format{spec: specs[name]}
		if err := f.compile(specs); err != nil {
			wrong = append(wrong, f.located(err))
		}
		s.formats[name] = f
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	for _, name := range s.names {
		f := s.formats[name]
		for i, when := range f.Recognise {
			if len(when) == 0 || len(when[0].Path) == 0 || when[0].Not {
				return f.located(keyed(errors.New("the first condition must name a path, and not deny"), "recognise[%d]", i))
			}
			for _, p := range when[0].Path {
				if len(p.Steps) == 0 {
					return f.located(keyed(errors.New("the first condition cannot be about the event itself"), "recognise[%d]", i))
				}
				key := p.Steps[0].Name
				if key == tree.AnyName {
					return f.located(keyed(errors.New("the first condition must begin with a name"), "recognise[%d]", i))
				}
				s.index[key] = append(s.index[key], alternative{format: f, when: when})
			}
		}
	}
	for _, alternatives := range s.index {
		slices.SortStableFunc(alternatives, func(a, b alternative) int { return cmp.Compare(a.format.Order, b.format.Order) })
	}
	s.share()
	return nil
}

// Recognise finds the format of an event. Only formats are tried whose telling name is among
// the names at the top of the event, so that the cost does not grow with the number of formats.
func (s *Set) Recognise(t *tree.Tree, n int32) *Format {
	if t.Nodes[n].Kind != tree.Object {
		return nil
	}
	var room [16]*alternative
	found := room[:0]
	var folded [tree.MaxFoldedName]byte
	for c := t.Nodes[n].First; c != 0; c = t.Nodes[c].Next {
		name, _, _ := strings.Cut(t.Nodes[c].Key, ".")
		alternatives := s.index[string(tree.FoldTo(folded[:0], name))]
		for i := range alternatives {
			if !slices.Contains(found, &alternatives[i]) {
				found = append(found, &alternatives[i])
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *alternative) int { return a.format.Order - b.format.Order })
	for _, a := range found {
		if Holds(t, n, a.when) {
			return a.format
		}
	}
	return nil
}

// Matching gives the names of all formats whose conditions hold for the object at n, whatever their order: several are a fault of the formats.
func (s *Set) Matching(t *tree.Tree, n int32) (names []string) {
	for _, alternatives := range s.index {
		for _, a := range alternatives {
			if Holds(t, n, a.when) && !slices.Contains(names, a.format.Format) {
				names = append(names, a.format.Format)
			}
		}
	}
	return names
}
