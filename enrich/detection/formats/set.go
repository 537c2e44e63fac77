package formats

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"forager/enrich/detection/tree"
)

// Set has the formats that events can be of. What it gives never changes.
type Set struct {
	names   []string
	formats map[string]func() *Format
	index   map[string][]alternative // by folded first name of what tells an alternative
}

// alternative is one list of conditions by which a format is recognised.
type alternative struct {
	format string
	order  int
	when   []Condition
}

// New has the embedded files, and those of an operator's folders: a file replaces one of its name, and a later folder an earlier
// one. Its error is an *Error for each file that is wrong, joined. Without folders it is the same set every time, and a format is
// compiled when it is met for the first time; with folders all are at once, since any of them may be wrong then.
func New(folders ...fs.FS) (*Set, error) {
	if len(folders) == 0 {
		return builtInSet()
	}
	return read(folders...)
}

// read reads and compiles all files.
func read(folders ...fs.FS) (*Set, error) {
	specs, err := load(append([]fs.FS{embedded()}, folders...))
	if err != nil {
		return nil, err
	}
	s := &Set{formats: map[string]func() *Format{}, index: map[string][]alternative{}}
	var formats []*Format
	var wrong []error
	for _, name := range sortedNames(specs) {
		f := &Format{spec: specs[name]}
		if err := f.compile(specs); err != nil {
			wrong = append(wrong, f.located(err))
		}
		formats = append(formats, f)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	for _, f := range formats {
		if err := s.add(f, func() *Format { return f }); err != nil {
			return nil, f.located(err)
		}
	}
	s.share(formats)
	return s, nil
}

// Named is the format of a name; nil where there is none.
func (s *Set) Named(name string) *Format {
	if get := s.formats[name]; get != nil {
		return get()
	}
	return nil
}

// Has tells whether there is a format of a name.
func (s *Set) Has(name string) bool { return s.formats[name] != nil }

// Names are the names of all formats, sorted; not to be changed.
func (s *Set) Names() []string { return s.names }

// add takes a format in by what it is recognised by; get gives it. Formats are added in the order of their names.
func (s *Set) add(f *Format, get func() *Format) error {
	s.names = append(s.names, f.Format)
	s.formats[f.Format] = get
	for i, when := range f.Recognise {
		if len(when) == 0 || len(when[0].Path) == 0 || when[0].Not {
			return keyed(errors.New("the first condition must name a path, and not deny"), "recognise[%d]", i)
		}
		for _, p := range when[0].Path {
			if len(p.Steps) == 0 {
				return keyed(errors.New("the first condition cannot be about the event itself"), "recognise[%d]", i)
			}
			key := p.Steps[0].Name
			if key == tree.AnyName {
				return keyed(errors.New("the first condition must begin with a name"), "recognise[%d]", i)
			}
			s.index[key] = append(s.index[key], alternative{format: f.Format, order: f.Order, when: when})
		}
	}
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
	slices.SortStableFunc(found, func(a, b *alternative) int { return a.order - b.order })
	for _, a := range found {
		if Holds(t, n, a.when) {
			return s.Named(a.format)
		}
	}
	return nil
}

// Matching gives the names of all formats whose conditions hold for the object at n, whatever their order: several are a fault of the formats.
func (s *Set) Matching(t *tree.Tree, n int32) (names []string) {
	for _, alternatives := range s.index {
		for _, a := range alternatives {
			if Holds(t, n, a.when) && !slices.Contains(names, a.format) {
				names = append(names, a.format)
			}
		}
	}
	return names
}
