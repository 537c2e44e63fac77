package hive

import (
	"context"
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// What TheHive stores of an alert at most, in UTF-16 code units.
const (
	// MaxAlertType bounds the type and the source of an alert.
	MaxAlertType = 32
	// MaxSourceRef bounds the reference of an alert.
	MaxSourceRef = 128
	// MaxExternalLink bounds the link of an alert; 4096 from TheHive 5.7.
	MaxExternalLink = 512
)

// Alert is an alert as TheHive describes it (OutputAlert).
type Alert struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// Type, Source and SourceRef together are there once in an organisation:
	// TheHive refuses a second alert of the three.
	Type      string `json:"type"`
	Source    string `json:"source"`
	SourceRef string `json:"sourceRef"`
	// ExternalLink is the way back to the product.
	ExternalLink string `json:"externalLink"`
	// Title and Description (Markdown) are free text.
	Title       string `json:"title"`
	Description string `json:"description"`
	// Severity is 1 (low) to 4 (critical), TLP 0 (CLEAR) to 4 (RED), PAP 0 to 3.
	Severity int `json:"severity"`
	TLP      int `json:"tlp"`
	PAP      int `json:"pap"`
	// Date is when it happened.
	Date Millis `json:"date"`
	// Tags are in no particular order.
	Tags []string `json:"tags"`
	// Follow says whether a new detection makes an imported alert new again.
	Follow bool `json:"follow"`
	// CustomFields are those that the alert has, set or not.
	CustomFields []CustomField `json:"customFields"`
	// CaseTemplate is applied to a case made of the alert.
	CaseTemplate string `json:"caseTemplate"`
	// ObservableCount is how many observables it has.
	ObservableCount int `json:"observableCount"`
	// CaseID is the case that it was promoted to or imported into; empty: none.
	CaseID string `json:"caseId"`
	// Status is a name such as "New" or an organisation's own; Stage is what it
	// means: "New", "InProgress", "Closed" or "Imported".
	Status string `json:"status"`
	Stage  string `json:"stage"`
	// Assignee is a login; empty: nobody. Summary belongs to closing.
	Assignee string `json:"assignee"`
	Summary  string `json:"summary"`
	// NewDate and its neighbours are the first entries into those stages.
	NewDate        Millis `json:"newDate"`
	InProgressDate Millis `json:"inProgressDate"`
	ClosedDate     Millis `json:"closedDate"`
	ImportedDate   Millis `json:"importedDate"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// StageImported is the stage of an alert that is part of a case.
const StageImported = "Imported"

// alertID names the identity of an alert to the decoders.
func alertID(a *Alert) string { return a.ID }

// NewAlert is an alert to be created with all that belongs to it, in one call
// (InputCreateAlert).
type NewAlert struct {
	// Type and Source have 1 to MaxAlertType units, SourceRef 1 to MaxSourceRef.
	Type, Source, SourceRef string
	// ExternalLink has at most MaxExternalLink units.
	ExternalLink string
	// Title has 1 to MaxTitle units, Description (Markdown) at most MaxText.
	Title, Description string
	// Severity (1 to 4), TLP (0 to 4) and PAP (0 to 3) default to 2.
	Severity, TLP, PAP *int
	// Date defaults to TheHive's now.
	Date Millis
	// Tags have 1 to MaxTag units each; doubles are left out.
	Tags []string
	// Flag marks the alert in lists.
	Flag bool
	// CustomFields must exist in TheHive.
	CustomFields []CustomField
	// Summary is at most MaxText units; Status defaults to "New".
	Summary, Status string
	// Assignee is a login; CaseTemplate a name, which is looked up when the alert
	// becomes a case.
	Assignee, CaseTemplate string
	// Observables come with the alert. TheHive 4 merged equal ones in silence.
	Observables []NewObservable
	// Files become observables, too; their Data is empty.
	Files []AlertFile
	// Procedures come with the alert; each call adds them once.
	Procedures []NewProcedure
}

// AlertFile is a file that becomes an observable of a new alert.
type AlertFile struct {
	// Observable says what it is; its DataType must be one for files.
	Observable NewObservable
	// File is its content, streamed.
	File Upload
}

// check refuses what TheHive would.
func (n NewAlert) check(op string) error {
	if err := checkTexts(op, rule{"type", n.Type, 1, MaxAlertType}, rule{"source", n.Source, 1, MaxAlertType},
		rule{"sourceRef", n.SourceRef, 1, MaxSourceRef}, rule{"externalLink", n.ExternalLink, 0, MaxExternalLink},
		rule{"title", n.Title, 1, MaxTitle}, rule{"description", n.Description, 0, MaxText}, rule{"summary", n.Summary, 0, MaxText},
		rule{"status", n.Status, 0, MaxName}, rule{"assignee", n.Assignee, 0, MaxLogin}, rule{"caseTemplate", n.CaseTemplate, 0, MaxLogin}); err != nil {
		return err
	}
	if err := checkLevels(op, n.Severity, n.TLP, n.PAP); err != nil {
		return err
	}
	if err := checkDates(op, n.Date); err != nil {
		return err
	}
	if err := checkTags(op, "tags", n.Tags); err != nil {
		return err
	}
	if err := n.checkParts(op); err != nil {
		return err
	}
	return checkFields(op, n.CustomFields)
}

// checkParts refuses observables, files and procedures that TheHive would.
func (n NewAlert) checkParts(op string) error {
	for i, o := range n.Observables {
		at := "observables[" + strconv.Itoa(i) + "]."
		if err := o.check(op, at); err != nil {
			return err
		}
		if err := o.checkData(op, at); err != nil {
			return err
		}
	}
	for i, f := range n.Files {
		at := "files[" + strconv.Itoa(i) + "]."
		if err := f.Observable.check(op, at); err != nil {
			return err
		}
		if len(f.Observable.Data) > 0 {
			return invalid(op, at+"data", "must be empty for a file")
		}
	}
	for i, p := range n.Procedures {
		if err := p.check(op, "procedures["+strconv.Itoa(i)+"]."); err != nil {
			return err
		}
	}
	return nil
}

// wire puts it into TheHive's words. A file is named by the part that holds it.
func (n NewAlert) wire() map[string]any {
	body := map[string]any{"type": n.Type, "source": n.Source, "sourceRef": n.SourceRef, "title": n.Title, "description": n.Description}
	for name, text := range map[string]string{
		"externalLink": n.ExternalLink, "summary": n.Summary, "status": n.Status, "assignee": n.Assignee, "caseTemplate": n.CaseTemplate,
	} {
		if text != "" {
			body[name] = text
		}
	}
	put(body, "severity", n.Severity)
	put(body, "tlp", n.TLP)
	put(body, "pap", n.PAP)
	if n.Date != 0 {
		body["date"] = n.Date
	}
	putList(body, "tags", n.Tags)
	if n.Flag {
		body["flag"] = true
	}
	if len(n.CustomFields) > 0 {
		body["customFields"] = inputFields(n.CustomFields)
	}
	var observables []map[string]any
	for _, o := range n.Observables {
		w := o.wire()
		w["data"] = o.Data
		observables = append(observables, w)
	}
	for i, f := range n.Files {
		w := f.File.describe(f.Observable.wire())
		w["attachment"] = filePart(i)
		observables = append(observables, w)
	}
	if len(observables) > 0 {
		body["observables"] = observables
	}
	if len(n.Procedures) > 0 {
		body["procedures"] = n.Procedures
	}
	return body
}

// filePart names the part of a request that holds a file.
func filePart(i int) string { return "file" + strconv.Itoa(i) }

// CreateAlert creates an alert with its observables, files and procedures in one
// call (POST /api/v1/alert; multipart with files). A second alert of the same
// Type, Source and SourceRef is refused ([Error.Exists]): after an ambiguous
// error it may be sent again, and [Client.AlertOf] finds what is there.
func (c *Client) CreateAlert(ctx context.Context, n NewAlert) (Alert, error) {
	const op = "create alert"
	var out Alert
	if err := n.check(op); err != nil {
		return out, err
	}
	k := call{op: op, method: http.MethodPost, path: "/alert", write: true, weight: weightLarge, accept: intoEntity(&out, alertID)}
	if len(n.Files) == 0 {
		k.body = n.wire()
		err := c.do(ctx, k)
		return out, err
	}
	files := make([]Upload, len(n.Files))
	for i, f := range n.Files {
		files[i] = f.File
	}
	var err error
	if k.upload, err = c.bodyWithFiles(op, n.wire(), filePart, files...); err != nil {
		return out, err
	}
	err = c.do(ctx, k)
	return out, err
}

// Alert brings one alert by id (GET /api/v1/alert/{alertId}).
func (c *Client) Alert(ctx context.Context, id string) (Alert, error) {
	const op = "get alert"
	if err := checkID(op, "alert", id); err != nil {
		return Alert{}, err
	}
	return fetch(ctx, c, op, "/alert/"+id, alertID)
}

// AlertOf finds the alert of a type, source and reference; false when there is
// none. It asks by name and not by search, whose index may lag (getAlert,
// "type;source;sourceRef"); only where one of them holds a semicolon it searches.
func (c *Client) AlertOf(ctx context.Context, kind, source, ref string) (Alert, bool, error) {
	const op = "find alert"
	if err := checkTexts(op, rule{"type", kind, 1, MaxAlertType}, rule{"source", source, 1, MaxAlertType}, rule{"sourceRef", ref, 1, MaxSourceRef}); err != nil {
		return Alert{}, false, err
	}
	found := list(ctx, c, oneAlert(op, kind+";"+source+";"+ref), Query{PageSize: 1, Limit: 1}, alertID)
	if strings.Contains(kind+source+ref, ";") {
		found = list(ctx, c, listOf(op, "listAlert"), Query{Limit: 1, Filter: And(Eq("type", kind), Eq("source", source), Eq("sourceRef", ref))}, alertID)
	}
	for a, err := range found {
		return a, err == nil, err
	}
	return Alert{}, false, nil
}

// oneAlert begins with one alert, by its name.
func oneAlert(op, name string) source {
	return source{op: op, steps: []step{{"_name": "getAlert", "idOrName": name}}}
}

// FindAlerts lists the alerts that a query chooses (listAlert).
func (c *Client) FindAlerts(ctx context.Context, q Query) iter.Seq2[Alert, error] {
	return list(ctx, c, listOf("find alerts", "listAlert"), q, alertID)
}

// CountAlerts counts the alerts that a filter chooses.
func (c *Client) CountAlerts(ctx context.Context, f Filter) (int, error) {
	return c.count(ctx, listOf("count alerts", "listAlert"), f)
}

// CaseAlerts lists the alerts that are part of a case by id or number, oldest
// first (getCase, alerts).
func (c *Client) CaseAlerts(ctx context.Context, caseID string) iter.Seq2[Alert, error] {
	return parts(ctx, c, "list alerts", caseID, "alerts", alertID)
}

// AlertObservables lists the observables of an alert, by id, oldest first
// (getAlert, observables).
func (c *Client) AlertObservables(ctx context.Context, id string) iter.Seq2[Observable, error] {
	return alertParts(ctx, c, "list alert observables", id, "observables", observableID)
}

// AlertUpdate is a change of one or more alerts (InputUpdateAlert). What is nil or
// empty stays as it is; at least one thing must change.
type AlertUpdate struct {
	// Type, Source and SourceRef are the alert's name.
	Type, Source, SourceRef *string
	// Title, Description and Status are as in [NewAlert].
	Title, Description, Status *string
	// ExternalLink, Summary and Assignee are as in [NewAlert]; the empty text clears them.
	ExternalLink, Summary, Assignee *string
	// Severity is 1 to 4, TLP 0 to 4, PAP 0 to 3.
	Severity, TLP, PAP *int
	// Date is when it happened, LastSyncDate when the product was last asked.
	Date, LastSyncDate *Millis
	// Follow is as in [Alert].
	Follow *bool
	// AddTags and RemoveTags are merged by TheHive with what is there.
	AddTags, RemoveTags []string
	// CustomFields are as in [CaseUpdate].
	CustomFields []CustomField
}

// wire checks an update and puts it into TheHive's words.
func (u AlertUpdate) wire(op string) (map[string]any, error) {
	if err := u.check(op); err != nil {
		return nil, err
	}
	body := map[string]any{}
	put(body, "type", u.Type)
	put(body, "source", u.Source)
	put(body, "sourceRef", u.SourceRef)
	put(body, "title", u.Title)
	put(body, "description", u.Description)
	put(body, "status", u.Status)
	putOrClear(body, "externalLink", u.ExternalLink)
	putOrClear(body, "summary", u.Summary)
	putOrClear(body, "assignee", u.Assignee)
	put(body, "severity", u.Severity)
	put(body, "tlp", u.TLP)
	put(body, "pap", u.PAP)
	put(body, "date", u.Date)
	put(body, "lastSyncDate", u.LastSyncDate)
	put(body, "follow", u.Follow)
	putList(body, "addTags", u.AddTags)
	putList(body, "removeTags", u.RemoveTags)
	putFields(body, u.CustomFields)
	return body, notEmpty(op, body)
}

// check refuses what TheHive would.
func (u AlertUpdate) check(op string) error {
	if err := checkTexts(op, optionalText("type", u.Type, 1, MaxAlertType), optionalText("source", u.Source, 1, MaxAlertType),
		optionalText("sourceRef", u.SourceRef, 1, MaxSourceRef), optionalText("title", u.Title, 1, MaxTitle),
		optionalText("description", u.Description, 0, MaxText), optionalText("status", u.Status, 1, MaxName),
		optionalText("externalLink", u.ExternalLink, 0, MaxExternalLink), optionalText("summary", u.Summary, 0, MaxText),
		optionalText("assignee", u.Assignee, 0, MaxLogin)); err != nil {
		return err
	}
	if err := checkLevels(op, u.Severity, u.TLP, u.PAP); err != nil {
		return err
	}
	if err := checkDates(op, value(u.Date), value(u.LastSyncDate)); err != nil {
		return err
	}
	if err := checkTags(op, "addTags", u.AddTags); err != nil {
		return err
	}
	if err := checkTags(op, "removeTags", u.RemoveTags); err != nil {
		return err
	}
	return checkFields(op, u.CustomFields)
}

// UpdateAlert changes what u names, of an alert by id (PATCH /api/v1/alert/{alertId}).
func (c *Client) UpdateAlert(ctx context.Context, id string, u AlertUpdate) error {
	return c.update(ctx, "update alert", "alert", id, u)
}

// UpdateAlerts changes several alike (PATCH /api/v1/alert/_bulk).
func (c *Client) UpdateAlerts(ctx context.Context, ids []string, u AlertUpdate) error {
	return c.updateAll(ctx, "update alerts", "alert", ids, u)
}

// FollowAlert lets new detections make an imported alert new again
// (POST /api/v1/alert/{alertId}/follow).
func (c *Client) FollowAlert(ctx context.Context, id string) error {
	return c.actOnAlert(ctx, "follow alert", id, "follow")
}

// UnfollowAlert ends that (POST /api/v1/alert/{alertId}/unfollow).
func (c *Client) UnfollowAlert(ctx context.Context, id string) error {
	return c.actOnAlert(ctx, "unfollow alert", id, "unfollow")
}

func (c *Client) actOnAlert(ctx context.Context, op, id, verb string) error {
	if err := checkID(op, "alert", id); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPost, "/alert/"+id+"/"+verb, nil)
}

// DeleteAlert deletes an alert with all that belongs to it
// (DELETE /api/v1/alert/{alertId}).
func (c *Client) DeleteAlert(ctx context.Context, id string) error {
	const op = "delete alert"
	if err := checkID(op, "alert", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/alert/"+id)
}

// DeleteAlerts deletes several (POST /api/v1/alert/delete/_bulk).
func (c *Client) DeleteAlerts(ctx context.Context, ids ...string) error {
	const op = "delete alerts"
	if err := checkIDs(op, ids); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPost, "/alert/delete/_bulk", map[string]any{"ids": distinct(ids)})
}

// CaseFromAlert says what of a case is to be other than its alert has it
// (InputCreateCaseFromAlert). What is left out is the alert's, or TheHive's default.
type CaseFromAlert struct {
	// Title, Description and Summary are as in [NewCase].
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Summary     string `json:"summary,omitempty"`
	// Severity, TLP and PAP are as in [NewCase].
	Severity *int `json:"severity,omitempty"`
	TLP      *int `json:"tlp,omitempty"`
	PAP      *int `json:"pap,omitempty"`
	// StartDate defaults to the alert's date.
	StartDate Millis `json:"startDate,omitempty"`
	EndDate   Millis `json:"endDate,omitempty"`
	// Tags replace the alert's.
	Tags []string `json:"tags,omitempty"`
	// Flag marks the case in lists.
	Flag bool `json:"flag,omitempty"`
	// Status, Assignee and CaseTemplate are as in [NewCase].
	Status       string `json:"status,omitempty"`
	Assignee     string `json:"assignee,omitempty"`
	CaseTemplate string `json:"caseTemplate,omitempty"`
	// CustomFields, Tasks and Pages are as in [NewCase].
	CustomFields []CustomField `json:"customFields,omitempty"`
	Tasks        []NewTask     `json:"tasks,omitzero"`
	Pages        []NewPage     `json:"pages,omitempty"`
	// Sharing, TaskRule and ObservableRule are as in [NewCase].
	Sharing        []NewShare `json:"sharingParameters,omitempty"`
	TaskRule       string     `json:"taskRule,omitempty"`
	ObservableRule string     `json:"observableRule,omitempty"`
}

// check refuses what TheHive would: as a case, whose title may be the alert's.
func (n CaseFromAlert) check(op string) error {
	title := n.Title
	if title == "" {
		title = "the alert's"
	}
	return NewCase{Title: title, Description: n.Description, Summary: n.Summary, Severity: n.Severity, TLP: n.TLP, PAP: n.PAP,
		StartDate: n.StartDate, EndDate: n.EndDate, Tags: n.Tags, Status: n.Status, Assignee: n.Assignee, CaseTemplate: n.CaseTemplate,
		CustomFields: n.CustomFields, Tasks: n.Tasks, Pages: n.Pages, Sharing: n.Sharing, TaskRule: n.TaskRule, ObservableRule: n.ObservableRule,
	}.Check(op)
}

// PromoteAlert makes a case of an alert, with its observables and procedures
// (POST /api/v1/alert/{alertId}/case; right manageAlert/import). The alert's CaseID
// is the case from then on, and a second call is refused. TheHive may copy
// observables after it has answered.
func (c *Client) PromoteAlert(ctx context.Context, id string, n CaseFromAlert) (Case, error) {
	const op = "promote alert"
	var out Case
	if err := checkID(op, "alert", id); err != nil {
		return out, err
	}
	if err := n.check(op); err != nil {
		return out, err
	}
	n.Tags = distinct(n.Tags)
	if len(n.CustomFields) > 0 {
		n.CustomFields = inputFields(n.CustomFields)
	}
	err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/alert/" + id + "/case", body: n, write: true, weight: weightLarge, accept: intoEntity(&out, caseID)})
	return out, err
}

// ImportAlert adds an alert's observables and procedures to a case, by id, and
// makes it part of it (POST /api/v1/alert/{alertId}/import/{caseId}). An alert that
// is part of a case already is refused.
func (c *Client) ImportAlert(ctx context.Context, id, caseID string) (Case, error) {
	return c.joinAlert(ctx, "import alert", "import", id, caseID)
}

// MergeAlert does as ImportAlert, and adds the alert's description and tags, too
// (POST /api/v1/alert/{alertId}/merge/{caseId}).
func (c *Client) MergeAlert(ctx context.Context, id, caseID string) (Case, error) {
	return c.joinAlert(ctx, "merge alert", "merge", id, caseID)
}

func (c *Client) joinAlert(ctx context.Context, op, verb, id, into string) (Case, error) {
	var out Case
	if err := checkID(op, "alert", id); err != nil {
		return out, err
	}
	if err := checkID(op, "case", into); err != nil {
		return out, err
	}
	err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/alert/" + id + "/" + verb + "/" + into, write: true, weight: weightLarge, accept: intoEntity(&out, caseID)})
	return out, err
}

// MergeAlerts merges several into one case, by ids (POST /api/v1/alert/merge/_bulk).
func (c *Client) MergeAlerts(ctx context.Context, into string, ids ...string) (Case, error) {
	const op = "merge alerts"
	var out Case
	if err := checkID(op, "case", into); err != nil {
		return out, err
	}
	if err := checkIDs(op, ids); err != nil {
		return out, err
	}
	body := map[string]any{"caseId": into, "alertIds": distinct(ids)}
	err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/alert/merge/_bulk", body: body, write: true, weight: weightLarge, accept: intoEntity(&out, caseID)})
	return out, err
}

// UnlinkAlert takes an alert out of a case by id or number; what it brought stays
// (DELETE /api/v1/case/{caseId}/alert/{alertId}; right manageCase/update).
func (c *Client) UnlinkAlert(ctx context.Context, caseID, id string) error {
	const op = "unlink alert"
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	if err := checkID(op, "alert", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/case/"+caseID+"/alert/"+id)
}

// SimilarToAlert lists the observables that an alert has in common with a case or
// another alert, by id (GET /api/v1/alert/{alertId}/similar/{alertOrCaseId}/observables).
func (c *Client) SimilarToAlert(ctx context.Context, id, otherID string) ([]Observable, error) {
	const op = "list similar observables"
	if err := checkID(op, "alert", id); err != nil {
		return nil, err
	}
	if err := checkID(op, "other", otherID); err != nil {
		return nil, err
	}
	return fetchAll(ctx, c, op, "/alert/"+id+"/similar/"+otherID+"/observables", observableID)
}
