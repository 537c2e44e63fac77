package hivetest

import (
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"
)

// bytes writes the body. Entities never change once stored, so no lock is needed.
func (o *reply) bytes(v viewer) []byte {
	o.mime = or(o.mime, "application/json")
	switch {
	case o.raw != nil:
		return o.raw
	case o.one != nil:
		return o.one.append(make([]byte, 0, 1024), v, o.hide)
	case o.list:
		b := append(make([]byte, 0, 2+512*len(o.rows)), '[')
		for i, r := range o.rows {
			if i > 0 {
				b = append(b, ',')
			}
			b = r.append(b, v, o.hide)
		}
		return append(b, ']')
	case o.value != nil:
		return toJSON(o.value)
	}
	return nil
}

func (c *call) write(w http.ResponseWriter, out reply, body []byte, truncate bool, slow time.Duration) {
	head := w.Header()
	head.Set("Date", c.h.options.Clock().UTC().Format(http.TimeFormat)) // by the server's clock
	maps.Copy(head, out.header)
	if len(body) > 0 {
		head.Set("Content-Type", out.mime)
	}
	if out.status != http.StatusNoContent {
		head.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(out.status)
	switch {
	case truncate && len(body) > 1:
		_, _ = w.Write(body[:len(body)/2])
		cut(w, false)
	case slow > 0 && len(body) > 1:
		drip(w, body, slow)
	default:
		_, _ = w.Write(body)
	}
}

// drip writes a body in ten pieces over the given time.
func drip(w http.ResponseWriter, body []byte, over time.Duration) {
	piece := max(1, (len(body)+9)/10)
	flusher := http.NewResponseController(w)
	for len(body) > 0 {
		pause(over / 10)
		n := min(piece, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return
		}
		_ = flusher.Flush()
		body = body[n:]
	}
}

// cut ends the connection without an answer, by a reset where asked for.
func cut(w http.ResponseWriter, reset bool) {
	control := http.NewResponseController(w)
	if !reset {
		_ = control.Flush()
	}
	conn, _, err := control.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own way to cut a connection that cannot be taken over
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
