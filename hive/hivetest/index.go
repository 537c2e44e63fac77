package hivetest

import "slices"

// post adds the entry to the indexes of its kind, for the values that the former version did not have.
func (s *store) post(e *entry, former *doc) {
	for _, name := range e.doc.kind.indexed {
		for _, v := range keysOf(e.doc.get(name)) {
			if former == nil || !slices.Contains(keysOf(former.get(name)), v) {
				key := e.doc.kind.name + "\x00" + name + "\x00" + v
				s.index[key] = append(s.index[key], e)
			}
		}
	}
}

func (s *store) unpost(e *entry) {
	for _, name := range e.doc.kind.indexed {
		for _, v := range keysOf(e.doc.get(name)) {
			key := e.doc.kind.name + "\x00" + name + "\x00" + v
			s.index[key] = slices.DeleteFunc(s.index[key], func(o *entry) bool { return o == e })
			if len(s.index[key]) == 0 {
				delete(s.index, key)
			}
		}
	}
}

func keysOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []string:
		return v
	}
	return nil
}

// found returns the entries that had the value at some time, oldest first, each once.
func (s *store) found(k *kind, name, value string) []*entry {
	key := k.name + "\x00" + name + "\x00" + value
	live := slices.DeleteFunc(slices.Clone(s.index[key]), func(e *entry) bool { return e.gone })
	slices.SortFunc(live, func(a, b *entry) int { return int(a.serial - b.serial) })
	return slices.Compact(live)
}
