package whatif

import (
	"iter"
	"strings"

	"forager/enrich/detection/canon"
)

// Counts are what one set of rules makes of the stream.
type Counts struct {
	Tally

	Reasons map[string]int    `json:"reasons"` // why detections were dropped
	Rules   map[string]*Tally `json:"rules"`   // by route and silence, as people name them
}

// Tally counts detections and cases: of all, or of those that one rule decided on. Each detection is in one of opened, merged, alerts,
// dropped, below threshold, waiting, no room, dead letters. What no rule decided on, as what cannot be read, is in no detections.
type Tally struct {
	Detections int            `json:"detections"` // that rules decided on
	Opened     int            `json:"opened"`     // a case
	Merged     int            `json:"merged"`     // into a case that was there
	Alerts     int            `json:"alerts"`
	Dropped    int            `json:"dropped"`
	Below      int            `json:"belowThreshold"` // waited in vain, and were dropped
	Waiting    int            `json:"waiting"`        // below a threshold, at the end
	Crowded    int            `json:"noRoom"`         // below a threshold, where as much waits as may
	Dead       int            `json:"deadLetters"`
	Severities map[string]int `json:"severities"` // of cases
	Assignees  map[string]int `json:"assignees"`  // of cases; "" is nobody
}

// Silences are the tallies of silences, by name.
func (c Counts) Silences() iter.Seq2[string, *Tally] {
	return func(yield func(string, *Tally) bool) {
		for by, t := range c.Rules {
			if name, is := strings.CutPrefix(by, bySilence+" "); is && !yield(name, t) {
				return
			}
		}
	}
}

// bySilence is the kind of a ruling of a silence.
const bySilence = "silence"

func newTally() *Tally { return &Tally{Severities: map[string]int{}, Assignees: map[string]int{}} }

// numbers are a tally's numbers, as people name them, in order.
func (t Tally) numbers() []number {
	return []number{
		{"detections", t.Detections}, {"cases opened", t.Opened}, {"merged into a case", t.Merged}, {"alerts", t.Alerts}, {"dropped", t.Dropped},
		{"below threshold", t.Below}, {"wait below threshold", t.Waiting}, {"no room to wait", t.Crowded}, {"dead letters", t.Dead},
	}
}

type number struct {
	name string
	n    int
}

// String says what became of a detection.
func (f fate) String() string {
	did := ""
	switch f.verdict {
	case absent:
		return "not there"
	case inCase:
		did = "case, " + word(f.severity)
		if f.assignee != "" {
			did += ", " + canon.Line(f.assignee, 80)
		}
	case asAlert:
		did = "an alert"
	case dropped:
		did = "dropped (" + f.reason + ")"
	case dead:
		did = "dead letter (" + f.reason + ")"
	case below:
		did = "dropped (below threshold)"
	case waits:
		did = "waits below threshold"
	case crowded:
		did = "no room to wait below threshold"
	}
	if f.by == (ruling{}) {
		return did
	}
	return f.by.String() + ": " + did
}
