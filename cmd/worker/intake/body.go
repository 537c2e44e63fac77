package intake

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"

	"forager/enrich/detection/malformed"
)

// checkType refuses what is said to be neither JSON nor text. Who says nothing is believed: the body tells.
func checkType(header http.Header) *problem {
	said := header.Get("Content-Type")
	if said == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(said)
	if err != nil && kind == "" {
		return wrongType("the Content-Type cannot be read")
	}
	switch {
	case strings.HasSuffix(kind, "/json"), strings.HasSuffix(kind, "+json"), strings.HasPrefix(kind, "text/"):
		return nil
	}
	switch kind {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-seq":
		return nil
	}
	return wrongType("expected application/json, application/x-ndjson, application/cloudevents+json or text/plain")
}

// checkEncoding refuses what cannot be decompressed.
func checkEncoding(header http.Header) (zipped bool, refused *problem) {
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Encoding"))) {
	case "", "identity":
		return false, nil
	case "gzip", "x-gzip":
		return true, nil
	default:
		return false, wrongType("expected no Content-Encoding, or gzip")
	}
}

// mostPooled is the size up to which the room of a body is used again, bytes.
const mostPooled = 64 << 10

// rooms are those of bodies that were answered.
type rooms struct{ pool sync.Pool }

func (r *rooms) take() *bytes.Buffer {
	if b, ok := r.pool.Get().(*bytes.Buffer); ok {
		return b
	}
	return new(bytes.Buffer)
}

func (r *rooms) giveBack(b *bytes.Buffer) {
	if b != nil && b.Cap() <= mostPooled {
		b.Reset()
		r.pool.Put(b)
	}
}

// readBody reads a body to its end, of most bytes at most; it lies in b.
func readBody(w http.ResponseWriter, r *http.Request, most int64, b *bytes.Buffer) ([]byte, *problem) {
	if r.ContentLength > most {
		return nil, tooLarge(most)
	}
	b.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // so that a body of a known length is read in one piece
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, most))
	switch _, large := errors.AsType[*http.MaxBytesError](err); {
	case err == nil:
		return b.Bytes(), nil
	case large:
		return nil, tooLarge(most)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &problem{status: http.StatusRequestTimeout, why: Slow, detail: "the request takes too long to arrive"}
	default:
		return nil, &problem{status: http.StatusBadRequest, why: Broken, detail: "the request breaks off"}
	}
}

// inflate decompresses a body to most bytes at most.
func inflate(body []byte, most int64) ([]byte, *problem) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, unreadable("the body is not gzip, as its Content-Encoding says")
	}
	plain, err := io.ReadAll(io.LimitReader(z, most+1))
	switch {
	case int64(len(plain)) > most:
		return nil, tooLarge(most)
	case err != nil:
		return nil, unreadable("the gzip of the body is broken")
	default:
		return plain, nil
	}
}

// check refuses what nobody could read, whatever formats there are.
func (h *Handler) check(body []byte) *problem {
	err := h.syntax.Check(body)
	if err == nil {
		return nil
	}
	m, ok := errors.AsType[*malformed.Error](err)
	switch {
	case !ok:
		return unreadable("the body cannot be read")
	case m.Reason == malformed.TooLarge:
		return tooLarge(h.options.MaxBody)
	case m.Detail != "":
		return unreadable(fmt.Sprintf("%s: %s", m.Reason, m.Detail))
	default:
		return unreadable(m.Reason)
	}
}
