package feedback

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"forager/enrich/apply"
	"forager/enrich/detection/canon"
)

// Event is what became of a case; the list is closed.
type Event string

// The events.
const (
	EventClosed   Event = "closed"   // the case is closed, or closed with another status than before
	EventReopened Event = "reopened" // it was closed, and is open
	EventStatus   Event = "status"   // an open case has another status
)

// Schema names the form of a message.
const Schema = "forager.feedback/v1"

// Message is what a source is told of one alert. The names of its JSON keys are a contract with who reads it.
type Message struct {
	Schema string `json:"schema"` // [Schema]
	// ID is the same for what is told of one alert by one change of its case, whoever tells it: 32 lower hex digits.
	ID    string `json:"id"`
	Event Event  `json:"event"`
	// Turn counts what became of the case: of two messages of one alert the one with the higher turn is newer.
	Turn int `json:"turn"`
	// Verdict is the status of a closed case: TruePositive, FalsePositive, Indeterminate, Duplicated, Other, or one of
	// the organisation's own; else empty.
	Verdict string `json:"verdict,omitempty"`
	Alert   Alert  `json:"alert"`
	Case    Case   `json:"case"`
	// Unnamed is how many alerts of the case, about, are not told of, since the case had no room to remember them.
	Unnamed int `json:"unnamed,omitempty"`
}

// Alert is the source's own.
type Alert struct {
	Source string `json:"source"` // name of the format that read it, as in worker formats ls
	ID     string `json:"id"`     // as worker explain shows it
}

// Case is where the alert was worked.
type Case struct {
	ID           string    `json:"id"` // TheHive's, "~" and digits
	Number       int       `json:"number"`
	URL          string    `json:"url"`
	Organisation string    `json:"organisation,omitempty"`
	Title        string    `json:"title"`
	Status       string    `json:"status,omitempty"`
	Impact       string    `json:"impact,omitempty"`  // WithImpact, NoImpact, NotApplicable
	Summary      string    `json:"summary,omitempty"` // what the analyst wrote when the case was closed; cut
	At           time.Time `json:"at"`                // when it became so, by TheHive; UTC, milliseconds
}

// Bounds of texts in a message, in UTF-16 units.
const (
	mostTitle   = 512
	mostSummary = 2048
)

// messagesOf are what a record tells of some alerts.
func (r record) messagesOf(due []apply.SourceAlert, c Case, unnamed int) []Message {
	c.Number, c.Title, c.Summary, c.Impact, c.Status = r.Number, r.Told.Title, r.Told.Summary, r.Told.Impact, r.Status
	c.At = time.UnixMilli(r.Told.At).UTC()
	verdict := ""
	if r.Closed {
		verdict = r.Status
	}
	all := make([]Message, 0, len(due))
	for _, a := range due {
		all = append(all, Message{
			Schema: Schema, ID: r.id(c.ID, a), Event: r.Event, Turn: r.Turn, Verdict: verdict,
			Alert: Alert(a), Case: c, Unnamed: unnamed,
		})
	}
	return all
}

// id names what is told of an alert by this turn. The state is part of it: should the ledger be lost, its first turn
// may be another than the first was.
func (r record) id(caseID string, a apply.SourceAlert) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		caseID, a.Source, a.ID, strconv.Itoa(r.Turn), string(r.Event), strconv.FormatBool(r.Closed), r.Status,
	}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// cut bounds a text of an analyst.
func cut(s string, most int) string { return canon.Line(s, most) }
