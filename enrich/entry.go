package enrich

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// entryVersion is the version of ledger entries that this package writes. Entries of a higher
// version are not touched.
const entryVersion = 1

// errNewerEntry: the entry was written by a later version; this one waits for its own upgrade.
var errNewerEntry = errors.New("ledger entry is of a newer version")

// errUnreadableEntry: nobody of this version wrote the entry. It is an error of its key, not of the ledger.
var errUnreadableEntry = errors.New("ledger entry cannot be read")

// mostEntryBytes is what an entry may have; the largest of a case with all that limits allow has a tenth.
const mostEntryBytes = 4 << 20

// head is what all claimable entries begin with. An entry with a token, or dirty, is dirty: its
// writer may have done things in TheHive that the entry does not list.
type head struct {
	V      int    `json:"v"`
	Token  string `json:"token,omitempty"`  // of the claim that holds the entry; new for every claim
	Epoch  uint64 `json:"epoch"`            // counts claims
	Dirty  bool   `json:"dirty,omitempty"`  // the last holder left without knowing what it did
	Lease  int64  `json:"lease,omitempty"`  // ms after which an unchanged revision is dead
	Settle int64  `json:"settle,omitempty"` // ms in which an effect of a lost call still appears
}

func (h head) dirty() bool             { return h.Dirty || h.Token != "" }
func (h head) lease() time.Duration    { return believed(h.Lease) }
func (h head) settling() time.Duration { return believed(h.Settle) }

// longestBelieved bounds the times that entries name, as the configuration does: others can write to the bucket, and a key must
// not be held for years.
const longestBelieved = time.Hour

// believed is a time of an entry in milliseconds, within what can be; without one it is 0.
func believed(ms int64) time.Duration {
	return time.Duration(min(max(ms, 0), longestBelieved.Milliseconds())) * time.Millisecond
}

// entry is one ledger entry: its head, and its body as text, which is only read when somebody
// asks. Entries are values: nothing changes the text once it is made.
type entry struct {
	head
	text    []byte // the body's fields as JSON, without the braces
	unknown []byte // those among them that a later version added: they survive being written by this one
}

// headFields and bodyFields are all fields that this version knows.
var (
	headFields = []string{"v", "token", "epoch", "dirty", "lease", "settle"}
	bodyFields = []string{
		"cases", "opened", "procedures", "observables", "tags", "comments", "files", "stored", "tasks", "pages", "high", "leftOut", "leftItems", "organisation",
	}
)

func parseEntry(value []byte) (entry, error) {
	var e entry
	if len(value) > mostEntryBytes {
		return e, fmt.Errorf("%w: %d bytes of at most %d", errUnreadableEntry, len(value), mostEntryBytes)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(value, &fields); err != nil {
		return e, fmt.Errorf("%w: %w", errUnreadableEntry, err)
	}
	if err := json.Unmarshal(value, &e.head); err != nil {
		return e, fmt.Errorf("%w: %w", errUnreadableEntry, err)
	}
	if e.V > entryVersion {
		return e, fmt.Errorf("%w: %d", errNewerEntry, e.V)
	}
	for _, name := range sortedKeys(fields) {
		switch {
		case slices.Contains(headFields, name):
		case slices.Contains(bodyFields, name):
			e.text = appendField(e.text, name, fields[name])
		default:
			e.unknown = appendField(e.unknown, name, fields[name])
		}
	}
	e.text = join(e.text, e.unknown)
	return e, nil
}

func appendField(text []byte, name string, value []byte) []byte {
	return join(text, append(append(strconv.AppendQuote(nil, name), ':'), value...))
}

// join puts two lists of fields together.
func join(a, b []byte) []byte {
	if len(a) == 0 || len(b) == 0 {
		return append(slices.Clip(a), b...)
	}
	return append(append(slices.Clip(a), ','), b...)
}

func (e entry) encode() ([]byte, error) {
	top, err := json.Marshal(e.head)
	if err != nil {
		return nil, fmt.Errorf("ledger entry: %w", err)
	}
	return append(append([]byte{'{'}, join(top[1:len(top)-1], e.text)...), '}'), nil
}

// with gives the entry the fields of a typed body, keeping those that nobody here knows; nil
// keeps the body as it is.
func (e entry) with(body any) (entry, error) {
	if body == nil {
		return e, nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return e, fmt.Errorf("ledger entry: %w", err)
	}
	e.text = join(raw[1:len(raw)-1], e.unknown)
	return e, nil
}

// read fills a typed body from the entry.
func (e entry) read(body any) error {
	raw := append(append([]byte{'{'}, e.text...), '}')
	if err := json.Unmarshal(raw, body); err != nil {
		return fmt.Errorf("ledger entry: %w", err)
	}
	return nil
}

// home says which organisation an entry is of, as the configuration named it: "" is the account's
// own. Entries of the first versions do not say.
type home struct {
	Organisation *string `json:"organisation,omitempty"`
}

// belong says where an entry belongs that does not say it yet.
func (h *home) belong(organisation string) {
	if h.Organisation == nil {
		h.Organisation = &organisation
	}
}

// caseBody is what the entry case.<id> remembers of Forager's own effects.
type caseBody struct {
	Procedures  map[string]procedureRef `json:"procedures"` // by TheHive's id
	Observables []string                `json:"observables"`
	Tags        []string                `json:"tags"`
	Comments    map[string]commentRef   `json:"comments"`         // by rule and day
	Files       []string                `json:"files,omitempty"`  // as TheHive lists them
	Stored      map[string]string       `json:"stored,omitempty"` // of files in another form: as listed → the file that it stands for
	Tasks       []string                `json:"tasks,omitempty"`
	Pages       []string                `json:"pages,omitempty"`
	High        high                    `json:"high"`
	LeftOut     map[string]int          `json:"leftOut,omitempty"`   // by kind, what a limit left out
	LeftItems   []string                `json:"leftItems,omitempty"` // hashes of what was counted so
	home
}

// high is the most that Forager itself wrote to a case; -1 is nothing.
type high struct {
	Severity int `json:"severity"`
	TLP      int `json:"tlp"`
	PAP      int `json:"pap"`
}

// procedureRef is [technique, tactic].
type procedureRef [2]string

// commentRef is the comment of one rule and day.
type commentRef struct {
	ID        string            `json:"id"` // TheHive's id, or inDescription
	First     int64             `json:"first"`
	Last      int64             `json:"last"`
	N         int               `json:"n"`   // at least so many detections
	Seq       uint64            `json:"seq"` // highest stream sequence counted by the first versions, of whatever stream
	IDs       []string          `json:"ids,omitempty"`
	Written   string            `json:"written,omitempty"`   // hash of the text that Forager last wrote
	Sequences map[string]uint64 `json:"sequences,omitempty"` // highest counted, by stream
	Pending   bool              `json:"pending,omitempty"`   // the text lags behind these numbers
}

const inDescription = "description"

// marksBody is what the entry marks.<case> remembers of analysts' actions.
type marksBody struct {
	Removed [][2]string `json:"removed,omitempty"` // kind, hash
	Moved   string      `json:"moved,omitempty"`   // id of the case that this one was merged into
	Gone    int64       `json:"gone,omitempty"`    // when a document said that the case was deleted, ms; 0: none did
	Lifted  [][2]string `json:"lifted,omitempty"`  // removals that were taken back, until the items are there again
}
