package detection

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// format is a spec made ready: all its paths in one trie.
type format struct {
	*spec
	trie  *trie
	slots int
}

// alternative is one list of conditions by which a format is recognised.
type alternative struct {
	format *format
	when   []condition
}

func (d *Decoder) compile(specs map[string]*spec) error {
	d.names = sortedNames(specs)
	d.formats = make(map[string]*format, len(d.names))
	d.index = map[string][]alternative{}
	var wrong []error
	for _, name := range d.names {
		f := &format{spec: specs[name]}
		if err := f.compile(specs); err != nil {
			wrong = append(wrong, f.located(err))
		}
		d.formats[name] = f
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	for _, name := range d.names {
		f := d.formats[name]
		for i, when := range f.Recognise {
			if len(when) == 0 || len(when[0].Path) == 0 || when[0].Not {
				return f.located(keyed(errors.New("the first condition must name a path, and not deny"), "recognise[%d]", i))
			}
			for _, p := range when[0].Path {
				if len(p.steps) == 0 {
					return f.located(keyed(errors.New("the first condition cannot be about the event itself"), "recognise[%d]", i))
				}
				key := p.steps[0].name
				if key == anyName {
					return f.located(keyed(errors.New("the first condition must begin with a name"), "recognise[%d]", i))
				}
				d.index[key] = append(d.index[key], alternative{format: f, when: when})
			}
		}
	}
	for _, alternatives := range d.index {
		slices.SortStableFunc(alternatives, func(a, b alternative) int { return cmp.Compare(a.format.Order, b.format.Order) })
	}
	d.share()
	return nil
}

func (f *format) compile(specs map[string]*spec) error {
	if err := f.include(specs); err != nil {
		return err
	}
	var err error
	if f.fallback, err = severityNamed(f.Default, Medium); err != nil {
		return keyed(err, "defaultSeverity")
	}
	for i := range f.Severity {
		if err := f.Severity[i].scale(); err != nil {
			return keyed(err, "severity[%d]", i)
		}
	}
	if err := f.checkConditions(); err != nil {
		return err
	}
	if err := f.checkRules(); err != nil {
		return err
	}
	f.slots = 1 // slot 0 is no path
	root := &sapling{}
	seen := map[string]int32{}
	f.eachPath(func(p *path) {
		if !p.set() || len(p.steps) == 0 {
			return
		}
		if p.slot = seen[p.text]; p.slot == 0 {
			p.slot = int32(f.slots) // a format has some hundred paths
			f.slots++
			seen[p.text] = p.slot
			t := root.at(p.steps)
			t.slots = append(t.slots, p.slot)
		}
	})
	f.eachCondition(func(c *condition) {
		for i := range c.Path {
			f.place(root, &c.Path[i], c.bare(), seen)
		}
	})
	for _, p := range f.Parse.JSON {
		root.at(p.steps).json = true
	}
	for _, p := range f.Parse.Pairs {
		root.at(p.steps).kv = true
	}
	f.trie = root.grown()
	return nil
}

// place gives a path of a condition a slot of its own, which presence alone fills, too.
func (f *format) place(root *sapling, p *path, presence bool, seen map[string]int32) {
	if !p.set() || len(p.steps) == 0 {
		return
	}
	name := "when " + p.text
	if presence {
		name = "there " + p.text
	}
	if p.slot = seen[name]; p.slot != 0 {
		return
	}
	p.slot = int32(f.slots) // a format has some hundred paths
	f.slots++
	seen[name] = p.slot
	t := root.at(p.steps)
	if t.slots = append(t.slots, p.slot); presence {
		t.through = append(t.through, p.slot)
	}
}

// scale makes words and bands ready.
func (f *field) scale() error {
	f.words, f.bands = map[string]Severity{}, nil
	for word, name := range f.Words {
		s, err := severityNamed(name, 0)
		if err != nil {
			return err
		}
		f.words[fold(word)] = s
	}
	for from, name := range f.Bands {
		s, err := severityNamed(name, 0)
		if err != nil {
			return err
		}
		f.bands = append(f.bands, band{from: from, severity: s})
	}
	slices.SortFunc(f.bands, func(a, b band) int { return cmp.Compare(b.from, a.from) })
	return nil
}

func severityNamed(name string, none Severity) (Severity, error) {
	if name == "" {
		return none, nil
	}
	for s, n := range []string{"none", "low", "medium", "high", "critical"} {
		if strings.EqualFold(n, name) {
			return Severity(s), nil
		}
	}
	return 0, fmt.Errorf("%q is none of low, medium, high, critical, none", name)
}
