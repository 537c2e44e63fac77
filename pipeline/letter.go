package pipeline

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/nats-io/nats.go"

	"forager/enrich"
	"forager/pipeline/stream"
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
	headerTime     = "Forager-Time"   // when it was stored first, before any requeue
	headerDied     = "Forager-Died"
	headerFormat   = "Forager-Format"
	headerWorker   = "Forager-Worker"
	headerRequeued = "Forager-Requeued" // how often the message was requeued
	headerProof    = "Forager-Proof"    // that a requeue says so: see voucher

	originalPrefix = "Forager-Original-"
	foragerPrefix  = "forager-"
	natsPrefix     = "nats-"
)

// maxLetterHeader bounds what is added to the original headers, in bytes.
const maxLetterHeader = 4 << 10

// letterSubject is where the dead letter of a message lies.
func letterSubject(from string, sequence uint64) string {
	return stream.DeadLetterPrefix + from + "." + strconv.FormatUint(sequence, 10)
}

// letter makes the dead letter of a message: its original bytes, and headers that say why. The proof
// is that of [Worker.vouch].
func (w *Worker) letter(m *message, s *Settlement, proof string) *nats.Msg {
	letter := nats.NewMsg(letterSubject(m.stream, m.sequence))
	letter.Data = m.msg.Data()
	keepOriginals(letter.Header, m.msg.Headers(), m.requeued > 0)
	own := [][2]string{
		{headerSubject, encodeSubject(s.Subject)}, {headerStream, m.stream},
		{headerSequence, strconv.FormatUint(m.sequence, 10)},
		{headerStored, instant(m.stored)}, {headerTime, instant(m.original())},
		{headerDied, instant(w.now())},
		{headerReason, s.Reason}, {headerClass, s.Class.String()},
		{headerAttempts, strconv.Itoa(s.Deliveries)},
		{headerFormat, s.Format}, {headerWorker, cut(w.options.Worker, 256)}, {headerRequeued, times(m.requeued)},
		{headerProof, proof},
	}
	if e, ok := errors.AsType[*enrich.RejectedError](s.Err); ok && len(e.Items) > 0 {
		own = append(own, [2]string{headerStep, e.Items[0].Step}, [2]string{headerStatus, strconv.Itoa(e.Items[0].Status)})
	}
	room := maxLetterHeader
	for _, h := range own {
		if h[1] == "" {
			continue
		}
		value := oneLine(h[1])
		letter.Header.Set(h[0], value)
		room -= len(h[0]) + len(value) + len(": \r\n")
	}
	if s.Err != nil {
		room -= len(headerError) + len(": \r\n")
		letter.Header.Set(headerError, cut(oneLine(s.Err.Error()), max(room, 0)))
	}
	return letter
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
		if requeued && (name == headerTime || name == headerRequeued || name == headerProof) {
			continue
		}
		folded := strings.ToLower(name)
		if strings.HasPrefix(folded, natsPrefix) || strings.HasPrefix(folded, foragerPrefix) {
			name = originalPrefix + name
		}
		to[name] = append(to[name], values...)
	}
}

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

// oneLine makes a text fit for a header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cut shortens a text to at most so many bytes, at a rune's border.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most]
}
