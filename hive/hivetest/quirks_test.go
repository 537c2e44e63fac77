package hivetest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"forager/hive/hivetest"
)

// posing lets the rig's calls be another account's until the returned function is called.
func (r *rig) posing(login string) (back func()) {
	was := r.header
	r.header = http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(login+":pw"))}}
	return func() { r.header = was }
}

// enrol makes an account in the first organisation.
func (r *rig) enrol(login, profile, kind string) {
	r.t.Helper()
	r.must(201, "POST", "/api/v1/user", `{"login":"`+login+`","name":"n","profile":"`+profile+`","type":"`+kind+`","password":"pw"}`)
}

// TestARestrictedCaseIsOutOfSight: of who has no access, and of all that looks for it, until it is open again.
func TestARestrictedCaseIsOutOfSight(t *testing.T) {
	t.Parallel()
	for how, want := range map[hivetest.Sight]int{"": 404, hivetest.Hidden: 404, hivetest.Refused: 403, hivetest.Shown: 200} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, hivetest.Options{Quirks: hivetest.Quirks{Restricted: how}})
			r.enrol("normal@x.example", "analyst", "Normal")
			r.enrol("service@x.example", "analyst", "Service")
			id := r.must(201, "POST", "/api/v1/case", `{"title":"c","description":"d","tags":["k"]}`).text("_id")
			r.must(201, "POST", "/api/v1/case/1/observable", `{"dataType":"ip","data":"192.0.2.1"}`)
			r.must(204, "POST", "/api/v1/case/1/access", `{"access":{"_kind":"UserAccessKind","users":["admin@thehive.local"]}}`)
			count := func(of string) string {
				return strings.TrimSpace(string(r.must(200, "POST", "/api/v1/query", `{"query":[`+of+`,{"_name":"count"}]}`).raw))
			}
			looks := []string{
				`{"_name":"listCase"},{"_name":"filter","_eq":{"_field":"tags","_value":"k"}}`, `{"_name":"listCase"}`, `{"_name":"getCase","idOrName":"1"}`,
				`{"_name":"listObservable"}`, `{"_name":"listObservable"},{"_name":"case"}`,
			}
			write := map[string]string{"POST /api/v1/case/1/comment": `{"message":"m"}`, "PATCH /api/v1/case/1": `{"title":"n"}`, "POST /api/v1/case/1/observable": `{"dataType":"ip","data":"192.0.2.9"}`}
			back := r.posing("normal@x.example")
			r.must(want, "GET", "/api/v1/case/"+id, "")
			for _, q := range looks {
				if got := count(q); (got == "1") != (want == 200) {
					t.Errorf("%s: %s", q, got)
				}
			}
			for call, body := range write {
				method, path, _ := strings.Cut(call, " ")
				if a := r.do(method, path, body); (a.status < 300) != (want == 200) || a.status >= 300 && a.status != want {
					t.Errorf("%s: %d", call, a.status)
				}
			}
			back()
			back = r.posing("service@x.example")
			r.must(200, "GET", "/api/v1/case/1", "")
			back()
			r.must(204, "POST", "/api/v1/case/1/access", `{"access":{"_kind":"OrganisationAccessKind"}}`)
			back = r.posing("normal@x.example")
			r.must(200, "GET", "/api/v1/case/1", "")
			back()
		})
	}
}

// TestWhatAReleaseDoes: by the version alone.
func TestWhatAReleaseDoes(t *testing.T) {
	t.Parallel()
	reopens := func(r *rig, rights string) int {
		r.header.Set("X-Organisation", "admin")
		r.must(201, "POST", "/api/v1/profile", `{"name":"few","permissions":[`+rights+`]}`)
		r.header.Del("X-Organisation")
		r.enrol("few@x.example", "few", "Normal")
		r.must(201, "POST", "/api/v1/case", `{"title":"c","description":"d","status":"TruePositive"}`)
		defer r.posing("few@x.example")()
		r.must(204, "PATCH", "/api/v1/case/1", `{"title":"n"}`)
		r.must(204, "PATCH", "/api/v1/case/1", `{"status":"Other"}`)
		return r.do("PATCH", "/api/v1/case/1", `{"status":"InProgress"}`).status
	}
	for _, c := range []struct {
		version string
		ask     func(r *rig) int
		want    int
	}{
		{"5.2.5", func(r *rig) int { return reopens(r, `"manageCase/update"`) }, 204},
		{"5.2.6", func(r *rig) int { return reopens(r, `"manageCase/update"`) }, 403},
		{"5.7.3", func(r *rig) int { return reopens(r, `"manageCase/update"`) }, 403},
		{"5.7.3", func(r *rig) int { return reopens(r, `"manageCase/update","manageCase/reopen"`) }, 204},
		{"5.2.15", wrongType, 415}, {"5.2.16", wrongType, 400}, {"5.3.10", wrongType, 415}, {"5.3.11", wrongType, 400}, {"5.4.9", wrongType, 415},
		{"5.4.10", wrongType, 400}, {"5.5.0", wrongType, 415}, {"5.5.1", wrongType, 400}, {"5.7.3", wrongType, 400},
		{"5.7.0", templateTags, 2}, {"5.7.1", templateTags, 1}, {"5.4.1", func(r *rig) int { return rights(r, "manageCaseAccess/restrict") }, 0},
		{"5.5.13", func(r *rig) int { return rights(r, "manageCaseAccess/restrict") }, 1}, {"5.5.13", func(r *rig) int { return rights(r, "manageCaseAccess/external") }, 0},
		{"5.6.2", func(r *rig) int { return rights(r, "manageCaseAccess/external") }, 1},
		{"5.5.13", func(r *rig) int {
			return r.do("POST", "/api/v1/case/_bulk/access", `{"ids":[],"access":{"_kind":"OrganisationAccessKind"}}`).status
		}, 404},
		{"5.6.2", func(r *rig) int {
			return r.do("POST", "/api/v1/case/_bulk/access", `{"ids":[],"access":{"_kind":"OrganisationAccessKind"}}`).status
		}, 204},
		{"5.6.2", func(r *rig) int { return linkOf(r, 513) }, 400}, {"5.7.3", func(r *rig) int { return linkOf(r, 4096) }, 201}, {"5.7.3", func(r *rig) int { return linkOf(r, 4097) }, 400},
	} {
		r := newRig(t, hivetest.Options{Version: c.version + "-1"})
		if got := c.ask(r); got != c.want {
			t.Errorf("%s: %d, want %d", c.version, got, c.want)
		}
	}
}

func wrongType(r *rig) int {
	a, err := r.send("POST", "/api/v1/case", "text/plain", []byte(someCase))
	if err != nil {
		r.t.Fatal(err)
	}
	return a.status
}

func templateTags(r *rig) int {
	r.must(201, "POST", "/api/v1/caseTemplate", `{"name":"tpl","tags":["t"]}`)
	if bare, _ := r.must(201, "POST", "/api/v1/case", `{"title":"c","description":"d","caseTemplate":"tpl"}`).at("tags").([]any); len(bare) != 1 {
		r.t.Errorf("a case without tags of its own: %v", bare)
	}
	all, _ := r.must(201, "POST", "/api/v1/case", `{"title":"c","description":"d","caseTemplate":"tpl","tags":["own"]}`).at("tags").([]any)
	return len(all)
}

func rights(r *rig, right string) int {
	all, _ := r.must(200, "GET", "/api/v1/user/current", "").at("permissions").([]any)
	if slices.Contains(all, any(right)) {
		return 1
	}
	return 0
}

func linkOf(r *rig, n int) int {
	return r.do("POST", "/api/v1/alert", `{"type":"t","source":"s","sourceRef":"r","title":"t","description":"d","externalLink":"`+strings.Repeat("x", n)+`"}`).status
}

// TestQuirksTurnWhatNobodyKnows: each is something that a client may meet.
func TestQuirksTurnWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	const ip, two = `{"dataType":"ip","data":"192.0.2.1"}`, `{"procedures":[{"patternId":"T1566","occurDate":1},{"patternId":"T9999","occurDate":1}]}`
	stored := func(r *rig, of string) string {
		return strings.TrimSpace(string(r.must(200, "POST", "/api/v1/query", `{"query":[{"_name":"getCase","idOrName":"1"},{"_name":"`+of+`"},{"_name":"count"}]}`).raw))
	}
	doubled := func(r *rig) string {
		r.newCase("c")
		r.do("POST", "/api/v1/case/1/observable", ip)
		return fmt.Sprintln(r.do("POST", "/api/v1/case/1/observable", ip).status, stored(r, "observables"))
	}
	bad := func(r *rig) string {
		r.newCase("c")
		return fmt.Sprintln(r.do("POST", "/api/v1/case/1/procedures", two).status, stored(r, "procedures"))
	}
	tagged := func(r *rig) string {
		r.newCase("c")
		for _, tag := range []string{"a", "b:c=d"} {
			r.must(204, "PATCH", "/api/v1/case/1", `{"addTags":["`+tag+`"]}`)
		}
		return fmt.Sprint(r.must(200, "GET", "/api/v1/case/1", "").at("tags"))
	}
	below := func(r *rig) string {
		return fmt.Sprint(r.do("POST", "/api/v1/case/9/comment", `{"message":"m"}`).status)
	}
	foreign := func(r *rig) string {
		r.header.Set("X-Organisation", "nowhere")
		return fmt.Sprint(r.do("GET", "/api/v1/user/current", "").status)
	}
	tasks := func(r *rig) string {
		r.must(201, "POST", "/api/v1/case", `{"title":"c","description":"d","tasks":[{"title":"a"},{"title":"b"}]}`)
		return stored(r, "tasks")
	}
	merged := func(r *rig) string {
		for range 2 {
			r.newCase("c")
		}
		r.must(201, "POST", "/api/v1/case/1/comment", `{"message":"m"}`)
		r.must(201, "POST", "/api/v1/case/2/procedure", `{"patternId":"T1566","occurDate":1}`)
		id := r.must(201, "POST", "/api/v1/case/_merge/1,2", "").text("_id")
		return string(r.must(200, "POST", "/api/v1/query", `{"query":[{"_name":"getCase","idOrName":"`+id+`"},{"_name":"comments"},{"_name":"count"}]}`).raw)
	}
	for name, c := range map[string]struct {
		quirks hivetest.Quirks
		ask    func(*rig) string
		want   string
	}{
		"a double": {hivetest.Quirks{}, doubled, "207 1"}, "a double, 400": {hivetest.Quirks{Doubled: 400}, doubled, "400 1"},
		"a double, 201": {hivetest.Quirks{Doubled: 201}, doubled, "201 1"},
		"a bad one":     {hivetest.Quirks{}, bad, "404 0"}, "a bad one, others stay": {hivetest.Quirks{BadProcedure: "others"}, bad, "404 1"},
		"tags":         {hivetest.Quirks{}, tagged, "[a b:c=d]"},
		"tags, quoted": {hivetest.Quirks{Tags: "quoted"}, tagged, `[a b:c="d"]`},
		"below none":   {hivetest.Quirks{}, below, "404"}, "below none, 403": {hivetest.Quirks{BelowDeleted: 403}, below, "403"},
		"foreign": {hivetest.Quirks{}, foreign, "403"}, "foreign, 401": {hivetest.Quirks{ForeignOrganisation: 401}, foreign, "401"},
		"tasks": {hivetest.Quirks{}, tasks, "2"}, "tasks, short": {hivetest.Quirks{ShortTasks: true}, tasks, "1"},
		"a merge": {hivetest.Quirks{}, merged, "1"}, "a merge loses": {hivetest.Quirks{MergeLoses: []string{"comments"}}, merged, "0"},
	} {
		r := newRig(t, hivetest.Options{Quirks: c.quirks})
		if got := strings.TrimSpace(c.ask(r)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestOfTagsThatAreAddedAtATimeTheLastMayWin: those of one burst, by option; what came long before stays.
func TestOfTagsThatAreAddedAtATimeTheLastMayWin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{Quirks: hivetest.Quirks{LostTags: true}})
		call(t, h, "POST", casePath, someCase)
		for i, tag := range []string{"early", "a", "b"} {
			if i == 1 {
				time.Sleep(time.Minute)
			}
			call(t, h, "PATCH", casePath+"/1", `{"addTags":["`+tag+`"]}`)
		}
		if got := fmt.Sprint(call(t, h, "GET", casePath+"/1", "").at("tags")); !strings.Contains(got, "early") || !strings.Contains(got, "b") || strings.Contains(got, " a ") {
			t.Errorf("tags %s", got)
		}
	})
}

// TestWritesToOneCaseMayCollide: those that come at a time, by option; not those to other cases.
func TestWritesToOneCaseMayCollide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{Quirks: hivetest.Quirks{FailureClass: "org.janusgraph.core.JanusGraphException"}})
		write := func(n int) answer {
			time.Sleep(time.Second)
			return call(t, h, "POST", fmt.Sprintf("/api/v1/case/%d/comment", n), `{"message":"m"}`)
		}
		for range 2 {
			time.Sleep(time.Second)
			call(t, h, "POST", casePath, someCase)
		}
		var all sync.WaitGroup
		var failed sync.Map
		for i := range 4 {
			all.Go(func() {
				if a := write(1 + i%2); a.status == 500 && strings.Contains(string(a.raw), "JanusGraphException") {
					failed.Store(i, true)
				}
			})
		}
		all.Wait()
		n := 0
		failed.Range(func(any, any) bool { n++; return true })
		if n != 2 || write(1).status != 201 {
			t.Errorf("%d of 4 failed, or one that came alone", n)
		}
	})
}

// TestListsLagByThemselves: a search may show at once what a case's own list does not, and the other way round.
func TestListsLagByThemselves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		quirks hivetest.Quirks
		want   string
	}{{hivetest.Quirks{}, "11"}, {hivetest.Quirks{SearchLag: 900}, "01"}, {hivetest.Quirks{ListLag: 900}, "10"}} {
		synctest.Test(t, func(t *testing.T) {
			h := hivetest.New(hivetest.Options{Quirks: c.quirks})
			call(t, h, "POST", casePath, someCase)
			call(t, h, "POST", casePath+"/1/comment", `{"message":"m"}`)
			look := func() string {
				return count(t, h, byTag) + count(t, h, `{"query":[{"_name":"getCase","idOrName":"1"},{"_name":"comments"},{"_name":"count"}]}`)
			}
			if got := strings.ReplaceAll(look(), "\n", ""); got != c.want {
				t.Errorf("%+v: %s, want %s", c.quirks, got, c.want)
			}
			time.Sleep(time.Second)
			if got := strings.ReplaceAll(look(), "\n", ""); got != "11" {
				t.Errorf("%+v: later %s", c.quirks, got)
			}
		})
	}
}

// TestAConformanceReportIsReadWhole: what it says becomes the server, what nobody knows is an error.
func TestAConformanceReportIsReadWhole(t *testing.T) {
	t.Parallel()
	want := hivetest.Quirks{Restricted: hivetest.Refused, Doubled: 400, LostTags: true, ListLag: 30}
	raw, err := json.Marshal(map[string]any{"version": "5.6.2-1", "quirks": want, "questions": []any{"q"}})
	if err != nil {
		t.Fatal(err)
	}
	version, got, err := hivetest.ReadQuirks(raw)
	if err != nil || version != "5.6.2-1" || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s %+v %v", version, got, err)
	}
	for _, bad := range []string{`{"version":"5.6.2","quirks":{"weather":1}}`, `{"quirks":{}}`, `{"version":"5.6.2"}`, `{`, `{"version":"5","quirks":{},"more":1}`} {
		if _, _, err := hivetest.ReadQuirks([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
