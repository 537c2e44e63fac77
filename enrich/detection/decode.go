package detection

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
	"forager/enrich/detection/malformed"
	"forager/enrich/detection/tree"
)

// scratch is what one Decode needs and the next one can have.
type scratch struct {
	*tree.Tree
	hits     formats.Hits
	unpacked int      // bytes that came out of base64 and gzip so far
	telling  *telling // who wants to know what events say; nil is nobody
	decoding reading  // room for what one message and one event of it need: nothing outside keeps them
	current  event
}

// maxPooled is the number of values up to which a tree is kept for the next message.
const maxPooled = 64 << 10

// part is one event within a message.
type part struct {
	root   int32
	format *formats.Format // nil where nothing knows it
	pinned bool
	outer  envelope         // the innermost envelope around it
	host   string           // folded, of a part of an event that is of several hosts
	nth    int              // of these, from 0
	drop   string           // why the part is no detection, where the envelope tells
	err    *malformed.Error // why it is not to be read
}

// Decode reads a message. It is pure: the same message gives the same result, and the message is
// not changed. A message of which nothing can be read is a *malformed.Error; bytes that are not
// JSON are so as a whole, since nothing in them can be trusted to be what was sent. Bytes that are not
// UTF-8 become U+FFFD, and mark the detections that have them: one byte is not to hide an alert.
func (d *Decoder) Decode(m Message) (Result, error) { return d.decode(m, nil) }

// decode reads a message; told what its events say, where somebody wants to know, instead of what they mean.
func (d *Decoder) decode(m Message, t *telling) (Result, error) {
	s, _ := d.scratchs.Get().(*scratch)
	s.telling = t
	defer d.release(s)
	u := unwrapper{Decoder: d, scratch: s, pin: d.pin(m.Subject)}
	root, broken, err := u.parse(m.Body)
	if err != nil {
		return Result{}, err
	}
	if err := u.unwrap(root, outermost(m.Header), 0); err != nil {
		return Result{}, err
	}
	s.decoding = reading{Decoder: d, scratch: s, message: m, broken: broken, source: &original{decoder: d, message: m}}
	return s.decoding.result(&u)
}

// parse puts a body on the tree: JSON, or text that is read; broken tells that bytes of it are not UTF-8.
func (u *unwrapper) parse(body []byte) (root int32, broken bool, err error) {
	body, err = u.expanded(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if err != nil {
		return 0, false, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return 0, false, malformed.New(malformed.Empty, "")
	}
	broken = !utf8.Valid(body)
	if broken {
		body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	}
	root, err = u.ParseAll(string(body))
	if malformed.Is(err, malformed.InvalidJSON) {
		root, err = u.plainText(body, err)
	}
	if err != nil && broken && malformed.Is(err, malformed.InvalidJSON) {
		return 0, true, malformed.New(malformed.InvalidUTF8, "")
	}
	return root, broken, err
}

// release keeps a scratch for the next message, but not what it read.
func (d *Decoder) release(s *scratch) {
	if len(s.Nodes) > maxPooled {
		return
	}
	s.Reset()
	s.unpacked, s.telling, s.decoding, s.current = 0, nil, reading{}, event{}
	d.scratchs.Put(s)
}

// pin is the format that the subject names, nil for none.
func (d *Decoder) pin(subject string) *formats.Format {
	for _, p := range d.pins {
		if MatchSubject(p.Subject, subject) {
			return d.formats.Named(p.Format)
		}
	}
	return nil
}

// reading turns the parts of one message into detections.
type reading struct {
	*Decoder
	*scratch
	message Message
	broken  bool // bytes that are no UTF-8 were replaced
	out     Result
	byID    map[string]int
	last    []string // by detection: what to correlate it by where it names nobody
	source  *original
	events  int // that were read so far
}

func (r *reading) result(u *unwrapper) (Result, error) {
	if u.pin != nil {
		r.out.Pinned = u.pin.Format
	}
	r.out.Recognised = u.recognised
	for _, p := range u.parts {
		if err := r.part(p); err != nil {
			return Result{}, err
		}
	}
	r.correlate()
	if len(r.out.Detections) == 0 && len(r.out.Dropped) == 0 {
		if len(r.out.Unreadable) == 0 {
			return Result{}, malformed.New(malformed.UnknownFormat, "nothing in the message is an event")
		}
		first := *r.out.Unreadable[0]
		return r.out, &first
	}
	switch {
	case len(r.out.Detections) > 0:
		r.out.Format = r.out.Detections[0].Format
	case len(r.out.Dropped) > 0:
		r.out.Format = r.out.Dropped[0].Format
	}
	return r.out, nil
}

// part reads one event. Its error ends the reading of the message; what one part alone is guilty
// of goes to Unreadable.
func (r *reading) part(p part) error {
	if p.format == nil && p.err == nil && (p.drop == "" || p.drop == DropNoAlert) && r.generic != nil && r.Nodes[p.root].Kind == tree.Object {
		p.format, p.drop = r.generic, ""
	}
	if p.drop != "" {
		r.out.Dropped = append(r.out.Dropped, Drop{Reason: p.drop, Format: p.outer.name})
		return nil
	}
	if p.err != nil {
		r.out.Unreadable = append(r.out.Unreadable, p.err)
		return nil //nolint:nilerr // it is this part's own, and kept
	}
	if p.format == nil {
		r.out.Unreadable = append(r.out.Unreadable, malformed.New(malformed.UnknownFormat, r.describe(p.root)))
		return nil
	}
	for _, drop := range p.format.Drop {
		if formats.Holds(r.Tree, p.root, drop.When) {
			if done, err := r.carried(p, drop.Reason); done || err != nil {
				return err
			}
			r.out.Dropped = append(r.out.Dropped, Drop{Reason: drop.Reason, Format: p.format.Format})
			return nil
		}
	}
	return r.splitting(p, r.read)
}

// carried reads the event that a mere message has as JSON in its text, where it is known.
func (r *reading) carried(p part, reason string) (bool, error) {
	if reason != DropNotDetection || p.pinned {
		return false, nil
	}
	for _, way := range carriers {
		for _, c := range (&unwrapper{scratch: r.scratch}).follow(p.root, way, nil) {
			if s := strings.TrimSpace(r.TextOf(c)); r.Nodes[c].Kind != tree.Text || s == "" || s[0] != '{' && s[0] != '[' {
				continue
			}
			u := unwrapper{Decoder: r.Decoder, scratch: r.scratch}
			done, err := u.try([]int32{c}, p.outer.into(p.format.Format), 0, many)
			if !done || err != nil {
				return false, err
			}
			for _, inner := range u.parts {
				if err := r.part(inner); err != nil {
					return true, err
				}
			}
			return true, nil
		}
	}
	return false, nil
}

// carriers are the members in which a log record has what was logged.
var carriers = []string{"message", "event.original", "event/original", "_raw", "log"}

// read makes the detection of one event, or of one host's part of it.
func (r *reading) read(p part) error {
	index := r.events
	r.events++
	if r.telling != nil {
		r.tell(p.root, index)
		return nil
	}
	e := &r.current
	*e = event{reading: r, format: p.format, part: p}
	det, err := e.detection()
	det.Original = &Original{r.source, index}
	if err != nil {
		if m, ok := errors.AsType[*malformed.Error](err); ok && m.Reason == malformed.NothingToRead {
			r.out.Unreadable = append(r.out.Unreadable, m)
			return nil
		}
		return err
	}
	if r.why {
		for _, step := range p.outer.steps {
			det.Why = append(det.Why, Origin{Field: "envelope", Path: step})
		}
	}
	if p.format.Format == genericFormat {
		det.mark(MarkGeneric)
	}
	if r.broken && r.replaced(p.root) {
		det.mark(MarkInvalidUTF8)
	}
	if len(p.format.Split.Of) == 0 {
		return r.collect(det, e.lastKey)
	}
	for _, one := range e.perHost(det) {
		if err := r.collect(one, e.lastKey); err != nil {
			return err
		}
	}
	return nil
}

// replaced tells whether a text at or below n has a character that stands for a broken one.
func (r *reading) replaced(n int32) bool {
	if strings.ContainsRune(r.Nodes[n].Text, utf8.RuneError) || strings.ContainsRune(r.Nodes[n].Key, utf8.RuneError) {
		return true
	}
	for c := r.Nodes[n].First; c != 0; c = r.Nodes[c].Next {
		if r.replaced(c) {
			return true
		}
	}
	return false
}

// collect adds a detection, or what is new in it to the one that has its id already: the rows of
// one alert, or an alert sent twice.
func (r *reading) collect(det Detection, lastKey string) error {
	if len(r.out.Detections) >= r.limits.Detections {
		return malformed.New(malformed.TooMany, fmt.Sprintf("more than %d", r.limits.Detections))
	}
	if r.byID == nil {
		r.byID = map[string]int{}
	}
	key := det.Format + "\x00" + det.ID
	if i, ok := r.byID[key]; ok {
		r.out.Detections[i].merge(det, r.limits)
		r.last[i] = cmp.Or(r.last[i], lastKey)
		return nil
	}
	r.byID[key] = len(r.out.Detections)
	r.out.Detections = append(r.out.Detections, det)
	r.last = append(r.last, lastKey)
	return nil
}

// correlate gives a last key to what names nobody.
func (r *reading) correlate() {
	for i := range r.out.Detections {
		if d := &r.out.Detections[i]; r.last[i] != "" && !d.namesSomebody() {
			d.Key = r.last[i]
		}
	}
}

// describe names the members of an unknown event, which helps to write a format for it.
func (r *reading) describe(n int32) string {
	if r.Nodes[n].Kind != tree.Object {
		return "no object"
	}
	var names []string
	for c := r.Nodes[n].First; c != 0 && len(names) < 8; c = r.Nodes[c].Next {
		names = append(names, canon.Line(r.Nodes[c].Key, 32))
	}
	return "an object of " + strings.Join(names, ", ")
}
