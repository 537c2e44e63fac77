package formats

import "strings"

// sharing makes what compiled formats have in common one: a worker keeps all of them as long as it runs.
type sharing struct {
	texts  map[string]string
	ways   map[string]*way // with steps
	names  map[string]*way // without, of paths that the walk looks up
	tags   map[string][]string
	how    *how
	shapes map[shapeFlags]*shape
}

// shapeFlags is all that most shapes say.
type shapeFlags struct{ first, ioc bool }

func newSharing() *sharing {
	return &sharing{
		texts: map[string]string{}, ways: map[string]*way{}, names: map[string]*way{}, tags: map[string][]string{},
		how: &how{}, shapes: map[shapeFlags]*shape{},
	}
}

// share drops what was needed to compile alone, and keeps once what several formats have.
func (s *Set) share(formats []*Format) {
	shared := newSharing()
	for _, f := range formats {
		shared.format(f)
	}
	for key, alternatives := range s.index {
		for i := range alternatives {
			shared.conditions(&alternatives[i].when)
		}
		s.index[key] = exact(alternatives)
	}
}

// exact is a list without room for more.
func exact[T any](list []T) []T {
	if len(list) == cap(list) {
		return list
	}
	if len(list) == 0 {
		return nil
	}
	out := make([]T, len(list))
	copy(out, list)
	return out
}

func (s *sharing) text(t *string) {
	have, ok := s.texts[*t]
	if !ok {
		have = *t
		s.texts[have] = have
	}
	*t = have
}

// path is a path that the walk has looked up, or one that is followed by its steps.
func (s *sharing) path(p *Path) {
	if !p.IsSet() {
		return
	}
	if p.slot != 0 {
		s.name(p)
		return
	}
	s.way(p)
}

func (s *sharing) name(p *Path) {
	have := s.names[p.Text]
	if have == nil {
		have = &way{Text: p.Text}
		s.text(&have.Text)
		s.names[have.Text] = have
	}
	p.way = have
}

func (s *sharing) way(p *Path) {
	have := s.ways[p.Text]
	if have == nil {
		have = p.way
		s.text(&have.Text)
		for i := range have.Steps {
			s.text(&have.Steps[i].Name)
		}
		s.ways[have.Text] = have
	}
	p.way = have
}

func (s *sharing) paths(paths *[]Path) {
	*paths = exact(*paths)
	for i := range *paths {
		s.path(&(*paths)[i])
	}
}

func (s *sharing) conditions(when *[]Condition) {
	*when = exact(*when)
	for i := range *when {
		c := &(*when)[i]
		c.Path = exact(c.Path)
		for i := range c.Path {
			s.way(&c.Path[i])
		}
		s.text(&c.Type)
		for _, texts := range []*texts{&c.Is, &c.Prefix, &c.Suffix, &c.Contains} {
			*texts = exact(*texts)
			for i := range *texts {
				s.text(&(*texts)[i])
			}
		}
	}
}

func (s *sharing) fields(fs *Fields) {
	*fs = exact(*fs)
	for i := range *fs {
		f := &(*fs)[i]
		s.path(&f.Path)
		if f.isPlain() {
			f.how = s.how
			continue
		}
		f.Words, f.Bands = nil, nil
		s.path(&f.Each)
		s.paths((*[]Path)(&f.Join))
		s.conditions(&f.When)
		for _, t := range []*string{&f.Prefix, &f.Suffix, &f.After, &f.Until, &f.Sep, &f.Mark} {
			s.text(t)
		}
	}
}

// isPlain tells a field that is a path and no more.
func (h *how) isPlain() bool {
	return h.Text == "" && h.Prefix == "" && h.Suffix == "" && h.After == "" && h.Until == "" && !h.Each.IsSet() && len(h.Join)+len(h.Words)+len(h.Bands)+len(h.When) == 0 && h.Mark == "" && h.Sep == ""
}

func (s *sharing) observables(o *ObservableRule) {
	s.text(&o.Type)
	s.paths((*[]Path)(&o.Path))
	o.Tags = s.tagList(o.Tags)
	if o.isPlain() {
		flags := shapeFlags{o.First, o.IOC}
		if s.shapes[flags] == nil {
			s.shapes[flags] = &shape{First: o.First, IOC: o.IOC}
		}
		o.shape = s.shapes[flags]
		return
	}
	o.Types = nil
	for _, p := range []*Path{&o.Each, &o.Kind, &o.Value, &o.Follow} {
		s.path(p)
	}
	s.paths((*[]Path)(&o.Join))
	s.conditions(&o.When)
	for _, t := range []*string{&o.Sep, &o.Prefix, &o.Reader} {
		s.text(t)
	}
}

// isPlain tells a rule for observables that says nothing but whether to stop, and whether it is an indicator.
func (h *shape) isPlain() bool {
	return !h.Each.IsSet() && !h.Kind.IsSet() && !h.Value.IsSet() && !h.Follow.IsSet() && len(h.Join)+len(h.When)+len(h.Types) == 0 &&
		h.Sep == "" && h.Prefix == "" && h.Reader == "" && !h.Native
}

func (s *sharing) tagList(tags []string) []string {
	for i := range tags {
		s.text(&tags[i])
	}
	key := strings.Join(tags, "\x00")
	if have, ok := s.tags[key]; ok {
		return have
	}
	s.tags[key] = exact(tags)
	return s.tags[key]
}

func (s *sharing) format(f *Format) {
	f.source, f.With, f.Recognise, f.Parse = nil, nil, nil, parseRule{}
	for _, fs := range f.fields() {
		s.fields(fs)
	}
	f.ID = exact(f.ID)
	for i := range f.ID {
		s.paths((*[]Path)(&f.ID[i]))
	}
	for _, paths := range []*[]Path{&f.Hash, &f.Own, &f.Roots, &f.Inside, (*[]Path)(&f.Split.By), (*[]Path)(&f.Split.Of)} {
		s.paths(paths)
	}
	s.path(&f.Split.Each)
	for i := range f.Drop {
		s.text(&f.Drop[i].Reason)
		s.conditions(&f.Drop[i].When)
	}
	for i := range f.Tags {
		s.path(&f.Tags[i].Path)
	}
	f.Observables = exact(f.Observables)
	for i := range f.Observables {
		s.observables(&f.Observables[i])
	}
	f.Techniques = exact(f.Techniques)
	for i := range f.Techniques {
		t := &f.Techniques[i]
		s.path(&t.Each)
		for _, paths := range []*oneOrMany{&t.Path, &t.Else, &t.Tactic} {
			s.paths((*[]Path)(paths))
		}
		s.conditions(&t.When)
	}
	for i := range f.Files {
		for _, p := range []*Path{&f.Files[i].Each, &f.Files[i].Name, &f.Files[i].Base64, &f.Files[i].Object, &f.Files[i].SHA256} {
			s.path(p)
		}
	}
	for i := range f.trie.names {
		s.text(&f.trie.names[i].name)
	}
}
