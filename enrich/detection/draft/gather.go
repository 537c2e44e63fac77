package draft

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"forager/enrich/detection"
	"forager/enrich/detection/tree"
)

// column is a path, and what the samples have there.
type column struct {
	path   string
	last   string // the last of its names
	name   string // the same, folded
	whole  string // all of them, folded
	depth  int
	values []string
	events int // samples that have it
	first  int // its place in the samples
}

// gather brings the values of each path together, in the order of the samples; packed are the paths of texts that hold JSON.
func gather(events [][]detection.Leaf) (all []*column, packed []string) {
	byPath := map[string]*column{}
	for _, leaves := range events {
		seen := map[string]bool{}
		for _, l := range unpacked(leaves, &packed) {
			c := byPath[l.Path]
			if c == nil {
				if strings.ContainsAny(l.Path, "[]*") || l.Path == "" {
					continue // no path that a format file could name
				}
				names := strings.Split(l.Path, ".")
				c = &column{path: l.Path, last: names[len(names)-1], name: tree.Fold(names[len(names)-1]), whole: tree.Fold(strings.Join(names, "")), depth: len(names), first: len(all)}
				byPath[l.Path] = c
				all = append(all, c)
			}
			c.values = append(c.values, strings.TrimSpace(l.Text))
			if !seen[l.Path] {
				seen[l.Path] = true
				c.events++
			}
		}
	}
	return all, packed
}

// unpacked are leaves, and behind each text that is JSON what lies in it.
func unpacked(leaves []detection.Leaf, packed *[]string) (all []detection.Leaf) {
	syntax := detection.NewSyntax(detection.Limits{})
	for _, l := range leaves {
		text := strings.TrimSpace(l.Text)
		if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") || !json.Valid([]byte(text)) {
			all = append(all, l)
			continue
		}
		inner, err := syntax.Leaves([]byte(text))
		if err != nil || len(inner) == 0 {
			all = append(all, l)
			continue
		}
		if !slices.Contains(*packed, l.Path) {
			*packed = append(*packed, l.Path)
		}
		for _, one := range inner {
			for _, i := range one {
				all = append(all, detection.Leaf{Path: l.Path + "." + i.Path, Text: i.Text})
			}
		}
	}
	return all
}

// each tells whether something holds for every value.
func (c *column) each(holds func(string) bool) bool {
	return len(c.values) > 0 && !slices.ContainsFunc(c.values, func(v string) bool { return !holds(v) })
}

// some tells whether something holds for any value.
func (c *column) some(holds func(string) bool) bool { return slices.ContainsFunc(c.values, holds) }

// choose gives the columns whose name is among these, or has one of the parts in it, that fit; the best first: by the place of the name,
// then those that lie higher.
func choose(all []*column, names wanted, most int, fits func(*column) bool) []*column {
	type ranked struct {
		*column
		rank int
	}
	var found []ranked
	for _, c := range all {
		if rank := names.rank(c); rank >= 0 && fits(c) {
			found = append(found, ranked{c, rank})
		}
	}
	slices.SortStableFunc(found, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), -cmp.Compare(a.events, b.events), cmp.Compare(a.depth, b.depth), cmp.Compare(a.first, b.first))
	})
	var out []*column
	for _, f := range found[:min(most, len(found))] {
		out = append(out, f.column)
	}
	return out
}

// wanted are names, folded, and parts of names; the best first.
type wanted struct{ names, parts []string }

// rank is how good the name of a column is, from 0; -1 is not at all.
func (w wanted) rank(c *column) int {
	if i := slices.IndexFunc(w.names, func(n string) bool {
		return c.name == n || c.depth > 1 && strings.HasSuffix(c.whole, n) && len(n) > len(c.name)
	}); i >= 0 {
		return i
	}
	if i := slices.IndexFunc(w.parts, func(p string) bool { return strings.Contains(c.name, p) }); i >= 0 {
		return len(w.names) + i
	}
	return -1
}
