package casefind

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"forager/cmd/worker/terminal"
	"forager/enrich/detection/canon"
)

// Answer is where an alert went. The names of its JSON keys are a contract with scripts.
type Answer struct {
	Found    []Found  `json:"found"`    // the newest first
	More     int      `json:"more"`     // matches that are not among them
	Looked   []string `json:"looked"`   // what was looked at
	Problems []string `json:"problems"` // what could not be
}

// Found is where one detection went, or a message that nobody can read; or a case of the key, without a message.
type Found struct {
	Stream   string     `json:"stream,omitempty"`
	Sequence uint64     `json:"sequence,omitempty"` // 0: no message of it is known
	Stored   *time.Time `json:"stored,omitempty"`
	Format   string     `json:"format,omitempty"`
	ID       string     `json:"id,omitempty"`
	Title    string     `json:"title,omitempty"`
	Host     string     `json:"host,omitempty"`
	Key      string     `json:"key,omitempty"`

	Outcome string     `json:"outcome"`
	Reason  string     `json:"reason,omitempty"`
	Settled *time.Time `json:"settled,omitempty"` // when that was, by the journal
	Case    *Case      `json:"case,omitempty"`
	Alert   string     `json:"alert,omitempty"`  // type;source;reference
	Letter  uint64     `json:"letter,omitempty"` // number of the dead letter
	By      string     `json:"by,omitempty"`     // what the outcome is known by
}

// Case is a case of TheHive.
type Case struct {
	Number  int    `json:"number"`
	ID      string `json:"id"`
	Title   string `json:"title"`
	Link    string `json:"link"`
	Stage   string `json:"stage"`
	MovedTo string `json:"movedTo,omitempty"` // the case that it was merged into, by its id
	Deleted bool   `json:"deleted,omitempty"`
}

// The outcomes.
const (
	InCase  = "case"
	Alert   = "alert"
	Dropped = "dropped"
	Letter  = "dead letter"
	Pending = "pending" // not settled yet
	Held    = "held"    // below a threshold
	Unknown = "unknown" // settled, and TheHive shows nothing of its key
)

// Write writes an answer for people.
func Write(to *terminal.Screen, a Answer) error {
	for _, p := range a.Problems {
		to.Line(2, terminal.Bad.Of("!"), terminal.Plain.Of(" "+canon.Line(p, 300)))
	}
	for _, f := range a.Found {
		to.Line(2, terminal.Plain.Of(f.heading()))
		word, more := f.went()
		to.Line(4, terminal.Plain.Of("  "), f.meaning().Of(word), terminal.Plain.Of(more))
	}
	if a.More > 0 {
		to.Line(2, terminal.Warning.Of(fmt.Sprintf("%d older ones are not shown", a.More)), terminal.Plain.Of(": --most shows more"))
	}
	if len(a.Found) == 0 {
		to.Line(0, terminal.Warning.Of("not known"), terminal.Plain.Of("; looked at:"))
		for _, l := range a.Looked {
			to.Line(4, terminal.Plain.Of("  "+canon.Line(l, 200)))
		}
	}
	return to.Failed()
}

// meaning is that of where it went.
func (f Found) meaning() terminal.Meaning {
	switch f.Outcome {
	case InCase, Alert:
		return terminal.Good
	case Letter:
		return terminal.Bad
	case Dropped, Unknown:
		return terminal.Warning
	default:
		return terminal.Plain
	}
}

// heading says which detection it is.
func (f Found) heading() string {
	if f.Sequence == 0 {
		return "a case of the key, whose messages were not found"
	}
	text := fmt.Sprintf("%s %d, stored %s", canon.Line(f.Stream, 60), f.Sequence, f.Stored.Format(time.RFC3339))
	if f.Title != "" {
		text += ": " + canon.Line(f.Title, 120)
	}
	var about []string
	for _, part := range [][2]string{{"", f.Format}, {"id ", f.ID}, {"host ", f.Host}, {"key ", f.Key}} {
		if part[1] != "" {
			about = append(about, part[0]+canon.Line(part[1], 120))
		}
	}
	if len(about) > 0 {
		text += " (" + strings.Join(about, ", ") + ")"
	}
	return text
}

// went says where it is: in a word, and more of it.
func (f Found) went() (word, more string) {
	switch f.Outcome {
	case InCase:
		word, more = "case", strings.TrimPrefix(f.Case.String(), "case")
	case Alert:
		word, more = "alert", " "+canon.Line(f.Alert, 200)
	case Letter:
		word, more = "dead letter", fmt.Sprintf(" %d: %s; see: worker dlq show %d", f.Letter, canon.Line(f.Reason, 200), f.Letter)
	case Dropped:
		word, more = "dropped", ": "+canon.Line(f.Reason, 200)
	case Pending:
		word, more = "waits", ": "+canon.Line(f.Reason, 200)
	case Held:
		word, more = "waits", " below a threshold, for "+canon.Line(f.Reason, 200)
	case Unknown:
		word, more = "settled", "; "+canon.Line(cmp.Or(f.Reason, "TheHive shows no case of its key"), 200)
	}
	if f.Outcome != InCase && f.Case != nil {
		more += "; " + f.Case.String()
	}
	if f.Settled != nil {
		more += ", " + f.Settled.Format(time.RFC3339)
	}
	if f.By != "" {
		more += " (by " + f.By + ")"
	}
	return word, more
}

// String says a case in one line.
func (c *Case) String() string {
	text := fmt.Sprintf("case #%d %s", c.Number, canon.Line(c.Title, 120))
	if c.Stage != "" {
		text += ", " + canon.Line(c.Stage, 30)
	}
	switch {
	case c.MovedTo != "":
		text += ", merged into " + canon.Line(c.MovedTo, 40)
	case c.Deleted:
		text += ", deleted"
	case c.Link != "":
		text += ", " + canon.Line(c.Link, 200)
	}
	return text
}
