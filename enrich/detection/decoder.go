package detection

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"forager/enrich/detection/formats"
	"forager/enrich/detection/malformed"
	"forager/enrich/detection/tree"
)

// Options say how messages are read. The zero value reads every embedded format with the
// default limits.
type Options struct {
	// Formats are operators' directories of *.yaml; a file replaces the embedded format of its
	// name, and a later directory an earlier one.
	Formats []fs.FS
	// Pins give the format of messages by their subject; the first that matches wins.
	Pins []Pin
	// Lists are values too common to be observables, or to correlate on.
	Lists []List
	// DataTypes are observable types that the server knows beyond TheHive's built-in ones
	// (OpenAPI 5.5.13, observable types); a type that is on neither list becomes "other" with a tag.
	DataTypes []string
	// Limits bound what is read; a field that is zero has its default.
	Limits Limits
	// Generic reads an object that no format knows by well-known names, as the format "generic", and marks the detection.
	Generic bool
	// Why fills Detection.Why, at some cost.
	Why bool
	// Redact is left out of what an [Original] says: a name without a dot, of texts and numbers in
	// whatever object whose name ends with it ("token", "access_token"); a path with dots, of all that lies there. nil is [DefaultRedact].
	Redact []string
}

// Pin says that messages of a subject are of one format, whatever they look like.
type Pin struct {
	Subject string // NATS subject pattern: "*" is one token, a last ">" one or more
	Format  string // name of a format
}

// Limits bound what is read from one message. Zero is the default.
type Limits struct {
	Depth        int // objects and arrays in one another, default 64
	Keys         int // members of one object, default 10 000
	Array        int // values of one array, default 10 000
	Values       int // values of a message, those in JSON strings included, default 250 000
	Number       int // characters of one number, default 100
	Observables  int // observables of a detection, default 200
	Techniques   int // technique references of a detection, default 50
	Tags         int // tags of a detection, default 50
	Files        int // files of a detection, default 20
	Detections   int // detections of a message, default 500
	Title        int // runes of a title, default 512
	Description  int // bytes of a description, default 65 536
	Text         int // runes of any other text, default 512
	Observable   int // bytes of an observable, default and highest 4096 (TheHive's OpenAPI 5.5.13)
	FileContent  int // bytes of a file sent by value, default 8 MiB
	Unpacked     int // bytes that base64 and gzip in a message decode to, all together, default 8 MiB; gzip to ten times its size, or 256 KiB, as well
	unwrapLevels int
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Depth, 64}, {&l.Keys, 10_000}, {&l.Array, 10_000}, {&l.Values, 250_000}, {&l.Number, 100},
		{&l.Observables, 200}, {&l.Techniques, 50}, {&l.Tags, 50}, {&l.Files, 20}, {&l.Detections, 500},
		{&l.Title, 512}, {&l.Description, 64 << 10}, {&l.Text, 512}, {&l.Observable, 4096},
		{&l.FileContent, 8 << 20}, {&l.Unpacked, 8 << 20}, {&l.unwrapLevels, 6},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	l.Observable = min(l.Observable, 4096)
	l.Values = min(l.Values, 1<<24)
	l.Depth = min(l.Depth, 1000)
	return l
}

// tree are those of a message's values.
func (l Limits) tree() tree.Limits {
	return tree.Limits{Depth: l.Depth, Keys: l.Keys, Array: l.Array, Values: l.Values, Number: l.Number}
}

// Result is what a message holds.
type Result struct {
	// Format is the name of the format that read the message, or most of it: that of the first
	// detection, else of the first dropped part, else "".
	Format string
	// Detections, each with an ID that no other of them has.
	Detections []Detection
	// Dropped are the parts that are no detections.
	Dropped []Drop
	// Unreadable are parts of a batch that no format could read while others could. The message
	// is to be dead-lettered once the rest was applied. A message of which nothing could be read
	// is an error of Decode instead.
	Unreadable []*malformed.Error
	// Pinned is the format that the message's subject names, Recognised the one that its content
	// looks like; where both are set and differ, Pinned was used and somebody should know.
	Pinned, Recognised string
}

// Drop is a part of a message that is well-formed and no detection.
type Drop struct {
	Reason string // one of the Drop… constants, or a reason of an operator's own format file
	Format string // format, or envelope, that tells
}

// Why a part of a message is dropped: the embedded formats use these and no others.
const (
	DropNotDetection = "not a detection"           // telemetry, audit, metrics
	DropHeartbeat    = "heartbeat"                 // the sender says that it lives, or has lost events
	DropArchived     = "archived"                  // the sender has archived or suppressed it
	DropClosed       = "closed"                    // the sender has closed or resolved it
	DropNotAlerting  = "not alerting"              // a rule that was told not to alert
	DropPassed       = "passed check"              // a compliance check without a finding
	DropNoAlert      = "envelope without an alert" // a CloudEvent, an EventBridge event … around something else
	DropEmpty        = "empty batch"               // an array or envelope of nothing
)

// Decoder reads messages. It never changes after New, and may be used by many goroutines.
type Decoder struct {
	formats  *formats.Set
	pins     []Pin
	policy   *policy
	redact   *redaction
	limits   Limits
	why      bool
	generic  *formats.Format // of what no format knows; nil: nobody reads it
	scratchs sync.Pool
}

// New reads the embedded formats, then the operators' ones. Files that are wrong are refused with
// a *formats.Error each, joined, that names file, line, column and key; pins with a *PinError each,
// when the formats are right; a list with what is wrong in it.
func New(o Options) (*Decoder, error) {
	d := &Decoder{limits: o.Limits.withDefaults(), why: o.Why, pins: o.Pins}
	var err error
	if d.formats, err = formats.New(o.Formats...); err != nil {
		return nil, err
	}
	if o.Generic {
		d.generic = d.formats.Named(genericFormat)
	}
	if err := d.checkPins(); err != nil {
		return nil, err
	}
	if d.policy, err = newPolicy(o, d.limits); err != nil {
		return nil, err
	}
	if o.Redact == nil {
		o.Redact = DefaultRedact()
	}
	d.redact = newRedaction(o.Redact)
	d.scratchs.New = func() any { return &scratch{Tree: tree.New(d.limits.tree())} }
	return d, nil
}

// Explaining is a decoder that reads the same and fills Detection.Why, at some cost.
func (d *Decoder) Explaining() *Decoder {
	other := &Decoder{formats: d.formats, pins: d.pins, policy: d.policy, redact: d.redact, limits: d.limits, why: true, generic: d.generic}
	other.scratchs.New = d.scratchs.New
	return other
}

// genericFormat is the name of the format without conditions, which reads well-known names.
const genericFormat = "generic"

// PinError tells what is wrong with a pin.
type PinError struct {
	Index int // in [Options].Pins
	Err   error
}

// Error gives the pin's place in its list.
func (e *PinError) Error() string { return fmt.Sprintf("pin %d: %v", e.Index+1, e.Err) }

// Unwrap gives the cause.
func (e *PinError) Unwrap() error { return e.Err }

// checkPins looks at all of them.
func (d *Decoder) checkPins() error {
	var wrong []error
	for i, p := range d.pins {
		if !d.formats.Has(p.Format) {
			wrong = append(wrong, &PinError{i, fmt.Errorf("no format %q: there are %s", p.Format, strings.Join(d.formats.Names(), ", "))})
		}
		if err := checkPattern(p.Subject); err != nil {
			wrong = append(wrong, &PinError{i, err})
		}
	}
	return errors.Join(wrong...)
}

// Formats are the names of all formats, sorted.
func (d *Decoder) Formats() []string { return slices.Clone(d.formats.Names()) }
