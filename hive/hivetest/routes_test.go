package hivetest_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"forager/hive/hivetest"
)

// notServed are the operations of TheHive's API description that this server does not have, by how method and path begin, and why.
var notServed = map[string]string{
	"/api/v1/admin/":                             "looks after the database, the index and the log of a server: this one has none",
	"/api/v1/branding":                           "pictures of the web page, which this server does not have",
	"/api/v1/caseReport":                         "reports are rendered by an engine of TheHive's whose results nobody can foretell",
	"/api/v1/case/{}/report":                     "the same",
	"/api/v1/case/customField/":                  "removes a value that lies in a case by an id that no answer shows",
	"/api/v1/config/user":                        "settings of a person's web page",
	"/api/v1/connector/alert-feeder":             "makes TheHive fetch addresses: this server fetches nothing",
	"/api/v1/connector/email-intake":             "makes TheHive read mailboxes",
	"/api/v1/connector/cortex/analyzer/template": "how a web page shows reports of analyzers",
	"/api/v1/dashboard":                          "belongs to the web page",
	"/api/v1/views":                              "belongs to the web page",
	"/api/v1/describe":                           "a model of the whole server for its web page",
	"/api/v1/export":                             "marked as unstable in the description itself",
	"/api/v1/function":                           "runs programs of the operator inside TheHive",
	"/api/v1/license/":                           "installs a licence; which one is in force is served",
	"/api/v1/license":                            "the same",
	"/api/v1/auth/totp":                          "second factors: accounts of programs have none",
	"/api/v1/stream":                             "long polling of the web page; webhooks are served",
	"/api/v1/tag/":                               "tags as entities of their own, with colours",
	"/api/v1/taxonomy":                           "imports of tags with colours",
	"/api/v1/organisation/{}/avatar":             "pictures of the web page",
	"/api/v1/user/{}/avatar":                     "pictures of the web page",
	"/api/v1/user/current/attachments":           "files that a person's editor is about to use",
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// operation is one of the description.
type operation struct {
	method, path string
	of           *openapi3.Operation
}

func operations(t *testing.T, version string) []operation {
	t.Helper()
	docs, err := descriptions()
	if err != nil {
		t.Fatal(err)
	}
	doc := docs[version]
	if doc == nil {
		t.Skip("TheHive's API description is not beside the repository")
	}
	var all []operation
	for path, item := range doc.Paths.Map() {
		for method, of := range item.Operations() {
			all = append(all, operation{method, path, of})
		}
	}
	return all
}

// ask sends an operation's request without anything in it.
func (o operation) ask(t *testing.T, h *hivetest.Hive, key string) (answer, hivetest.Call) {
	t.Helper()
	body, mime := "{}", "application/json"
	if o.of.RequestBody != nil && o.of.RequestBody.Value.Content.Get(mime) == nil {
		body, mime = "--b\r\nContent-Disposition: form-data; name=\"_json\"\r\n\r\n{}\r\n--b--\r\n", "multipart/form-data; boundary=b"
	}
	r := httptest.NewRequestWithContext(t.Context(), o.method, placeholder.ReplaceAllString(o.path, "x"), strings.NewReader(body))
	r.Header.Set("Content-Type", mime)
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	calls := h.Calls()
	return answer{status: w.Code, raw: w.Body.Bytes()}, calls[len(calls)-1]
}

// TestEveryRouteIsServedOrHasItsReason: of all three descriptions.
func TestEveryRouteIsServedOrHasItsReason(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, version := range described {
		h := hivetest.New(hivetest.Options{Version: version})
		served, left := 0, 0
		for _, o := range operations(t, version) {
			_, call := o.ask(t, h, hivetest.DefaultAPIKey)
			_, path, _ := strings.Cut(call.Route, " ")
			bare := placeholder.ReplaceAllString(o.path, "{}")
			if placeholder.ReplaceAllString(path, "{}") == bare {
				served++
				continue
			}
			left++
			why := ""
			for begin := range notServed {
				if strings.HasPrefix(bare, begin) {
					why, used[begin] = begin, true
				}
			}
			if why == "" {
				t.Errorf("%s: %s %s is not served (it is taken for %q), and has no reason", version, o.method, o.path, call.Route)
			}
		}
		t.Logf("%s: %d operations are served, %d are not", version, served, left)
	}
	for begin := range notServed {
		if !used[begin] {
			t.Errorf("nothing begins with %s that is not served", begin)
		}
	}
}

// TestRightsAreThoseOfTheDescription: who has none is refused where the description names one, with its name, and nowhere else.
func TestRightsAreThoseOfTheDescription(t *testing.T) {
	t.Parallel()
	for _, version := range described {
		h := hivetest.New(hivetest.Options{Version: version, Users: []hivetest.User{{
			Login: "none@x.example", APIKey: "none", Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "read-only"}},
		}}})
		for _, o := range operations(t, version) {
			got, call := o.ask(t, h, "none")
			_, path, _ := strings.Cut(call.Route, " ")
			if placeholder.ReplaceAllString(path, "{}") != placeholder.ReplaceAllString(o.path, "{}") {
				continue
			}
			rights, _ := o.of.Extensions["x-TheHive-permissions"].([]any)
			switch {
			case len(rights) == 0 && got.status == http.StatusForbidden:
				t.Errorf("%s: %s %s needs no right: %s", version, o.method, o.path, got.raw)
			case len(rights) > 0 && (got.status != http.StatusForbidden || !slices.ContainsFunc(rights, func(r any) bool { return strings.Contains(string(got.raw), r.(string)) })):
				t.Errorf("%s: %s %s needs %v: %d %s", version, o.method, o.path, rights, got.status, got.raw)
			}
		}
	}
}
