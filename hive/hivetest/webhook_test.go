package hivetest_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"

	"forager/hive/hivetest"
)

// inbox is a receiver of documents.
type inbox struct {
	mu   sync.Mutex
	got  []map[string]any
	auth []string
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var d map[string]any
	if json.Unmarshal(body, &d) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got, i.auth = append(i.got, d), append(i.auth, r.Header.Get("Authorization"))
}

func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	var serving conc.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return "http://" + l.Addr().String()
}

// busy does one of everything that documents tell of.
func busy(t *testing.T, r *rig) {
	t.Helper()
	one := r.make("POST", "/api/v1/case", `{"title":"a","description":"d"}`)
	two := r.make("POST", "/api/v1/case", `{"title":"b","description":"d"}`)
	p := r.make("POST", "/api/v1/case/"+one+"/procedure", `{"patternId":"T1059","tactic":"execution","occurDate":1}`)
	r.make("POST", "/api/v1/case/"+one+"/comment", `{"message":"m"}`)
	r.make("DELETE", "/api/v1/procedure/"+p, "")
	r.make("PATCH", "/api/v1/case/"+one, `{"severity":1,"addTags":["x"]}`)
	r.make("PATCH", "/api/v1/case/"+one, `{"status":"TruePositive"}`)
	r.make("POST", "/api/v1/case/"+one+"/observable", `{"dataType":"ip","data":["192.0.2.1"]}`)
	r.make("POST", "/api/v1/case/_merge/"+one+","+two, "")
	r.make("DELETE", "/api/v1/case/3", "")
}

// make makes a call and gives the id of what it answers.
func (r *rig) make(method, path, body string) string {
	r.t.Helper()
	a := r.do(method, path, body)
	if a.status >= 300 {
		r.t.Fatalf("%s %s: %d %s", method, path, a.status, a.raw)
	}
	v := a.value
	if l, ok := v.([]any); ok && len(l) > 0 {
		v = l[0]
	}
	m, _ := v.(map[string]any)
	id, _ := m["_id"].(string)
	return id
}

func TestWebhooksAreToldOfEveryChangeInBothVersions(t *testing.T) {
	t.Parallel()
	var fresh, old, mute inbox
	r := newRig(t, hivetest.Options{Webhooks: []hivetest.Webhook{
		{URL: listen(t, &fresh), Version: 1, Bearer: "b"},
		{URL: listen(t, &old), User: "u", Password: "p"},
		{URL: listen(t, &mute), Organisation: "other"},
	}})
	busy(t, r)
	r.hive.Delivered()
	told, missed := r.hive.WebhookStats()
	n := len(r.hive.Documents(1))
	if !slices.Equal(told, []int{n, n, 0}) || !slices.Equal(missed, []int{0, 0, 0}) || len(fresh.got) != n || len(old.got) != n {
		t.Errorf("of %d changes told %v, missed %v", n, told, missed)
	}
	if fresh.auth[0] != "Bearer b" || old.auth[0] != "Basic dTpw" {
		t.Errorf("authorised by %q and %q", fresh.auth[0], old.auth[0])
	}
	count := func(all []map[string]any, action, kind string) map[string]int {
		m := map[string]int{}
		for _, d := range all {
			a, _ := d[action].(string)
			k, _ := d[kind].(string)
			m[a+" "+k]++
		}
		return m
	}
	want := map[string]int{
		"create Case": 2, "create Procedure": 1, "create Comment": 1, "create Observable": 1, "update Case": 2,
		"delete Procedure": 1, "merge Case": 1, "delete Case": 3,
	}
	if diff := cmp.Diff(want, count(fresh.got, "action", "objectType")); diff != "" {
		t.Errorf("version 1 (-want +got):\n%s", diff)
	}
	want = map[string]int{
		"Creation case": 2, "Creation procedure": 1, "Creation comment": 1, "Creation case_artifact": 1, "Update case": 3,
		"Delete procedure": 1, "Delete case": 3,
	}
	if diff := cmp.Diff(want, count(old.got, "operation", "objectType")); diff != "" {
		t.Errorf("version 0 (-want +got):\n%s", diff)
	}
}

func TestAWebhookThatRefusesHasMissedTheDocument(t *testing.T) {
	t.Parallel()
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	r := newRig(t, hivetest.Options{Webhooks: []hivetest.Webhook{{URL: listen(t, refuse), Version: 1}}})
	r.make("POST", "/api/v1/case", `{"title":"a","description":"d"}`)
	r.hive.Delivered()
	if told, missed := r.hive.WebhookStats(); told[0] != 0 || missed[0] != 1 {
		t.Errorf("told %v, missed %v", told, missed)
	}
}

// The simulator's documents have the properties of the real ones, and those that matter their types.
func TestDocumentsHaveTheShapeOfTheRealOnes(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "thehive", "webhooks")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the webhook documents are not here (../shared/data/thehive/webhooks)")
	}
	r := newRig(t, hivetest.Options{})
	busy(t, r)
	for _, c := range []struct {
		file, action, kind string
		version            int
	}{
		{"v1-procedure-ttp-removed-from-a-case.json", "delete", "Procedure", 1},
		{"v1-procedure-ttp-added-to-a-case.json", "create", "Procedure", 1},
		{"v1-case-case-deleted.json", "delete", "Case", 1},
		{"v1-case-case-closed-as-other.json", "update", "Case", 1},
		{"v1-comment-comment-added-to-a-case.json", "create", "Comment", 1},
		{"v1-observable-observable-added.json", "create", "Observable", 1},
		{"v0-procedure-ttp-removed-from-a-case.json", "Delete", "procedure", 0},
		{"v0-procedure-ttp-added-to-a-case.json", "Creation", "procedure", 0},
		{"v0-case-case-deleted.json", "Delete", "case", 0},
		{"v0-observable-observable-added.json", "Creation", "case_artifact", 0},
	} {
		text, err := os.ReadFile(filepath.Join(dir, c.file))
		if err != nil {
			t.Fatal(err)
		}
		var actual map[string]any
		if err := json.Unmarshal(text, &actual); err != nil {
			t.Fatal(err)
		}
		delete(actual, "mainAction")
		found := false
		for _, raw := range r.hive.Documents(c.version) {
			var ours map[string]any
			if err := json.Unmarshal(raw, &ours); err != nil {
				t.Fatal(err)
			}
			if ours["objectType"] != c.kind || ours["action"] != c.action && ours["operation"] != c.action {
				continue
			}
			found = true
			delete(ours, "mainAction") // since 5.5
			if diff := cmp.Diff(shape(actual), shape(ours)); diff != "" {
				t.Errorf("%s (-real +simulated):\n%s", c.file, diff)
			}
			break
		}
		if !found {
			t.Errorf("no document like %s", c.file)
		}
	}
}

// shape names the properties of a document, and of what tells where it happened.
func shape(d map[string]any) map[string]string {
	out := map[string]string{}
	for name, v := range d {
		switch v.(type) {
		case string:
			out[name] = "text"
		case float64:
			out[name] = "number"
		case bool:
			out[name] = "flag"
		case map[string]any:
			out[name] = "object"
		}
	}
	if where, ok := d["context"].(map[string]any); ok {
		out["context._type"], _ = where["_type"].(string)
	}
	return out
}
