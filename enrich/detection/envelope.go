package detection

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"forager/enrich/detection/formats"
	"forager/enrich/detection/malformed"
	"forager/enrich/detection/tree"
)

// envelope is what a transport wraps around events.
type envelope struct {
	name   string   // "cloudevents", "" where there is none
	id     string   // identity that it gives the event, used where the event has none
	closed bool     // whatever is inside came through it: nothing known in it is a drop, not an error
	steps  []string // all that was taken off, the outermost first; never changed in place
	depth  int      // wrappers among the steps
}

// into is the envelope around what is one wrapper further inside.
func (e envelope) into(name string) envelope {
	e.depth++
	return e.by(name)
}

// by is the envelope around what was decoded by an encoding, which is no further inside.
func (e envelope) by(name string) envelope {
	e.steps = append(slices.Clip(e.steps), name)
	if e.name == "" {
		e.name = name
	}
	return e
}

// unwrapper finds the events of a message.
type unwrapper struct {
	*Decoder
	*scratch
	pin        *formats.Format
	parts      []part
	recognised string
}

// outermost is the envelope that CloudEvents' binary mode makes of headers: names in any case,
// values percent-encoded once (NATS protocol binding 1.0).
func outermost(header map[string][]string) envelope {
	var version, id, source string
	for name, values := range header {
		if len(values) == 0 {
			continue
		}
		switch strings.ToLower(name) {
		case "ce-specversion":
			version = values[0]
		case "ce-id":
			id = ceText(values[0])
		case "ce-source":
			source = ceText(values[0])
		}
	}
	if version == "" || id == "" {
		return envelope{}
	}
	return envelope{name: "cloudevents", id: source + "/" + id, closed: true}
}

func ceText(s string) string {
	if plain, err := url.PathUnescape(s); err == nil && utf8.ValidString(plain) {
		return plain
	}
	return s
}

// unwrap finds the events at and below n.
func (u *unwrapper) unwrap(n int32, outer envelope, level int) error {
	if outer.depth > u.limits.unwrapLevels || level > maxLevels {
		u.failed(n, outer, malformed.New(malformed.TooDeep, "envelopes in envelopes"))
		return nil
	}
	switch u.Nodes[n].Kind {
	case tree.List:
		return u.batch(n, outer, level)
	case tree.Text:
		return u.string(n, outer, level)
	case tree.Object:
		for i := range strict {
			if u.fits(n, &strict[i]) {
				return u.open(n, &strict[i], outer, level)
			}
		}
		return u.event(n, outer, level)
	}
	u.unknown(n, outer)
	return nil
}

// string goes on in what a string holds.
func (u *unwrapper) string(n int32, outer envelope, level int) error {
	inner, in, err := u.inString(n, outer)
	if m, ok := errors.AsType[*malformed.Error](err); ok && (m.Reason == malformed.TooLarge || m.Reason == malformed.TooDeep) {
		u.failed(n, in, m)
		return nil
	}
	if err != nil {
		return err
	}
	if inner != 0 {
		return u.unwrap(inner, in, level+1)
	}
	u.unknown(n, outer)
	return nil
}

func (u *unwrapper) batch(n int32, outer envelope, level int) error {
	if u.Nodes[n].Count == 0 {
		u.parts = append(u.parts, part{root: n, outer: outer, drop: DropEmpty})
	}
	if record := u.fluentRecord(n); record != 0 {
		return u.unwrap(record, outer, level+1)
	}
	structured := false
	for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
		structured = structured || u.Nodes[c].Kind >= tree.List
	}
	for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
		one := outer
		if u.Nodes[n].Count > 1 {
			one.id = "" // the envelope's identity is that of no one of them
		}
		var err error
		switch kind := u.Nodes[c].Kind; {
		case structured && kind < tree.Text: // a number beside an object is a time or an offset, and no event that failed
		case structured && kind == tree.Text: // a tag, or an event in a string
			_, err = u.try([]int32{c}, one, level, many)
		default:
			err = u.unwrap(c, one, level+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fluentRecord is the record of Fluent Bit's [[time, metadata], record], or the records of Fluentd's
// [tag, [[time, record], …], options]; 0 is none.
func (u *unwrapper) fluentRecord(n int32) int32 {
	head := u.Nodes[n].First
	if c := u.Nodes[n].Count; (c == 2 || c == 3) && u.Nodes[head].Kind == tree.Text && u.Nodes[u.Nodes[head].Next].Kind == tree.List {
		return u.Nodes[head].Next
	}
	if u.Nodes[n].Count != 2 || u.Nodes[head].Kind != tree.List || u.Nodes[head].Count != 2 {
		return 0
	}
	at, record := u.Nodes[head].First, u.Nodes[head].Next
	if u.Nodes[at].Kind == tree.Number && u.Nodes[u.Nodes[at].Next].Kind == tree.Object && u.Nodes[record].Kind == tree.Object {
		return record
	}
	return 0
}

// fits tells whether an object is a wrapper's envelope.
func (u *unwrapper) fits(n int32, w *wrapper) bool {
	for _, name := range w.has {
		if u.Child(n, name) == 0 {
			return false
		}
	}
	if w.name == "cloudevents" {
		return u.Nodes[u.Child(n, "specversion")].Kind == tree.Text && u.Nodes[u.Child(n, "type")].Kind == tree.Text
	}
	if w.says[0] != "" && u.TextOf(u.Child(n, w.says[0])) != w.says[1] {
		return false
	}
	return w.not == "" || u.Child(n, w.not) == 0
}

// open goes on inside an envelope. One that holds nothing that anybody knows is a drop.
func (u *unwrapper) open(n int32, w *wrapper, outer envelope, level int) error {
	in := outer.into(w.name)
	in.name, in.closed = w.name, true
	switch {
	case w.name == "cloudevents":
		in.id = u.TextOf(u.Child(n, "source")) + "/" + u.TextOf(u.Child(n, "id"))
	case w.id != "" && u.TextOf(u.Child(n, w.id)) != "":
		in.id = u.TextOf(u.Child(n, w.id))
	}
	for _, name := range w.inner {
		c := u.Child(n, name)
		if c == 0 {
			continue
		}
		if c != 0 && u.Nodes[c].Kind != tree.Null {
			return u.unwrap(c, in, level+1)
		}
	}
	u.unknown(n, in)
	return nil
}

// event recognises an object, or looks for an event in the usual members of what nobody knows.
func (u *unwrapper) event(n int32, outer envelope, level int) error {
	f := u.formats.Recognise(u.Tree, n)
	if f != nil && len(f.Inside) > 0 {
		if done, err := u.instead(n, f, outer, level); done || err != nil {
			return err
		}
	}
	if f != nil && u.recognised == "" {
		u.recognised = f.Format
	}
	if u.pin != nil && (f == nil || f != u.pin) {
		if f == nil {
			if done, err := u.inside(n, outer, level); done || err != nil {
				return err
			}
		}
		u.parts = append(u.parts, part{root: n, format: u.pin, pinned: true, outer: outer})
		return nil
	}
	if f != nil {
		u.parts = append(u.parts, part{root: n, format: f, outer: outer})
		return nil
	}
	if done, err := u.inside(n, outer, level); done || err != nil {
		return err
	}
	u.unknown(n, outer)
	return nil
}

// instead reads what an event of a format is only the messenger of, where that is known.
func (u *unwrapper) instead(n int32, f *formats.Format, outer envelope, level int) (done bool, err error) {
	for i := range f.Inside {
		var found []int32
		u.Under(n, f.Inside[i].Steps, false, func(c int32) bool {
			found = append(found, c)
			return true
		})
		if done, err = u.try(found, outer.into(f.Format), level, many); done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// inside tries the wrappers that anybody's event may look like; it is done when something below one
// of them is known, or hostile.
func (u *unwrapper) inside(n int32, outer envelope, level int) (bool, error) {
	before := len(u.parts)
	for i := range around {
		w := &around[i]
		if !u.fits(n, w) {
			continue
		}
		if w.drop != "" {
			u.parts = append(u.parts, part{root: n, drop: w.drop, outer: envelope{name: w.name}})
			return true, nil
		}
		for _, c := range u.contents(n, w) {
			if done, err := u.try(c, outer.into(w.name), level, many); done || err != nil {
				return done, err
			}
		}
	}
	for _, name := range loose {
		c := u.Child(n, name)
		if c == 0 || u.Nodes[c].Kind < tree.Text {
			continue
		}
		if done, err := u.try([]int32{c}, outer.into(name), level, u.Nodes[n].Count); done || err != nil {
			return done, err
		}
	}
	return len(u.parts) > before, nil
}

// try unwraps values, and keeps what it finds if any of it is known. What is hostile is kept once.
func (u *unwrapper) try(values []int32, in envelope, level int, members int32) (bool, error) {
	sub := unwrapper{Decoder: u.Decoder, scratch: u.scratch}
	for _, c := range values {
		if err := sub.unwrap(c, in, level+1); err != nil {
			return false, err
		}
	}
	if !sub.known(members) {
		for _, p := range sub.parts {
			if p.err != nil && u.pin == nil && !slices.ContainsFunc(u.parts, func(have part) bool { return have.err != nil }) {
				u.parts = append(u.parts, p)
			}
		}
		return false, nil
	}
	for _, p := range sub.parts {
		if u.pin != nil && p.format != nil {
			p.format, p.pinned = u.pin, true
		}
		u.parts = append(u.parts, p)
	}
	if u.recognised == "" {
		u.recognised = sub.recognised
	}
	return true, nil
}

// pageMembers is the number of members up to which an object around an empty array is the page of
// an answer (value, @odata.context, next link, count), and not an event with an empty array in it.
const pageMembers = 4

// many is more members than a page has.
const many = pageMembers + 1

// known tells whether any part is of a known format, or all there is an empty batch, or what an
// envelope says to be none.
func (u *unwrapper) known(outerMembers int32) bool {
	for _, p := range u.parts {
		switch p.drop {
		case "":
			if p.format != nil {
				return true
			}
		case DropEmpty:
			if outerMembers <= pageMembers {
				return true
			}
		case DropNotDetection, DropHeartbeat:
			return true
		}
	}
	return false
}

func (u *unwrapper) unknown(n int32, outer envelope) {
	p := part{root: n, outer: outer}
	if u.pin != nil && u.Nodes[n].Kind == tree.Object {
		p.format, p.pinned = u.pin, true
	} else if outer.closed {
		p.drop = DropNoAlert
	}
	u.parts = append(u.parts, p)
}

// failed keeps that what is at n is not to be read.
func (u *unwrapper) failed(n int32, outer envelope, err *malformed.Error) {
	u.parts = append(u.parts, part{root: n, outer: outer, err: err})
}

// inString reads a string that holds JSON, lines of text, or either of them in base64 and gzip; 0 is none.
func (u *unwrapper) inString(n int32, outer envelope) (int32, envelope, error) {
	src := strings.TrimSpace(u.TextOf(n))
	if plain, by, err := u.unpack(src); err != nil {
		return 0, outer, err
	} else if len(by) > 0 {
		src = strings.TrimSpace(plain)
		for _, name := range by {
			outer = outer.by(name)
		}
	}
	if len(src) < 2 {
		return 0, outer, nil
	}
	if src[0] == '{' || src[0] == '[' {
		root, err := u.ParseAll(src)
		if malformed.Is(err, malformed.InvalidJSON) {
			return 0, outer, nil
		}
		return root, outer, err
	}
	return u.lines(src, outer)
}
