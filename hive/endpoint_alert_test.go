package hive_test

import (
	"context"
	"strings"

	"forager/hive"
)

// does is an endpoint that answers with nothing.
func does(name, method, path, body string, call func(context.Context, *hive.Client) error) endpoint {
	return endpoint{name: name, method: method, path: "/api/v1" + path, body: body, status: 204,
		call: func(ctx context.Context, c *hive.Client) (any, error) { return none(call(ctx, c)) }}
}

// makes is an endpoint that answers with what it made.
func makes[T any](name, path, body, answer string, want T, call func(context.Context, *hive.Client) (T, error)) endpoint {
	return endpoint{name: name, method: "POST", path: "/api/v1" + path, body: body, status: 201, answer: answer, want: want,
		call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(call(ctx, c)) }}
}

// reads is an endpoint that shows something.
func reads[T any](name, path, answer string, want T, call func(context.Context, *hive.Client) (T, error)) endpoint {
	return endpoint{name: name, read: true, method: "GET", path: "/api/v1" + path, status: 200, answer: answer, want: want,
		call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(call(ctx, c)) }}
}

// asks is a list that a query brings.
func asks[T any](name, body, answer string, want T, call func(context.Context, *hive.Client) (T, error)) endpoint {
	return endpoint{name: name, read: true, method: "POST", path: queryPath, body: body, status: 200, answer: answer, want: want,
		call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(call(ctx, c)) }}
}

// listQuery is the body that lists all of a kind.
func listQuery(operation string, size string) string {
	return `{"query":[{"_name":"` + operation + `"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":` + size + `}]}`
}

// partQuery is childQuery for what is below something else than a case.
func partQuery(get, id, part string) string {
	return strings.Replace(childQuery(id, part), "getCase", get, 1)
}

// since says from which description on an endpoint is there.
func (e endpoint) from(version string) endpoint {
	e.since = version
	return e
}

const alertJSON = `{"_id":"~70","_type":"Alert","_createdBy":"a","_createdAt":9,"type":"wazuh","source":"manager","sourceRef":"17.3","externalLink":"https://siem.example/17",
	"title":"T","description":"D","severity":3,"severityLabel":"HIGH","date":8,"tags":["x"],"tlp":0,"tlpLabel":"CLEAR","pap":1,"papLabel":"GREEN","follow":true,
	"customFields":[{"_id":"cf:1","name":"cf","type":"string","value":"v","order":0}],"observableCount":2,"caseId":"~41","status":"Imported","stage":"Imported",
	"newDate":7,"importedDate":10,"timeToDetect":0,"extraData":{},"futureField":1}`

func wantAlert() hive.Alert {
	return hive.Alert{ID: "~70", Type: "wazuh", Source: "manager", SourceRef: "17.3", ExternalLink: "https://siem.example/17", Title: "T", Description: "D",
		Severity: 3, TLP: 0, PAP: 1, Date: 8, Tags: []string{"x"}, Follow: true, ObservableCount: 2, CaseID: "~41", Status: "Imported", Stage: hive.StageImported,
		CustomFields: []hive.CustomField{{ID: "cf:1", Name: "cf", Type: "string", Value: "v"}}, NewDate: 7, ImportedDate: 10, CreatedAt: 9, CreatedBy: "a"}
}

// wholeAlert is an alert with all that it can bring but files.
func wholeAlert() hive.NewAlert {
	return hive.NewAlert{Type: "wazuh", Source: "manager", SourceRef: "17.3", ExternalLink: "https://siem.example/17", Title: "T", Description: "D",
		Severity: new(3), TLP: new(0), PAP: new(1), Date: 8, Tags: []string{"x", "x"}, Flag: true, Summary: "s", Status: "New", Assignee: "a@b.c", CaseTemplate: "tpl",
		CustomFields: []hive.CustomField{{ID: "leave out", Name: "cf", Value: "v"}},
		Observables:  []hive.NewObservable{{DataType: "ip", Data: []string{"192.0.2.1", "192.0.2.2"}, IOC: true, StartDate: 5, SightedAt: 6, Sighted: true}},
		Procedures:   []hive.NewProcedure{{PatternID: "T1566.001", Tactic: "initial-access", OccurDate: 8}}}
}

func alertEndpoints() []endpoint {
	type ctx = context.Context
	type client = *hive.Client
	return []endpoint{
		makes("create alert, minimal", "/alert", `{"type":"t","source":"s","sourceRef":"r","title":"T","description":""}`, alertJSON, wantAlert(),
			func(x ctx, c client) (hive.Alert, error) {
				return c.CreateAlert(x, hive.NewAlert{Type: "t", Source: "s", SourceRef: "r", Title: "T"})
			}),
		makes("create alert, everything", "/alert", `{"type":"wazuh","source":"manager","sourceRef":"17.3","externalLink":"https://siem.example/17","title":"T","description":"D",
			"severity":3,"tlp":0,"pap":1,"date":8,"tags":["x"],"flag":true,"summary":"s","status":"New","assignee":"a@b.c","caseTemplate":"tpl","customFields":[{"name":"cf","value":"v"}],
			"observables":[{"dataType":"ip","data":["192.0.2.1","192.0.2.2"],"ioc":true,"sighted":true,"startDate":5,"sightedAt":6}],
			"procedures":[{"patternId":"T1566.001","tactic":"initial-access","occurDate":8}]}`, alertJSON, wantAlert(),
			func(x ctx, c client) (hive.Alert, error) { return c.CreateAlert(x, wholeAlert()) }),
		makes("create alert with files", "/alert", "", alertJSON, wantAlert(), func(x ctx, c client) (hive.Alert, error) {
			n := wholeAlert()
			n.Files = []hive.AlertFile{
				{Observable: hive.NewObservable{DataType: "file"}, File: hive.Upload{Name: "a.txt", Body: strings.NewReader("one")}},
				{Observable: hive.NewObservable{DataType: "file"}, File: hive.Upload{Name: "b.zip", Body: strings.NewReader("two"), Zip: true, ZipPassword: "p"}}}
			return c.CreateAlert(x, n)
		}),
		reads("alert", "/alert/~70", alertJSON, wantAlert(), func(x ctx, c client) (hive.Alert, error) { return c.Alert(x, "~70") }),
		asks("find alert by its name", `{"query":[{"_name":"getAlert","idOrName":"wazuh;manager;17.3"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":1}]}`,
			"["+alertJSON+"]", wantAlert(), func(x ctx, c client) (hive.Alert, error) {
				a, _, err := c.AlertOf(x, "wazuh", "manager", "17.3")
				return a, err
			}),
		asks("find alert whose name has semicolons", `{"query":[{"_name":"listAlert"},{"_name":"filter","_and":[{"_eq":{"_field":"type","_value":"a"}},{"_eq":{"_field":"source","_value":"b"}},
			{"_eq":{"_field":"sourceRef","_value":"c;d"}}]},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":1}]}`,
			"[]", false, func(x ctx, c client) (bool, error) {
				_, found, err := c.AlertOf(x, "a", "b", "c;d")
				return found, err
			}),
		asks("find alerts", listQuery("listAlert", "100"), "["+alertJSON+"]", []hive.Alert{wantAlert()},
			func(x ctx, c client) ([]hive.Alert, error) { return collect(c.FindAlerts(x, hive.Query{})) }),
		asks("find alerts, a page of them", `{"query":[{"_name":"listAlert"},{"_name":"sort","_fields":[{"date":"desc"}]},{"_name":"page","from":20,"to":30}]}`,
			"["+alertJSON+"]", []hive.Alert{wantAlert()}, func(x ctx, c client) ([]hive.Alert, error) {
				return collect(c.FindAlerts(x, hive.Query{Sort: []hive.Sort{{Field: "date", Desc: true}}, Skip: 20, Limit: 10}))
			}),
		asks("count alerts", `{"query":[{"_name":"listAlert"},{"_name":"filter","_eq":{"_field":"stage","_value":"New"}},{"_name":"count"}]}`, "3", 3,
			func(x ctx, c client) (int, error) { return c.CountAlerts(x, hive.Eq("stage", "New")) }),
		asks("alerts of a case", childQuery("7", "alerts"), "["+alertJSON+"]", []hive.Alert{wantAlert()},
			func(x ctx, c client) ([]hive.Alert, error) { return collect(c.CaseAlerts(x, "7")) }),
		does("update alert", "PATCH", "/alert/~70", `{"type":"t","source":"s","sourceRef":"r","title":"n","description":"d","status":"Ignored","externalLink":null,"summary":null,
			"assignee":null,"severity":4,"tlp":0,"pap":0,"date":5,"lastSyncDate":6,"follow":false,"addTags":["a"],"removeTags":["b"],"customFields":{"cf":2}}`,
			func(x ctx, c client) error {
				return c.UpdateAlert(x, "~70", hive.AlertUpdate{Type: new("t"), Source: new("s"), SourceRef: new("r"), Title: new("n"), Description: new("d"), Status: new("Ignored"),
					ExternalLink: new(""), Summary: new(""), Assignee: new(""), Severity: new(4), TLP: new(0), PAP: new(0), Date: new(hive.Millis(5)), LastSyncDate: new(hive.Millis(6)),
					Follow: new(false), AddTags: []string{"a"}, RemoveTags: []string{"b"}, CustomFields: []hive.CustomField{{Name: "cf", Value: 2}}})
			}),
		does("update alerts", "PATCH", "/alert/_bulk", `{"ids":["~1","~2"],"status":"Ignored"}`, func(x ctx, c client) error {
			return c.UpdateAlerts(x, []string{"~1", "~2", "~1"}, hive.AlertUpdate{Status: new("Ignored")})
		}),
		does("follow alert", "POST", "/alert/~70/follow", "", func(x ctx, c client) error { return c.FollowAlert(x, "~70") }),
		does("unfollow alert", "POST", "/alert/~70/unfollow", "", func(x ctx, c client) error { return c.UnfollowAlert(x, "~70") }),
		does("delete alert", "DELETE", "/alert/~70", "", func(x ctx, c client) error { return c.DeleteAlert(x, "~70") }),
		does("delete alerts", "POST", "/alert/delete/_bulk", `{"ids":["~1","~2"]}`, func(x ctx, c client) error { return c.DeleteAlerts(x, "~1", "~2") }),
		makes("promote alert", "/alert/~70/case", `{}`, caseJSON, wantCase(), func(x ctx, c client) (hive.Case, error) { return c.PromoteAlert(x, "~70", hive.CaseFromAlert{}) }),
		makes("promote alert, otherwise", "/alert/~70/case", `{"title":"n","description":"d","summary":"s","severity":4,"tlp":0,"pap":0,"startDate":5,"endDate":6,"tags":["a"],"flag":true,
			"status":"InProgress","assignee":"a@b.c","caseTemplate":"tpl","customFields":[{"name":"cf","value":1}],"tasks":[{"title":"t"}],"pages":[{"title":"p","content":"c","category":"k"}],
			"sharingParameters":[{"organisation":"o","share":false,"profile":"read-only","taskRule":"manual","observableRule":"autoShare"}],"taskRule":"manual","observableRule":"manual"}`,
			caseJSON, wantCase(), func(x ctx, c client) (hive.Case, error) {
				return c.PromoteAlert(x, "~70", hive.CaseFromAlert{Title: "n", Description: "d", Summary: "s", Severity: new(4), TLP: new(0), PAP: new(0), StartDate: 5, EndDate: 6,
					Tags: []string{"a", "a"}, Flag: true, Status: "InProgress", Assignee: "a@b.c", CaseTemplate: "tpl", CustomFields: []hive.CustomField{{ID: "x", Name: "cf", Value: 1}},
					Tasks: []hive.NewTask{{Title: "t"}}, Pages: []hive.NewPage{{Title: "p", Content: "c", Category: "k"}}, TaskRule: "manual", ObservableRule: "manual",
					Sharing: []hive.NewShare{{Organisation: "o", Future: new(false), Profile: "read-only", TaskRule: "manual", ObservableRule: "autoShare"}}})
			}),
		joins("merge alert", "/alert/~70/merge/~41", "", func(x ctx, c client) (hive.Case, error) { return c.MergeAlert(x, "~70", "~41") }),
		joins("import alert", "/alert/~70/import/~41", "", func(x ctx, c client) (hive.Case, error) { return c.ImportAlert(x, "~70", "~41") }),
		joins("merge alerts", "/alert/merge/_bulk", `{"caseId":"~41","alertIds":["~70","~71"]}`, func(x ctx, c client) (hive.Case, error) {
			return c.MergeAlerts(x, "~41", "~70", "~71", "~70")
		}),
		does("unlink alert", "DELETE", "/case/7/alert/~70", "", func(x ctx, c client) error { return c.UnlinkAlert(x, "7", "~70") }),
		reads("similar to alert", "/alert/~70/similar/~41/observables", "["+observableJSON+"]", []hive.Observable{wantObservable()},
			func(x ctx, c client) ([]hive.Observable, error) { return c.SimilarToAlert(x, "~70", "~41") }),
	}
}

// joins is an endpoint that answers with a case that was there.
func joins(name, path, body string, call func(context.Context, *hive.Client) (hive.Case, error)) endpoint {
	e := makes(name, path, body, caseJSON, wantCase(), call)
	e.status = 200
	return e
}

func alertPartEndpoints() []endpoint {
	type ctx = context.Context
	type client = *hive.Client
	created := hive.ObservableResult{Created: []hive.Observable{wantObservable()}}
	one := hive.NewProcedure{PatternID: "T1566", OccurDate: 1}
	comment := hive.Comment{ID: "~3", Message: "m", CreatedAt: 5, CreatedBy: "a", UpdatedAt: 6, UpdatedBy: "b", Edited: true}
	return []endpoint{
		makes("add alert observables", "/alert/~70/observable", `{"dataType":"ip","data":["192.0.2.1"]}`, "["+observableJSON+"]", created,
			func(x ctx, c client) (hive.ObservableResult, error) {
				return c.AddAlertObservables(x, "~70", hive.NewObservable{DataType: "ip", Data: []string{"192.0.2.1"}})
			}),
		makes("add alert file", "/alert/~70/observable", "", "["+observableJSON+"]", created, func(x ctx, c client) (hive.ObservableResult, error) {
			return c.AddAlertFile(x, "~70", hive.NewObservable{DataType: "file"}, hive.Upload{Name: "a", Body: strings.NewReader("x")})
		}),
		asks("alert observables", partQuery("getAlert", "~70", "observables"), "["+observableJSON+"]", []hive.Observable{wantObservable()},
			func(x ctx, c client) ([]hive.Observable, error) { return collect(c.AlertObservables(x, "~70")) }),
		makes("add alert procedure", "/alert/~70/procedure", `{"patternId":"T1566","occurDate":1}`, procedureJSON, wantProcedure(),
			func(x ctx, c client) (hive.Procedure, error) { return c.AddAlertProcedure(x, "~70", one) }),
		makes("add alert procedures", "/alert/~70/procedures", `{"procedures":[{"patternId":"T1566","occurDate":1}]}`, "["+procedureJSON+"]", []hive.Procedure{wantProcedure()},
			func(x ctx, c client) ([]hive.Procedure, error) {
				return c.AddAlertProcedures(x, "~70", []hive.NewProcedure{one})
			}),
		asks("alert procedures", partQuery("getAlert", "~70", "procedures"), "["+procedureJSON+"]", []hive.Procedure{wantProcedure()},
			func(x ctx, c client) ([]hive.Procedure, error) { return collect(c.AlertProcedures(x, "~70")) }),
		makes("add alert comment", "/alert/~70/comment", `{"message":"m"}`, commentJSON, comment,
			func(x ctx, c client) (hive.Comment, error) { return c.AddAlertComment(x, "~70", "m") }),
		asks("alert comments", partQuery("getAlert", "~70", "comments"), "["+commentJSON+"]", []hive.Comment{comment},
			func(x ctx, c client) ([]hive.Comment, error) { return collect(c.AlertComments(x, "~70")) }),
		makes("add alert attachments", "/alert/~70/attachments", "", `{"attachments":[`+attachmentJSON+`]}`, []hive.Attachment{wantAttachment()},
			func(x ctx, c client) ([]hive.Attachment, error) {
				return c.AddAlertAttachments(x, "~70", hive.Upload{Name: "f", Body: strings.NewReader("text")})
			}),
		asks("alert attachments", partQuery("getAlert", "~70", "attachments"), "["+attachmentJSON+"]", []hive.Attachment{wantAttachment()},
			func(x ctx, c client) ([]hive.Attachment, error) { return collect(c.AlertAttachments(x, "~70")) }),
		does("delete alert attachment", "DELETE", "/alert/~70/attachment/~6", "", func(x ctx, c client) error { return c.DeleteAlertAttachment(x, "~70", "~6") }),
	}
}
