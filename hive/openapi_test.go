package hive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// deviations are the places where TheHive, or the client on purpose, differs
// from its own description, and why that is right.
var deviations = map[string]string{
	"null":  "the files write `format: nullable` or `datetime_ms or null` where null is meant",
	"207":   "POST …/observable answers 207 {success, failure} on partial success, as TheHive 4 did; the files know 201 only",
	"query": "the discriminator of InputQuery maps `_filter` and `<other>`: it refuses every real query; see queryOperations",
	"name":  "POST /query?name=… is a label in the log that every client sends; the files do not list it",
	"count": "the answer to a query has the empty schema: it is an array, or a number after count",
	"parts": "a multipart body is not one JSON value: its parts are checked by name, and `_json` by its schema",
}

// description is one OpenAPI file and its routes.
type description struct {
	version string
	doc     *openapi3.T
	router  routers.Router
}

// descriptions are the files that lie beside the repository, none if they do not.
var descriptions = sync.OnceValues(func() ([]description, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for ; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return nil, nil
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "..", "shared", "data", "thehive", "openapi-*.yaml"))
	if err != nil {
		return nil, err
	}
	var out []description
	for _, file := range files {
		doc, err := openapi3.NewLoader().LoadFromFile(file)
		if err != nil {
			return nil, err
		}
		doc.Servers = nil
		router, err := gorillamux.NewRouter(doc)
		if err != nil {
			return nil, err
		}
		out = append(out, description{strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "openapi-"), ".yaml"), doc, router})
	}
	return out, nil
})

// judge is a transport that holds each exchange against every description.
type judge struct {
	t    *testing.T
	next http.RoundTripper

	// answers names the description that the server follows; the requests are
	// held against all of them.
	answers string

	// since names the first description that has what is asked; "": all have.
	since string

	mu       sync.Mutex
	deviated map[string]bool
}

// deviate notes that a deviation was met; one that is not in the table, or
// never met, is a mistake of the table.
func (j *judge) deviate(name string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if deviations[name] == "" {
		j.t.Errorf("deviation %s has no reason", name)
	}
	j.deviated[name] = true
}

func (j *judge) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := j.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(got))
	if err != nil {
		return nil, err
	}
	all, err := descriptions()
	if err != nil {
		j.t.Error(err)
	}
	for _, d := range all {
		if d.version < j.since {
			continue
		}
		for _, complaint := range j.judge(d, r, sent, resp, got) {
			j.t.Errorf("OpenAPI %s: %s %s: %d: %s\nsent %.400s\ngot  %.400s", d.version, r.Method, r.URL.Path, resp.StatusCode, complaint, sent, got)
		}
	}
	return resp, nil
}

func (j *judge) judge(d description, r *http.Request, sent []byte, resp *http.Response, got []byte) []string {
	find := r.Clone(r.Context())
	find.URL = &url.URL{Path: strings.TrimPrefix(r.URL.Path, prefix)}
	route, _, err := d.router.FindRoute(find)
	if err != nil {
		return []string{"no such operation: " + err.Error()}
	}
	var out []string
	for name := range r.URL.Query() {
		if name == "name" {
			j.deviate("name")
		} else if !slices.ContainsFunc(route.Operation.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == name }) {
			out = append(out, "unknown query parameter "+name)
		}
	}
	if strings.HasSuffix(route.Path, "/query") {
		j.deviate("query")
		out = append(out, judgeQuery(sent)...)
	} else {
		out = append(out, j.judgeRequest(route.Operation, r.Header.Get("Content-Type"), sent)...)
	}
	if d.version != j.answers {
		return out
	}
	return append(out, j.judgeAnswer(route.Operation, resp, got)...)
}

func (j *judge) judgeRequest(op *openapi3.Operation, contentType string, sent []byte) []string {
	if op.RequestBody == nil {
		if len(sent) > 0 {
			return []string{"a body where none is described"}
		}
		return nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return []string{"content type: " + err.Error()}
	}
	media := op.RequestBody.Value.Content.Get(kind)
	if media == nil {
		return []string{"content type " + kind + " is not described"}
	}
	if kind == "multipart/form-data" {
		j.deviate("parts")
		return j.judgeForm(media.Schema.Value, multipart.NewReader(bytes.NewReader(sent), params["boundary"]))
	}
	return j.judgeJSON("request", media.Schema.Value, sent)
}

// judgeForm checks the names of the parts, and the JSON in "_json".
func (j *judge) judgeForm(schema *openapi3.Schema, r *multipart.Reader) []string {
	var out []string
	missing := slices.Clone(schema.Required)
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return append(out, err.Error())
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return append(out, err.Error())
		}
		name := part.FormName()
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == name })
		property := schema.Properties[name]
		if named := schema.Properties["<attachment_name>"]; property == nil && named != nil { // any name, which "_json" says again
			property, missing = named, slices.DeleteFunc(missing, func(m string) bool { return m == "<attachment_name>" })
		}
		switch {
		case property == nil:
			out = append(out, "unknown part "+name)
		case name == "_json":
			out = append(out, j.judgeJSON("_json", property.Value, body)...)
		case property.Value.Type.Is("boolean"):
			if _, err := strconv.ParseBool(string(body)); err != nil {
				out = append(out, err.Error())
			}
		}
	}
	if len(missing) > 0 {
		out = append(out, fmt.Sprintf("parts %v are missing", missing))
	}
	return out
}

func (j *judge) judgeAnswer(op *openapi3.Operation, resp *http.Response, got []byte) []string {
	described := op.Responses.Value(strconv.Itoa(resp.StatusCode))
	switch {
	case described == nil && resp.StatusCode == 207 && op.Responses.Value("201") != nil:
		j.deviate("207")
		return j.judgePartial(op.Responses.Value("201").Value.Content.Get("application/json").Schema.Value, got)
	case described == nil:
		return []string{"status is not described"}
	case len(got) == 0 && len(described.Value.Content) > 0, len(got) > 0 && len(described.Value.Content) == 0:
		return []string{"body is there and not described, or the other way round"}
	}
	media := described.Value.Content.Get("application/json")
	if media != nil && media.Schema != nil && media.Schema.Value.IsEmpty() {
		j.deviate("count")
	}
	if media == nil || media.Schema == nil || media.Schema.Value == nil {
		return nil
	}
	return j.judgeJSON("answer", media.Schema.Value, got)
}

// judgePartial checks the undescribed 207 of observables.
func (j *judge) judgePartial(list *openapi3.Schema, got []byte) []string {
	var partial struct {
		Success json.RawMessage
		Failure []struct{ Type, Message string }
	}
	if err := json.Unmarshal(got, &partial); err != nil {
		return []string{err.Error()}
	}
	for _, f := range partial.Failure {
		if f.Type == "" || f.Message == "" {
			return []string{"failure without type or message"}
		}
	}
	return j.judgeJSON("success", list, partial.Success)
}
