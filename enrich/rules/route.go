package rules

import "time"

// ClosedPolicy says what a detection does that falls after a case's end, within the window of
// its last event.
type ClosedPolicy string

// The policies. A detection within the span of a closed case is added to it without reopening,
// whatever the policy.
const (
	ClosedNew     ClosedPolicy = "new"     // opens a new case (default)
	ClosedReopen  ClosedPolicy = "reopen"  // reopens the case
	ClosedComment ClosedPolicy = "comment" // adds to the case and leaves it closed
)

// Via says by which of TheHive's ways detections come into their case.
type Via string

// The ways. Either way they end in one case of the key; see the package apply for what differs.
const (
	ViaCase  Via = "case"  // the case is created, and added to (default)
	ViaAlert Via = "alert" // an alert is created with everything, and becomes the case or is imported into it
)

// As says what detections become.
type As string

// What detections become.
const (
	AsCase  As = "case"  // they come into the case of their key (default)
	AsAlert As = "alert" // they become alerts for the analysts' queue, and no case
)

// Group says which detections share an alert.
type Group string

// The groups.
const (
	GroupEvent Group = "event" // those of one event, known by its id (default)
	GroupRule  Group = "rule"  // those of one rule and key, while none is later than the route's window
)

// Route says what a SOC wants of some detections. Routes are tried in order, the first whose
// condition holds decides; what a route leaves empty is the default. Conditions and keys are CEL
// over the variable `detection` (see Seen). Texts are templates: what they say is literal, but for
// placeholders, {{ expression }}, which are CEL over the same; "{{" itself is {{ "{{" }}. A
// placeholder gives a text, a number, true or false, a time (RFC 3339, UTC), a duration in seconds,
// or a list of texts, parted by ", ". What it gives is escaped for where it goes.
type Route struct {
	Name         string
	When         string         // CEL, bool; empty holds always
	Drop         bool           // acknowledge without effect, counted as "dropped by route"
	Organisation string         // TheHive organisation; empty is the planner's
	Key          string         // CEL, string: the correlation key; an empty result is the default key
	Window       *time.Duration // nil is the planner's; 0 is no limit
	Minimum      int            // severity 1–4 below which nothing is done, counted as "below route's level"
	Filter       []Term         // finds the case instead of the key's tag; all terms hold
	Closed       ClosedPolicy   // empty is the planner's
	MaxNewCases  int            // cases that the route may open in an hour, over all replicas; 0 is no limit
	Via          Via            // empty is ViaCase
	As           As             // empty is AsCase
	Group        Group          // of alerts; empty is GroupEvent
	MaxNewAlerts int            // alerts that the route may open in an hour, over all replicas; 0 is no limit
	Analyze      []Analysis     // what Cortex is to look at
	Threshold    *Threshold     // what must come together before a case is opened; nil is one detection
	Case         CaseFields
}

// Once says how often an analyzer looks at an observable of a case.
type Once string

// How often.
const (
	OnceCase   Once = "case"   // once (default)
	OnceWindow Once = "window" // once in each window in which a detection brings it
)

// Analysis lets an analyzer of Cortex look at observables of a case, each once, or once in a window.
type Analysis struct {
	Analyzer string        // id or name
	Cortex   string        // the server; empty is the first that has the analyzer
	Types    []string      // of observables; empty is all that the analyzer takes
	IOC      bool          // indicators alone
	MaxTLP   string        // "clear", "green", "amber", "amber+strict", "red": of an observable, above which it is not shown; empty is amber
	Once     Once          // empty is OnceCase
	Window   time.Duration // with OnceWindow how long a look holds, LeastWindow at least; windows are counted from 1970 on
	Raise    string        // "low" … "critical": what a bad result raises the case's severity to; empty is nothing
	MarkIOC  bool          // a bad result marks the observable as an indicator
	Level    string        // from which a result is bad, "malicious" or "suspicious"; empty is malicious
}

// LeastWindow is the shortest window of an analysis: by then every list shows what was asked for in the one before.
const LeastWindow = time.Hour

// RaiseTo is the severity that a bad result raises a case to, 1–4; 0: to none.
func (a Analysis) RaiseTo() int { return severityWords[a.Raise] }

// Often says how often the analyzer looks at one observable, for people.
func (a Analysis) Often() string {
	if a.Once == OnceWindow {
		return "once in " + spell(a.Window)
	}
	return "once"
}

// Most is the TLP of an observable up to which the analyzer sees it, 0–4: without a word AMBER, as Cortex presets it.
func (a Analysis) Most() int {
	most, known := tlpWords[a.MaxTLP]
	if !known {
		return tlpWords["amber"]
	}
	return most
}

// Term is one comparison of a route's own filter. The value is a template, and only ever a value.
// One with placeholders is compared as a whole: by eq, or by like without wildcards, which then is
// eq. By other comparisons an event could reach any case.
type Term struct {
	Field string // of a case: "tags", "customFields.asset"
	Op    string // eq, ne, like, match, startsWith, endsWith, in (comma-separated)
	Value string
}

// CaseFields are the fields of the case that a route opens, as templates; empty is the default.
type CaseFields struct {
	Title       string
	Description string // Markdown; what a placeholder gives is text, code, or what follows a host in an address
	Severity    string // "1"–"4" or "low" … "critical"; also for cases that exist, as P5 allows
	TLP, PAP    string // "0"–"4", "0"–"3", or "clear", "green", "amber", "amber+strict", "red"
	Tags        []string
	Assignee    string // login; "none" is nobody
	Template    string // name of a case template
	Fields      []Field
	Tasks       []Task
	Pages       []Page
	Rows        []Row
	Links       []Link
}

// Field is a custom field of a case.
type Field struct {
	Name  string
	Type  string // string, integer, float, boolean, date (RFC 3339 or ms), url
	Value string
}

// Task is a task of a case that a route opens.
type Task struct{ Title, Group, Description string }

// Page is a page of a case that a route opens.
type Page struct{ Title, Category, Content string }

// Row is a row of the table in a case's description, and in comments. Its name is literal, its value a
// template; a row without a value is left out.
type Row struct{ Name, Value string }

// Link is a pivot into another tool, put below the description. Scheme and host are fixed; what
// a placeholder gives is percent-encoded, whole.
type Link struct{ Name, URL string }

// Silence keeps detections from doing anything for a while.
type Silence struct {
	Name    string
	When    string    // CEL, bool
	Owner   string    // who answers for it
	Reason  string    // why
	Expires time.Time // after which it does nothing
	Pierce  int       // severity 1–4 from which a detection passes all the same; 0 is never
}

// Rules are routes and silences together: what an operator changes without a restart.
type Rules struct {
	Routes   []Route
	Silences []Silence
	Lookups  map[string]Lookup // by name, each a name of CEL
}

// RuleError says which rule cannot work, so that the configuration can name the line.
type RuleError struct {
	Rule         string // "routes[2]", "silences[0]"
	Field        string // "when", "case.title", "case.fields[1].value"
	Line, Column int    // within the text of the field, from 1; 0 unknown
	Err          error
}

func (e *RuleError) Error() string {
	return e.Rule + "." + e.Field + ": " + e.Err.Error()
}

func (e *RuleError) Unwrap() error { return e.Err }
