package detection

import (
	"slices"
	"time"

	"forager/enrich/detection/canon"
)

// Message is one message as the stream delivered it, before anything is known of its content.
type Message struct {
	Subject string              // NATS subject, for formats pinned by subject
	Header  map[string][]string // NATS headers, any case; nil is none
	Body    []byte              // original bytes, never changed
	Time    time.Time           // when the stream stored it
}

// Detection is one alert of one sender, normalised: every text is valid UTF-8 without
// control characters and bounded in length, every observable typed, valid and canonical.
// Texts are plain; nothing is escaped for Markdown yet (see package markdown).
type Detection struct {
	Format       string         // name of the format that read it, "wazuh"
	ID           string         // stable across re-sends of the same detection; never empty
	Time         time.Time      // when it happened, UTC, millisecond precision
	TimeReplaced bool           // the event's own time was missing or impossible (P8) and the message's taken
	Severity     canon.Severity // 1–4
	Title        string         // at most 512 runes
	Description  string         // at most 64 KiB
	Source       string         // what sent it, "wazuh/manager01"; may be empty
	Rule         Rule
	Host         string    // where it happened; host name, may be empty
	User         string    // whom it concerns; may be empty
	IP           string    // source address, canonical; may be empty
	Key          string    // the sender's own correlation key: native form; of others, where the sender groups by it (the rows of one Defender alert), or no host, user or address is named
	Direction    string    // "inbound", "outbound", or empty
	Happened     Happened  `json:",omitzero"`
	Link         string    `json:",omitempty"` // address of the detection in the sender's console, http or https; may be empty
	Original     *Original `json:"-"`          // the event itself, to be read again
	Tags         []string
	Observables  []Observable
	Techniques   []Reference
	Files        []File
	Marks        []string       `json:",omitempty"` // what had to be assumed (Mark…), sorted; tags of Forager's own on the case
	LeftOut      map[string]int // what a limit left out, by kind ("observables": 12)
	Why          []Origin       // where each value came from; only when Options.Why is set
}

// What a detection can be marked with: something was assumed that the event does not say.
const (
	MarkInvalidUTF8     = "invalid-utf8"     // bytes that are no UTF-8 were replaced by U+FFFD
	MarkTimeGuessed     = "time-guessed"     // the event's time has no year, hour or zone: UTC, and the year of the message
	MarkSeverityScaled  = "severity-scaled"  // a number of another scale was brought to four
	MarkSeverityUnknown = "severity-unknown" // the event's severity says nothing that is known here
	MarkGeneric         = "generic"          // no format knows the event: it was read by well-known names
)

// mark adds a mark, once.
func (d *Detection) mark(m string) {
	if i, found := slices.BinarySearch(d.Marks, m); !found {
		d.Marks = slices.Insert(d.Marks, i, m)
	}
}

// Rule is what fired at the sender.
type Rule struct {
	ID   string // the sender's stable id, "5710"
	Name string // for people
}

// Happened is what happened, as far as the sender says it: each a text of one line, as sent, or empty.
type Happened struct {
	Process     string `json:",omitempty"` // that acted: path or name
	CommandLine string `json:",omitempty"` // of the process, at most 4096 characters
	Parent      string `json:",omitempty"` // of the process: path, name or command line
	File        string `json:",omitempty"` // that was acted upon
	From        string `json:",omitempty"` // address, host or mail address that it came from, with its port where there is one
	To          string `json:",omitempty"` // that it went to
	Action      string `json:",omitempty"` // what the sender did about it: "blocked"
}

// Observable is one typed value (TheHive data types), canonical and valid for its type.
type Observable struct {
	DataType         string   // ip, domain, fqdn, hostname, url, mail, hash, filename, …
	Data             string   // 1–4096 bytes
	Tags             []string // roles: src, dst, parent, …
	Message          string   // for people; may be empty
	IOC              bool     // the sender says it is an indicator
	IgnoreSimilarity bool     // too common to correlate on (private address, allow-listed)
}

// Reference is one text from a field that is known to hold ATT&CK techniques, unresolved.
type Reference struct {
	Text   string // as sent, "attack.t1059.001"
	Tactic string // the tactic that the event pairs with this very technique, if it does; never by index
	Path   string // where it stood, "rule.mitre.id"
}

// File is a file that a detection carries, by value or by reference; never both.
type File struct {
	Name   string // cleaned: no path, no device name, no control or bidi characters
	Data   []byte // content, when sent in base64
	Object string // "bucket/key" in the object store
	SHA256 string // lower hex, of the content; may be empty with Data
}

// Origin tells which path of the event a value of a detection came from.
type Origin struct {
	Field string // "host"; "not ip: …" and the reason, where the format names the value and nothing was made of it
	Path  string // "agent.name"
	Value string // shortened
}
