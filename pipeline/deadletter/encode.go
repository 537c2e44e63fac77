package deadletter

import (
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// Headers of a dead letter that a requeued message has, too. Anybody who may publish can write them.
const (
	HeaderTime     = "Forager-Time"     // when the message was stored first, before any requeue, RFC 3339 in UTC
	HeaderRequeued = "Forager-Requeued" // how often it was requeued
	HeaderProof    = "Forager-Proof"    // that the worker which gave it up says so
)

// Headers of a dead letter. The original's own headers are kept under their names, but those
// on which NATS or Forager would act: they get originalPrefix.
const (
	headerReason   = "Forager-Reason"
	headerClass    = "Forager-Class"
	headerStep     = "Forager-Step"
	headerStatus   = "Forager-Status"
	headerAttempts = "Forager-Attempts"
	headerError    = "Forager-Error"
	headerSubject  = "Forager-Subject"
	headerStream   = "Forager-Stream"
	headerSequence = "Forager-Sequence"
	headerStored   = "Forager-Stored" // when the stream stored this message
	headerDied     = "Forager-Died"
	headerFormat   = "Forager-Format"
	headerWorker   = "Forager-Worker"

	originalPrefix = "Forager-Original-"
	foragerPrefix  = "forager-"
	natsPrefix     = "nats-"
)

// Requeue is what a requeued message says of itself, as its headers have it. Anybody who may publish can
// write them: they mean nothing without the proof.
type Requeue struct {
	Time     string // when the message was stored first
	Requeued string // how often it was requeued
	Proof    string // what the dead letter had in Proof
}

// RequeueOf reads the headers of a message; all is empty where it was not requeued.
func RequeueOf(h nats.Header) Requeue {
	return Requeue{Time: h.Get(HeaderTime), Requeued: h.Get(HeaderRequeued), Proof: h.Get(HeaderProof)}
}

// Next is what the message says of itself once this dead letter of it is requeued.
func (m Message) Next() Requeue {
	return Requeue{Time: instant(m.Time), Requeued: strconv.Itoa(m.Requeued + 1), Proof: m.Proof}
}

// First is when the message was stored first, and how often it was requeued; zero is what cannot be read.
func (r Requeue) First() (stored time.Time, requeued int) {
	stored, _ = time.Parse(time.RFC3339Nano, r.Time)
	requeued, _ = strconv.Atoi(r.Requeued)
	return stored, requeued
}

// MaxHeader bounds what is added to the original's headers, in bytes.
const MaxHeader = 4 << 10

// longestWorker bounds the name of who gave a message up, in bytes.
const longestWorker = 256

// Subject is where the dead letter of a message is stored, unless that place is another's: see [Queue.Store].
func Subject(from string, sequence uint64) string {
	return stream.DeadLetterPrefix + from + "." + strconv.FormatUint(sequence, 10)
}

// encode makes the message that is stored: the original's bytes, and headers that say why.
func encode(m Message) *nats.Msg {
	encoded := nats.NewMsg(Subject(m.Stream, m.Sequence))
	encoded.Data = m.Body
	keepOriginals(encoded.Header, m.Header, m.Requeued > 0)
	room := MaxHeader
	for _, h := range [][2]string{
		{headerSubject, encodeSubject(m.Subject)}, {headerStream, m.Stream},
		{headerSequence, strconv.FormatUint(m.Sequence, 10)},
		{headerStored, instant(m.Stored)}, {HeaderTime, instant(m.Time)}, {headerDied, instant(m.Died)},
		{headerReason, m.Reason}, {headerClass, m.Class}, {headerAttempts, strconv.Itoa(m.Attempts)},
		{headerFormat, m.Format}, {headerWorker, stream.Cut(m.Worker, longestWorker)}, {HeaderRequeued, times(m.Requeued)},
		{HeaderProof, m.Proof}, {headerStep, m.Step}, {headerStatus, times(m.Status)},
	} {
		if h[1] == "" {
			continue
		}
		value := stream.OneLine(h[1])
		encoded.Header.Set(h[0], value)
		room -= len(h[0]) + len(value) + len(": \r\n")
	}
	if m.Detail != "" {
		room -= len(headerError) + len(": \r\n")
		encoded.Header.Set(headerError, stream.Cut(stream.OneLine(m.Detail), max(room, 0)))
	}
	return encoded
}

// times is a count as a header; none is empty.
func times(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// keepOriginals copies the headers of a message so that they neither act nor pass for ours. Those
// that a requeue wrote are written anew: they are no part of the original.
func keepOriginals(to, from nats.Header, requeued bool) {
	for name, values := range from {
		if requeued && (name == HeaderTime || name == HeaderRequeued || name == HeaderProof) {
			continue
		}
		folded := strings.ToLower(name)
		if strings.HasPrefix(folded, natsPrefix) || strings.HasPrefix(folded, foragerPrefix) {
			name = originalPrefix + name
		}
		to[name] = append(to[name], values...)
	}
}

// decode reads what encode wrote. Foreign messages give what they have.
func decode(raw *jetstream.RawStreamMsg) Message {
	h := raw.Header
	m := Message{
		Number: raw.Sequence, Reason: h.Get(headerReason), Class: h.Get(headerClass), Step: h.Get(headerStep),
		Status: number(h, headerStatus), Detail: h.Get(headerError), Attempts: number(h, headerAttempts),
		Format: h.Get(headerFormat), Subject: decodeSubject(h.Get(headerSubject)), Stream: h.Get(headerStream),
		Stored: moment(h, headerStored), Time: moment(h, HeaderTime), Died: moment(h, headerDied),
		Worker: h.Get(headerWorker), Requeued: number(h, HeaderRequeued), Proof: h.Get(HeaderProof), Body: raw.Data,
	}
	m.Sequence, _ = strconv.ParseUint(h.Get(headerSequence), 10, 64)
	if m.Died.IsZero() {
		m.Died = raw.Time
	}
	m.Header = originals(h)
	return m
}

// originals gives the original's headers their names back.
func originals(h nats.Header) map[string][]string {
	own := map[string][]string{}
	for name, values := range maps.All(h) {
		original, kept := strings.CutPrefix(name, originalPrefix)
		if kept || !strings.HasPrefix(strings.ToLower(name), foragerPrefix) && !strings.HasPrefix(strings.ToLower(name), natsPrefix) {
			own[original] = values
		}
	}
	return own
}

func number(h nats.Header, name string) int {
	n, _ := strconv.Atoi(h.Get(name))
	return n
}

func moment(h nats.Header, name string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, h.Get(name))
	return t
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// encodeSubject writes a subject, in which NATS allows nearly every byte, so that it can act
// neither in a header nor on a terminal and is read again byte for byte: what is no visible ASCII,
// and "%", is percent-encoded.
func encodeSubject(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// decodeSubject reads what encodeSubject wrote; what it did not write is taken as it is.
func decodeSubject(s string) string {
	if raw, err := url.PathUnescape(s); err == nil && encodeSubject(raw) == s {
		return raw
	}
	return s
}
