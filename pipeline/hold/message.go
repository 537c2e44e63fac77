package hold

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Message is a message of the stream with the detections, as it was delivered.
type Message struct {
	Stream   string
	Sequence uint64
	Stored   time.Time // when the stream stored it
	Subject  string
	Header   nats.Header
	Body     []byte
}

// Name tells messages apart for ever, also those of a stream that began anew.
func (m *Message) Name() string {
	return m.Stream + "." + strconv.FormatUint(m.Sequence, 10) + "." + strconv.FormatInt(m.Stored.UnixNano(), 10)
}

// Place is where a copy lies: by the entry that counts it, and its message. Copies of other parts of one message lie
// elsewhere.
type Place struct {
	Hash    string // of the entry
	Message string // [Message.Name]
	Copy    string // names the parts
}

// String is the place's name, the last tokens of its subject.
func (p Place) String() string { return p.Hash + "." + p.Message + "." + p.Copy }

// placeOf reads a name.
func placeOf(name string) (Place, bool) {
	tokens := strings.Split(name, ".")
	if len(tokens) != 5 {
		return Place{}, false
	}
	return Place{Hash: tokens[0], Message: strings.Join(tokens[1:4], "."), Copy: tokens[4]}, true
}

// copyOf names a copy by the parts for which it is held.
func copyOf(parts []int) string {
	sum := sha256.Sum256([]byte(partsText(parts)))
	return hex.EncodeToString(sum[:4])
}

func partsText(parts []int) string {
	slices.Sort(parts)
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = strconv.Itoa(p)
	}
	return strings.Join(texts, ",")
}

// Headers of a copy. The original's own have a prefix, so that none of them acts.
const (
	headerSubject = "Forager-Subject"
	headerStream  = "Forager-Stream"
	headerNumber  = "Forager-Sequence"
	headerStored  = "Forager-Stored"
	headerParts   = "Forager-Parts"
	prefix        = "Original-"
)

// encode makes the copy that is stored.
func encode(subject string, m *Message, parts []int) *nats.Msg {
	copied := nats.NewMsg(subject)
	copied.Data = m.Body
	for name, values := range m.Header {
		copied.Header[prefix+name] = values
	}
	copied.Header.Set(headerSubject, strconv.QuoteToASCII(m.Subject))
	copied.Header.Set(headerStream, m.Stream)
	copied.Header.Set(headerNumber, strconv.FormatUint(m.Sequence, 10))
	copied.Header.Set(headerStored, m.Stored.UTC().Format(time.RFC3339Nano))
	copied.Header.Set(headerParts, partsText(parts))
	return copied
}

// decode reads what encode wrote.
func decode(header nats.Header, body []byte) (m Message, parts []int, err error) {
	m = Message{Stream: header.Get(headerStream), Header: nats.Header{}, Body: body}
	for name, values := range header {
		if own, is := strings.CutPrefix(name, prefix); is {
			m.Header[own] = values
		}
	}
	if m.Subject, err = strconv.Unquote(header.Get(headerSubject)); err != nil {
		return m, nil, fmt.Errorf("read copy: subject: %w", err)
	}
	if m.Sequence, err = strconv.ParseUint(header.Get(headerNumber), 10, 64); err != nil {
		return m, nil, fmt.Errorf("read copy: sequence: %w", err)
	}
	if m.Stored, err = time.Parse(time.RFC3339Nano, header.Get(headerStored)); err != nil {
		return m, nil, fmt.Errorf("read copy: time: %w", err)
	}
	for text := range strings.SplitSeq(header.Get(headerParts), ",") {
		part, err := strconv.Atoi(text)
		if err != nil {
			return m, nil, fmt.Errorf("read copy: parts: %w", err)
		}
		parts = append(parts, part)
	}
	return m, parts, nil
}
