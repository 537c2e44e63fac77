package page

import (
	"bytes"
	"embed"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
)

//go:embed assets
var assets embed.FS

// Options say how the page is shown.
type Options struct {
	Hosts       []string           // names by which it may be asked for, in lower case
	Credentials func() Credentials // asked at each request; nil is none
	Near        bool               // where there are none, only who asks from this host is answered
	Notice      string             // stands at the top; empty is nothing
	Links       []Link             // of other pages beside it
}

// Link is another page.
type Link struct{ Name, Path string }

// site is the page with all that belongs to it.
type site struct {
	source  Source
	options Options
	parts   *parts
	streams chan struct{} // holds one for each that is open
}

// Handler serves the page at /, and what belongs to it below /page/.
func Handler(source Source, o Options) http.Handler {
	if o.Credentials == nil {
		o.Credentials = func() Credentials { return Credentials{} }
	}
	s := &site{source: source, options: o, parts: newParts(source), streams: make(chan struct{}, MostViewers)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.whole)
	mux.HandleFunc("GET /page/events", s.events)
	mux.HandleFunc("GET /page/message/{sequence}", s.message)
	mux.HandleFunc("GET /page/layer.json", s.layer)
	mux.HandleFunc("GET /page/style.css", asset("style.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /page/page.js", asset("page.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /page/icon.svg", asset("icon.svg", "image/svg+xml"))
	return guard{hosts: o.Hosts, asks: o.Credentials, near: o.Near, next: mux}
}

// Asset serves one of the embedded files, for pages that look like this one.
func asset(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			refuse(w, http.StatusNotFound, "no such file")
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Write(text)
	}
}

// whole is the page itself.
func (s *site) whole(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := filter{text: clip(q.Get("q"), 100), outcome: clip(q.Get("outcome"), 20)}
	snapshot := s.source.Snapshot(r.Context())
	matrix := s.source.Matrix(r.Context(), clip(q.Get("domain"), 30), clip(q.Get("release"), 10))
	Send(w, http.StatusOK, document(s.options, snapshot, matrix, f))
}

// message is one message, opened: a page of its own, or the part that a script asks for.
func (s *site) message(w http.ResponseWriter, r *http.Request) {
	sequence, err := strconv.ParseUint(r.PathValue("sequence"), 10, 64)
	if err != nil {
		refuse(w, http.StatusNotFound, "no such message")
		return
	}
	status, body := http.StatusOK, g.Node(nil)
	opened, err := s.source.Open(r.Context(), sequence)
	switch {
	case errors.Is(err, ErrGone):
		status, body = http.StatusNotFound, trouble("The message", err.Error())
	case err != nil:
		status, body = http.StatusBadGateway, trouble("The message", err.Error())
	default:
		body = message(opened)
	}
	if r.URL.Query().Has("part") {
		Send(w, status, body)
		return
	}
	Send(w, status, messagePage(s.options, sequence, body))
}

func (s *site) layer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	layer, err := s.source.Layer(r.Context(), clip(q.Get("domain"), 30), clip(q.Get("release"), 10))
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="forager-layer.json"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(layer))
}

// Guarded serves another page beside this one, to those who may look.
func Guarded(o Options, serve http.HandlerFunc) http.Handler {
	if o.Credentials == nil {
		o.Credentials = func() Credentials { return Credentials{} }
	}
	return guard{hosts: o.Hosts, asks: o.Credentials, near: o.Near, next: serve}
}

// Send writes a document, whole or not at all.
func Send(w http.ResponseWriter, status int, node g.Node) {
	var b bytes.Buffer
	if err := node.Render(&b); err != nil {
		refuse(w, http.StatusInternalServerError, "the page could not be made")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// clip cuts what a viewer wrote.
func clip(text string, most int) string {
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}
