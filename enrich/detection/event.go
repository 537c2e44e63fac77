package detection

import (
	"net/netip"
	"strings"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
	"forager/enrich/detection/malformed"
	"forager/enrich/detection/tree"
)

// event reads one part by its format.
type event struct {
	*reading
	format  *formats.Format
	part    part
	det     Detection
	own     []netip.Addr
	lastKey string         // what to correlate by where nobody is named
	seen    map[string]int // observables by type and data, once there are many
}

func (e *event) detection() (Detection, error) {
	hidden := e.redact.conceal(e.Tree, e.part.root)
	defer hidden.reveal()
	if err := e.gather(); err != nil {
		return Detection{}, err
	}
	f := e.format
	e.det.Format = f.Format
	e.det.Title = e.line("title", f.Title, e.limits.Title)
	e.det.Description = canon.BoundBytes(e.text("description", f.Description, e.limits.Description), e.limits.Description)
	e.det.Rule.ID = e.line("rule.id", f.Rule.ID, e.limits.Text)
	e.det.Rule.Name = e.line("rule.name", f.Rule.Name, e.limits.Text)
	e.det.Host = canon.FirstHost(e.line("host", f.Host, e.limits.Text))
	e.det.User = canon.FirstAccount(canon.HalveBackslashes(e.line("user", f.User, e.limits.Text)))
	e.det.Key = f.Keyed(e.line("key", f.Key, e.limits.Text))
	e.det.Source = e.line("source", f.Source, e.limits.Text)
	e.det.IP = e.address()
	e.det.Direction = e.direction()
	e.happened(&f.Happened)
	e.det.Link = e.link()
	e.det.Severity = e.severity()
	e.time()
	e.tags()
	e.observables()
	e.techniques()
	e.files()
	if e.det.Source == "" {
		e.det.Source = f.Format
	}
	if e.det.Title == "" {
		e.det.Title = firstOf(e.det.Rule.Name, e.det.Rule.ID)
	}
	if e.det.Title == "" && e.det.Host == "" && e.det.User == "" && e.det.IP == "" && len(e.det.Observables) == 0 {
		return Detection{}, malformed.New(malformed.NothingToRead, "as "+f.Format)
	}
	if e.det.Title == "" {
		e.det.Title = f.Format + " detection"
	}
	err := e.identify(hidden)
	return e.det, err
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// gather walks the event once, and below each of the format's roots.
func (e *event) gather() error {
	e.hits.Reset(e.Tree, e.format)
	if err := e.hits.Visit(0, e.part.root); err != nil {
		return err
	}
	return e.gatherBelow(e.part.root, len(e.format.Roots))
}

// gatherBelow walks what the format's roots lead to from n, and from there again: a root may lie
// below another (`_raw` below `result`).
func (e *event) gatherBelow(n int32, depth int) error {
	if depth == 0 {
		return nil
	}
	for _, root := range e.format.Roots {
		var err error
		e.Under(n, root.Steps, false, func(n int32) bool {
			if e.Nodes[n].Kind == tree.Text {
				was := n
				if n, err = e.structured(n); n == 0 || err != nil {
					e.lost("fields", root.Text, e.TextOf(was), "neither JSON nor pairs")
					return err == nil
				}
			}
			if err = e.hits.Visit(0, n); err == nil {
				err = e.gatherBelow(n, depth-1)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// structured reads a string as JSON or as key=value pairs; 0 where it is neither.
func (e *event) structured(n int32) (int32, error) {
	src := strings.TrimSpace(e.TextOf(n))
	if src == "" {
		return 0, nil
	}
	read := e.ParsePairs
	if src[0] == '{' {
		read = e.Parse
	}
	root, err := read(src)
	if malformed.Is(err, malformed.InvalidJSON) {
		return 0, nil
	}
	return root, err
}

// each yields the values found for a path, in the order of the document.
func (e *event) each(p *formats.Path, yield func(int32) bool) bool {
	if p.IsEvent() {
		return yield(e.part.root)
	}
	return e.hits.Each(p, yield)
}

// none tells quickly that nothing was found for a path, as it is for most paths of most events.
func (e *event) none(p *formats.Path) bool { return e.hits.None(p) && !p.IsEvent() }

// scalars yields the texts found for a path that say something.
func (e *event) scalars(p *formats.Path, yield func(string) bool) bool {
	return e.each(p, func(n int32) bool {
		s := e.TextOf(n)
		if e.Nodes[n].Kind == tree.Object || canon.IsJunk(strings.TrimSpace(s)) && e.Nodes[n].Kind != tree.Number {
			return true
		}
		return yield(s)
	})
}

// meets tells whether all conditions hold for the event, by what the walk has found.
func (e *event) meets(when []formats.Condition) bool {
	for i := range when {
		if e.hits.Met(e.part.root, &when[i]) == when[i].Not {
			return false
		}
	}
	return true
}

// note keeps where a value came from.
func (e *event) note(field, path, value string) {
	if e.why && len(e.det.Why) < 4*e.limits.Observables {
		e.det.Why = append(e.det.Why, Origin{Field: field, Path: path, Value: canon.Line(value, 120)})
	}
}

// lost keeps what a format names and nothing was made of, and why.
func (e *event) lost(field, path, value, reason string) {
	if e.why && len(e.det.Why) < 4*e.limits.Observables && !canon.IsJunk(strings.TrimSpace(value)) {
		e.det.Why = append(e.det.Why, Origin{Field: "not " + field + ": " + reason, Path: path, Value: canon.Line(value, 120)})
	}
}

// candidates yields the texts that fields give, in the order of the format, with the field.
func (e *event) candidates(fs formats.Fields, yield func(*formats.Field, string, string) bool) {
	for i := range fs {
		f := &fs[i]
		if f.Path.IsSet() && e.none(&f.Path) {
			continue
		}
		if len(f.When) > 0 && !e.meets(f.When) {
			continue
		}
		more := true
		switch {
		case len(f.Join) > 0:
			more = e.joined(&f.Each, f.Join, f.Sep, func(s string) bool { return yield(f, f.Prefix+s+f.Suffix, f.Join[0].Text) })
		case f.Path.IsSet():
			more = e.scalars(&f.Path, func(s string) bool { return yield(f, f.Around(s), f.Path.Text) })
		case f.Text != "":
			more = yield(f, f.Text, "")
		}
		if !more {
			return
		}
	}
}

// joined yields texts of several paths put together, where all of them are there; below each
// object of `each` by paths relative to it, else once for the event.
func (e *event) joined(each *formats.Path, paths []formats.Path, sep string, yield func(string) bool) bool {
	if !each.IsSet() {
		var texts []string
		for i := range paths {
			e.scalars(&paths[i], func(s string) bool { texts = append(texts, s); return false })
		}
		return len(texts) < len(paths) || yield(join(texts, sep))
	}
	return e.each(each, func(n int32) bool {
		var texts []string
		for i := range paths {
			if s := e.below(n, &paths[i]); s != "" {
				texts = append(texts, s)
			}
		}
		return len(texts) < len(paths) || yield(join(texts, sep))
	})
}

// join puts texts together; one that ends what is there already (the name of a file behind its
// path) is not there twice, and neither is the separator.
func join(texts []string, sep string) string {
	s := texts[0]
	for _, t := range texts[1:] {
		switch {
		case sep == "":
			s += t
		case !strings.HasSuffix(strings.ToLower(s), strings.ToLower(sep+t)):
			s = strings.TrimSuffix(s, sep) + sep + t
		}
	}
	return s
}

// below is the first text at a path relative to n.
func (e *event) below(n int32, p *formats.Path) string {
	found := ""
	if !p.IsSet() {
		return ""
	}
	e.Under(n, p.Steps, false, func(v int32) bool {
		return e.Leaves(v, func(v int32) bool {
			s := e.TextOf(v)
			if e.Nodes[v].Kind != tree.Object && !canon.IsJunk(strings.TrimSpace(s)) {
				found = s
			}
			return found == ""
		})
	})
	return found
}

func (e *event) line(name string, fs formats.Fields, most int) string {
	return e.firstText(name, fs, func(s string) string { return canon.Line(s, most) })
}

func (e *event) text(name string, fs formats.Fields, most int) string {
	return e.firstText(name, fs, func(s string) string { return canon.Clean(s, most) })
}

func (e *event) firstText(name string, fs formats.Fields, clean func(string) string) string {
	found := ""
	e.candidates(fs, func(_ *formats.Field, s, path string) bool {
		if found = clean(s); found == "" || canon.IsJunk(found) {
			found = ""
			return true
		}
		found = strings.Clone(found) // not to hold the whole message
		e.note(name, path, found)
		return false
	})
	return found
}
