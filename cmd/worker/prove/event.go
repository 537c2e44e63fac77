package prove

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// own is a detection in Forager's own form, as far as it is asked for again.
type own struct {
	Schema      string          `json:"schema"`
	ID          json.RawMessage `json:"id"`
	Time        string          `json:"time"`
	Title       string          `json:"title"`
	Observables []value         `json:"observables"`
	Techniques  []technique     `json:"techniques"`
}

// value is an observable.
type value struct {
	Type string `json:"dataType"`
	Data string `json:"data"`
}

// technique is an ATT&CK technique; the form allows its id alone.
type technique struct{ ID string }

// UnmarshalJSON reads an id, or an object with one.
func (t *technique) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &t.ID) == nil {
		return nil
	}
	var long struct{ ID, Technique string }
	if err := json.Unmarshal(raw, &long); err != nil {
		return err
	}
	t.ID = long.ID
	if t.ID == "" {
		t.ID = long.Technique
	}
	return nil
}

// schema names Forager's own form.
const schema = "forager.detection/v1"

// event is what is known of one message's body.
type event struct {
	texts []string // every text of it, bounded
	own   []own    // detections in Forager's own form; nil where one is in another
}

// Bounds of an event: what is beyond is not looked for.
const (
	mostTexts   = 400
	longestText = 300
)

// read reads a body. What is no JSON is one text, and its words.
func read(body []byte) (e event) {
	var all []any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	for {
		var v any
		if decoder.Decode(&v) != nil {
			break
		}
		all = append(all, v)
	}
	if len(all) == 0 {
		e.texts = words(string(body))
		return e
	}
	for _, v := range all {
		e.gather(v)
	}
	e.own = ownOf(body)
	return e
}

// gather collects texts.
func (e *event) gather(v any) {
	if len(e.texts) >= mostTexts {
		return
	}
	switch x := v.(type) {
	case map[string]any:
		for _, inner := range x {
			e.gather(inner)
		}
	case []any:
		for _, inner := range x {
			e.gather(inner)
		}
	case json.Number:
		e.texts = append(e.texts, x.String())
	case string:
		if len(x) > 0 && len(x) <= longestText {
			e.texts = append(e.texts, x)
		}
		if len(x) > longestText || strings.ContainsAny(x, " =\n") {
			e.texts = append(e.texts, words(x)...)
		}
	}
}

// words are the parts of a text that may stand for themselves.
func words(s string) []string {
	all := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;=\"'()[]{}<>|", r) })
	all = slices.DeleteFunc(all, func(w string) bool { return len(w) < 3 || len(w) > longestText })
	return all[:min(len(all), mostTexts/4)]
}

// ownOf reads detections in Forager's own form: one, an array, or one a line.
func ownOf(body []byte) (all []own) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	for {
		var raw json.RawMessage
		if decoder.Decode(&raw) != nil {
			return all
		}
		several := []json.RawMessage{raw}
		if raw[0] == '[' && json.Unmarshal(raw, &several) != nil {
			return nil
		}
		for _, one := range several {
			var o own
			if json.Unmarshal(one, &o) != nil || o.Schema != schema {
				return nil
			}
			all = append(all, o)
		}
	}
}

// id is a detection's id as a text.
func (o own) id() string {
	var s string
	if json.Unmarshal(o.ID, &s) == nil {
		return s
	}
	return string(o.ID)
}

// at is when it happened, where that is written as RFC 3339.
func (o own) at() (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, o.Time)
	return t, err == nil
}

// shortHash is the hash that Forager's documents call short: half a SHA-256 over the parts, parted by zero bytes.
func shortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

var plain = regexp.MustCompile(`^[A-Za-z0-9._:/@=+-]{1,64}$`)

// markedAs is how a marker names an id.
func markedAs(id string) string {
	if plain.MatchString(id) {
		return id
	}
	return "sha256-" + shortHash(id)
}

// folded is a value as values are compared: an address in its one spelling, else lower case.
func folded(s string) string {
	s = strings.TrimSpace(s)
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return strings.ToLower(s)
}

// keysOf are the tags of all cases that could be that of a text: as host, user, address or key.
func keysOf(text string, organisations []string) (tags []string) {
	whole := folded(text)
	first, _, _ := strings.Cut(whole, ".")
	for _, organisation := range organisations {
		for _, kind := range []string{"key", "host", "user", "ip"} {
			tags = append(tags, "forager:"+shortHash(organisation, kind, whole))
		}
		if first != whole && first != "" {
			tags = append(tags, "forager:"+shortHash(organisation, "host", first))
		}
	}
	return tags
}
