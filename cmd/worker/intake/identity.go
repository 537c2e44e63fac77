package intake

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Bounds of what a request may say besides its body.
const (
	mostTokens     = 8   // of a subject, behind the source's
	longestToken   = 64  // bytes
	longestKey     = 256 // of an Idempotency-Key, bytes
	mostAttributes = 32  // of a CloudEvent
	longestValue   = 1024
)

// subject is where a request goes: the source's own subject, and below it the words of the path.
func subject(own, path string) (string, *problem) {
	if path == "" || path == "/" {
		return own, nil
	}
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(words) > mostTokens || slices.ContainsFunc(words, func(w string) bool { return !isToken(w) }) {
		return "", noSubject()
	}
	return own + "." + strings.Join(words, "."), nil
}

// isToken tells whether a word may be one of a subject: letters, digits, - and _, so that no wildcard, no
// space and nothing that a server treats in its own way gets in.
func isToken(w string) bool {
	return w != "" && len(w) <= longestToken && !strings.ContainsFunc(w, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// attributes are the headers that go along with a message: of a CloudEvent in binary mode, and of a
// trace. The names are NATS' own for both.
func attributes(header http.Header, source string) (map[string][]string, *problem) {
	out := map[string][]string{"Forager-Source": {source}}
	for _, name := range []string{"Traceparent", "Tracestate"} {
		if v := header.Get(name); v != "" && isPlain(v) {
			out[strings.ToLower(name)] = []string{v}
		}
	}
	if header.Get("Ce-Specversion") == "" {
		return out, nil
	}
	n := 0
	for name, values := range header {
		if !strings.HasPrefix(name, "Ce-") || len(values) == 0 {
			continue
		}
		if n++; n > mostAttributes || !isPlain(values[0]) || !isToken(name) {
			return nil, unreadable("the attributes of the CloudEvent (ce-…) cannot be read, or are too many or too long")
		}
		out[strings.ToLower(name)] = []string{values[0]}
	}
	return out, nil
}

func isPlain(s string) bool {
	return len(s) <= longestValue && !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) })
}

// digest tells one event of a source from another: what it holds, and where it goes.
func digest(subject string, header map[string][]string, body []byte) [sha256.Size]byte {
	d := sha256.New()
	_, _ = io.WriteString(d, subject)
	var names []string // of a CloudEvent's attributes
	for name := range header {
		if strings.HasPrefix(name, "ce-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d.Write([]byte("\x00" + name + "\x00" + header[name][0]))
	}
	d.Write([]byte{0, 0})
	d.Write(body)
	return [sha256.Size]byte(d.Sum(nil))
}

// id is what the stream knows an event by: of the sender's key where it gives one, else of the
// event. The source is in it: nobody can make the stream take another's event for a duplicate.
func id(source, subject, key string, event [sha256.Size]byte) string {
	if key != "" {
		event = sha256.Sum256([]byte("key\x00" + subject + "\x00" + key))
	}
	return source + "." + base64.RawURLEncoding.EncodeToString(event[:24])
}

// How many keys are remembered, and how long: longer than a stream's duplicate window by default.
const (
	keysRemembered = 8192
	keyRemembered  = 10 * time.Minute
)

// keys remembers which body came under which Idempotency-Key, as far as this process saw it: under
// a key that is used again for another body, the stream would take that for a duplicate and drop it.
type keys struct {
	seen *lru.Cache[string, use]
	now  func() time.Time
}

type use struct {
	event [sha256.Size]byte
	at    time.Time
}

func newKeys(now func() time.Time) (*keys, error) {
	seen, err := lru.New[string, use](keysRemembered)
	return &keys{seen: seen, now: now}, err
}

// take notes a use and tells whether it is for the same event as the last.
func (k *keys) take(id string, event [sha256.Size]byte) bool {
	now := k.now()
	last, known, _ := k.seen.PeekOrAdd(id, use{event, now})
	if known && last.event != event && now.Sub(last.at) < keyRemembered {
		return false
	}
	k.seen.Add(id, use{event, now})
	return true
}

// forget is called where the event is not in the stream.
func (k *keys) forget(id string) { k.seen.Remove(id) }
