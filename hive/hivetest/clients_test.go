package hivetest_test

import (
	"strings"
	"testing"

	"forager/hive/hivetest"
)

// A clientCall is what a client of others sends for one of its operations, and what the answer must hold.
type clientCall struct {
	of     string // the operation, in the client's words
	ask    string // method, path and JSON body; $name is a part of an earlier answer
	parts  []part // a multipart body in the place of the JSON
	status string
	holds  string // at least; empty: nothing is asked of it
	keep   string // "name = path" of what later calls need
}

// pythonCalls are the requests of the official Python client, thehive4py 2.x, by its endpoint classes. Facts alone: methods, paths and the
// names of properties, as its source has them.
var pythonCalls = []clientCall{
	{of: "user.get_current", ask: `GET /api/v1/user/current`, status: "200", holds: `{"login":"admin@thehive.local"}`, keep: "me = _id"},
	{of: "case.create", ask: `POST /api/v1/case {"title":"c","description":"d","tags":["a"],"tasks":[{"title":"t"}],"pages":[{"title":"p","content":"x","category":"k"}]}`, status: "201", holds: `{"number":1,"_type":"Case"}`, keep: "case = _id"},
	{of: "case.create, another", ask: `POST /api/v1/case {"title":"o","description":"d"}`, status: "201", keep: "other = _id"},
	{of: "case.get", ask: `GET /api/v1/case/$case`, status: "200", holds: `{"_id":"$case","title":"c"}`},
	{of: "case.get, by number", ask: `GET /api/v1/case/1`, status: "200", holds: `{"_id":"$case"}`},
	{of: "case.update", ask: `PATCH /api/v1/case/$case {"title":"new","summary":null}`, status: "204"},
	{of: "case.bulk_update", ask: `PATCH /api/v1/case/_bulk {"ids":["$case","$other"],"severity":3}`, status: "204"},
	{of: "case.open", ask: `PATCH /api/v1/case/$case {"status":"InProgress"}`, status: "204"},
	{of: "case.find", ask: `POST /api/v1/query?name=cases {"query":[{"_name":"listCase"},{"_name":"filter","_and":[{"_eq":{"_field":"title","_value":"new"}},{"_not":{"_like":{"_field":"title","_value":"zzz*"}}}]},{"_name":"sort","_fields":[{"_createdAt":"desc"}]},{"_name":"page","from":0,"to":5}]}`, status: "200", holds: `[{"_id":"$case","severity":3,"stage":"InProgress"}]`},
	{of: "case.count", ask: `POST /api/v1/query?name=cases.count {"query":[{"_name":"listCase"},{"_name":"count"}]}`, status: "200", holds: `2`},
	{of: "case.get_linked_cases", ask: `GET /api/v1/case/$case/links`, status: "200", holds: `[]`},
	{of: "case.get_timeline", ask: `GET /api/v1/case/$case/timeline`, status: "200", holds: `{"events":"<any>"}`},
	{of: "case.create_task", ask: `POST /api/v1/case/$case/task {"title":"task"}`, status: "201", holds: `{"_type":"Task","status":"Waiting"}`, keep: "task = _id"},
	{of: "case.find_tasks", ask: `POST /api/v1/query?name=case-tasks {"query":[{"_name":"getCase","idOrName":"$case"},{"_name":"tasks"}]}`, status: "200", holds: `[{"title":"t"},{"title":"task"}]`},
	{of: "case.create_observable", ask: `POST /api/v1/case/$case/observable {"dataType":"ip","data":["192.0.2.1","192.0.2.2"]}`, status: "201", holds: `[{"data":"192.0.2.1"},{"data":"192.0.2.2"}]`, keep: "observable = 0._id"},
	{of: "case.create_observable, a file", ask: `POST /api/v1/case/$case/observable`, parts: []part{field("_json", `{"dataType":"file"}`), file("attachment", "a.txt", "text/plain", "a")}, status: "201", holds: `[{"dataType":"file","attachment":{"name":"a.txt","size":1}}]`, keep: "fileObservable = 0._id"},
	{of: "case.find_observables", ask: `POST /api/v1/query?name=case-observables {"query":[{"_name":"getCase","idOrName":"$case"},{"_name":"observables"},{"_name":"filter","_in":{"_field":"dataType","_values":["ip"]}}]}`, status: "200", holds: `[{"data":"192.0.2.1"},{"data":"192.0.2.2"}]`},
	{of: "case.merge_similar_observables", ask: `POST /api/v1/case/$case/observable/_merge`, status: "200", holds: `{"untouched":"<any>","updated":0,"deleted":0}`},
	{of: "case.create_procedure", ask: `POST /api/v1/case/$case/procedure {"patternId":"T1566","occurDate":1700000000000}`, status: "201", holds: `{"patternId":"T1566"}`, keep: "procedure = _id"},
	{of: "case.find_procedures", ask: `POST /api/v1/query?name=case-procedures {"query":[{"_name":"getCase","idOrName":"$case"},{"_name":"procedures"}]}`, status: "200", holds: `[{"_id":"$procedure"}]`},
	{of: "case.create_page", ask: `POST /api/v1/case/$case/page {"title":"page","content":"c","category":"k"}`, status: "201", holds: `{"_type":"Page"}`, keep: "page = _id"},
	{of: "case.update_page", ask: `PATCH /api/v1/case/$case/page/$page {"content":"new"}`, status: "204"},
	{of: "case.find_pages", ask: `POST /api/v1/query?name=case-pages {"query":[{"_name":"getCase","idOrName":"$case"},{"_name":"pages"}]}`, status: "200", holds: `[{"title":"p"},{"title":"page","content":"new"}]`},
	{of: "case.delete_page", ask: `DELETE /api/v1/case/$case/page/$page`, status: "204"},
	{of: "case.add_attachment", ask: `POST /api/v1/case/$case/attachments`, parts: []part{file("attachments", "one.txt", "text/plain", "1"), file("attachments", "two.txt", "text/plain", "2")}, status: "201", holds: `{"attachments":[{"name":"one.txt"},{"name":"two.txt"}]}`, keep: "attachment = attachments.0._id"},
	{of: "case.find_attachments", ask: `POST /api/v1/query?name=case-attachments {"query":[{"_name":"getCase","idOrName":"$case"},{"_name":"attachments"}]}`, status: "200", holds: `[{"name":"one.txt"},{"name":"two.txt"}]`},
	{of: "case.download_attachment", ask: `GET /api/v1/case/$case/attachment/$attachment/download`, status: "200"},
	{of: "case.delete_attachment", ask: `DELETE /api/v1/case/$case/attachment/$attachment`, status: "204"},
	{of: "case.list_shares", ask: `GET /api/v1/case/$case/shares`, status: "200"},
	{of: "case.export_to_file", ask: `GET /api/v1/case/$case/export?password=secret`, status: "200"},
	{of: "comment.create_in_case", ask: `POST /api/v1/case/$case/comment {"message":"m"}`, status: "201", holds: `{"message":"m","isEdited":false}`, keep: "comment = _id"},
	{of: "comment.get", ask: `POST /api/v1/query {"query":[{"_name":"getComment","idOrName":"$comment"}]}`, status: "200", holds: `[{"_id":"$comment"}]`},
	{of: "comment.update", ask: `PATCH /api/v1/comment/$comment {"message":"n"}`, status: "204"},
	{of: "case.find_comments", ask: `POST /api/v1/query?name=case-comments {"query":[{"_name":"getCase","idOrName":"$case"},{"_name":"comments"}]}`, status: "200", holds: `[{"message":"n","isEdited":true}]`},
	{of: "comment.delete", ask: `DELETE /api/v1/comment/$comment`, status: "204"},
	{of: "observable.get", ask: `GET /api/v1/observable/$observable`, status: "200", holds: `{"data":"192.0.2.1","reports":{}}`},
	{of: "observable.update", ask: `PATCH /api/v1/observable/$observable {"ioc":true,"addTags":["x"]}`, status: "204"},
	{of: "observable.bulk_update", ask: `PATCH /api/v1/observable/_bulk {"ids":["$observable"],"sighted":true}`, status: "204"},
	{of: "observable.find", ask: `POST /api/v1/query?name=observables {"query":[{"_name":"listObservable"},{"_name":"filter","_eq":{"_field":"ioc","_value":true}}]}`, status: "200", holds: `[{"_id":"$observable","sighted":true,"tags":["x"]}]`},
	{of: "observable.count", ask: `POST /api/v1/query?name=observable.count {"query":[{"_name":"listObservable"},{"_name":"count"}]}`, status: "200", holds: `3`},
	{of: "observable.share", ask: `POST /api/v1/observable/$observable/shares {"organisations":["main-org"]}`, status: "204"},
	{of: "observable.list_shares", ask: `GET /api/v1/case/$observable/shares`, status: "200", holds: `[]`},
	{of: "observable.delete", ask: `DELETE /api/v1/observable/$fileObservable`, status: "204"},
	{of: "task.get", ask: `GET /api/v1/task/$task`, status: "200", holds: `{"title":"task","group":"default"}`},
	{of: "task.update", ask: `PATCH /api/v1/task/$task {"status":"InProgress"}`, status: "204"},
	{of: "task.bulk_update", ask: `PATCH /api/v1/task/_bulk {"ids":["$task"],"flag":true}`, status: "204"},
	{of: "task.get_required_actions", ask: `GET /api/v1/task/$task/actionRequired`, status: "200"},
	{of: "task.set_as_required", ask: `PUT /api/v1/task/$task/actionRequired/main-org`, status: "204"},
	{of: "task.set_as_done", ask: `PUT /api/v1/task/$task/actionDone/main-org`, status: "204"},
	{of: "task.find", ask: `POST /api/v1/query?name=tasks {"query":[{"_name":"listTask"},{"_name":"filter","_eq":{"_field":"flag","_value":true}}]}`, status: "200", holds: `[{"_id":"$task"}]`},
	{of: "task.count", ask: `POST /api/v1/query?name=task.count {"query":[{"_name":"listTask"},{"_name":"count"}]}`, status: "200", holds: `2`},
	{of: "task.create_log", ask: `POST /api/v1/task/$task/log {"message":"l"}`, status: "201", holds: `{"message":"l"}`, keep: "log = _id"},
	{of: "task.find_logs", ask: `POST /api/v1/query?name=case-task-logs {"query":[{"_name":"getTask","idOrName":"$task"},{"_name":"logs"}]}`, status: "200", holds: `[{"_id":"$log"}]`},
	{of: "task_log.get", ask: `POST /api/v1/query {"query":[{"_name":"getLog","idOrName":"$log"}]}`, status: "200", holds: `[{"_id":"$log"}]`},
	{of: "task_log.update", ask: `PATCH /api/v1/log/$log {"message":"m"}`, status: "204"},
	{of: "task_log.add_attachments", ask: `POST /api/v1/log/$log/attachments`, parts: []part{file("attachments", "l.txt", "text/plain", "l")}, status: "204"},
	{of: "task_log.delete", ask: `DELETE /api/v1/log/$log`, status: "204"},
	{of: "task.delete", ask: `DELETE /api/v1/task/$task`, status: "204"},
	{of: "procedure.get", ask: `POST /api/v1/query {"query":[{"_name":"getProcedure","idOrName":"$procedure"}]}`, status: "200", holds: `[{"patternId":"T1566"}]`},
	{of: "procedure.update", ask: `PATCH /api/v1/procedure/$procedure {"description":"p"}`, status: "204"},
	{of: "procedure.find", ask: `POST /api/v1/query?name=procedures {"query":[{"_name":"listProcedure"}]}`, status: "200", holds: `[{"description":"p"}]`},
	{of: "procedure.delete", ask: `DELETE /api/v1/procedure/$procedure`, status: "204"},
	{of: "timeline.create_event", ask: `POST /api/v1/case/$case/customEvent {"date":1700000000000,"title":"e"}`, status: "201", holds: `{"title":"e"}`, keep: "event = _id"},
	{of: "timeline.update_event", ask: `PATCH /api/v1/customEvent/$event {"title":"f"}`, status: "204"},
	{of: "timeline.delete_event", ask: `DELETE /api/v1/customEvent/$event`, status: "204"},
	{of: "cortex.list_analyzers", ask: `GET /api/connector/cortex/analyzer`, status: "200", holds: `[{"id":"abuse_finder"},{"id":"maxmind_geoip"},{"id":"virustotal"},{"id":"fileinfo"}]`},
	{of: "cortex.list_analyzers_by_type", ask: `GET /api/connector/cortex/analyzer/type/mail`, status: "200", holds: `[{"id":"abuse_finder"}]`},
	{of: "cortex.get_analyzer", ask: `GET /api/connector/cortex/analyzer/virustotal`, status: "200", holds: `{"cortexIds":["local"]}`},
	{of: "cortex.create_analyzer_job", ask: `POST /api/connector/cortex/job {"analyzerId":"virustotal","cortexId":"local","artifactId":"$observable"}`, status: "201", holds: `{"_type":"case_artifact_job"}`, keep: "job = _id"},
	{of: "cortex.get_analyzer_job, which asks the path of analyzers", ask: `GET /api/connector/cortex/analyzer/$job`, status: "404"},
	{of: "cortex.list_responders", ask: `GET /api/connector/cortex/responder/case/$case`, status: "200", holds: `[{"id":"mailer"}]`},
	{of: "cortex.create_responder_action", ask: `POST /api/connector/cortex/action {"objectId":"$case","objectType":"case","responderId":"mailer"}`, status: "200", holds: `{"_type":"Action","objectId":"$case"}`},
	{of: "misp.get_status", ask: `GET /api/v1/connector/misp/status`, status: "200", holds: `{"syncInProgress":false}`},
	{of: "misp.sync", ask: `GET /api/v1/connector/misp/_syncAlerts`, status: "204"},
	{of: "misp.export_case", ask: `POST /api/v1/connector/misp/export/$case/circl`, status: "204"},
	{of: "misp.export_case, an unknown server", ask: `POST /api/v1/connector/misp/export/$case/nowhere`, status: "404", holds: `{"message":"MISP server nowhere not found"}`},
	{of: "alert.create", ask: `POST /api/v1/alert {"type":"t","source":"s","sourceRef":"1","title":"a","description":"d","observables":[{"dataType":"ip","data":"192.0.2.9"}]}`, status: "201", holds: `{"_type":"Alert","observableCount":1}`, keep: "alert = _id"},
	{of: "alert.create, with a file", ask: `POST /api/v1/alert`, parts: []part{file("0", "f.txt", "text/plain", "f"), file("_json", "_json", "", `{"type":"t","source":"s","sourceRef":"2","title":"a","description":"d","observables":[{"dataType":"file","attachment":"0"}]}`)}, status: "201", keep: "second = _id"},
	{of: "alert.get", ask: `GET /api/v1/alert/$alert`, status: "200", holds: `{"sourceRef":"1"}`},
	{of: "alert.update", ask: `PATCH /api/v1/alert/$alert {"title":"b"}`, status: "204"},
	{of: "alert.bulk_update", ask: `PATCH /api/v1/alert/_bulk {"ids":["$alert"],"severity":4}`, status: "204"},
	{of: "alert.follow", ask: `POST /api/v1/alert/$alert/follow`, status: "204"},
	{of: "alert.unfollow", ask: `POST /api/v1/alert/$alert/unfollow`, status: "204"},
	{of: "alert.create_observable", ask: `POST /api/v1/alert/$alert/observable {"dataType":"domain","data":"a.example"}`, status: "201", holds: `[{"data":"a.example"}]`},
	{of: "alert.find_observables", ask: `POST /api/v1/query?name=alert-observables {"query":[{"_name":"getAlert","idOrName":"$alert"},{"_name":"observables"}]}`, status: "200", holds: `[{"data":"192.0.2.9"},{"data":"a.example"}]`},
	{of: "alert.add_attachment", ask: `POST /api/v1/alert/$alert/attachments`, parts: []part{file("attachments", "x.txt", "text/plain", "x")}, status: "201", keep: "alertFile = attachments.0._id"},
	{of: "alert.find_attachments", ask: `POST /api/v1/query?name=alert-attachments {"query":[{"_name":"getAlert","idOrName":"$alert"},{"_name":"attachments"}]}`, status: "200", holds: `[{"name":"x.txt"}]`},
	{of: "alert.download_attachment", ask: `GET /api/v1/alert/$alert/attachment/$alertFile/download`, status: "200"},
	{of: "alert.delete_attachment", ask: `DELETE /api/v1/alert/$alert/attachment/$alertFile`, status: "204"},
	{of: "alert.create_procedure", ask: `POST /api/v1/alert/$alert/procedure {"patternId":"T1566.001","occurDate":1700000000000}`, status: "201"},
	{of: "alert.find_procedures", ask: `POST /api/v1/query?name=alert-procedures {"query":[{"_name":"getAlert","idOrName":"$alert"},{"_name":"procedures"}]}`, status: "200", holds: `[{"patternId":"T1566.001"}]`},
	{of: "comment.create_in_alert", ask: `POST /api/v1/alert/$alert/comment {"message":"m"}`, status: "201"},
	{of: "alert.find_comments", ask: `POST /api/v1/query?name=alert-comments {"query":[{"_name":"getAlert","idOrName":"$alert"},{"_name":"comments"}]}`, status: "200", holds: `[{"message":"m"}]`},
	{of: "alert.find", ask: `POST /api/v1/query?name=alerts {"query":[{"_name":"listAlert"},{"_name":"filter","_or":[{"_eq":{"_field":"sourceRef","_value":"1"}},{"_eq":{"_field":"sourceRef","_value":"2"}}]}]}`, status: "200", holds: `[{"_id":"$alert","severity":4},{"_id":"$second"}]`},
	{of: "alert.count", ask: `POST /api/v1/query?name=alerts.count {"query":[{"_name":"listAlert"},{"_name":"count"}]}`, status: "200", holds: `2`},
	{of: "alert.merge_into_case", ask: `POST /api/v1/alert/$alert/merge/$case`, status: "200", holds: `{"_id":"$case"}`},
	{of: "case.unlink_alert", ask: `DELETE /api/v1/case/$case/alert/$alert`, status: "204"},
	{of: "alert.bulk_merge_into_case", ask: `POST /api/v1/alert/merge/_bulk {"caseId":"$case","alertIds":["$alert"]}`, status: "200", holds: `{"_id":"$case"}`},
	{of: "alert.promote_to_case", ask: `POST /api/v1/alert/$second/case {}`, status: "201", holds: `{"_type":"Case","title":"a"}`, keep: "promoted = _id"},
	{of: "alert.bulk_delete", ask: `POST /api/v1/alert/delete/_bulk {"ids":["$second"]}`, status: "204"},
	{of: "alert.delete", ask: `DELETE /api/v1/alert/$alert`, status: "204"},
	{of: "case_template.create", ask: `POST /api/v1/caseTemplate {"name":"tpl"}`, status: "201", keep: "template = _id"},
	{of: "case_template.get", ask: `GET /api/v1/caseTemplate/$template`, status: "200", holds: `{"name":"tpl"}`},
	{of: "case_template.update", ask: `PATCH /api/v1/caseTemplate/$template {"description":"x"}`, status: "204"},
	{of: "page_template.create", ask: `POST /api/v1/pageTemplate {"title":"pt","content":"c","category":"k"}`, status: "201", keep: "pageTemplate = _id"},
	{of: "case_template.link_page_templates", ask: `PUT /api/v1/caseTemplate/$template/pageTemplate/link {"pageTemplateIds":["$pageTemplate"]}`, status: "204"},
	{of: "case_template.find_page_templates", ask: `POST /api/v1/query?name=pageTemplate {"query":[{"_name":"getCaseTemplate","idOrName":"$template"},{"_name":"pageTemplates"}]}`, status: "200", holds: `[{"_id":"$pageTemplate"}]`},
	{of: "case_template.find", ask: `POST /api/v1/query?name=caseTemplate {"query":[{"_name":"listCaseTemplate"}]}`, status: "200", holds: `[{"_id":"$template","description":"x"}]`},
	{of: "case_template.delete", ask: `DELETE /api/v1/caseTemplate/$template`, status: "204"},
	{of: "case.close", ask: `PATCH /api/v1/case/$other {"status":"TruePositive","impactStatus":"NotApplicable","summary":"s"}`, status: "204"},
	{of: "case.merge", ask: `POST /api/v1/case/_merge/$case,$promoted`, status: "201", holds: `{"_type":"Case"}`, keep: "merged = _id"},
	{of: "case.delete", ask: `DELETE /api/v1/case/$merged`, status: "204"},
	{of: "audit.find", ask: `POST /api/v1/query?name=audits {"query":[{"_name":"listAudit"},{"_name":"filter","_eq":{"_field":"objectId","_value":"$merged"}},{"_name":"sort","_fields":[{"action":"desc"}]},{"_name":"page","from":0,"to":9}]}`, status: "200", holds: `[{"action":"merge","_type":"Audit","objectType":"Case"},{"action":"delete","object":"<none>","details":{"title":"<any>"}}]`},
	{of: "user.find", ask: `POST /api/v1/query?name=users {"query":[{"_name":"listUser"}]}`, status: "200", holds: `[{"_id":"$me"}]`},
	{of: "user.count", ask: `POST /api/v1/query?name=cases.count {"query":[{"_name":"listUser"},{"_name":"count"}]}`, status: "200", holds: `1`},
	{of: "organisation.find", ask: `POST /api/v1/query?name=organisations {"query":[{"_name":"listOrganisation"}]}`, status: "200", holds: `[{"name":"main-org"},{"name":"admin"}]`},
	{of: "organisation.get", ask: `GET /api/v1/organisation/main-org`, status: "200", holds: `{"name":"main-org"}`},
	{of: "organisation.list_links", ask: `GET /api/v1/organisation/main-org/links`, status: "200", holds: `[]`},
	{of: "organisation.list_sharing_profiles", ask: `GET /api/v1/sharingProfile`, status: "200"},
}

// serverCalls are the requests of the vendor's MCP server by its tools: a filter without an operator, properties left out, extra data.
var serverCalls = []clientCall{
	{of: "manage-entities, create a case", ask: `POST /api/v1/case {"title":"c","description":"d","severity":2,"tlp":2,"pap":2,"tags":["x"]}`, status: "201", keep: "case = _id"},
	{of: "manage-entities, create an observable", ask: `POST /api/v1/case/$case/observable {"dataType":"ip","data":"203.0.113.9"}`, status: "201", keep: "observable = 0._id"},
	{of: "search-entities", ask: `POST /api/v1/query {"query":[{"_name":"listCase"},{"_name":"filter","_gte":{"_field":"_createdAt","_value":1600000000000}},{"_name":"sort","_fields":[{"_createdAt":"desc"}]},{"_name":"page","from":0,"to":10,"extraData":["observableStats","procedureCount"]}],"excludeFields":["description","tags","customFields","userPermissions"]}`, status: "200", holds: `[{"_id":"$case","description":"<none>","extraData":{"procedureCount":0}}]`},
	{of: "search-entities, everything", ask: `POST /api/v1/query {"query":[{"_name":"listCase"},{"_name":"filter"},{"_name":"sort","_fields":[{"_createdAt":"desc"}]},{"_name":"page","from":0,"to":10,"extraData":[]}],"excludeFields":["extraData"]}`, status: "200", holds: `[{"_id":"$case"}]`},
	{of: "search-entities, the older form of a filter", ask: `POST /api/v1/query {"query":[{"_name":"listCase"},{"_name":"filter","_gt":{"severity":1}}]}`, status: "200", holds: `[{"_id":"$case"}]`},
	{of: "search-entities, count", ask: `POST /api/v1/query {"query":[{"_name":"listObservable"},{"_name":"filter","_eq":{"_field":"dataType","_value":"ip"}},{"_name":"count"}],"excludeFields":[]}`, status: "200", holds: `1`},
	{of: "resource, analyzers", ask: `GET /api/v1/connector/cortex/analyzer?range=all`, status: "200", holds: `[{"id":"abuse_finder"},{"id":"maxmind_geoip"},{"id":"virustotal"},{"id":"fileinfo"}]`},
	{of: "resource, responders", ask: `GET /api/v1/connector/cortex/responder/case/$case`, status: "200", holds: `[{"id":"mailer"}]`},
	{of: "resource, responders of an observable", ask: `GET /api/v1/connector/cortex/responder/observable/$observable`, status: "200", holds: `[]`},
	{of: "execute-automation, run an analyzer at its preset server", ask: `POST /api/v1/connector/cortex/job {"analyzerId":"maxmind_geoip","cortexId":"local","artifactId":"$observable"}`, status: "201", keep: "job = _id"},
	{of: "execute-automation, status of a job", ask: `GET /api/v1/connector/cortex/job/$job`, status: "200", holds: `{"analyzerName":"MaxMind_GeoIP_4_0"}`},
	{of: "execute-automation, run a responder", ask: `POST /api/v1/connector/cortex/action {"responderId":"mailer","cortexId":"local","objectType":"case","objectId":"$case"}`, status: "200", keep: "action = _id"},
	{of: "execute-automation, status of an action", ask: `GET /api/v1/connector/cortex/action/case/$case`, status: "200", holds: `[{"_id":"$action","responderName":"Mailer_1_0"}]`},
	{of: "resource, users", ask: `POST /api/v1/query {"query":[{"_name":"listUser"}]}`, status: "200", holds: `[{"login":"admin@thehive.local"}]`},
	{of: "resource, case templates", ask: `POST /api/v1/query {"query":[{"_name":"listCaseTemplate"}]}`, status: "200", holds: `[]`},
}

// TestClientsOfOthers sends what each client sends, in the order of a script, against every described release.
func TestClientsOfOthers(t *testing.T) {
	for name, calls := range map[string][]clientCall{"thehive4py": pythonCalls, "TheHiveMCP": serverCalls} {
		for _, version := range described {
			t.Run(name+"/"+version, func(t *testing.T) {
				t.Parallel()
				s := session{rig: newRig(t, hivetest.Options{Version: version + "-1", Cortex: []string{"local"}, MISP: []string{"circl"}}), vars: map[string]string{}}
				for _, c := range calls {
					if err := s.say(c); err != nil {
						t.Errorf("%s: %v", c.of, err)
					}
				}
			})
		}
	}
}

func (s *session) say(c clientCall) error {
	line := s.fill(c.ask)
	if c.parts == nil {
		if err := s.line(line); err != nil {
			return err
		}
	} else {
		mime, body := form(s.t, c.parts...)
		method, path, _ := strings.Cut(line, " ")
		a, err := s.send(method, path, mime, body)
		if err != nil {
			return err
		}
		checkAnswer(s.t, s.as, method, path, a)
		s.last = a
	}
	if err := s.expect(c.status, s.fill(c.holds)); err != nil || c.keep == "" {
		return err
	}
	return s.line(c.keep)
}
