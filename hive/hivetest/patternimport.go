package hivetest

import (
	"net/http"
	"strings"
)

// bundle is as much of a STIX bundle as TheHive reads.
type bundle struct {
	Objects []stixObject `json:"objects"`
}

type stixObject struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Revoked bool   `json:"revoked"`
	Phases  []struct {
		Phase string `json:"phase_name"`
	} `json:"kill_chain_phases"`
	References []struct {
		Source string `json:"source_name"`
		ID     string `json:"external_id"`
	} `json:"external_references"`
}

// importReport is the outcome of an import. TheHive's description says only that it is an object.
type importReport struct {
	Success []importResult `json:"success"`
	Failure []importResult `json:"failure"`
}

// importResult is the outcome for one pattern.
type importResult struct {
	Status  string `json:"status"`
	ID      string `json:"mitreId,omitempty"`
	Name    string `json:"patternName,omitempty"`
	Message string `json:"message,omitempty"`
}

// importPatterns reads the attack-patterns of an uploaded STIX bundle; patterns that exist are updated. 207 if any is
// refused. Import from an address is refused: this server fetches nothing.
func importPatterns(c *call) (reply, error) {
	catalog, ok := c.body["catalog"].(string)
	if !ok || catalog == "" {
		return reply{}, missing("catalog")
	}
	files := c.form.named("file")
	if len(files) != 1 {
		return reply{}, badRequest("One file is expected; this server fetches no address")
	}
	var b bundle
	if err := unmarshal(files[0].data, &b); err != nil {
		return reply{}, badRequest("Invalid Json: %v", err)
	}
	st := c.stamp()
	if c.h.store.lookup(catalogKind, "", catalog) == nil {
		c.h.store.add(catalogKind, "", nil, map[string]any{"name": catalog}, st)
	}
	out := importReport{Success: []importResult{}, Failure: []importResult{}}
	for _, o := range b.Objects {
		if o.Type != "attack-pattern" {
			continue
		}
		p := o.pattern()
		if p.ID == "" || p.Name == "" {
			out.Failure = append(out.Failure, importResult{Status: "Failure", Message: "pattern without id or name"})
			continue
		}
		c.h.store.putPattern(p, st)
		out.Success = append(out.Success, importResult{Status: "Success", ID: p.ID, Name: p.Name})
	}
	if len(out.Failure) > 0 {
		return reply{status: http.StatusMultiStatus, value: out}, nil
	}
	return reply{status: http.StatusCreated, value: out}, nil
}

func (o stixObject) pattern() Pattern {
	p := Pattern{Name: o.Name, Revoked: o.Revoked}
	for _, r := range o.References {
		if strings.HasPrefix(r.Source, "mitre-") && p.ID == "" {
			p.ID = r.ID
		}
	}
	for _, phase := range o.Phases {
		p.Tactics = append(p.Tactics, phase.Phase)
	}
	return p
}

func (s *store) putPattern(p Pattern, st stamp) {
	old := s.lookup(patternKind, "", p.ID)
	if old == nil {
		s.pattern(p, st)
		return
	}
	s.change(old, map[string]any{"name": p.Name, "tactics": p.Tactics, "revoked": p.Revoked}, st)
}
