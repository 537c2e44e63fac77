package hivetest_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/hive/hivetest"
)

// bench asks a server without a network, so that its time may be a test's, and holds every answer against the release's description.
type bench struct {
	t       *testing.T
	h       *hivetest.Hive
	version string
}

func newBench(t *testing.T, version string, o hivetest.Options) bench {
	t.Helper()
	o.Version = version + "-1"
	return bench{t, hivetest.New(o), version}
}

func (b bench) ask(status int, method, path, body string) answer {
	b.t.Helper()
	req := httptest.NewRequestWithContext(b.t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	b.h.ServeHTTP(rec, req)
	a := answer{status: rec.Code, header: rec.Header(), raw: rec.Body.Bytes()}
	if len(a.raw) > 0 {
		if err := json.Unmarshal(a.raw, &a.value); err != nil {
			b.t.Fatal(err)
		}
	}
	checkAnswer(b.t, b.version, method, path, a)
	if a.status != status {
		b.t.Fatalf("%s %s: %d %s, want %d", method, path, a.status, a.raw, status)
	}
	return a
}

// seen makes a case with one observable and returns its id.
func (b bench) seen(body string) string {
	b.t.Helper()
	c := b.ask(201, "POST", "/api/v1/case", `{"title":"c","description":"d"}`).text("_id")
	return b.ask(201, "POST", "/api/v1/case/"+c+"/observable", body).text("0._id")
}

func (b bench) job(analyzer, server, observable string) string {
	b.t.Helper()
	return b.ask(201, "POST", "/api/v1/connector/cortex/job",
		fmt.Sprintf(`{"analyzerId":%q,"cortexId":%q,"artifactId":%q}`, analyzer, server, observable)).text("_id")
}

const at = "/api/v1/connector/cortex/"

var cortexed = hivetest.Options{Cortex: []string{"local", "far"}, JobTime: 4 * time.Second}

// TestJobsRunOverTime: a job waits, is in progress and ends, and its taxonomies are at the observable then.
func TestJobsRunOverTime(t *testing.T) {
	for _, version := range described {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, version, cortexed)
			o := b.seen(`{"dataType":"ip","data":"203.0.113.7"}`)
			job := b.job("virustotal", "local", o)
			for _, step := range []struct {
				after  time.Duration
				status string
			}{{0, "Waiting"}, {999 * time.Millisecond, "Waiting"}, {time.Millisecond, "InProgress"}, {2999 * time.Millisecond, "InProgress"}} {
				time.Sleep(step.after)
				got := b.ask(200, "GET", at+"job/"+job, "")
				if got.text("status") != step.status || got.at("report") != nil || got.at("endDate") != nil {
					t.Errorf("%s: %s, want %s", version, got.raw, step.status)
				}
			}
			if reports := b.ask(200, "GET", "/api/v1/observable/"+o, "").at("reports"); len(reports.(map[string]any)) != 0 {
				t.Errorf("%s: reports before the end: %v", version, reports)
			}
			time.Sleep(time.Millisecond)
			got := b.ask(200, "GET", at+"job/"+job, "")
			if got.text("status") != "Success" || got.at("endDate") == nil || got.text("report.summary.taxonomies.0.level") != "malicious" || got.text("analyzerName") != "VirusTotal_GetReport_3_1" {
				t.Errorf("%s: %s", version, got.raw)
			}
			want := map[string]any{"VirusTotal_GetReport_3_1": map[string]any{"taxonomies": []any{
				map[string]any{"level": "malicious", "namespace": "VirusTotal", "predicate": "Verdict", "value": "simulated"},
			}}}
			if diff := cmp.Diff(want, b.ask(200, "GET", "/api/v1/observable/"+o, "").at("reports")); diff != "" {
				t.Errorf("%s: %s", version, diff)
			}
			listed := b.ask(200, "POST", "/api/v1/query", `{"query":[{"_name":"getObservable","idOrName":"`+o+`"},{"_name":"jobs"}]}`)
			if listed.text("0._id") != job {
				t.Errorf("%s: %s", version, listed.raw)
			}
		})
	}
}

// TestJobsThatFail: in the words of Cortex's workers, and of TheHive 4 where it finds no analyzer.
func TestJobsThatFail(t *testing.T) {
	file := hivetest.Analyzer{ID: "deep", Name: "Deep_1_0", DataTypes: []string{"ip"}, MaxTLP: 4, MaxPAP: 3, Servers: []string{"far"}}
	broken := hivetest.Analyzer{ID: "broken", Name: "Broken_1_0", DataTypes: []string{"ip"}, Fails: "no route to host"}
	shallow := hivetest.Analyzer{ID: "shallow", Name: "Shallow_1_0", DataTypes: []string{"ip"}}
	for name, test := range map[string]struct{ observable, analyzer, server, want string }{
		"an unknown server":               {`{"dataType":"ip","data":"192.0.2.1"}`, "deep", "none", "Cortex none not found"},
		"an unknown analyzer":             {`{"dataType":"ip","data":"192.0.2.1"}`, "none", "far", "Analyzer none not found"},
		"an analyzer of another server":   {`{"dataType":"ip","data":"192.0.2.1"}`, "deep", "local", "Analyzer deep not found"},
		"a type that it does not take":    {`{"dataType":"domain","data":"a.example"}`, "deep", "far", "This datatype is not supported by this analyzer."},
		"a TLP above the maximum":         {`{"dataType":"ip","data":"192.0.2.1","tlp":3}`, "shallow", "local", "TLP is higher than allowed."},
		"an analyzer that always fails":   {`{"dataType":"ip","data":"192.0.2.1"}`, "broken", "local", "no route to host"},
		"a TLP at the maximum":            {`{"dataType":"ip","data":"192.0.2.1","tlp":4}`, "deep", "far", ""},
		"an analyzer by its name":         {`{"dataType":"ip","data":"192.0.2.1"}`, "Shallow_1_0", "local", ""},
		"the third test net is malicious": {`{"dataType":"ip","data":"198.51.100.9"}`, "shallow", "local", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := cortexed
				o.Analyzers = []hivetest.Analyzer{file, broken, shallow}
				b := newBench(t, "5.7.3", o)
				job := b.job(test.analyzer, test.server, b.seen(test.observable))
				time.Sleep(o.JobTime)
				got := b.ask(200, "GET", at+"job/"+job, "")
				status := "Success"
				if test.want != "" {
					status = "Failure"
				}
				if got.text("status") != status || got.text("report.errorMessage") != test.want {
					t.Errorf("%s", got.raw)
				}
			})
		})
	}
}

// TestPAPOfTheCaseCounts: the highest that an analyzer may see is held against the case, too.
func TestPAPOfTheCaseCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "5.5.13", cortexed)
		c := b.ask(201, "POST", "/api/v1/case", `{"title":"c","description":"d","pap":3}`).text("_id")
		o := b.ask(201, "POST", "/api/v1/case/"+c+"/observable", `{"dataType":"ip","data":"192.0.2.1"}`).text("0._id")
		job := b.job("virustotal", "local", o)
		time.Sleep(cortexed.JobTime)
		if got := b.ask(200, "GET", at+"job/"+job, ""); got.text("report.errorMessage") != "PAP is higher than allowed." {
			t.Errorf("%s", got.raw)
		}
	})
}

// TestRefusedJobs: by option as TheHive 4 refused them; of a bulk with one such, none is made.
func TestRefusedJobs(t *testing.T) {
	o := cortexed
	o.RefuseJobs = true
	b := newBench(t, "5.7.3", o)
	id := b.seen(`{"dataType":"ip","data":"192.0.2.1"}`)
	good, bad := `{"analyzerId":"virustotal","cortexId":"local","artifactId":"`+id+`"}`, `{"analyzerId":"none","cortexId":"local","artifactId":"`+id+`"}`
	if a := b.ask(404, "POST", at+"job", bad); a.text("message") != "Analyzer none not found" {
		t.Errorf("%s", a.raw)
	}
	b.ask(404, "POST", at+"job", strings.Replace(good, "local", "none", 1))
	b.ask(404, "POST", at+"job/_bulk", `{"jobs":[`+good+`,`+bad+`]}`)
	if n := b.ask(200, "POST", "/api/v1/query", `{"query":[{"_name":"listJob"},{"_name":"count"}]}`).value; n != 0.0 {
		t.Errorf("%v jobs of what was refused", n)
	}
	if a := b.ask(201, "POST", at+"job/_bulk", `{"jobs":[`+good+`,`+good+`]}`); a.at("1.status") != "Waiting" {
		t.Errorf("%s", a.raw)
	}
	b.ask(400, "POST", at+"job", `{"analyzerId":"a","cortexId":"local","artifactId":"`+id+`","color":"blue"}`)
}

// TestAnalyzersByType: what takes a type, where it is, and nothing without a Cortex.
func TestAnalyzersByType(t *testing.T) {
	b := newBench(t, "5.5.13", cortexed)
	for _, at := range []string{"/api/v1/connector/cortex/", "/api/connector/cortex/"} {
		if a := b.ask(200, "GET", at+"analyzer?range=all", ""); len(a.value.([]any)) != 4 {
			t.Errorf("%s", a.raw)
		}
		if a := b.ask(200, "GET", at+"analyzer/type/file", ""); a.text("0.name") != "VirusTotal_GetReport_3_1" || a.text("1.name") != "FileInfo_8_0" || a.text("0.cortexIds.1") != "far" {
			t.Errorf("%s", a.raw)
		}
		b.ask(200, "GET", at+"analyzer/virustotal", "")
		b.ask(404, "GET", at+"analyzer/none", "")
	}
	if a := newBench(t, "5.5.13", hivetest.Options{}).ask(200, "GET", at+"analyzer", ""); string(a.raw) != "[]" {
		t.Errorf("%s", a.raw)
	}
}

// TestRespondersAct: on what they take, and are listed with what they did.
func TestRespondersAct(t *testing.T) {
	for _, version := range described {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, version, cortexed)
			o := b.seen(`{"dataType":"ip","data":"192.0.2.1"}`)
			if a := b.ask(200, "GET", at+"responder/case/1", ""); a.text("0.id") != "mailer" {
				t.Errorf("%s", a.raw)
			}
			if a := b.ask(200, "GET", at+"responder/case_artifact/"+o, ""); string(a.raw) != "[]" {
				t.Errorf("%s", a.raw)
			}
			b.ask(404, "GET", at+"responder/case/77", "")
			b.ask(400, "GET", at+"responder/weather/1", "")
			a := b.ask(200, "POST", at+"action", `{"responderId":"mailer","objectType":"case","objectId":"1"}`)
			if a.text("status") != "Waiting" || a.text("objectType") != "Case" || a.text("cortexId") != "local" {
				t.Errorf("%s", a.raw)
			}
			b.ask(404, "POST", at+"action", `{"responderId":"none","objectType":"case","objectId":"1"}`)
			b.ask(404, "POST", at+"action", `{"responderId":"mailer","cortexId":"none","objectType":"case","objectId":"1"}`)
			time.Sleep(cortexed.JobTime)
			if l := b.ask(200, "GET", at+"action/case/1", ""); l.text("0._id") != a.text("_id") || l.text("0.status") != "Success" {
				t.Errorf("%s", l.raw)
			}
			if version != "5.7.3" {
				return
			}
			b.ask(200, "POST", at+"actions", `[{"responderId":"mailer","objectType":"case","objectId":"1"},{"responderId":"Mailer_1_0","objectType":"Case","objectId":"1"}]`)
			if a := b.ask(200, "GET", at+"responders/case", ""); a.text("0.id") != "mailer" {
				t.Errorf("%s", a.raw)
			}
		})
	}
}

// TestJobsGoOnAfterARestart: a job that was on its way when the state was kept ends.
func TestJobsGoOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "state")
		b := newBench(t, "5.5.13", cortexed)
		job := b.job("virustotal", "local", b.seen(`{"dataType":"ip","data":"198.51.100.3"}`))
		if err := keep(t, b.h, file).Close(); err != nil {
			t.Fatal(err)
		}
		n := newBench(t, "5.5.13", cortexed)
		keep(t, n.h, file)
		time.Sleep(cortexed.JobTime)
		if got := n.ask(200, "GET", at+"job/"+job, ""); got.text("report.summary.taxonomies.0.level") != "suspicious" {
			t.Errorf("%s", got.raw)
		}
	})
}

// TestWebhooksTellOfJobs: made, in progress, ended; each in its case.
func TestWebhooksTellOfJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "5.5.13", cortexed)
		o := b.seen(`{"dataType":"ip","data":"192.0.2.1"}`)
		job := b.job("virustotal", "local", o)
		time.Sleep(cortexed.JobTime)
		root := b.ask(200, "GET", "/api/v1/case/1", "").text("_id")
		var got []string
		for _, raw := range b.h.Documents(1) {
			a := answer{raw: raw}
			if err := json.Unmarshal(raw, &a.value); err != nil {
				t.Fatal(err)
			}
			if a.text("objectId") == job && a.text("objectType") == "Job" && a.text("rootId") == root {
				got = append(got, a.text("action")+" "+a.text("details.status"))
			}
		}
		if diff := cmp.Diff([]string{"create Waiting", "update InProgress", "update Success"}, got); diff != "" {
			t.Error(diff)
		}
	})
}
