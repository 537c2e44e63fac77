package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/detection/malformed"
)

var errPassing = errors.New("passing trouble")

// scripted is an applier whose answers a test writes; without a script everything succeeds.
type scripted struct {
	mu      sync.Mutex
	script  func(ctx context.Context, queue string, plans []enrich.Plan) []error
	applied map[string]int // by detection id
	batches [][]enrich.Plan
	joining func(b enrich.Batch) []enrich.Plan // of the first apply: what joined it
}

func (s *scripted) Apply(ctx context.Context, b enrich.Batch) []error {
	s.mu.Lock()
	script, joining := s.script, s.joining
	s.joining = nil
	s.batches = append(s.batches, b.Plans)
	s.mu.Unlock()
	if joining != nil {
		b.Plans = append(b.Plans, joining(b)...)
	}
	for i, p := range b.Plans {
		b.Landed(i, landingOf(p))
	}
	results := make([]error, len(b.Plans))
	if script != nil {
		results = script(ctx, b.Queue, b.Plans)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.applied == nil {
		s.applied = map[string]int{}
	}
	for i, p := range b.Plans {
		if i < len(results) && results[i] == nil {
			s.applied[p.SourceID]++
		}
	}
	return results
}

// landingOf is the case where a plan ends: of each key one.
func landingOf(p enrich.Plan) enrich.Landing {
	return enrich.Landing{ID: "~" + p.Hash, Number: int(p.Hash[0])}
}

func (s *scripted) set(script func(ctx context.Context, queue string, plans []enrich.Plan) []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// count is how often a detection was applied.
func (s *scripted) count(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied[id]
}

// all gives every plan the same result.
func all(err error) func(context.Context, string, []enrich.Plan) []error {
	return func(_ context.Context, _ string, plans []enrich.Plan) []error { return repeat(err, len(plans)) }
}

// decoding reads the rig's alerts.
type decoding struct{}

func (decoding) Decode(m detection.Message) (detection.Result, error) {
	var a alert
	if err := json.Unmarshal(m.Body, &a); err != nil {
		return detection.Result{}, &enrich.MalformedError{Reason: "invalid json", Detail: err.Error()}
	}
	if a.Panic {
		panic("decoder fell over " + a.ID)
	}
	result := detection.Result{Format: "test"}
	if a.Drop != "" {
		result.Dropped = []detection.Drop{{Reason: a.Drop, Format: "test"}}
	}
	for i, key := range a.Keys {
		result.Detections = append(result.Detections, detection.Detection{ID: fmt.Sprintf("%s/%d", a.ID, i), Key: key, Time: m.Time})
	}
	if a.Broken {
		result.Unreadable = append(result.Unreadable, &malformed.Error{Reason: "unknown format"})
	}
	return result, nil
}

// planning plans them.
type planning struct{}

func (planning) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	switch d.Key {
	case "silenced":
		return enrich.Plan{}, &enrich.DroppedError{Reason: "silenced"}
	case "":
		return enrich.Plan{}, &enrich.MalformedError{Reason: "no correlation key"}
	}
	return enrich.Plan{Hash: d.Key, SourceID: d.ID, At: d.Time, Origin: from}, nil
}
