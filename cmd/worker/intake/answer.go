package intake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"forager/pipeline/intake"
)

// What [Options.Told] is told of a request.
const (
	Stored     = "stored"
	Duplicate  = "duplicate" // it was there before
	Asked      = "asked"     // a service asked whether it may send, and was answered
	Stranger   = "wrong credentials"
	NoSuchPath = "path or method"
	NoSubject  = "subject"
	Type       = "content type"
	Unreadable = "unreadable"
	Broken     = "broken off"
	Slow       = "too slow"
	TooLarge   = "too large"
	KeyReused  = "key used again"
	Limited    = "limit"
	Busy       = "busy"
	Unstored   = "not stored" // the stream did not take it, or nobody knows
	Failed     = "failed"     // a fault of the intake
)

// Words are all of them.
func Words() []string {
	return []string{
		Stored, Duplicate, Asked, Stranger, NoSuchPath, NoSubject, Type, Unreadable, Broken, Slow, TooLarge, KeyReused, Limited, Busy, Unstored, Failed,
	}
}

// problem is why a request is refused.
type problem struct {
	status int
	why    string // one of Words
	detail string // for the sender; holds nothing of the body
	after  int    // seconds after which to send again; 0: sending again does not help
	err    error  // for the log
}

func tooManyRequests(detail string) *problem {
	return &problem{status: http.StatusTooManyRequests, why: Limited, detail: detail, after: 1}
}

func busy(detail string) *problem {
	return &problem{status: http.StatusServiceUnavailable, why: Busy, detail: detail, after: 1}
}

func unreadable(detail string) *problem {
	return &problem{status: http.StatusBadRequest, why: Unreadable, detail: detail}
}

func wrongType(detail string) *problem {
	return &problem{status: http.StatusUnsupportedMediaType, why: Type, detail: detail}
}

func tooLarge(most int64) *problem {
	return &problem{status: http.StatusRequestEntityTooLarge, why: TooLarge, detail: "more than " + strconv.FormatInt(most, 10) + " bytes, decompressed"}
}

func noSubject() *problem {
	return &problem{status: http.StatusBadRequest, why: NoSubject, detail: "expected at most 8 words of letters, digits, - and _ behind /v1/detections, parted by slashes"}
}

// unstored is the answer where the stream has no event, or nobody knows.
func unstored(r *intake.Refusal, most int64) *problem {
	if r.Why == intake.TooLarge {
		p := tooLarge(most)
		p.detail, p.err = "more than the NATS server or the stream takes", r.Err
		return p
	}
	p := &problem{status: http.StatusServiceUnavailable, why: Unstored, after: 5, err: r.Err}
	switch r.Why {
	case intake.Full:
		p.detail, p.after = "the stream is full", 30
	case intake.NoStream:
		p.detail = "no stream takes the subject, or it has no leader now"
	case intake.OtherStream:
		p.detail = "the subject belongs to another stream"
	case intake.Unreachable:
		p.detail = "not connected to NATS"
	case intake.Unknown:
		p.detail = "the stream did not answer: it may have the event, which is there once when it is sent again"
	default:
		p.detail = "the stream refused the event"
	}
	return p
}

// stored answers with where the event is. A sender that has gone sends again, and the event is there once.
func stored(w http.ResponseWriter, at intake.Receipt) {
	body := make([]byte, 0, 128)
	body = strconv.AppendQuoteToASCII(append(body, `{"stream":`...), at.Stream) // a JetStream name: Go and JSON quote it alike
	body = strconv.AppendUint(append(body, `,"sequence":`...), at.Sequence, 10)
	body = strconv.AppendBool(append(body, `,"duplicate":`...), at.Duplicate)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(append(body, "}\n"...))
}

// write answers with a problem, as RFC 9457 has it.
func (p *problem) write(w http.ResponseWriter) {
	switch p.status {
	case http.StatusUnauthorized:
		w.Header()["Www-Authenticate"] = []string{`Bearer realm="forager"`, `Basic realm="forager"`} // a line each: some senders read but one of a line
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusUnsupportedMediaType:
		w.Header().Set("Accept-Encoding", "gzip")
	}
	if p.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.after))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(struct { // the sender has gone: there is nobody to tell
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(p.status), p.status, p.detail})
}

// Lines that are written of refused requests, at most: a second's, and how many at once.
const (
	linesPerSecond = 20
	linesAtOnce    = 200
)

// journal writes a line for each refused request; of a flood, some, and how many it left out.
type journal struct {
	log     *zap.Logger
	limit   *rate.Limiter
	omitted atomic.Int64
}

func newJournal(log *zap.Logger) *journal {
	return &journal{log: log, limit: rate.NewLimiter(linesPerSecond, linesAtOnce)}
}

func (j *journal) refused(source string, r *http.Request, p *problem) {
	if !j.limit.Allow() {
		j.omitted.Add(1)
		return
	}
	fields := []zap.Field{zap.String("source", source), zap.Int("status", p.status), zap.String("reason", p.why), zap.String("detail", p.detail), zap.String("from", r.RemoteAddr)}
	if p.err != nil {
		fields = append(fields, zap.Error(p.err))
	}
	if n := j.omitted.Swap(0); n > 0 {
		fields = append(fields, zap.Int64("linesOmitted", n))
	}
	j.log.Warn("event refused", fields...)
}
