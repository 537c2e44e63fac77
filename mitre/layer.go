package mitre

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// layer is an ATT&CK Navigator layer, format 4.5 (LAYERFORMATv4_5.md of
// mitre-attack/attack-navigator).
type layer struct {
	Name       string           `json:"name"`
	Versions   layerVersions    `json:"versions"`
	Domain     string           `json:"domain"`
	Sorting    int              `json:"sorting"`
	Layout     layerLayout      `json:"layout"`
	Techniques []layerTechnique `json:"techniques"`
	Gradient   layerGradient    `json:"gradient"`
}

type layerVersions struct {
	Attack    string `json:"attack,omitempty"`
	Navigator string `json:"navigator"`
	Layer     string `json:"layer"`
}

type layerLayout struct {
	ShowAggregate bool   `json:"showAggregateScores"`
	CountUnscored bool   `json:"countUnscored"`
	Aggregate     string `json:"aggregateFunction"`
	Expanded      string `json:"expandedSubtechniques"`
}

type layerTechnique struct {
	ID     string `json:"techniqueID"`
	Tactic string `json:"tactic,omitempty"`
	Score  int    `json:"score"`
}

type layerGradient struct {
	Colors []string `json:"colors"`
	Min    int      `json:"minValue"`
	Max    int      `json:"maxValue"`
}

// Layer writes an ATT&CK Navigator layer (format 4.5, JSON, ending in a
// newline) that colours techniques by how often they were seen. counts is
// technique id → tactic's short name → number; the tactic "" stands for all
// of the technique's. version is the release ("19.0", the Navigator takes the
// part before the dot) or empty for its current one; domain is one of
// [Enterprise], [Mobile] and [ICS], and a layer shows techniques of that
// domain only: [Catalogue.Technique] tells each one's. Equal arguments give
// equal bytes. It fails on another domain, on an id that is none, and on a
// negative count.
func Layer(name string, counts map[string]map[string]int, version, domain string) ([]byte, error) {
	if domain != Enterprise && domain != Mobile && domain != ICS {
		return nil, fmt.Errorf("write layer: no domain of the Navigator: %.40q", domain)
	}
	major, _, _ := strings.Cut(version, ".")
	l := layer{
		Name: name, Domain: domain, Sorting: 3, // by score, highest first
		Versions:   layerVersions{Attack: major, Navigator: "5.0.0", Layer: "4.5"},
		Layout:     layerLayout{ShowAggregate: true, Aggregate: "sum", Expanded: "annotated"},
		Techniques: []layerTechnique{},
		Gradient:   layerGradient{Colors: []string{"#ffe7b3", "#ff8f5a", "#c9302c"}, Max: 1},
	}
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		for _, t := range slices.Sorted(maps.Keys(counts[id])) {
			n := counts[id][t]
			if !validID(id) || n < 0 {
				return nil, fmt.Errorf("write layer: no technique with a count: %.40q, %d", id, n)
			}
			l.Techniques = append(l.Techniques, layerTechnique{ID: id, Tactic: t, Score: n})
			l.Gradient.Max = max(l.Gradient.Max, n)
		}
	}
	out, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write layer: %w", err)
	}
	return append(out, '\n'), nil
}
