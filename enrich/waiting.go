package enrich

import (
	"strconv"
	"strings"

	"forager/enrich/detection/canon"
	"forager/enrich/threshold"
)

// ReasonBelow is the reason of a DroppedError of a detection that waited for others in vain.
const ReasonBelow = "below threshold"

// Threshold is what a plan waits for: as much as its rule needs, within a window of event time.
type Threshold struct {
	Hash   string // of organisation, threshold and what it is counted by: names the entry of the ledger
	Rule   threshold.Rule
	ID     string   // of the detection: one that is sent again has the same
	Points int64    // that it has
	Values []string // that it brings, as hashes
	Words  string   // what is waited for, for people
	By     string   // what is counted by, for people
}

// waitBelow completes the plan's threshold. What waited may lie as long before the detection that opens the case as the
// window of the threshold is: the case takes it.
func (p *Plan) waitBelow() {
	if p.ask == nil {
		return
	}
	t := &Threshold{Rule: p.ask.Rule, Points: p.ask.Points, Words: p.ask.Words, By: p.ask.By}
	if t.By == "" {
		t.By = p.Key.String()
		t.Hash = ShortHash(p.Organisation, "threshold", p.ask.Name, "key", p.Key.Hash(p.Organisation))
	} else {
		t.Hash = ShortHash(p.Organisation, "threshold", p.ask.Name, "by", t.By)
	}
	for _, v := range p.ask.Values {
		t.Values = append(t.Values, ShortHash(v)[:shortID])
	}
	if p.SourceID != "" {
		t.ID = ShortHash(p.Format, p.SourceID)[:shortID]
	}
	if p.Window != 0 {
		p.Window = max(p.Window, p.ask.Rule.Window())
	}
	p.Threshold = t
}

// shortID is how many hexadecimal digits tell the detections, or the values, of one entry apart.
const shortID = 16

// waitSteps says what the plan waits for first.
func (p Plan) waitSteps() []string {
	if p.Threshold == nil {
		return nil
	}
	return []string{"wait for " + p.Threshold.Words + " (" + p.Threshold.By + "), unless a case of its key is open: threshold of route " + p.Route + p.brings()}
}

// mostBrought are the values that are named.
const mostBrought = 5

// brings says what the detection itself counts, where that is more than its being there.
func (p Plan) brings() string {
	switch {
	case p.ask == nil || p.Threshold.Rule.Kind == threshold.Count:
		return ""
	case p.Threshold.Rule.Kind == threshold.Sum:
		return "; this one brings " + strconv.FormatInt(p.Threshold.Points, 10)
	case len(p.ask.Values) == 0:
		return "; this one brings no value"
	}
	var values []string
	for _, v := range p.ask.Values[:min(len(p.ask.Values), mostBrought)] {
		values = append(values, canon.Line(v, 60))
	}
	if more := len(p.ask.Values) - mostBrought; more > 0 {
		values = append(values, "and "+strconv.Itoa(more)+" more")
	}
	return "; this one brings " + strings.Join(values, ", ")
}
