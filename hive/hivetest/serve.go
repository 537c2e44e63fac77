package hivetest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
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
	if c.route == nil || c.h.release.before(c.route.since) {
		return reply{}, notFound("%s", c.r.URL.Path)
	}
	if c.route.permission != "" && !c.viewer.may(c.route.permission) {
		return reply{}, forbidden(c.route.name(), c.route.permission)
	}
	c.h.catchUp()
	if c.route.reads {
		c.h.mu.RLock()
		defer c.h.mu.RUnlock()
	} else {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		defer c.h.changed()
	}
	if err := cmp.Or(c.denies(), c.collides()); err != nil {
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
		return &problem{status: c.h.quirks.WrongType, Type: "BadRequest", Text: "Expecting text/json or application/json body"}
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

// bodyForm is what a route takes.
type bodyForm int

const (
	noBody       bodyForm = iota // whatever is sent is ignored
	optionalBody                 // a JSON object or nothing
	jsonBody                     // a JSON object
	formBody                     // multipart
	eitherOne                    // JSON or multipart with a part _json
)

// route is one endpoint of the API.
type route struct {
	method, template string
	form             bodyForm
	permission       string // needed in the caller's organisation, one of several where they are set apart by |; empty: none
	open             bool   // no credentials needed
	reads            bool   // changes nothing
	since            release
	run              func(*call) (reply, error)

	parts []string
}

func (r *route) name() string { return r.method + " " + r.template }

// router finds routes by method and number of path elements; the first that fits wins, so literals stand before names.
type router map[string][]*route

func newRouter(lists ...[]route) router {
	m := router{}
	for _, list := range lists {
		for _, r := range list {
			r.parts = strings.Split(r.template, "/")[1:]
			r.reads = r.reads || r.method == http.MethodGet
			key := r.method + string(rune('0'+len(r.parts)))
			m[key] = append(m[key], &r)
		}
	}
	return m
}

// find returns the route of a request and the values of the names in its template.
func (m router) find(method string, u *url.URL) (*route, []string) {
	path, ok := strings.CutPrefix(u.EscapedPath(), "/")
	if !ok {
		return nil, nil
	}
	parts := strings.Split(path, "/")
	if len(parts) > 20 {
		return nil, nil
	}
	for _, r := range m[method+string(rune('0'+len(parts)))] {
		if args, ok := r.match(parts); ok {
			return r, args
		}
	}
	return nil, nil
}

func (r *route) match(parts []string) ([]string, bool) {
	var args []string
	for i, want := range r.parts {
		if !strings.HasPrefix(want, "{") {
			if want != parts[i] {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(parts[i])
		if err != nil || v == "" {
			return nil, false
		}
		args = append(args, v)
	}
	return args, true
}

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

// problem is an error as TheHive answers it.
type problem struct {
	status int
	header http.Header
	Type   string           `json:"type"`
	Text   string           `json:"message"`
	Errors []attributeFault `json:"errors,omitempty"`
}

func (p *problem) Error() string { return p.Type + ": " + p.Text }

// attributeFault is one refused property of a body, in TheHive's form.
type attributeFault struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Format string `json:"format,omitempty"`
	Field  any    `json:"field,omitempty"`
}

func attributes(faults []attributeFault) error {
	var b strings.Builder
	for _, f := range faults {
		b.WriteByte('[')
		switch f.Type {
		case "MissingAttributeError":
			b.WriteString("Attribute " + f.Name + " is missing")
		case "UnknownAttributeError":
			b.WriteString("Unknown attribute " + f.Name + ": " + clip(f.Field))
		default:
			b.WriteString("Invalid format for " + f.Name + ": " + clip(f.Field) + ", expected " + f.Format)
		}
		b.WriteByte(']')
	}
	return &problem{status: http.StatusBadRequest, Type: "AttributeCheckingError", Text: b.String(), Errors: faults}
}

// clip writes a refused value, cut short so that an answer never echoes megabytes.
func clip(v any) string {
	if v == nil {
		return "FNull"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(b) > 200 {
		return strings.ToValidUTF8(string(b[:200]), "") + "…"
	}
	return string(b)
}

func missing(name string) error {
	return attributes([]attributeFault{{Type: "MissingAttributeError", Name: name}})
}

func invalid(name string, v any, format string) error {
	return attributes([]attributeFault{{Type: "InvalidFormatAttributeError", Name: name, Field: v, Format: format}})
}

func badRequest(format string, args ...any) error {
	return &problem{status: http.StatusBadRequest, Type: "BadRequest", Text: fmt.Sprintf(format, args...)}
}

func createError(format string, args ...any) error {
	return &problem{status: http.StatusBadRequest, Type: "CreateError", Text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &problem{status: http.StatusNotFound, Type: "NotFoundError", Text: fmt.Sprintf(format, args...)}
}

func unauthorised() error {
	return &problem{status: http.StatusUnauthorized, Type: "AuthenticationError", Text: "Authentication failure"}
}

func forbidden(action, permission string) error {
	return &problem{
		status: http.StatusForbidden, Type: "AuthorizationError",
		Text: "Your are not authorized to " + action + ", you haven't the permission " + permission,
	}
}

func notPermitted() error {
	return &problem{status: http.StatusForbidden, Type: "AuthorizationError", Text: "Operation not permitted"}
}

func tooLarge() error {
	return &problem{status: http.StatusRequestEntityTooLarge, Type: "BadRequest", Text: "Request Entity Too Large"}
}
