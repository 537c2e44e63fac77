package detection

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"
)

// envelope is what a transport wraps around events.
type envelope struct {
	name   string // "cloudevents", "" where there is none
	id     string // identity that it gives the event, used where the event has none
	closed bool   // whatever is inside came through it: nothing known in it is a drop, not an error
}

// wrapper is a known envelope: when all of has are there, the event is at the first of inner.
type wrapper struct {
	name  string
	has   []string
	not   string
	inner []string
	id    string // member that holds the identity
}

// strict wrappers come before any format: their names are unmistakable.
var strict = []wrapper{
	{name: "cloudevents", has: []string{"specversion", "id", "source", "type"}, inner: []string{"data", "data_base64"}},
	{name: "elasticsearch hit", has: []string{"_source", "_id"}, inner: []string{"_source"}, id: "_id"},
	{name: "elasticsearch hit", has: []string{"_source", "_index"}, inner: []string{"_source"}},
	{name: "elasticsearch hit", has: []string{"fields", "_index"}, not: "_source", inner: []string{"fields"}, id: "_id"},
	{name: "eventbridge", has: []string{"detail-type", "detail", "source"}, inner: []string{"detail"}, id: "id"},
	{name: "sns", has: []string{"Type", "MessageId", "TopicArn", "Message"}, inner: []string{"Message"}, id: "MessageId"},
}

// loose wrappers are tried on what no format knows, in this order, by these names of members.
var loose = []string{
	"records", "Records", "value", "findings", "Findings", "_source", "source", "hits", "result", "results", "data", "detail",
	"alerts", "alert", "detections", "detection", "events", "event", "items", "incidents", "threats", "resources", "object",
	"properties", "message", "Message", "_raw", "raw", "raw_data", "event.original", "original", "payload", "body", "log", "msg", "content", "doc",
}

// unwrapper finds the events of a message.
type unwrapper struct {
	*Decoder
	*tree
	pin        *format
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
	if level > u.limits.unwrapLevels {
		return malformed(TooDeep, "envelopes in envelopes")
	}
	switch u.nodes[n].kind {
	case list:
		return u.batch(n, outer, level)
	case text:
		inner, err := u.inString(n)
		if err != nil {
			return err
		}
		if inner != 0 {
			return u.unwrap(inner, outer, level+1)
		}
	case object:
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

func (u *unwrapper) batch(n int32, outer envelope, level int) error {
	if u.nodes[n].count == 0 {
		u.parts = append(u.parts, part{root: n, outer: outer, drop: DropEmpty})
	}
	structured := false
	for c := u.nodes[n].first; c != 0; c = u.nodes[c].next {
		structured = structured || u.nodes[c].kind >= list
	}
	for c := u.nodes[n].first; c != 0; c = u.nodes[c].next {
		if structured && u.nodes[c].kind < text {
			continue // a number beside an object is a time or an offset, and no event that failed
		}
		one := outer
		if u.nodes[n].count > 1 {
			one.id = "" // the envelope's identity is that of no one of them
		}
		if err := u.unwrap(c, one, level+1); err != nil {
			return err
		}
	}
	return nil
}

// fits tells whether an object is a wrapper's envelope.
func (u *unwrapper) fits(n int32, w *wrapper) bool {
	for _, name := range w.has {
		if u.child(n, name) == 0 {
			return false
		}
	}
	if w.name == "cloudevents" {
		return u.nodes[u.child(n, "specversion")].kind == text && u.nodes[u.child(n, "type")].kind == text
	}
	return w.not == "" || u.child(n, w.not) == 0
}

// open goes on inside an envelope. One that holds nothing that anybody knows is a drop.
func (u *unwrapper) open(n int32, w *wrapper, outer envelope, level int) error {
	in := envelope{name: w.name, id: outer.id, closed: true}
	switch {
	case w.name == "cloudevents":
		in.id = u.textOf(u.child(n, "source")) + "/" + u.textOf(u.child(n, "id"))
	case w.id != "" && u.textOf(u.child(n, w.id)) != "":
		in.id = u.textOf(u.child(n, w.id))
	}
	for _, name := range w.inner {
		c := u.child(n, name)
		if c == 0 {
			continue
		}
		if name == "data_base64" {
			c = u.inBase64(c)
		}
		if c != 0 && u.nodes[c].kind != null {
			return u.unwrap(c, in, level+1)
		}
	}
	u.unknown(n, in)
	return nil
}

// event recognises an object, or looks for an event in the usual members of what nobody knows.
func (u *unwrapper) event(n int32, outer envelope, level int) error {
	f := u.recognise(u.tree, n)
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

// inside tries the loose wrappers; it is done when something below one of them is known.
func (u *unwrapper) inside(n int32, outer envelope, level int) (bool, error) {
	for _, name := range loose {
		c := u.child(n, name)
		if c == 0 || u.nodes[c].kind == null {
			continue
		}
		if k := u.nodes[c].kind; k != object && k != list && k != text {
			continue
		}
		if level >= u.limits.unwrapLevels {
			return false, nil
		}
		try := unwrapper{Decoder: u.Decoder, tree: u.tree}
		in := outer
		if in.name == "" {
			in.name = name
		}
		if err := try.unwrap(c, in, level+1); err != nil {
			return false, err
		}
		if try.known(u.nodes[n].count) {
			for _, p := range try.parts {
				if u.pin != nil && p.format != nil {
					p.format, p.pinned = u.pin, true
				}
				u.parts = append(u.parts, p)
			}
			if u.recognised == "" {
				u.recognised = try.recognised
			}
			return true, nil
		}
	}
	return false, nil
}

// pageMembers is the number of members up to which an object around an empty array is the page of
// an answer (value, @odata.context, next link, count), and not an event with an empty array in it.
const pageMembers = 4

// known tells whether any part is of a known format, or all there is an empty batch.
func (u *unwrapper) known(outerMembers int32) bool {
	for _, p := range u.parts {
		if p.format != nil || p.drop == DropEmpty && outerMembers <= pageMembers {
			return true
		}
	}
	return false
}

func (u *unwrapper) unknown(n int32, outer envelope) {
	p := part{root: n, outer: outer}
	if u.pin != nil && u.nodes[n].kind == object {
		p.format, p.pinned = u.pin, true
	} else if outer.closed {
		p.drop = DropNoAlert
	}
	u.parts = append(u.parts, p)
}

// inString parses a string that looks like JSON; 0 is none.
func (u *unwrapper) inString(n int32) (int32, error) {
	src := strings.TrimSpace(u.textOf(n))
	if len(src) < 2 || src[0] != '{' && src[0] != '[' {
		return 0, nil
	}
	root, err := u.parse(src)
	if isReason(err, InvalidJSON) {
		return 0, nil
	}
	return root, err
}

// inBase64 decodes CloudEvents' data_base64; 0 where it holds no JSON.
func (u *unwrapper) inBase64(n int32) int32 {
	raw, err := base64.StdEncoding.DecodeString(u.textOf(n))
	if err != nil {
		return 0
	}
	root, err := u.parse(strings.ToValidUTF8(string(raw), "\ufffd"))
	if err != nil {
		return 0
	}
	return root
}
