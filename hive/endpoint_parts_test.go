package hive_test

import (
	"context"
	"encoding/json"
	"strings"

	"forager/hive"
)

const (
	logJSON   = `{"_id":"~20","_type":"Log","_createdBy":"a","_createdAt":1,"message":"m","date":2,"owner":"a","includeInTimeline":3,"attachments":[` + attachmentJSON + `],"extraData":{}}`
	shareJSON = `{"_id":"~30","_type":"Share","_createdBy":"a","_createdAt":1,"caseId":"~1","profileName":"analyst","organisationName":"o","owner":true,"taskRule":"manual","observableRule":"autoShare"}`
	eventJSON = `{"_id":"~40","_type":"CustomEvent","_createdBy":"a","_createdAt":1,"date":2,"endDate":3,"title":"t","description":"d"}`
)

func taskEndpoints() []endpoint {
	type ctx = context.Context
	type client = *hive.Client
	task := hive.Task{ID: "~2", Title: "t", Group: "default", Status: "Waiting", Mandatory: true, Order: 3, DueDate: 4, CreatedAt: 1, CreatedBy: "a"}
	entry := hive.Log{ID: "~20", Message: "m", Date: 2, Owner: "a", InTimeline: 3, Attachments: []hive.Attachment{wantAttachment()}, CreatedAt: 1, CreatedBy: "a"}
	file := func() hive.Upload { return hive.Upload{Name: "f", Body: strings.NewReader("text")} }
	return []endpoint{
		reads("task", "/task/~2", taskJSON, task, func(x ctx, c client) (hive.Task, error) { return c.Task(x, "~2") }),
		asks("find tasks", listQuery("listTask", "100"), "["+taskJSON+"]", []hive.Task{task}, func(x ctx, c client) ([]hive.Task, error) { return collect(c.FindTasks(x, hive.Query{})) }),
		does("update task", "PATCH", "/task/~2", `{"title":"t","group":"g","status":"Completed","description":null,"assignee":null,"startDate":null,"endDate":5,"dueDate":null,"flag":true,"mandatory":false,"order":2}`,
			func(x ctx, c client) error {
				return c.UpdateTask(x, "~2", hive.TaskUpdate{Title: new("t"), Group: new("g"), Status: new("Completed"), Description: new(""), Assignee: new(""), StartDate: new(hive.Millis(0)),
					EndDate: new(hive.Millis(5)), DueDate: new(hive.Millis(0)), Flag: new(true), Mandatory: new(false), Order: new(2)})
			}),
		does("update tasks", "PATCH", "/task/_bulk", `{"ids":["~2","~3"],"status":"Cancel"}`, func(x ctx, c client) error {
			return c.UpdateTasks(x, []string{"~2", "~3"}, hive.TaskUpdate{Status: new("Cancel")})
		}),
		does("delete task", "DELETE", "/task/~2", "", func(x ctx, c client) error { return c.DeleteTask(x, "~2") }),
		reads("task actions", "/task/~2/actionRequired", `{"~9":true}`, map[string]bool{"~9": true}, func(x ctx, c client) (map[string]bool, error) { return c.TaskActions(x, "~2") }),
		does("ask task action", "PUT", "/task/~2/actionRequired/~9", "", func(x ctx, c client) error { return c.AskTaskAction(x, "~2", "~9") }),
		does("end task action", "PUT", "/task/~2/actionDone/~9", "", func(x ctx, c client) error { return c.EndTaskAction(x, "~2", "~9") }),
		makes("add log", "/task/~2/log", `{"message":"m","startDate":2,"includeInTimeline":3}`, logJSON, entry, func(x ctx, c client) (hive.Log, error) {
			return c.AddLog(x, "~2", hive.NewLog{Message: "m", StartDate: 2, InTimeline: 3})
		}),
		makes("add log with files", "/task/~2/log", "", logJSON, entry, func(x ctx, c client) (hive.Log, error) {
			return c.AddLog(x, "~2", hive.NewLog{Message: "m"}, file(), file())
		}),
		asks("task logs", partQuery("getTask", "~2", "logs"), "["+logJSON+"]", []hive.Log{entry}, func(x ctx, c client) ([]hive.Log, error) { return collect(c.TaskLogs(x, "~2")) }),
		does("update log", "PATCH", "/log/~20", `{"message":"n","includeInTimeline":null}`, func(x ctx, c client) error {
			return c.UpdateLog(x, "~20", hive.LogUpdate{Message: new("n"), InTimeline: new(hive.Millis(0))})
		}),
		does("delete log", "DELETE", "/log/~20", "", func(x ctx, c client) error { return c.DeleteLog(x, "~20") }),
		does("add log files", "POST", "/log/~20/attachments", "", func(x ctx, c client) error { return c.AddLogFiles(x, "~20", file()) }),
		does("delete log file", "DELETE", "/log/~20/attachments/~6", "", func(x ctx, c client) error { return c.DeleteLogFile(x, "~20", "~6") }),
	}
}

func shareEndpoints() []endpoint {
	type ctx = context.Context
	type client = *hive.Client
	share := hive.Share{ID: "~30", CaseID: "~1", Organisation: "o", Profile: "analyst", Owner: true, TaskRule: "manual", ObservableRule: "autoShare", CreatedAt: 1, CreatedBy: "a"}
	shares, list := []hive.Share{share}, "["+shareJSON+"]"
	set := makes("set shares", "/case/~1/shares", `{"shares":[]}`, list, shares, func(x ctx, c client) ([]hive.Share, error) { return c.SetShares(x, "~1") })
	set.method, set.status = "PUT", 200
	return []endpoint{
		reads("case shares", "/case/~1/shares", list, shares, func(x ctx, c client) ([]hive.Share, error) { return c.CaseShares(x, "~1") }),
		makes("share case", "/case/~1/shares", `{"shares":[{"organisation":"o"}]}`, list, shares, func(x ctx, c client) ([]hive.Share, error) {
			return c.ShareCase(x, "~1", hive.NewShare{Organisation: "o"})
		}),
		set,
		does("unshare case", "DELETE", "/case/~1/shares", `{"organisations":["o"]}`, func(x ctx, c client) error { return c.UnshareCase(x, "~1", "o", "o") }),
		does("update share", "PATCH", "/case/share/~30", `{"profile":"read-only"}`, func(x ctx, c client) error { return c.UpdateShare(x, "~30", "read-only") }),
		does("delete share", "DELETE", "/case/share/~30", "", func(x ctx, c client) error { return c.DeleteShare(x, "~30") }),
		does("delete shares", "DELETE", "/case/shares", `{"ids":["~30","~31"]}`, func(x ctx, c client) error { return c.DeleteShares(x, "~30", "~31") }),
		reads("task shares", "/task/~2/shares", list, shares, func(x ctx, c client) ([]hive.Share, error) { return c.TaskShares(x, "~2") }),
		does("share task", "POST", "/task/~2/shares", `{"organisations":["o"]}`, func(x ctx, c client) error { return c.ShareTask(x, "~2", "o") }),
		does("unshare task", "DELETE", "/task/~2/shares", `{"organisations":["o"]}`, func(x ctx, c client) error { return c.UnshareTask(x, "~2", "o") }),
		reads("observable shares", "/observable/~9/shares", list, shares, func(x ctx, c client) ([]hive.Share, error) { return c.ObservableShares(x, "~9") }),
		does("share observable", "POST", "/observable/~9/shares", `{"organisations":["o"]}`, func(x ctx, c client) error { return c.ShareObservable(x, "~9", "o") }),
		does("unshare observable", "DELETE", "/observable/~9/shares", `{"organisations":["o"]}`, func(x ctx, c client) error { return c.UnshareObservable(x, "~9", "o") }),
		does("change owner", "POST", "/case/7/owner", `{"organisation":"o","keepProfile":"analyst","taskRule":"manual","observableRule":"manual"}`, func(x ctx, c client) error {
			return c.ChangeOwner(x, "7", hive.Ownership{Organisation: "o", KeepProfile: "analyst", TaskRule: "manual", ObservableRule: "manual"})
		}),
		does("restrict access", "POST", "/case/7/access", `{"access":{"_kind":"UserAccessKind","users":["a@b.org"]}}`, func(x ctx, c client) error {
			return c.SetAccess(x, "7", hive.Access{Users: []string{"a@b.org", "a@b.org"}})
		}),
		does("open access", "POST", "/case/7/access", `{"access":{"_kind":"OrganisationAccessKind"}}`, func(x ctx, c client) error { return c.SetAccess(x, "7", hive.Access{}) }),
		does("open access of cases", "POST", "/case/_bulk/access", `{"access":{"_kind":"OrganisationAccessKind"},"ids":["~1","~2"]}`, func(x ctx, c client) error {
			return c.SetAccessOfCases(x, hive.Access{}, "~1", "~2")
		}).from("5.6.2"),
	}
}

func caseMoreEndpoints() []endpoint {
	type ctx = context.Context
	type client = *hive.Client
	page := hive.Page{ID: "~8", Title: "t", Content: "c", Order: 2, Category: "k", CreatedAt: 1, CreatedBy: "a"}
	event := hive.CustomEvent{ID: "~40", Date: 2, EndDate: 3, Title: "t", Description: "d", CreatedAt: 1, CreatedBy: "a"}
	linked := strings.TrimSuffix(caseJSON, "}") + `,"linkedWith":[` + observableJSON + `],"linksCount":4}`
	imported := joins("import case", "/case/import", "", nil)
	imported.answer = `{"case":` + caseJSON + `,"observables":[` + observableJSON + `],"procedures":[` + procedureJSON + `],"errors":[]}`
	imported.want = hive.ImportedCase{Case: wantCase(), Observables: []hive.Observable{wantObservable()}, Procedures: []hive.Procedure{wantProcedure()}, Errors: []any{}}
	imported.call = func(x ctx, c client) (any, error) {
		return anyOf(c.ImportCase(x, hive.Upload{Name: "a.thar", Body: strings.NewReader("x")}, "secret", hive.NewShare{Organisation: "o"}))
	}
	merged := makes("merge observables", "/case/7/observable/_merge", "", `{"untouched":1,"updated":2,"deleted":3}`, hive.MergedObservables{Untouched: 1, Updated: 2, Deleted: 3},
		func(x ctx, c client) (hive.MergedObservables, error) { return c.MergeObservables(x, "7") })
	merged.status = 200
	return []endpoint{
		imported, merged,
		makes("create case, shared and restricted", "/case", `{"title":"T","description":"","sharingParameters":[{"organisation":"o"}],"taskRule":"manual","observableRule":"manual",
			"access":{"_kind":"UserAccessKind","users":["a@b.org"]}}`, caseJSON, wantCase(), func(x ctx, c client) (hive.Case, error) {
			return c.CreateCase(x, hive.NewCase{Title: "T", Sharing: []hive.NewShare{{Organisation: "o"}}, TaskRule: "manual", ObservableRule: "manual", Access: &hive.Access{Users: []string{"a@b.org"}}})
		}),
		does("update case rules", "PATCH", "/case/7", `{"taskRule":"manual","observableRule":"autoShare"}`, func(x ctx, c client) error {
			return c.UpdateCase(x, "7", hive.CaseUpdate{TaskRule: new("manual"), ObservableRule: new("autoShare")})
		}),
		does("apply case template", "POST", "/case/_bulk/caseTemplate", `{"ids":["~1"],"caseTemplate":"tpl","updateTitlePrefix":true,"updateDescription":true,"updateTags":true,"updateSeverity":true,
			"updateFlag":true,"updateTlp":true,"updatePap":true,"updateCustomFields":true,"importTasks":["~2"],"importPages":["~3"]}`, func(x ctx, c client) error {
			return c.ApplyCaseTemplate(x, "tpl", hive.TemplateParts{TitlePrefix: true, Description: true, Tags: true, Severity: true, Flag: true, TLP: true, PAP: true, CustomFields: true,
				Tasks: []string{"~2"}, Pages: []string{"~3"}}, "~1")
		}),
		reads("linked cases", "/case/7/links", "["+linked+"]", []hive.LinkedCase{{Case: wantCase(), Shared: []hive.Observable{wantObservable()}, Links: 4}},
			func(x ctx, c client) ([]hive.LinkedCase, error) { return c.LinkedCases(x, "7") }),
		does("link cases", "POST", "/case/7/link/case/add", `{"type":"related","caseId":"~2"}`, func(x ctx, c client) error { return c.LinkCases(x, "7", "~2", "related") }),
		asks("links of a case", `{"query":[{"_name":"getCase","idOrName":"7"},{"_name":"page","from":0,"to":1,"extraData":["links"]}]}`,
			`[{"_id":"~41","extraData":{"links":{"caseLinks":[{"type":"related","caseId":"~2"}],"externalLinks":[{"type":"t","url":"https://t.example/1"}]}}}]`,
			[]hive.Linked{{Kind: "related", CaseID: "~2"}}, func(x ctx, c client) ([]hive.Linked, error) { return c.CaseLinks(x, "7") }),
		asks("open cases with values", `{"query":[{"_name":"listObservable"},{"_name":"filter","_and":[{"_in":{"_field":"data","_values":["192.0.2.1","a.example"]}},{"_in":{"_field":"dataType","_values":["ip","domain"]}}]},
			{"_name":"case"},{"_name":"filter","_not":{"_eq":{"_field":"stage","_value":"Closed"}}},{"_name":"sort","_fields":[{"number":"desc"}]},{"_name":"page","from":0,"to":200}],
			"excludeFields":["description","summary","customFields","tags","userPermissions"]}`, "["+caseJSON+","+caseJSON+"]", []hive.Case{wantCase()}, func(x ctx, c client) ([]hive.Case, error) {
			return c.OpenCasesWith(x, hive.ObservableName{DataType: "ip", Data: "192.0.2.1"}, hive.ObservableName{DataType: "domain", Data: "a.example"})
		}),
		does("unlink cases", "POST", "/case/7/link/case/remove", `{"type":"related","caseId":"~2"}`, func(x ctx, c client) error { return c.UnlinkCases(x, "7", "~2", "related") }),
		does("link address", "POST", "/case/7/link/external/add", `{"type":"ticket","url":"https://t.example/1"}`, func(x ctx, c client) error { return c.LinkURL(x, "7", "https://t.example/1", "ticket") }),
		does("unlink address", "POST", "/case/7/link/external/remove", `{"type":"ticket","url":"https://t.example/1"}`, func(x ctx, c client) error {
			return c.UnlinkURL(x, "7", "https://t.example/1", "ticket")
		}),
		reads("link types", "/case/link/types", `["related"]`, []string{"related"}, func(x ctx, c client) ([]string, error) { return c.LinkTypes(x) }),
		reads("similar to case", "/case/7/similar/~70/observables", "["+observableJSON+"]", []hive.Observable{wantObservable()},
			func(x ctx, c client) ([]hive.Observable, error) { return c.SimilarToCase(x, "7", "~70") }),
		reads("timeline", "/case/7/timeline", `{"events":[{"date":1,"kind":"created","entity":"Case","entityId":"~1","details":{"a":1},"endDate":2}]}`,
			[]hive.TimelineEvent{{Date: 1, EndDate: 2, Kind: "created", Entity: "Case", EntityID: "~1", Details: json.RawMessage(`{"a":1}`)}},
			func(x ctx, c client) ([]hive.TimelineEvent, error) { return c.Timeline(x, "7") }),
		makes("add custom event", "/case/7/customEvent", `{"date":2,"endDate":3,"title":"t","description":"d"}`, eventJSON, event, func(x ctx, c client) (hive.CustomEvent, error) {
			return c.AddCustomEvent(x, "7", hive.NewCustomEvent{Date: 2, EndDate: 3, Title: "t", Description: "d"})
		}),
		does("update custom event", "PATCH", "/customEvent/~40", `{"date":4,"endDate":null,"title":"n","description":null}`, func(x ctx, c client) error {
			return c.UpdateCustomEvent(x, "~40", hive.CustomEventUpdate{Date: new(hive.Millis(4)), EndDate: new(hive.Millis(0)), Title: new("n"), Description: new("")})
		}),
		does("delete custom event", "DELETE", "/customEvent/~40", "", func(x ctx, c client) error { return c.DeleteCustomEvent(x, "~40") }),
		does("change page", "PATCH", "/case/7/page/~8", `{"title":"t","content":"c","category":"k","order":3}`, func(x ctx, c client) error {
			return c.ChangePage(x, "7", "~8", hive.PageUpdate{Title: new("t"), Content: new("c"), Category: new("k"), Order: new(3)})
		}),
		makes("add knowledge page", "/page", `{"title":"t","content":"c","category":"k"}`, pageJSON, page, func(x ctx, c client) (hive.Page, error) {
			return c.AddKnowledge(x, hive.NewPage{Title: "t", Content: "c", Category: "k"})
		}),
		does("update knowledge page", "PATCH", "/page/~8", `{"content":"c"}`, func(x ctx, c client) error { return c.UpdateKnowledge(x, "~8", hive.PageUpdate{Content: new("c")}) }),
		does("delete knowledge page", "DELETE", "/page/~8", "", func(x ctx, c client) error { return c.DeleteKnowledge(x, "~8") }),
		reads("observable", "/observable/~9", observableJSON, wantObservable(), func(x ctx, c client) (hive.Observable, error) { return c.Observable(x, "~9") }),
		asks("find observables", listQuery("listObservable", "100"), "["+observableJSON+"]", []hive.Observable{wantObservable()},
			func(x ctx, c client) ([]hive.Observable, error) { return collect(c.FindObservables(x, hive.Query{})) }),
		asks("count observables", `{"query":[{"_name":"listObservable"},{"_name":"count"}]}`, "5", 5, func(x ctx, c client) (int, error) { return c.CountObservables(x, hive.Filter{}) }),
		does("update observables", "PATCH", "/observable/_bulk", `{"ids":["~1","~2"],"ioc":true}`, func(x ctx, c client) error {
			return c.UpdateObservables(x, []string{"~1", "~2"}, hive.ObservableUpdate{IOC: new(true)})
		}),
		does("show attachment", "PATCH", "/case/7/attachment/~6", `{"external":true}`, func(x ctx, c client) error { return c.ShowAttachment(x, "7", "~6", true) }).from("5.6.2"),
	}
}
