package view

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"forager/cmd/worker/page"
	"forager/cmd/worker/sightings"
	"forager/hive"
	"forager/mitre"
)

// MostProcedures are counted, the newest first.
const MostProcedures = 20_000

// pattern is what a procedure names.
type pattern struct{ id, tactic string }

// counts are the procedures of TheHive, by what they name.
type counts struct {
	of      map[pattern]int
	whole   bool
	trouble string
}

func (v *View) askCounts(ctx context.Context) counts {
	c, read := counts{of: map[pattern]int{}}, 0
	q := hive.Query{Sort: []hive.Sort{{Field: "_createdAt", Desc: true}}, PageSize: 500, Limit: MostProcedures}
	for p, err := range v.options.Procedures(ctx, q) {
		if err != nil {
			return counts{trouble: said(err)}
		}
		c.of[pattern{p.PatternID, p.Tactic}]++
		read++
	}
	c.whole = read < MostProcedures
	return c
}

// matrices are those that were made of the last counts.
type matrices struct {
	mu   sync.Mutex
	of   time.Time // of the counts
	made map[page.Choice]page.Matrix
}

// Matrix is what was recorded of a domain in a release.
func (v *View) Matrix(ctx context.Context, domain, release string) page.Matrix {
	c, at := v.counts.get(ctx, &v.beside)
	choices := v.choices()
	chosen := choose(choices, domain, release)
	v.matrices.mu.Lock()
	defer v.matrices.mu.Unlock()
	if !v.matrices.of.Equal(at) {
		v.matrices.of = at
		clear(v.matrices.made)
	}
	m, ok := v.matrices.made[chosen]
	if !ok {
		m = v.matrix(chosen, c)
		m.Choices, m.Counted, m.Whole, m.Trouble = choices, at, c.whole, c.trouble
		v.matrices.made[chosen] = m
	}
	return m
}

// choices are the domains and releases of the Navigator that the catalogue holds, from the oldest release on.
func (v *View) choices() (all []page.Choice) {
	for _, r := range v.options.Catalogue.Releases() {
		if slices.Contains([]string{mitre.Enterprise, mitre.Mobile, mitre.ICS}, r.Domain) {
			all = append(all, page.Choice{Domain: r.Domain, Release: r.Version})
		}
	}
	return all
}

// choose is what was asked for, as far as there is that; else the newest release, of the first domain.
func choose(all []page.Choice, domain, release string) (chosen page.Choice) {
	if !slices.ContainsFunc(all, func(c page.Choice) bool { return c.Domain == domain }) {
		domain = mitre.Enterprise
	}
	for _, c := range all {
		if c.Domain != domain {
			continue
		}
		if chosen = c; c.Release == release {
			return c
		}
	}
	return chosen
}

// matrix puts techniques under their tactics, with what was counted of each.
func (v *View) matrix(chosen page.Choice, c counts) page.Matrix {
	seen := sightingsOf(v.options.Catalogue, chosen, c)
	m := page.Matrix{Domain: chosen.Domain, Release: chosen.Release}
	for _, n := range seen.Elsewhere {
		m.Beside += n
	}
	for _, n := range seen.Unknown {
		m.Beside += n
	}
	place, parents := map[string]int{}, map[pattern]int{}
	for i, t := range v.options.Catalogue.Tactics(chosen.Domain, chosen.Release) {
		place[t.Short] = i
		m.Tactics = append(m.Tactics, page.Tactic{ID: t.ID, Name: t.Name})
	}
	techniques := slices.SortedFunc(v.options.Catalogue.Techniques(chosen.Release), func(a, b mitre.Technique) int { return cmp.Compare(a.ID, b.ID) })
	for _, t := range techniques { // a parent's id is before those of its sub-techniques
		if t.Domain != chosen.Domain || t.Revoked || t.Deprecated {
			continue
		}
		for _, tactic := range t.Tactics {
			at, ok := place[tactic]
			if !ok {
				continue
			}
			cell, column := page.Technique{ID: t.ID, Name: t.Name, Count: seen.Counts[t.ID][tactic]}, &m.Tactics[at]
			m.Total += cell.Count
			if above, sub := parents[pattern{t.Parent, tactic}]; sub && t.Parent != "" {
				column.Techniques[above].Subs = append(column.Techniques[above].Subs, cell)
				continue
			}
			parents[pattern{t.ID, tactic}] = len(column.Techniques)
			column.Techniques = append(column.Techniques, cell)
		}
	}
	return m
}

func sightingsOf(catalogue *mitre.Catalogue, chosen page.Choice, c counts) *sightings.Sightings {
	seen := sightings.New(catalogue, chosen.Release, chosen.Domain)
	for p, n := range c.of {
		seen.Add(p.id, p.tactic, n)
	}
	return seen
}

// Layer is the same for the ATT&CK Navigator.
func (v *View) Layer(ctx context.Context, domain, release string) ([]byte, error) {
	c, _ := v.counts.get(ctx, &v.beside)
	chosen := choose(v.choices(), domain, release)
	return mitre.Layer("TheHive procedures", sightingsOf(v.options.Catalogue, chosen, c).Counts, chosen.Release, chosen.Domain)
}
