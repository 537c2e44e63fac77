package hive_test

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"forager/hive"
	"forager/hive/connector"
)

const (
	workerJSON = `{"id":"w","name":"Lookup_1_0","version":"1.0","description":"d","dataTypeList":["ip"],"cortexIds":["c1"]}`
	jobJSON    = `{"_id":"~50","_type":"case_artifact_job","_createdBy":"a","_createdAt":"2026-03-01T08:30:00Z","analyzerId":"w","analyzerName":"Lookup_1_0","analyzerDefinition":"Lookup","status":"Success",
		"startDate":"2026-03-01T08:30:00Z","endDate":"2026-03-01T08:30:05Z","report":{"a":1},"cortexId":"c1","cortexJobId":"j1","id":"~50","operations":"[]"}`
	actionJSON = `{"_id":"~60","_type":"Action","_createdBy":"a","_createdAt":1772353800000,"responderId":"r","responderName":"Block","cortexId":"c1","cortexJobId":"j2","objectType":"Case","objectId":"~1",
		"status":"Success","startDate":1772353800000,"operations":"[]","report":"{}"}`
)

func connectorEndpoints() []endpoint {
	type ctx = context.Context
	type client = *hive.Client
	worker := connector.Worker{ID: "w", Name: "Lookup_1_0", Version: "1.0", Description: "d", DataTypes: []string{"ip"}, CortexIDs: []string{"c1"}}
	start := time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)
	job := connector.Job{ID: "~50", CortexID: "c1", CortexJobID: "j1", AnalyzerID: "w", AnalyzerName: "Lookup_1_0", AnalyzerDefinition: "Lookup", Status: "Success",
		StartDate: connector.Moment{Time: start}, EndDate: connector.Moment{Time: start.Add(5 * time.Second)}, Report: json.RawMessage(`{"a":1}`)}
	action := connector.Action{ID: "~60", CortexID: "c1", CortexJobID: "j2", ResponderID: "r", ResponderName: "Block", ObjectType: "Case", ObjectID: "~1", Status: "Success",
		StartDate: connector.Moment{Time: start}, Report: "{}", Operations: "[]"}
	run := connector.NewJob{AnalyzerID: "w", CortexID: "c1", ObservableID: "~9", Parameters: map[string]any{"a": 1}}
	newer := strings.NewReplacer(`"2026-03-01T08:30:00Z"`, "1772353800000", `"2026-03-01T08:30:05Z"`, "1772353805000").Replace(jobJSON)
	respond := makes("run responder", "/connector/cortex/action", `{"responderId":"r","cortexId":"c1","objectType":"case","objectId":"~1","parameters":{"a":1},"tlp":0}`, actionJSON, action,
		func(x ctx, c client) (connector.Action, error) {
			return connector.New(c).RunResponder(x, connector.NewAction{ResponderID: "r", CortexID: "c1", ObjectType: "case", ObjectID: "~1", Parameters: map[string]any{"a": 1}, TLP: new(0)})
		})
	respond.status, respond.of = 200, "5.7.3"
	sync := does("sync MISP", "GET", "/connector/misp/_syncAlerts", "", func(x ctx, c client) error { return connector.New(c).SyncMISP(x) })
	workers := []connector.Worker{worker}
	actions := reads("actions", "/connector/cortex/action/case/~1", "["+actionJSON+"]", []connector.Action{action}, func(x ctx, c client) ([]connector.Action, error) { return connector.New(c).Actions(x, "case", "~1") })
	actions.of = "5.7.3"
	return []endpoint{
		reads("analyzers", "/connector/cortex/analyzer", "["+workerJSON+"]", workers, func(x ctx, c client) ([]connector.Worker, error) { return connector.New(c).Analyzers(x) }),
		reads("analyzers of a type", "/connector/cortex/analyzer/type/ip", "["+workerJSON+"]", workers, func(x ctx, c client) ([]connector.Worker, error) { return connector.New(c).AnalyzersFor(x, "ip") }),
		reads("analyzer", "/connector/cortex/analyzer/w", workerJSON, worker, func(x ctx, c client) (connector.Worker, error) { return connector.New(c).Analyzer(x, "w") }),
		makes("run analyzer", "/connector/cortex/job", `{"analyzerId":"w","cortexId":"c1","artifactId":"~9","parameters":{"a":1}}`, jobJSON, job,
			func(x ctx, c client) (connector.Job, error) { return connector.New(c).RunAnalyzer(x, run) }),
		makes("run analyzers", "/connector/cortex/job/_bulk", `{"jobs":[{"analyzerId":"w","cortexId":"c1","artifactId":"~9","parameters":{"a":1}}]}`, "["+newer+"]", []connector.Job{job},
			func(x ctx, c client) ([]connector.Job, error) { return connector.New(c).RunAnalyzers(x, run) }).from("5.7.3"),
		reads("job", "/connector/cortex/job/~50", jobJSON, job, func(x ctx, c client) (connector.Job, error) { return connector.New(c).Job(x, "~50") }),
		asks("jobs of an observable", `{"query":[{"_name":"getObservable","idOrName":"~9"},{"_name":"jobs"},{"_name":"sort","_fields":[{"_createdAt":"desc"}]},{"_name":"page","from":0,"to":500}]}`,
			"["+jobJSON+"]", []connector.Job{job}, func(x ctx, c client) ([]connector.Job, error) { return connector.New(c).Jobs(x, "~9") }),
		asks("outstanding jobs", `{"query":[{"_name":"listJob"},{"_name":"filter","_in":{"_field":"status","_values":["Waiting","InProgress"]}},{"_name":"sort","_fields":[{"_createdAt":"desc"}]},{"_name":"page","from":0,"to":7}]}`,
			"["+jobJSON+"]", []connector.Job{job}, func(x ctx, c client) ([]connector.Job, error) { return connector.New(c).Outstanding(x, 7) }),
		reads("responders", "/connector/cortex/responder/case/~1", "["+workerJSON+"]", workers, func(x ctx, c client) ([]connector.Worker, error) { return connector.New(c).Responders(x, "case", "~1") }),
		respond,
		actions,
		reads("MISP status", "/connector/misp/status", `{"status":{},"syncInProgress":true}`, connector.MISPStatus{Status: json.RawMessage(`{}`), Syncing: true},
			func(x ctx, c client) (connector.MISPStatus, error) { return connector.New(c).MISPStatus(x) }),
		sync,
		does("export to MISP", "POST", "/connector/misp/export/~1/main", "", func(x ctx, c client) error { return connector.New(c).ExportToMISP(x, "~1", "main") }),
		makes("import from MISP", "/connector/misp/case/import", "", caseJSON, wantCase(), func(x ctx, c client) (hive.Case, error) {
			return connector.New(c).ImportFromMISP(x, hive.Upload{Name: "e.json", Body: strings.NewReader("{}")}, connector.MISPImport{CaseTemplate: "tpl", Assignee: "a@b.org"})
		}),
	}
}
