package hive_test

import (
	"context"
	"strings"

	"forager/hive"
)

const caseJSON = `{"_id":"~41","_type":"Case","_createdBy":"a@b.c","_createdAt":1700000000001,"number":7,"title":"T","description":"D",
	"severity":3,"severityLabel":"HIGH","startDate":1700000000000,"tags":["x"],"flag":true,"tlp":0,"tlpLabel":"CLEAR","pap":1,"papLabel":"GREEN",
	"status":"New","stage":"New","assignee":"a@b.c","access":{"_kind":"OrganisationAccessKind"},"extraData":{},"newDate":1,"timeToDetect":0,
	"customFields":[{"_id":"cf:1","name":"cf","type":"string","value":"v","order":0}],"userPermissions":["manageCase/create"],"futureField":{}}`

func wantCase() hive.Case {
	return hive.Case{ID: "~41", Number: 7, Title: "T", Description: "D", Severity: 3, TLP: 0, PAP: 1, Status: "New", Stage: "New",
		StartDate: 1700000000000, Tags: []string{"x"}, Flag: true, Assignee: "a@b.c", Permissions: []string{"manageCase/create"},
		CustomFields: []hive.CustomField{{ID: "cf:1", Name: "cf", Type: "string", Value: "v"}},
		CreatedAt:    1700000000001, CreatedBy: "a@b.c"}
}

func caseEndpoints() []endpoint {
	return []endpoint{
		{name: "create case, minimal", method: "POST", path: "/api/v1/case", status: 201, answer: caseJSON, want: wantCase(),
			body: `{"title":"T","description":""}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.CreateCase(ctx, hive.NewCase{Title: "T"}))
			}},
		{name: "create case, everything", method: "POST", path: "/api/v1/case", status: 201, answer: caseJSON, want: wantCase(),
			body: `{"title":"T","description":"D","severity":3,"tlp":0,"pap":0,"startDate":5,"endDate":6,"tags":["b","a"],"flag":true,"status":"InProgress",
				"assignee":"x@y.z","summary":"S","caseTemplate":"tpl","customFields":[{"name":"n","value":null},{"name":"m","value":4,"order":2}],
				"tasks":[{"title":"t","group":"g","description":"d","status":"Waiting","flag":true,"mandatory":true,"order":1,"assignee":"q","startDate":1,"endDate":2,"dueDate":3}],
				"pages":[{"title":"p","content":"c","category":"k","order":4}]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.CreateCase(ctx, hive.NewCase{Title: "T", Description: "D", Severity: new(3), TLP: new(0), PAP: new(0), StartDate: 5, EndDate: 6,
					Tags: []string{"b", "a", "b"}, Flag: true, Status: "InProgress", Assignee: "x@y.z", Summary: "S", CaseTemplate: "tpl",
					CustomFields: []hive.CustomField{{ID: "leave out", Name: "n", Type: "leave out"}, {Name: "m", Value: 4, Order: 2}},
					Tasks:        []hive.NewTask{{Title: "t", Group: "g", Description: "d", Status: "Waiting", Flag: true, Mandatory: true, Order: 1, Assignee: "q", StartDate: 1, EndDate: 2, DueDate: 3}},
					Pages:        []hive.NewPage{{Title: "p", Content: "c", Category: "k", Order: 4}}}))
			}},
		{name: "create case, template without its tasks", method: "POST", path: "/api/v1/case", status: 201, answer: caseJSON,
			body: `{"title":"T","description":"","caseTemplate":"tpl","tasks":[]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.CreateCase(ctx, hive.NewCase{Title: "T", CaseTemplate: "tpl", Tasks: []hive.NewTask{}}))
			}},
		{name: "case by number", read: true, method: "GET", path: "/api/v1/case/7", status: 200, answer: caseJSON, want: wantCase(),
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.Case(ctx, "7")) }},
		{name: "case by id", read: true, method: "GET", path: "/api/v1/case/~41", status: 200, answer: caseJSON, want: wantCase(),
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.Case(ctx, "~41")) }},
		{name: "find cases", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + caseJSON + "]", want: []hive.Case{wantCase()},
			body: `{"query":[{"_name":"listCase"},{"_name":"filter","_and":[{"_eq":{"_field":"tags","_value":"x"}},{"_not":{"_eq":{"_field":"stage","_value":"Closed"}}}]},
				{"_name":"sort","_fields":[{"startDate":"desc"},{"number":"asc"}]},{"_name":"page","from":0,"to":20}]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(collect(c.FindCases(ctx, hive.Query{Filter: hive.And(hive.Eq("tags", "x"), hive.Not(hive.Eq("stage", "Closed"))),
					Sort: []hive.Sort{{Field: "startDate", Desc: true}, {Field: "number"}}, PageSize: 20})))
			}},
		{name: "find all cases", read: true, method: "POST", path: queryPath, status: 200, answer: `[]`, want: []hive.Case(nil),
			body: `{"query":[{"_name":"listCase"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":100}]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(collect(c.FindCases(ctx, hive.Query{})))
			}},
		{name: "count cases", read: true, method: "POST", path: queryPath, status: 200, answer: `12`, want: 12,
			body: `{"query":[{"_name":"listCase"},{"_name":"filter","_gte":{"_field":"severity","_value":3}},{"_name":"count"}]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.CountCases(ctx, hive.Gte("severity", 3)))
			}},
		{name: "update case", method: "PATCH", path: "/api/v1/case/~41", status: 204,
			body: `{"title":"n","severity":4,"tlp":0,"pap":0,"status":"TruePositive","flag":false,"startDate":9,"addTags":["a"],"removeTags":["b"],
				"customFields":{"cf":"v","n":3},"summary":null,"assignee":null,"impactStatus":null,"endDate":null}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return none(c.UpdateCase(ctx, "~41", hive.CaseUpdate{Title: new("n"), Severity: new(4), TLP: new(0), PAP: new(0), Status: new("TruePositive"),
					Flag: new(false), StartDate: new(hive.Millis(9)), AddTags: []string{"a", "a"}, RemoveTags: []string{"b"},
					CustomFields: []hive.CustomField{{Name: "cf", Value: "v"}, {Name: "n", Value: 3}},
					Clear:        []hive.Clearable{hive.ClearSummary, hive.ClearAssignee, hive.ClearImpactStatus, hive.ClearEndDate}}))
			}},
		{name: "update case by number", method: "PATCH", path: "/api/v1/case/41", status: 204,
			body: `{"summary":"s","description":"d","impactStatus":"NoImpact","assignee":"a","endDate":8}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return none(c.UpdateCase(ctx, "41", hive.CaseUpdate{Summary: new("s"), Description: new("d"), ImpactStatus: new("NoImpact"), Assignee: new("a"), EndDate: new(hive.Millis(8))}))
			}},
		{name: "update cases", method: "PATCH", path: "/api/v1/case/_bulk", status: 204, body: `{"ids":["~1","~2"],"status":"Duplicated"}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return none(c.UpdateCases(ctx, []string{"~1", "~2", "~1"}, hive.CaseUpdate{Status: new("Duplicated")}))
			}},
		{name: "merge cases", method: "POST", path: "/api/v1/case/_merge/~1,~2", status: 201, answer: caseJSON, want: wantCase(),
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.MergeCases(ctx, "~1", "~2")) }},
		{name: "delete case", method: "DELETE", path: "/api/v1/case/~1", status: 204,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return none(c.DeleteCase(ctx, "~1")) }},
	}
}

const observableJSON = `{"_id":"~9","_type":"Observable","_createdBy":"a","_createdAt":3,"dataType":"ip","data":"192.0.2.1","startDate":3,"tlp":2,"tlpLabel":"AMBER",
	"pap":2,"papLabel":"AMBER","tags":["t"],"ioc":true,"sighted":false,"reports":{},"message":"m","extraData":{},"ignoreSimilarity":false}`

func wantObservable() hive.Observable {
	return hive.Observable{ID: "~9", DataType: "ip", Data: "192.0.2.1", Message: "m", TLP: 2, PAP: 2, Tags: []string{"t"}, IOC: true, CreatedAt: 3, CreatedBy: "a"}
}

func observableEndpoints() []endpoint {
	created := hive.ObservableResult{Created: []hive.Observable{wantObservable()}}
	return []endpoint{
		{name: "add one observable", method: "POST", path: "/api/v1/case/~1/observable", status: 201, answer: "[" + observableJSON + "]", want: created,
			body: `{"dataType":"ip","data":["192.0.2.1"]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.AddObservables(ctx, "~1", hive.NewObservable{DataType: "ip", Data: []string{"192.0.2.1"}}))
			}},
		{name: "add many observables, partly refused", method: "POST", path: "/api/v1/case/3/observable", status: 207,
			answer: `{"success":[` + observableJSON + `],"failure":[{"type":"CreateError","message":"Observable already exists","object":{"data":"192.0.2.2"}},
				{"type":"BadRequest","message":"odd","object":"?"},{"type":"CreateError","message":"x","object":{"attachment":{"name":"f"}}}]}`,
			want: hive.ObservableResult{Created: []hive.Observable{wantObservable()}, Refused: []hive.RefusedObservable{
				{Data: "192.0.2.2", Type: "CreateError", Message: "Observable already exists"},
				{Type: "BadRequest", Message: "odd"}, {Data: "file:f", Type: "CreateError", Message: "x"}}},
			body: `{"dataType":"ip","data":["192.0.2.1","192.0.2.2","x"],"message":"m","tlp":0,"pap":0,"tags":["t"],"ioc":true,"sighted":true,"sightedAt":5,"ignoreSimilarity":true}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.AddObservables(ctx, "3", hive.NewObservable{DataType: "ip", Data: []string{"192.0.2.1", "192.0.2.2", "x"}, Message: "m",
					TLP: new(0), PAP: new(0), Tags: []string{"t", "t"}, IOC: true, Sighted: true, SightedAt: 5, IgnoreSimilarity: true}))
			}},
		{name: "add file", method: "POST", path: "/api/v1/case/~1/observable", status: 201, answer: "[" + observableJSON + "]", want: created,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.AddFile(ctx, "~1", hive.NewObservable{DataType: "file"}, hive.Upload{Name: "a.txt", Body: strings.NewReader("text")}))
			}},
		{name: "list observables", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + observableJSON + "]",
			body: childQuery("~1", "observables"), want: []hive.Observable{wantObservable()},
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(collect(c.CaseObservables(ctx, "~1")))
			}},
		{name: "update observable", method: "PATCH", path: "/api/v1/observable/~9", status: 204,
			body: `{"dataType":"fqdn","message":null,"tlp":0,"pap":0,"ioc":false,"sighted":true,"ignoreSimilarity":true,"sightedAt":4,"addTags":["a"],"removeTags":["b"]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return none(c.UpdateObservable(ctx, "~9", hive.ObservableUpdate{DataType: new("fqdn"), Message: new(""), TLP: new(0), PAP: new(0), IOC: new(false),
					Sighted: new(true), IgnoreSimilarity: new(true), SightedAt: new(hive.Millis(4)), AddTags: []string{"a"}, RemoveTags: []string{"b"}}))
			}},
		{name: "delete observable", method: "DELETE", path: "/api/v1/observable/~9", status: 204,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return none(c.DeleteObservable(ctx, "~9")) }},
	}
}
