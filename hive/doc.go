// Package hive speaks TheHive 5's REST API: cases and alerts with all that belongs
// to them, and queries. What administers a TheHive is in hive/admin, what speaks
// to Cortex and MISP through it in hive/connector.
//
// # Promise
//
// Every call goes through one function and fails with one type. An [*Error]
// says what the caller has to know after a failed write: whether nothing can
// have happened ([Error.Refused]), whether TheHive undid what it began
// ([Error.RolledBack]), or whether only a look at TheHive can tell
// ([Error.Ambiguous]). A write that may have happened is never sent again:
// not by this package, not by net/http beneath it. Input that TheHive cannot
// accept is an [*InvalidError] before any byte is sent.
//
// Reads are tried three times. A write that was surely refused (TheHive's
// own 429 or 503, no connection) is sent again in place, at most five times within two
// seconds. Everything else is the caller's decision.
//
// # The way of a call
//
//	case.go … attachment.go   a method for each call, beside what it sends and gets; limit.go: what TheHive stores
//	filter.go, query.go       what is asked of a list, page by page
//	do.go                     the one function: request, time-out, verdict
//	attempt.go                waits for leave (package throttle), and tries again what is safe
//	client.go, options.go     as whom, and how
//	package wire              connections; the guard asks before the first byte of a write
//	answer.go                 reads to a bound; error.go: what a failure says
//
// # Limits
//
// [Options.Concurrency] bounds the calls in flight, [Options.Timeout] each
// attempt, [Options.MaxResponseBytes] what an answer may weigh once it is
// decompressed. Texts are bounded by what TheHive stores (see [MaxTitle] and
// its neighbours). Redirects are not followed: they would carry the key.
//
// The package returns errors and never logs; [Options.Observe] sees every
// attempt. Neither an [Options] nor an [*Error] ever prints a secret.
//
// # Units
//
// TheHive counts time in milliseconds since 1970, UTC: [Millis]. Severities
// are 1 (low) to 4 (critical), TLP is 0 (CLEAR) to 4 (RED; 3 is
// AMBER+STRICT), PAP is 0 (CLEAR) to 3 (RED). Since 0 is a real TLP and PAP,
// they are pointers where they may be left out: new(0) is CLEAR, nil is
// TheHive's default.
//
// # Methods
//
// Below /api/v1, with the names of TheHive's OpenAPI; a query is a POST /query.
//
// Cases (case.go):
//
//	FindCases              query listCase
//	CountCases             query listCase, count
//	Case                   GET /case/{idOrName}
//	CreateCase             POST /case
//	UpdateCase             PATCH /case/{idOrName}
//	UpdateCases            PATCH /case/_bulk
//	MergeCases             POST /case/_merge/{ids}
//	DeleteCase             DELETE /case/{idOrName}
//	ApplyCaseTemplate      POST /case/_bulk/caseTemplate
//	ExportCase             GET /case/{caseId}/export
//	ImportCase             multipart POST /case/import
//
// Alerts (alert.go):
//
//	CreateAlert            POST /alert
//	Alert                  GET /alert/{alertId}
//	AlertOf                query getAlert, "type;source;sourceRef"
//	FindAlerts             query listAlert
//	CountAlerts            query listAlert, count
//	CaseAlerts             query getCase, alerts
//	AlertObservables       query getAlert, observables
//	UpdateAlert            PATCH /alert/{alertId}
//	UpdateAlerts           PATCH /alert/_bulk
//	FollowAlert            POST /alert/{alertId}/follow
//	UnfollowAlert          POST /alert/{alertId}/unfollow
//	DeleteAlert            DELETE /alert/{alertId}
//	DeleteAlerts           POST /alert/delete/_bulk
//	PromoteAlert           POST /alert/{alertId}/case
//	ImportAlert            POST /alert/{alertId}/import/{caseId}
//	MergeAlert             POST /alert/{alertId}/merge/{caseId}
//	MergeAlerts            POST /alert/merge/_bulk
//	UnlinkAlert            DELETE /case/{caseId}/alert/{alertId}
//	SimilarToAlert         GET /alert/{alertId}/similar/{alertOrCaseId}/observables
//
// Observables (observable.go):
//
//	AddObservables         POST /case/{caseId}/observable
//	AddAlertObservables    POST /alert/{alertId}/observable
//	AddFile                multipart POST /case/{caseId}/observable
//	AddAlertFile           multipart POST /alert/{alertId}/observable
//	Observable             GET /observable/{observableId}
//	FindObservables        query listObservable
//	CountObservables       query listObservable, count
//	CaseObservables        query getCase, observables
//	UpdateObservable       PATCH /observable/{id}
//	UpdateObservables      PATCH /observable/_bulk
//	DeleteObservable       DELETE /observable/{id}
//
// Files (attachment.go):
//
//	AddAttachments         multipart POST /case/{caseId}/attachments
//	AddAlertAttachments    multipart POST /alert/{alertId}/attachments
//	CaseAttachments        query getCase, attachments
//	DeleteAttachment       DELETE /case/{caseId}/attachment/{attachmentId}
//	ShowAttachment         PATCH /case/{caseId}/attachment/{attachmentId}
//	AlertAttachments       query getAlert, attachments
//	DeleteAlertAttachment  DELETE /alert/{alertId}/attachment/{attachmentId}
//	Download               GET /case/{caseId}/attachment/{attachmentId}/download
//	DownloadObservable     GET /observable/{observableId}/attachment/{attachmentId}/download
//	DownloadObservableZip  GET /observable/{observableId}/attachment/{attachmentId}/download?asZip=true
//	DownloadAlert          GET /alert/{alertId}/attachment/{attachmentId}/download
//	DownloadLog            GET /log/{logId}/attachment/{attachmentId}/download
//
// Tasks and their logs (task.go):
//
//	AddTask                POST /case/{caseId}/task
//	CaseTasks              query getCase, tasks
//	Task                   GET /task/{taskId}
//	FindTasks              query listTask
//	UpdateTask             PATCH /task/{taskId}
//	UpdateTasks            PATCH /task/_bulk
//	DeleteTask             DELETE /task/{taskId}
//	TaskActions            GET /task/{taskId}/actionRequired
//	AskTaskAction          PUT /task/{taskId}/actionRequired/{orgId}
//	EndTaskAction          PUT /task/{taskId}/actionDone/{orgId}
//	AddLog                 POST /task/{taskId}/log
//	TaskLogs               query getTask, logs
//	UpdateLog              PATCH /log/{logId}
//	DeleteLog              DELETE /log/{logId}
//	AddLogFiles            multipart POST /log/{logId}/attachments
//	DeleteLogFile          DELETE /log/{logId}/attachments/{attachmentId}
//
// Pages (page.go):
//
//	AddPage                POST /case/{caseId}/page
//	UpdatePage             PATCH /case/{caseId}/page/{pageId}
//	ChangePage             PATCH /case/{caseId}/page/{pageId}
//	DeletePage             DELETE /case/{caseId}/page/{pageId}
//	CasePages              query getCase, pages
//	AddKnowledge           POST /page
//	UpdateKnowledge        PATCH /page/{pageId}
//	DeleteKnowledge        DELETE /page/{pageId}
//
// Comments (comment.go):
//
//	AddComment             POST /case/{caseId}/comment
//	AddAlertComment        POST /alert/{alertId}/comment
//	UpdateComment          PATCH /comment/{id}
//	DeleteComment          DELETE /comment/{id}
//	CaseComments           query getCase, comments
//	AlertComments          query getAlert, comments
//
// Procedures (procedure.go):
//
//	AddProcedure           POST /case/{caseId}/procedure
//	AddAlertProcedure      POST /alert/{alertId}/procedure
//	AddProcedures          POST /case/{caseId}/procedures
//	AddAlertProcedures     POST /alert/{alertId}/procedures
//	CaseProcedures         query getCase, procedures
//	AlertProcedures        query getAlert, procedures
//	Procedures             query listProcedure
//	UpdateProcedure        PATCH /procedure/{id}
//	DeleteProcedure        DELETE /procedure/{id}
//	DeleteProcedures       POST /procedure/delete/_bulk
//
// Who sees a case (share.go):
//
//	CaseShares             GET /case/{caseId}/shares
//	ShareCase              POST /case/{caseId}/shares
//	SetShares              PUT /case/{caseId}/shares
//	UpdateShare            PATCH /case/share/{shareId}
//	DeleteShare            DELETE /case/share/{shareId}
//	DeleteShares           DELETE /case/shares
//	UnshareCase            DELETE /case/{caseId}/shares
//	TaskShares             GET /task/{taskId}/shares
//	ShareTask              POST /task/{taskId}/shares
//	UnshareTask            DELETE /task/{taskId}/shares
//	ObservableShares       GET /observable/{observableId}/shares
//	ShareObservable        POST /observable/{observableId}/shares
//	UnshareObservable      DELETE /observable/{observableId}/shares
//	ChangeOwner            POST /case/{caseId}/owner
//	SetAccess              POST /case/{caseId}/access
//	SetAccessOfCases       POST /case/_bulk/access
//
// What a case is linked with (link.go):
//
//	LinkedCases            GET /case/{caseId}/links
//	LinkCases              POST /case/{caseId}/link/case/add
//	CaseLinks              POST /query, getCase with the extra data "links"
//	OpenCasesWith          POST /query, listObservable and case
//	UnlinkCases            POST /case/{caseId}/link/case/remove
//	LinkURL                POST /case/{caseId}/link/external/add
//	UnlinkURL              POST /case/{caseId}/link/external/remove
//	LinkTypes              GET /case/link/types
//	SimilarToCase          GET /case/{caseId}/similar/{alertOrCaseId}/observables
//	MergeObservables       POST /case/{caseId}/observable/_merge
//
// The timeline (timeline.go):
//
//	Timeline               GET /case/{caseId}/timeline
//	AddCustomEvent         POST /case/{caseId}/customEvent
//	UpdateCustomEvent      PATCH /customEvent/{eventId}
//	DeleteCustomEvent      DELETE /customEvent/{eventId}
//
// ATT&CK (pattern.go):
//
//	Pattern                GET /pattern/{patternId}
//	PatternIDs             query listPattern
//	Patterns               query listPattern
//	ImportPatterns         multipart POST /pattern/import/attack
//
// The server (server.go):
//
//	Status                 GET /status
//	CurrentUser            GET /user/current
//	DataTypes              query listObservableType
//	CustomFields           query listCustomField
//	CaseTemplates          query listCaseTemplate
//	TemplateTags           query getCaseTemplate
//	Logins                 query listUser
//
// What has no method (do.go):
//
//	Exchange               any
//
// # Example
//
//	client, err := hive.New(hive.Options{URL: "https://thehive.example.org", APIKey: key})
//	if err != nil {
//		return err
//	}
//	for c, err := range client.FindCases(ctx, hive.Query{Filter: hive.Eq("tags", "phishing")}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(c.Number, c.Title)
//	}
//
// The paths and fields are those of TheHive's OpenAPI 5.5.13; 5.6 and 5.7 add
// fields, which are ignored, and take none of those used here away.
package hive
