package hive_test

import (
	"context"
	"encoding/json"
	"strings"

	"forager/hive"
)

const procedureJSON = `{"_id":"~5","_createdAt":2,"_createdBy":"a","occurDate":1,"patternId":"T1566.001","patternName":"Spearphishing Attachment",
	"tactic":"initial-access","tacticLabel":"Initial Access","description":"d","extraData":{}}`

func wantProcedure() hive.Procedure {
	return hive.Procedure{ID: "~5", PatternID: "T1566.001", PatternName: "Spearphishing Attachment", Tactic: "initial-access",
		TacticLabel: "Initial Access", Description: "d", OccurDate: 1, CreatedAt: 2, CreatedBy: "a"}
}

func procedureEndpoints() []endpoint {
	one := hive.NewProcedure{PatternID: "T1566.001", Tactic: "initial-access", Description: "d", OccurDate: 1}
	return []endpoint{
		{name: "add procedure", method: "POST", path: "/api/v1/case/~1/procedure", status: 201, answer: procedureJSON, want: wantProcedure(),
			body: `{"patternId":"T1566.001","tactic":"initial-access","description":"d","occurDate":1}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.AddProcedure(ctx, "~1", one)) }},
		{name: "add procedures", method: "POST", path: "/api/v1/case/~1/procedures", status: 201, answer: "[" + procedureJSON + "," + procedureJSON + "]",
			want: []hive.Procedure{wantProcedure(), wantProcedure()},
			body: `{"procedures":[{"patternId":"T1566.001","tactic":"initial-access","description":"d","occurDate":1},{"patternId":"T1566","occurDate":2}]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.AddProcedures(ctx, "~1", []hive.NewProcedure{one, {PatternID: "T1566", OccurDate: 2}}))
			}},
		{name: "list procedures of a case", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + procedureJSON + "]",
			body: childQuery("4", "procedures"), want: []hive.Procedure{wantProcedure()},
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(collect(c.CaseProcedures(ctx, "4")))
			}},
		{name: "list all procedures", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + procedureJSON + "]",
			body: `{"query":[{"_name":"listProcedure"},{"_name":"filter","_gt":{"_field":"occurDate","_value":{"amount":7,"unit":"days","look":"behind"}}},
				{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":100}]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(collect(c.Procedures(ctx, hive.Query{Filter: hive.Gt("occurDate", hive.Relative{Amount: 7, Unit: "days"})})))
			}},
		{name: "update procedure", method: "PATCH", path: "/api/v1/procedure/~5", status: 204,
			body: `{"description":"","occurDate":4,"patternId":"T1566","tactic":"x"}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return none(c.UpdateProcedure(ctx, "~5", hive.ProcedureUpdate{Description: new(""), OccurDate: new(hive.Millis(4)), PatternID: new("T1566"), Tactic: new("x")}))
			}},
		{name: "delete procedure", method: "DELETE", path: "/api/v1/procedure/~5", status: 204,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return none(c.DeleteProcedure(ctx, "~5")) }},
		{name: "delete procedures", method: "POST", path: "/api/v1/procedure/delete/_bulk", status: 204, body: `{"ids":["~5","~6"]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return none(c.DeleteProcedures(ctx, "~5", "~6"))
			}},
	}
}

const (
	commentJSON    = `{"_id":"~3","_type":"Comment","createdBy":"a","createdAt":5,"updatedAt":6,"updatedBy":"b","message":"m","isEdited":true,"extraData":{}}`
	taskJSON       = `{"_id":"~2","_type":"Task","_createdBy":"a","_createdAt":1,"title":"t","group":"default","status":"Waiting","flag":false,"order":3,"mandatory":true,"dueDate":4,"extraData":{}}`
	pageJSON       = `{"_id":"~8","_type":"Page","_createdBy":"a","_createdAt":1,"title":"t","content":"c","order":2,"category":"k","extraData":{}}`
	attachmentJSON = `{"_id":"~6","_type":"Attachment","_createdBy":"a","_createdAt":1,"name":"f","hashes":["aa","bb","cc"],"size":4,"contentType":"text/plain","id":"aa","path":"","extraData":{}}`
	patternJSON    = `{"_id":"~7","_type":"Pattern","_createdBy":"s","_createdAt":1,"patternId":"T1566","name":"Phishing","tactics":["initial-access"],"url":"u","patternType":"attack-pattern","revoked":false,"remoteSupport":false,"extraData":{}}`
)

func wantAttachment() hive.Attachment {
	return hive.Attachment{ID: "~6", ContentID: "aa", Name: "f", ContentType: "text/plain", Size: 4, Hashes: []string{"aa", "bb", "cc"}, CreatedAt: 1, CreatedBy: "a"}
}

func otherEndpoints() []endpoint {
	comment := hive.Comment{ID: "~3", Message: "m", CreatedAt: 5, CreatedBy: "a", UpdatedAt: 6, UpdatedBy: "b", Edited: true}
	task := hive.Task{ID: "~2", Title: "t", Group: "default", Status: "Waiting", Order: 3, Mandatory: true, DueDate: 4, CreatedAt: 1, CreatedBy: "a"}
	page := hive.Page{ID: "~8", Title: "t", Content: "c", Category: "k", Order: 2, CreatedAt: 1, CreatedBy: "a"}
	return append([]endpoint{
		{name: "add comment", method: "POST", path: "/api/v1/case/~1/comment", status: 201, answer: commentJSON, want: comment, body: `{"message":"m"}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.AddComment(ctx, "~1", "m")) }},
		{name: "update comment", method: "PATCH", path: "/api/v1/comment/~3", status: 204, body: `{"message":"n"}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return none(c.UpdateComment(ctx, "~3", "n")) }},
		{name: "delete comment", method: "DELETE", path: "/api/v1/comment/~3", status: 204,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return none(c.DeleteComment(ctx, "~3")) }},
		{name: "list comments", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + commentJSON + "]", want: []hive.Comment{comment}, body: childQuery("~1", "comments"),
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(collect(c.CaseComments(ctx, "~1")))
			}},
		{name: "add task", method: "POST", path: "/api/v1/case/1/task", status: 201, answer: taskJSON, want: task, body: `{"title":"t"}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.AddTask(ctx, "1", hive.NewTask{Title: "t"}))
			}},
		{name: "list tasks", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + taskJSON + "]", want: []hive.Task{task}, body: childQuery("~1", "tasks"),
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(collect(c.CaseTasks(ctx, "~1"))) }},
		{name: "add page", method: "POST", path: "/api/v1/case/1/page", status: 201, answer: pageJSON, want: page, body: `{"title":"t","content":"","category":"k"}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.AddPage(ctx, "1", hive.NewPage{Title: "t", Category: "k"}))
			}},
		{name: "update page", method: "PATCH", path: "/api/v1/case/1/page/~8", status: 204, body: `{"content":"new"}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return nil, c.UpdatePage(ctx, "1", "~8", "new")
			}},
		{name: "delete page", method: "DELETE", path: "/api/v1/case/1/page/~8", status: 204,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return nil, c.DeletePage(ctx, "1", "~8") }},
		{name: "list pages", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + pageJSON + "]", want: []hive.Page{page}, body: childQuery("~1", "pages"),
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(collect(c.CasePages(ctx, "~1"))) }},
		{name: "add attachments", method: "POST", path: "/api/v1/case/~1/attachments", status: 201, answer: `{"attachments":[` + attachmentJSON + `]}`, want: []hive.Attachment{wantAttachment()},
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.AddAttachments(ctx, "~1", hive.Upload{Name: "f", Body: strings.NewReader("text")}))
			}},
		{name: "list attachments", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + attachmentJSON + "]", want: []hive.Attachment{wantAttachment()}, body: childQuery("~1", "attachments"),
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(collect(c.CaseAttachments(ctx, "~1")))
			}},
		{name: "delete attachment", method: "DELETE", path: "/api/v1/case/~1/attachment/~6", status: 204,
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return none(c.DeleteAttachment(ctx, "~1", "~6"))
			}},
	}, serverEndpoints()...)
}

func serverEndpoints() []endpoint {
	return []endpoint{
		{name: "get pattern", read: true, method: "GET", path: "/api/v1/pattern/T1566.001", status: 200, answer: patternJSON,
			want: hive.Pattern{ID: "~7", PatternID: "T1566", Name: "Phishing", URL: "u", Tactics: []string{"initial-access"}, PatternType: "attack-pattern"},
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.Pattern(ctx, "T1566.001")) }},
		{name: "list pattern ids", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + patternJSON + "]", want: []string{"T1566"},
			body: `{"query":[{"_name":"listPattern"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":500}],
				"excludeFields":["description","detection","dataSources","defenseBypassed","permissionsRequired","platforms","systemRequirements"]}`,
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.PatternIDs(ctx)) }},
		{name: "list patterns", read: true, method: "POST", path: queryPath, status: 200, answer: "[" + patternJSON + "]",
			want: []hive.Pattern{{ID: "~7", PatternID: "T1566", Name: "Phishing", URL: "u", Tactics: []string{"initial-access"}, PatternType: "attack-pattern"}},
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.Patterns(ctx)) }},
		{name: "import patterns", method: "POST", path: "/api/v1/pattern/import/attack", status: 207, answer: `{"a":1}`,
			want: hive.ImportResult{Partial: true, Report: json.RawMessage(`{"a":1}`)},
			call: func(ctx context.Context, c *hive.Client) (any, error) {
				return anyOf(c.ImportPatterns(ctx, "Enterprise Attack", strings.NewReader(`{"objects":[]}`)))
			}},
		{name: "data types", read: true, method: "POST", path: queryPath, status: 200, want: []string{"ip", "file"},
			answer: `[{"_id":"~1","_type":"ObservableType","name":"ip","isAttachment":false},{"_id":"~2","_type":"ObservableType","name":"file","isAttachment":true}]`,
			body:   `{"query":[{"_name":"listObservableType"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":500}]}`,
			call:   func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.DataTypes(ctx)) }},
		{name: "custom fields", read: true, method: "POST", path: queryPath, status: 200, want: []hive.CustomField{{ID: "~1", Name: "asset", Type: "url"}},
			answer: `[{"_id":"~1","_type":"CustomField","name":"asset","displayName":"Asset","type":"url"}]`,
			body:   `{"query":[{"_name":"listCustomField"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":500}]}`,
			call:   func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.CustomFields(ctx)) }},
		{name: "case templates", read: true, method: "POST", path: queryPath, status: 200, want: []string{"phishing"},
			answer: `[{"_id":"~1","_type":"CaseTemplate","name":"phishing","displayName":"Phishing"}]`,
			body:   `{"query":[{"_name":"listCaseTemplate"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":500}]}`,
			call:   func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.CaseTemplates(ctx)) }},
		{name: "logins", read: true, method: "POST", path: queryPath, status: 200, want: []string{"a@b.c"},
			answer: `[{"_id":"~1","login":"a@b.c","locked":false},{"_id":"~2","login":"d@e.f","locked":true}]`,
			body:   `{"query":[{"_name":"listUser"},{"_name":"sort","_fields":[{"_createdAt":"asc"}]},{"_name":"page","from":0,"to":500}]}`,
			call:   func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.Logins(ctx)) }},
		{name: "status", read: true, method: "GET", path: "/api/v1/status", status: 200,
			answer: `{"version":"5.5.13-1","gitDescription":"","connectors":{},"config":{},"license":{"id":"i","customer":"c","instance":"n","plan":"gold","kind":"k","validFrom":1,"isValid":true,"expiresAt":7,"quotas":{}},"features":["a"]}`,
			want:   hive.Status{Version: "5.5.13-1", Features: []string{"a"}, License: hive.License{Plan: "gold", IsValid: true, ExpiresAt: 7}},
			call:   func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.Status(ctx)) }},
		{name: "current user", read: true, method: "GET", path: "/api/v1/user/current", status: 200,
			answer: `{"_id":"~1","_createdBy":"s","_createdAt":1,"login":"a@b.c","name":"A","hasKey":true,"hasPassword":false,"hasMFA":false,"type":"Normal","extraData":{},"profile":"analyst","permissions":["manageCase/create"],"organisation":"o","locked":false,
				"organisations":[{"organisationId":"~2","organisation":"o","profile":"analyst"}]}`,
			want: hive.User{ID: "~1", Login: "a@b.c", Name: "A", Organisation: "o", Profile: "analyst", Permissions: []string{"manageCase/create"},
				Organisations: []hive.Membership{{OrganisationID: "~2", Organisation: "o", Profile: "analyst"}}, Type: "Normal"},
			call: func(ctx context.Context, c *hive.Client) (any, error) { return anyOf(c.CurrentUser(ctx)) }},
	}
}
