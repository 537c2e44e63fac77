package formats

import "forager/enrich/detection/canon"

// Format is a spec made ready: all its paths in one trie.
type Format struct {
	*spec
	trie  *trie
	slots int
}

func (f *Format) compile(specs map[string]*spec) error {
	if err := f.include(specs); err != nil {
		return err
	}
	var err error
	if f.Fallback, err = canon.SeverityNamed(f.Default, canon.Medium); err != nil {
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
	f.eachPath(func(p *Path) {
		if !p.IsSet() || len(p.Steps) == 0 {
			return
		}
		if p.slot = seen[p.Text]; p.slot == 0 {
			p.slot = int32(f.slots) // a format has some hundred paths
			f.slots++
			seen[p.Text] = p.slot
			t := root.at(p.Steps)
			t.slots = append(t.slots, p.slot)
		}
	})
	f.eachCondition(func(c *Condition) {
		for i := range c.Path {
			f.place(root, &c.Path[i], c.bare(), seen)
		}
	})
	for _, p := range f.Parse.JSON {
		root.at(p.Steps).json = true
	}
	for _, p := range f.Parse.Pairs {
		root.at(p.Steps).kv = true
	}
	f.trie = root.grown()
	return nil
}

// place gives a path of a condition a slot of its own, which presence alone fills, too.
func (f *Format) place(root *sapling, p *Path, presence bool, seen map[string]int32) {
	if !p.IsSet() || len(p.Steps) == 0 {
		return
	}
	name := "when " + p.Text
	if presence {
		name = "there " + p.Text
	}
	if p.slot = seen[name]; p.slot != 0 {
		return
	}
	p.slot = int32(f.slots) // a format has some hundred paths
	f.slots++
	seen[name] = p.slot
	t := root.at(p.Steps)
	if t.slots = append(t.slots, p.slot); presence {
		t.through = append(t.through, p.slot)
	}
}

// Keyed marks a key with the format that it is of: numbers of two products are not one key. The
// native form's key is the sender's own, and stays.
func (f *Format) Keyed(key string) string {
	if key == "" || f.OwnKey {
		return key
	}
	return f.Format + ":" + key
}
