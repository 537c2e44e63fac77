package hivetest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described are the releases whose API description there is.
var described = []string{"5.5.13", "5.6.2", "5.7.3"}

// descriptions are TheHive's own API descriptions by release; none where the shared data is absent.
var descriptions = sync.OnceValues(func() (map[string]*openapi3.T, error) {
	all := map[string]*openapi3.T{}
	for _, version := range described {
		path, ok := sharedFile("data/thehive/openapi-" + version + ".yaml")
		if !ok {
			return all, nil
		}
		doc, err := openapi3.NewLoader().LoadFromFile(path)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		doc.Servers = nil
		all[version] = doc
	}
	return all, nil
})

// routersOf finds the operations of a description.
var routersOf = sync.OnceValues(func() (map[string]routers.Router, error) {
	docs, err := descriptions()
	all := map[string]routers.Router{}
	for version, doc := range docs {
		if err == nil {
			all[version], err = gorillamux.NewRouter(doc)
		}
	}
	return all, err
})

// sharedFile finds a file of the folder that lies beside the repository.
func sharedFile(name string) (string, bool) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			path := filepath.Join(filepath.Dir(dir), "shared", name)
			_, err := os.Stat(path)
			return path, err == nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return "", false
}

// undescribed answers are right although the description does not know them; each has its reason.
var undescribed = map[string]string{
	"207 POST /api/v1/case/{caseId}/observable":   "partial success, as TheHive 4 answers and clients of 5 decode",
	"207 POST /api/v1/alert/{alertId}/observable": "the same",
	"401 POST /api/v1/login":                      "the description lists no failure of a login at all",
}

// checkAnswer checks status and body of an answer against the description: required properties, forms, and no
// property that it does not know.
func checkAnswer(t testing.TB, version, method, path string, a answer) {
	t.Helper()
	all, err := routersOf()
	if err != nil {
		t.Fatal(err)
	}
	router := all[version]
	if router == nil || a.status == http.StatusRequestEntityTooLarge || a.status == http.StatusUnsupportedMediaType {
		return
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	route, _, err := router.FindRoute(req)
	if err != nil {
		return // an endpoint outside the description: v0 paths, unknown ones
	}
	name := fmt.Sprintf("%d %s %s", a.status, method, route.Path)
	if _, ok := undescribed[name]; ok || a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		return
	}
	response := route.Operation.Responses.Status(a.status)
	if response == nil {
		t.Errorf("%s: the description knows no such status: %s", name, a.raw)
		return
	}
	media := response.Value.Content.Get("application/json")
	if media == nil || media.Schema == nil || a.value == nil {
		return
	}
	if err := media.Schema.Value.VisitJSON(a.value); err != nil && !forgiven(err) {
		t.Errorf("%s: %v\n%s", name, err, a.raw)
	}
	if a.status < 300 {
		for _, u := range unknown(media.Schema.Value, a.value, "") {
			t.Errorf("%s: property %s is not in the description", name, u)
		}
	}
}

// forgiven are complaints of kin-openapi that are its own: an empty array under the three kinds of a custom field's
// options fits each of them, and a custom field's value, which may be anything, may be null.
func forgiven(err error) bool {
	return strings.Contains(err.Error(), "input matches more than one oneOf schemas") ||
		strings.Contains(err.Error(), `/value": Value is not nullable`)
}

// unknown lists the properties of a value that a schema does not know.
func unknown(s *openapi3.Schema, v any, at string) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if s.Items != nil {
				out = append(out, unknown(s.Items.Value, e, at+"[]")...)
			}
		}
	case map[string]any:
		if len(s.Properties) == 0 {
			return nil
		}
		for name, e := range v {
			p, ok := s.Properties[name]
			if !ok {
				out = append(out, strings.TrimPrefix(at+"."+name, "."))
			} else if ok {
				out = append(out, unknown(p.Value, e, at+"."+name)...)
			}
		}
	}
	return out
}
