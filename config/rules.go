package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rules says where more routes and silences lie, and how soon a change of any file is noticed.
type Rules struct {
	Files  []string      `key:"files" doc:"files of routes and silences, and directories of such files (*.yaml, in the order of their names), relative to the configuration file; they come after its own, in this order"`
	Reload time.Duration `key:"reload" max:"24h" doc:"how often routes, silences, formats, allow-lists and lookups are looked at for changes; 0 is only on SIGHUP"`
}

// Route says what becomes of some detections. The first route whose condition holds decides;
// what it leaves empty is the default. Conditions are CEL over detection. What is marked (template)
// is a text with placeholders, {{ expression }}, which are CEL over the same.
type Route struct {
	Name         string         `key:"name" need:"always" doc:"name, for metrics, logs and explain; no two routes share one"`
	When         string         `key:"when" doc:"condition (CEL) that a detection meets; empty is every detection"`
	Drop         bool           `key:"drop" doc:"acknowledge without any effect, counted as dropped by route"`
	Organisation string         `key:"organisation" doc:"organisation in TheHive, instead of hive.organisation; the account must be its member"`
	Key          string         `key:"key" doc:"what the detections of one case share (CEL, gives a text), instead of key, host, user or address"`
	Window       *time.Duration `key:"window" max:"8760h" doc:"instead of case.window; 0 is no limit"`
	Minimum      Level          `key:"minimum" doc:"severity below which nothing is done, counted as below route's level"`
	Filter       []Term         `key:"filter" doc:"list of {field, op, value}: finds the case by its fields instead of Forager's tag; all must hold"`
	Closed       string         `key:"closed" oneof:"new reopen comment" doc:"instead of case.closed"`
	MaxNewCases  int            `key:"maxNewCases" max:"1000000" doc:"cases that the route may open in an hour, over all replicas; what is above goes into one overflow case; 0 is no limit"`
	As           string         `key:"as" oneof:"case alert" doc:"what detections become: part of a case, or (alert) alerts for the analysts' queue, which come into a case when an analyst promotes them; case when empty"`
	Group        string         `key:"group" oneof:"event rule" doc:"with as: alert, which detections share an alert: those of one event, by its id, or (rule) those of one rule and key within the window; event when empty"`
	MaxNewAlerts int            `key:"maxNewAlerts" max:"1000000" doc:"with as: alert, alerts that the route may open in an hour, over all replicas; what is above goes into one overflow alert; 0 is no limit"`
	Via          string         `key:"via" oneof:"case alert" doc:"by which way detections come into their case: it is created and added to, or (alert) an alert is created with observables and techniques and becomes the case, or is imported into it: fewer calls; the account needs manageAlert/create and manageAlert/import, and should not be used before check --connect --conform was seen on the server; case when empty"`
	Analyze      []Analysis     `key:"analyze" doc:"list of {analyzer, cortex, types, ioc, maxTLP, once, window, raise, markIOC, level}: what Cortex looks at, by TheHive's connector: each observable of the case once by each analyzer, or once in each window in which it comes (once: window), about a minute after it came; not with as: alert; a result that is malicious, or (level: suspicious) suspicious, may raise the case's severity (raise) and mark the observable (markIOC), once; the account needs the right manageAnalyse"`
	Threshold    Threshold      `key:"threshold"`
	Case         RouteCase      `key:"case"`
}

// Analysis lets an analyzer of Cortex look at observables.
type Analysis struct {
	Analyzer string        `key:"analyzer" need:"always" doc:"name or id of the analyzer, as Cortex has it"`
	Cortex   string        `key:"cortex" doc:"name of the Cortex server, as TheHive's configuration has it; the first that has the analyzer when empty"`
	Types    []string      `key:"types" doc:"types of observables; all that the analyzer takes when empty"`
	IOC      bool          `key:"ioc" doc:"indicators alone"`
	MaxTLP   string        `key:"maxTLP" oneof:"clear green amber amber+strict red" doc:"TLP of an observable above which the analyzer does not see it; amber when empty"`
	Once     string        `key:"once" oneof:"case window" doc:"how often the analyzer looks at an observable of the case: once (case), or once in each window in which a detection brings it (window); case when empty"`
	Window   time.Duration `key:"window" max:"8760h" doc:"with once: window, how long a look holds, an hour at least: windows are counted from 1970 on (24h: UTC days)"`
	Raise    string        `key:"raise" oneof:"low medium high critical" doc:"severity that a bad result raises the case to, once, when that is more than it has and than Forager ever wrote; nothing when empty"`
	MarkIOC  bool          `key:"markIOC" doc:"whether a bad result marks the observable as an indicator, once"`
	Level    string        `key:"level" oneof:"malicious suspicious" doc:"from which level of a taxonomy on a result is bad; malicious when empty"`
}

// Threshold says how much must come together before a route opens a case.
type Threshold struct {
	Count  int           `key:"count" max:"1000" doc:"so many detections, or with of so many different values, open a case; fewer wait, and are dropped as below threshold when no more came; 0 and no sum is none"`
	Sum    int           `key:"sum" max:"1000000000" doc:"instead of count: so many points, which of gives"`
	Of     string        `key:"of" doc:"with count what must differ (CEL, gives a text or a list of texts), such as detection.user or detection.tactics; with sum the points of a detection (CEL, gives a number)"`
	By     string        `key:"by" doc:"what is counted by (CEL, gives a text), such as detection.user; empty is the key of the case"`
	Within time.Duration `key:"within" max:"720h" doc:"how far apart, by their own times, detections may be that count together"`
}

// Term is one comparison of a route's own filter.
type Term struct {
	Field string `key:"field" need:"always" doc:"field of a case, such as customFields.asset"`
	Op    string `key:"op" oneof:"eq ne like match startsWith endsWith" doc:"comparison, eq when empty; a value with placeholders is compared as a whole: eq, or like without wildcards, which then is eq"`
	Value string `key:"value" need:"always" doc:"value (template); when it is empty the key decides"`
}

// RouteCase is the case that a route opens.
type RouteCase struct {
	Title       string   `key:"title" doc:"title (template): a text with placeholders, such as {{ detection.host }}, which are CEL"`
	Description string   `key:"description" doc:"description (template, Markdown); what a placeholder gives has no effect in it"`
	Severity    string   `key:"severity" doc:"1 to 4, or low to critical (template); also raises cases that exist"`
	TLP         string   `key:"tlp" doc:"0 to 4, or clear, green, amber, amber+strict, red (template)"`
	PAP         string   `key:"pap" doc:"0 to 3, or clear, green, amber, red (template)"`
	Tags        []string `key:"tags" doc:"more tags (templates)"`
	Assignee    string   `key:"assignee" doc:"login (template); empty or none is nobody"`
	Template    string   `key:"template" doc:"name of a case template in TheHive (template)"`
	Fields      []Field  `key:"fields" doc:"list of {name, type, value}: custom fields"`
	Tasks       []Task   `key:"tasks" doc:"list of {title, group, description}: tasks"`
	Pages       []Page   `key:"pages" doc:"list of {title, category, content}: pages"`
	Rows        []Row    `key:"rows" doc:"list of {name, value}: more rows of the table in description and comments, such as the owner that a lookup names"`
	Links       []Link   `key:"links" doc:"list of {name, url}: pivots into other tools, below the description"`
}

// Field is a custom field of a case.
type Field struct {
	Name  string `key:"name" need:"always" doc:"name of the custom field in TheHive"`
	Type  string `key:"type" oneof:"string integer float boolean date url" doc:"its type, string when empty"`
	Value string `key:"value" need:"always" doc:"value (template); a date is RFC 3339 or milliseconds; a url begins with its scheme and host, what a placeholder gives is encoded"`
}

// Task is a task of a case.
type Task struct {
	Title       string `key:"title" need:"always" doc:"title (template)"`
	Group       string `key:"group" doc:"group (template)"`
	Description string `key:"description" doc:"description (template, Markdown)"`
}

// Page is a page of a case.
type Page struct {
	Title    string `key:"title" need:"always" doc:"title (template)"`
	Category string `key:"category" doc:"category (template), Forager when empty"`
	Content  string `key:"content" doc:"content (template, Markdown)"`
}

// Row is a row of the table in a case's description.
type Row struct {
	Name  string `key:"name" need:"always" doc:"what stands before the value"`
	Value string `key:"value" need:"always" doc:"value (template); a row without one is left out"`
}

// Link is a pivot into another tool.
type Link struct {
	Name string `key:"name" need:"always" doc:"text of the link (template)"`
	URL  string `key:"url" need:"always" doc:"address (template) that begins with its scheme and host; what a placeholder gives is encoded"`
}

// Silence keeps detections from doing anything for a while.
type Silence struct {
	Name    string    `key:"name" need:"always" doc:"name, for metrics, logs and explain"`
	When    string    `key:"when" need:"always" doc:"condition (CEL) that a detection meets"`
	Owner   string    `key:"owner" need:"always" doc:"who answers for it"`
	Reason  string    `key:"reason" need:"always" doc:"why"`
	Expires time.Time `key:"expires" need:"always" doc:"when it ends: RFC 3339, or a day, which is silent to its end (UTC)"`
	Pierce  Level     `key:"pierce" doc:"severity from which a detection passes all the same; empty is never"`
}

// AllowList names values too common to be observables, or to correlate on.
type AllowList struct {
	Name   string   `key:"name" need:"always" doc:"name, for messages"`
	File   string   `key:"file" doc:"MISP warning list (JSON), relative to the configuration file"`
	Kind   string   `key:"kind" oneof:"string substring hostname cidr regex" doc:"how values match, with values"`
	Values []string `key:"values" doc:"the values, instead of a file"`
	Action string   `key:"action" need:"always" oneof:"drop ignoreSimilarity" doc:"drop leaves the observable out, ignoreSimilarity keeps it without correlating on it"`
	Types  []string `key:"types" doc:"observable types that it is for; empty is what the file says, else all"`
}

// Lookup is a table that conditions and templates ask.
type Lookup struct {
	Name  string `key:"name" need:"always" doc:"name, as in lookup.assets: a letter, then letters, digits and underscores"`
	File  string `key:"file" need:"always" doc:"CSV with a line of column names (.csv), JSON objects (.json, .ndjson, .jsonl) or a MaxMind database (.mmdb), relative to the configuration file; it is read again when it changed"`
	Key   string `key:"key" doc:"column that names a row; none for .mmdb, whose rows are found by address"`
	Match string `key:"match" oneof:"text host" doc:"how keys are compared: as text without regard to case, or as hosts, of which WEB01 and web01.corp.example are one; text when empty"`
}

// Files says what becomes of the files that detections carry.
type Files struct {
	MaxBytes Size   `key:"maxBytes" min:"1KiB" max:"10GiB" doc:"largest file; a larger one is not attached, and its message becomes a dead letter after the rest was applied"`
	As       string `key:"as" oneof:"observable attachment" doc:"what a file becomes: an observable of type file, or an attachment of the case"`
	Spool    string `key:"spool" path:"yes" doc:"directory for files on their way, with room for files.spoolBytes; empty is the system's for temporary files"`

	SpoolBytes Size `key:"spoolBytes" min:"1MiB" max:"1TiB" doc:"bytes that these files take there at a time, at most; others wait, and one that is larger is alone there"`

	Objects []ObjectRule `key:"objects" doc:"list of {subject, bucket, prefix}: objects that messages of a subject may name, besides their own, whose names begin with the message's subject and a slash"`

	Zip             string `key:"zip" oneof:"never malicious always" doc:"which files go to TheHive inside a ZIP with a password: none; those whose name or digest the detection marks as an indicator; or all"`
	ZipPassword     Secret `key:"zipPassword" show:"infected" doc:"password of these ZIPs: 1 to 64 visible ASCII characters, no backtick; a shield from scanners, not a secret: the observable says it"`
	ZipPasswordFile string `key:"zipPasswordFile" doc:"file that holds files.zipPassword"`
}

// ObjectRule lets the messages of a subject name objects.
type ObjectRule struct {
	Subject string `key:"subject" need:"always" doc:"subject, with NATS wildcards"`
	Bucket  string `key:"bucket" need:"always" doc:"object store"`
	Prefix  string `key:"prefix" doc:"what the names of the objects begin with, such as edr/; empty is every object of the bucket"`
}

// Level is a severity from 1 (low) to 4 (critical), written as a number or a word; 0 is none.
type Level int

// levelNames are the words for severities; the first is no severity.
var levelNames = []string{"none", "low", "medium", "high", "critical"}

// String gives the word.
func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return strconv.Itoa(int(l))
	}
	return levelNames[l]
}

// parseLevel reads a severity.
func parseLevel(text string) (Level, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n < len(levelNames) {
		return Level(n), nil
	}
	if i := slices.Index(levelNames, text); i >= 1 {
		return Level(i), nil
	}
	return 0, errors.New("expected a severity: low, medium, high, critical, or 1 to 4")
}

// parseEnd reads when something ends: an instant, or a day, which ends at midnight UTC.
func parseEnd(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("expected an instant such as 2026-12-31T18:00:00Z, or a day")
	}
	return at.UTC(), nil
}
