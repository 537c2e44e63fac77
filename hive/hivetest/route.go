package hivetest

import (
	"net/http"
	"net/url"
	"strings"
)

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
	permission       string // needed in the caller's organisation; empty: none
	open             bool   // no credentials needed
	reads            bool   // changes nothing
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
