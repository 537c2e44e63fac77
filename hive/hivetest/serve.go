package hivetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// call is a request on its way.
type call struct {
	h      *Hive
	r      *http.Request
	route  *route
	args   []string
	log    Call
	viewer viewer
	user   *entry
	raw    []byte
	body   map[string]any
	form   *form
}

// reply is what a handler answers: at most one of the bodies is set.
type reply struct {
	status int
	header http.Header
	one    *row
	rows   []row
	list   bool // rows are the body, even when there are none
	value  any
	raw    []byte
	mime   string
	hide   []string
}

// ServeHTTP answers one request.
func (h *Hive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		h.control(w, r)
		return
	}
	m := h.fault.Load()
	c := &call{h: h, r: r}
	c.route, c.args = h.routes().find(r.Method, r.URL)
	c.log = Call{Seq: h.journal.number(), At: time.Now(), Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery}
	if c.route != nil {
		c.log.Route = c.route.name()
	}
	if m.Outage {
		h.journal.add(c.log)
		cut(w, true)
		return
	}
	c.serve(w, m)
}

// serve reads, waits, acts and answers. Nothing is locked but during the act.
func (c *call) serve(w http.ResponseWriter, m *Misbehaviour) {
	write := c.route != nil && !c.route.reads
	f := c.h.fate(m, write)
	readErr := c.read(w)
	c.log.Body = c.raw[:min(len(c.raw), keptBody)]
	pause(f.delay)
	out, ended := c.attempt(f, m, readErr)
	if !ended {
		out, ended = c.finish(out, f, m)
	}
	body := out.bytes(c.viewer)
	c.log.Status = out.status
	if ended {
		c.log.Status = 0
	}
	c.h.journal.add(c.log)
	if ended {
		cut(w, true)
		return
	}
	c.write(w, out, body, f.truncate, m.SlowBody)
}

// attempt decides whether the call has an effect, and makes it. ended: the connection is to be cut instead.
func (c *call) attempt(f fate, m *Misbehaviour, readErr error) (out reply, ended bool) {
	switch {
	case f.reset:
		return reply{}, true
	case f.page != 0:
		return proxyPage(f.page), false
	case f.refused != nil:
		return failed(f.refused), false
	case f.failed:
		return m.ownError(), false
	case readErr != nil:
		return failed(readErr), false
	}
	if err := c.authenticate(m); err != nil {
		return failed(err), false
	}
	if a := c.h.hooks.run(BeforeEffect, c.log); a != (Action{}) {
		return a.reply(), a.Cut
	}
	if f.late {
		c.linger(m.LateAfter)
	}
	out, err := c.act()
	if err != nil {
		out = failed(err)
	}
	return out, false
}

// finish lets the hooks and the dice spoil an answer whose effect is committed.
func (c *call) finish(out reply, f fate, m *Misbehaviour) (reply, bool) {
	c.log.Status = out.status
	if a := c.h.hooks.run(AfterEffect, c.log); a != (Action{}) {
		if a.Wrong != 0 {
			return out.wrongly(a.Wrong, c.viewer), false
		}
		return a.reply(), a.Cut
	}
	if f.fails && out.status < 300 {
		return m.ownError(), false
	}
	if f.wrong != 0 && !f.lost {
		return out.wrongly(f.wrong, c.viewer), false
	}
	if f.lost && out.status < 300 {
		return proxyPage(m.AmbiguousBy), m.AmbiguousBy == 0
	}
	return out, false
}

func (a Action) reply() reply {
	if a.Status == 0 {
		return reply{}
	}
	return failed(&problem{status: a.Status, Type: or(a.Type, "GenericError"), Text: a.Message})
}

func failed(err error) reply {
	p, ok := err.(*problem) //nolint:errorlint // handlers return problems unwrapped
	if !ok {
		p = &problem{status: http.StatusInternalServerError, Type: "InternalError", Text: err.Error()}
	}
	return reply{status: p.status, header: p.header, value: p}
}

// proxyPage is what something between the client and TheHive answers.
func proxyPage(status int) reply {
	page := "<html><head><title>" + http.StatusText(status) + "</title></head></html>"
	return reply{status: status, raw: []byte(page), mime: "text/html"}
}

// act makes the effect, under the lock.
func (c *call) act() (reply, error) {
	if c.route == nil {
		return reply{}, notFound("%s", c.r.URL.Path)
	}
	if c.route.permission != "" && !c.viewer.may(c.route.permission) {
		return reply{}, forbidden(c.route.name(), c.route.permission)
	}
	if c.route.reads {
		c.h.mu.RLock()
		defer c.h.mu.RUnlock()
	} else {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
	}
	if err := c.denies(); err != nil {
		return reply{}, err
	}
	return c.route.run(c)
}

// pause waits to the tick: a client that gives up does not shorten it, as it does not stop TheHive.
func pause(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
}

// linger waits until the client has gone, at most a minute, or for a set time.
func (c *call) linger(after time.Duration) {
	if after > 0 {
		pause(after)
		return
	}
	select {
	case <-c.r.Context().Done():
	case <-time.After(time.Minute):
	}
}

// read takes the request's body, within its limits, and takes it apart.
func (c *call) read(w http.ResponseWriter) error {
	limit := c.h.options.MaxBody
	multi := isMultipart(c.r)
	if multi && c.route != nil && c.route.form >= formBody {
		limit = c.h.options.MaxUpload
	}
	if c.r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		return tooLarge()
	}
	raw, err := io.ReadAll(io.LimitReader(c.r.Body, limit+1))
	if err != nil {
		return badRequest("request body: %v", err)
	}
	if int64(len(raw)) > limit {
		w.Header().Set("Connection", "close")
		return tooLarge()
	}
	c.raw = raw
	return c.parse(multi)
}

func (c *call) parse(multi bool) error {
	if c.route == nil {
		return nil
	}
	switch {
	case c.route.form == noBody, c.route.form == optionalBody && len(c.raw) == 0:
		return nil
	case c.route.form >= formBody && multi:
		return c.parseForm()
	case c.route.form == formBody:
		return badRequest("multipart/form-data expected")
	}
	if kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		return &problem{status: http.StatusUnsupportedMediaType, Type: "BadRequest", Text: "Expecting text/json or application/json body"}
	}
	return c.parseJSON(c.raw)
}

func (c *call) parseJSON(raw []byte) error {
	v, err := decodeJSON(raw)
	if err != nil {
		return badRequest("Invalid Json: %v", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return badRequest("Invalid Json: an object is expected")
	}
	c.body = m
	return nil
}

// decodeJSON reads exactly one JSON value and keeps numbers as they were written.
func decodeJSON(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return v, nil
}

func unmarshal(raw []byte, into any) error { return json.Unmarshal(raw, into) }

func strictly(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
