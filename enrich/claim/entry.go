package claim

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Errors of an entry on which callers decide.
var (
	// ErrNewer: the entry was written by a later version; this one waits for its own upgrade.
	ErrNewer = errors.New("ledger entry is of a newer version")
	// ErrUnreadable: nobody of this version wrote the entry. It is an error of its key, not of the store.
	ErrUnreadable = errors.New("ledger entry cannot be read")
)

// entryVersion is the highest version of entries that this package reads and writes. Entries of a
// higher version are not touched.
//
// An entry that is held is of version 2: its holder renews a session, and the entry's revision stands
// still. Workers of version 1 would take that for a death, and so leave such entries alone until they
// are released. An entry that nobody holds is of version 1, which they can take.
const entryVersion = 2

// freeVersion is the version of an entry that nobody holds.
const freeVersion = 1

// mostEntryBytes is what an entry may have; the largest of a case with all that limits allow has a tenth.
const mostEntryBytes = 4 << 20

// head is what all entries that are claimed begin with.
type head struct {
	V     int    `json:"v"`
	Token string `json:"token,omitempty"` // of the claim that holds the entry; new for every claim
	Epoch uint64 `json:"epoch"`           // counts claims
	Fresh bool   `json:"fresh,omitempty"` // it was absent, and nobody knows yet whether that means anything
	Dirty bool   `json:"dirty,omitempty"` // an earlier holder left without knowing what it did
	// Intent names the kinds of effects that the holder, or one before it whose effects are not looked
	// at yet, may have done; nil is all kinds, as in an entry of version 1.
	Intent *[]string `json:"intent,omitempty"`
	Lease  int64     `json:"lease,omitempty"`  // ms after which an unchanged revision is dead
	Settle int64     `json:"settle,omitempty"` // ms in which an effect of a lost call still appears
}

func (h head) lease() time.Duration    { return believed(h.Lease) }
func (h head) settling() time.Duration { return believed(h.Settle) }

// longestBelieved bounds the times that entries name, as the configuration does: others can write to
// the bucket, and a key must not be held for years.
const longestBelieved = time.Hour

// believed is a time of an entry in milliseconds, within what can be; without one it is 0.
func believed(ms int64) time.Duration {
	return time.Duration(min(max(ms, 0), longestBelieved.Milliseconds())) * time.Millisecond
}

// Entry is one entry of the store that is claimed before it is changed: its head, and its body as
// text, which is only read when somebody asks. Entries are values: nothing changes the text once it
// is made.
type Entry struct {
	head    head
	text    []byte // the body's fields as JSON, without the braces
	unknown []byte // those among them that a later version added: they survive being written by this one
}

// Held tells whether somebody held the entry when it was read, whether alive or not.
func (e Entry) Held() bool { return e.head.Token != "" }

// Abandoned tells whether its last holder released the entry without knowing what it did.
func (e Entry) Abandoned() bool { return e.head.Dirty }

// Dirty tells whether the entry may not list all that was done under its claims: it is held, or abandoned.
func (e Entry) Dirty() bool { return e.Held() || e.Abandoned() }

// headFields are the fields of the head.
var headFields = []string{"v", "token", "epoch", "fresh", "dirty", "intent", "lease", "settle"}

// ParseEntry reads an entry of somebody else, without claiming it.
//
// Errors: [ErrUnreadable], [ErrNewer].
func ParseEntry(value []byte) (Entry, error) { return parseEntry(value, nil) }

// parseEntry reads an entry of which a version knows some fields of the body.
func parseEntry(value []byte, known []string) (Entry, error) {
	var e Entry
	if len(value) > mostEntryBytes {
		return e, fmt.Errorf("%w: %d bytes of at most %d", ErrUnreadable, len(value), mostEntryBytes)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(value, &fields); err != nil {
		return e, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if err := json.Unmarshal(value, &e.head); err != nil {
		return e, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if e.head.V > entryVersion {
		return e, fmt.Errorf("%w: %d", ErrNewer, e.head.V)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch {
		case slices.Contains(headFields, name):
		case slices.Contains(known, name):
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

func (e Entry) encode() ([]byte, error) {
	top, err := json.Marshal(e.head)
	if err != nil {
		return nil, fmt.Errorf("ledger entry: %w", err)
	}
	return append(append([]byte{'{'}, join(top[1:len(top)-1], e.text)...), '}'), nil
}

// with gives the entry the fields of a typed body, keeping those that nobody here knows; nil
// keeps the body as it is.
func (e Entry) with(body any) (Entry, error) {
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

// Read fills a typed body from the entry. Error: its fields are of other types.
func (e Entry) Read(body any) error {
	raw := append(append([]byte{'{'}, e.text...), '}')
	if err := json.Unmarshal(raw, body); err != nil {
		return fmt.Errorf("ledger entry: %w", err)
	}
	return nil
}
