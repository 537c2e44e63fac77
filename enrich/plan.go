package enrich

import (
	"slices"
	"time"

	"forager/enrich/alert"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
	"forager/mitre"
)

// Origin is where a detection came from in the stream.
type Origin struct {
	Stream   string    // name of the stream
	Sequence uint64    // stream sequence of the message; 0 offline
	Part     int       // index of the detection within its message
	Subject  string    // NATS subject of the message, for conditions; empty where there is none
	Time     time.Time // when the stream stored the message
	Requeued bool      // it is a dead letter that was sent again: this is not its first sequence
}

// Plan is what one detection asks of TheHive. It is a value: making it costs no call, and plans
// of one queue merge in any order.
type Plan struct {
	Organisation string
	Key          Key
	Hash         string        // Key.Hash of the organisation: what plans queue by
	At           time.Time     // event time, UTC, whole milliseconds
	Window       time.Duration // how long after its last event a case takes more; 0 is no limit
	Closed       rules.ClosedPolicy
	Origin       Origin

	Format      string
	SourceID    string // the detection's id, stable across re-sends
	Rule        detection.Rule
	RuleHash    string   // names the rule in comments
	Found       Detector // the rule and the product, in texts
	Day         string   // UTC day of the event, 2006-01-02
	Severity    int      // 1–4
	TLP, PAP    int
	Title       string // of the case, should one be opened
	Tags        []string
	Observables []detection.Observable
	Techniques  []Technique
	Files       []detection.File
	Barred      []detection.File // whose objects the sender may not name
	Zip         ZipPolicy        // which of the files go into an archive; empty is ZipNever
	LeftOut     map[string]int   // what limits left out, by kind

	Route  string   // name of the route that decided; empty is the default
	When   string   // its condition; empty holds always
	Faults []string // rules that failed at run time and gave way to the default, bounded words
	NewCap int      // cases that the route may open in an hour; 0 is no limit
	// ByAlert lets what the plan asks for come into its case by an alert: one that becomes the case, or is imported into it.
	ByAlert bool
	AsAlert bool // it becomes an alert, and no case; then NewCap counts alerts
	ByEvent bool // and that is its event's own, and no other detection's
	KeyCap  int  // cases that the key may open in an hour of event time; 0 is no limit

	Threshold *Threshold // what must come together before the plan may be applied; nil is nothing

	ask   *rules.Below         // the route's threshold, until the key is known
	said  *detection.Detection // what it tells of, without what the plan has
	raw   Raw
	text  *string // the route's own description
	rows  []rules.Row
	notes string // what follows the description

	Analyze []rules.Analysis // what Cortex is to look at

	Shape rules.Shape  // of the case, should one be opened
	Find  *hive.Filter // the route's own filter, by which the case is found too; nil is none
}

// Technique is one ATT&CK technique of a plan, mapped to what the TheHive server knows.
type Technique struct {
	Found    string // the text in the event
	Reported string // the technique that it names, in whatever release; empty when none
	ID       string // technique in the server's release; empty when it became a tag
	Name     string
	Tactic   string     // short name, one of the technique's own; empty when it has none
	Note     string     // how Found became ID; or why it did not
	Kind     mitre.Kind // how Reported came to ID
}

// TellsAll tells whether each detection that opens a case is told in full there, with its event.
func (p Plan) TellsAll() bool { return p.raw == RawAll }

// Queue is what plans are queued and grouped by: one apply at a time for each.
func (p Plan) Queue() string { return p.Hash }

// AlertName names the alert that the plan becomes: by its event, or as one of its group, of which so many names are used.
func (p Plan) AlertName(used int) alert.Name {
	switch {
	case p.ByEvent:
		return alert.Event(p.Format, p.Source(), p.SourceID)
	case slices.Contains(p.Tags, TagPrefix+"overflow"): // of whatever product
		return alert.Nth(alert.Type, p.Hash, used)
	default:
		return alert.Nth(p.Format, p.Hash, used)
	}
}

// Source is what sent the detection, as it says; empty where it does not.
func (p Plan) Source() string {
	if p.said == nil {
		return ""
	}
	return p.said.Source
}

// Detected is what was detected and on which host, as the product says it; empty where it does not.
func (p Plan) Detected() (title, host string) {
	if p.said == nil {
		return p.Title, ""
	}
	return p.said.Title, p.said.Host
}

// Link is the way back to the product's console; empty where there is none.
func (p Plan) Link() string {
	if p.said == nil {
		return ""
	}
	return p.said.Link
}

// Tag is what the case of the plan carries in TheHive: "forager:<hash>".
func (p Plan) Tag() string { return TagPrefix + p.Hash }
