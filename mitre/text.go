package mitre

import (
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// The embedded catalogue holds a section for each domain. In it, "release"
// lines give each version's matrix; all other lines are one tactic or one
// technique: id, name as of the first release, and a cell for each release
// that says something new of it. A release that changes nothing about a
// technique leaves its line alone, so that a new one reads as a diff.
//
//	domain <tab> enterprise-attack
//	release <tab> 19.0 <tab> TA0043 TA0042 …
//	TA0005 <tab> Defense Evasion <tab> 18.1 defense-evasion <tab> 19.0 stealth =Stealth
//	T1089 <tab> Disabling Security Tools <tab> 18.1 defense-evasion >T1562.001 <tab> 19.0 stealth >T1685
//
// A cell is the version, the tactics (or "-"), then "deprecated", "revoked"
// (without successor), ">successor", "^parent" where it is not the id's own,
// "=name" where it changed; "gone" alone where the release dropped it.
//
// The text is written by the test that compares it with the bundles: it reads
// every *.json in ATTACK_BUNDLES_DIR, by default in ../shared/data/attack
// beside the repository. For a new release, put its bundle there.

//go:generate go test -count=1 -run ^TestEmbeddedCatalogueIsWhatTheBundlesSay$ . -update

//go:embed catalogue.txt
var embedded string

var embeddedCatalogue = sync.OnceValue(func() *Catalogue {
	releases, err := readText(embedded)
	if err != nil {
		panic("mitre: embedded catalogue: " + err.Error()) // a defect of the build, which the package's tests would show
	}
	return build(releases)
})

// Embedded is the catalogue that comes with the program: Enterprise and Mobile
// 18.1 and 19.0, ICS 18.1. It is read once, at the first call.
func Embedded() *Catalogue { return embeddedCatalogue() }

// readText reads a catalogue in the form of the embedded one.
func readText(text string) ([]*release, error) {
	var out []*release
	var d *section
	for number, line := range slices.Collect(strings.Lines(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		key, rest, _ := strings.Cut(line, "\t")
		if key == "domain" {
			out = append(out, d.finish()...)
			d = &section{domain: rest, shorts: map[string]map[string]tactic{}}
			continue
		}
		if d == nil {
			return nil, fmt.Errorf("line %d: no domain yet", number+1)
		}
		if err := d.line(key, strings.Split(rest, "\t")); err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
	}
	return append(out, d.finish()...), nil
}

// A section is one domain of the text.
type section struct {
	domain   string
	releases []*release
	columns  [][]string                   // TA ids of each release in matrix order
	shorts   map[string]map[string]tactic // version → TA id → tactic
}

func (d *section) line(key string, fields []string) error {
	if len(fields) < 2 {
		return fmt.Errorf("%.40q has %d fields", key, len(fields)+1)
	}
	if key == "release" {
		d.releases = append(d.releases, &release{domain: d.domain, version: fields[0], techniques: map[string]*state{}})
		d.columns = append(d.columns, strings.Fields(fields[1]))
		return nil
	}
	cells, name, last := fields[1:], fields[0], (*state)(nil)
	for i, r := range d.releases {
		if len(cells) > 0 && cells[0] != "" {
			version, what, _ := strings.Cut(cells[0], " ")
			if version == r.version {
				last, cells = cell(key, name, what), cells[1:]
			}
		}
		switch {
		case last == nil:
		case strings.HasPrefix(key, "TA"):
			d.tactic(i, key, last)
		default:
			r.techniques[key] = last
		}
		if last != nil {
			name = last.name
		}
	}
	if len(cells) > 0 {
		return fmt.Errorf("%s: cell of no release, or out of order: %.40q", key, cells[0])
	}
	return nil
}

// cell reads what a release says of one technique; nil when it is gone.
func cell(id, name, what string) *state {
	if what == "gone" {
		return nil
	}
	what, renamed, _ := strings.Cut(what, " =")
	s := &state{name: cmp.Or(renamed, name), parent: parentOf(id)}
	for i, word := range strings.Fields(what) {
		switch {
		case i == 0 && word != "-":
			s.tactics = strings.Split(word, ",")
		case word == "deprecated":
			s.deprecated = true
		case word == "revoked":
			s.revoked = true
		case word[0] == '>':
			s.revoked, s.successor = true, word[1:]
		case word[0] == '^':
			s.parent = word[1:]
		}
	}
	return s
}

// tactic remembers a tactic until the order of the columns is known.
func (d *section) tactic(i int, id string, s *state) {
	version := d.releases[i].version
	if d.shorts[version] == nil {
		d.shorts[version] = map[string]tactic{}
	}
	d.shorts[version][id] = tactic{id: id, name: s.name, short: strings.Join(s.tactics, ",")}
}

// finish gives the section's releases with their matrices.
func (d *section) finish() []*release {
	if d == nil {
		return nil
	}
	for i, r := range d.releases {
		for _, id := range d.columns[i] {
			r.tactics = append(r.tactics, d.shorts[r.version][id])
		}
	}
	return d.releases
}
