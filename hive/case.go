package hive

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Case is a case as TheHive describes it (OutputCase).
type Case struct {
	// ID is "~" and digits, Number what analysts call it.
	ID     string `json:"_id"`
	Number int    `json:"number"`
	// Title and Description (Markdown) are free text.
	Title       string `json:"title"`
	Description string `json:"description"`
	// Severity is 1 (low) to 4 (critical), TLP 0 (CLEAR) to 4 (RED), PAP 0 to 3.
	Severity int `json:"severity"`
	TLP      int `json:"tlp"`
	PAP      int `json:"pap"`
	// Status is a name such as "New" or an organisation's own; Stage is what
	// it means: "New", "InProgress" or "Closed".
	Status string `json:"status"`
	Stage  string `json:"stage"`
	// StartDate and EndDate bound what the case is about; EndDate 0: open.
	StartDate Millis `json:"startDate"`
	EndDate   Millis `json:"endDate"`
	// Tags are in no particular order.
	Tags []string `json:"tags"`
	// Flag marks the case in lists.
	Flag bool `json:"flag"`
	// Assignee is a login; empty: nobody.
	Assignee string `json:"assignee"`
	// Summary and ImpactStatus belong to closing; ImpactStatus is
	// "NotApplicable", "WithImpact" or "NoImpact".
	Summary      string `json:"summary"`
	ImpactStatus string `json:"impactStatus"`
	// CustomFields are those that the case has, set or not.
	CustomFields []CustomField `json:"customFields"`
	// Permissions are the account's own on this case.
	Permissions []string `json:"userPermissions"`
	// InProgressDate and ClosedDate are the first entries into those stages.
	InProgressDate Millis `json:"inProgressDate"`
	ClosedDate     Millis `json:"closedDate"`
	// CreatedAt and CreatedBy (a login) never change; UpdatedAt moves with the
	// case and with what belongs to it, 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// Stages of a case.
const (
	// StageNew is the stage of a case nobody works on yet.
	StageNew = "New"
	// StageInProgress is the stage of a case somebody works on.
	StageInProgress = "InProgress"
	// StageClosed is the stage of a closed case.
	StageClosed = "Closed"
)

// Closed reports whether the case is in the stage Closed.
func (c Case) Closed() bool { return c.Stage == StageClosed }

// caseID names the identity of a case to the decoders.
func caseID(c *Case) string { return c.ID }

// CustomField is one custom field of a case. Only Name, Value and Order are
// sent; the field must exist in TheHive (else 404).
type CustomField struct {
	// ID is TheHive's, in answers only.
	ID string `json:"_id,omitempty"`
	// Name is the field's, at most MaxName units.
	Name string `json:"name"`
	// Type is string, integer, float, boolean, date or url; in answers only.
	Type string `json:"type,omitempty"`
	// Value is a string, a number, a bool or nil; dates are [Millis].
	Value any `json:"value"`
	// Order is the position among the case's custom fields.
	Order int `json:"order,omitempty"`
}

// FindCases lists the cases that a query chooses (listCase). It reads page by
// page as the caller goes on, and ends with the first error.
func (c *Client) FindCases(ctx context.Context, q Query) iter.Seq2[Case, error] {
	return list(ctx, c, listOf("find cases", "listCase"), q, caseID)
}

// CountCases counts the cases that a filter chooses. Since TheHive 5.0.10 the
// count may be cut short after the server's own time-out (10 s by default).
func (c *Client) CountCases(ctx context.Context, f Filter) (int, error) {
	return c.count(ctx, listOf("count cases", "listCase"), f)
}

// Case brings one case by id ("~123") or number ("42"); 404 when there is
// none (GET /api/v1/case/{idOrName}).
func (c *Client) Case(ctx context.Context, idOrNumber string) (Case, error) {
	var out Case
	if err := checkCase("get case", idOrNumber); err != nil {
		return out, err
	}
	err := c.do(ctx, call{op: "get case", method: http.MethodGet, path: "/case/" + idOrNumber, weight: weightLarge, accept: intoEntity(&out, caseID)})
	return out, err
}

// CreateCase opens a case (POST /api/v1/case). TheHive has no key that makes
// this idempotent: after an ambiguous error, search before trying again.
func (c *Client) CreateCase(ctx context.Context, n NewCase) (Case, error) {
	var out Case
	if err := n.Check("create case"); err != nil {
		return out, err
	}
	n.Tags = distinct(n.Tags)
	n.CustomFields = inputFields(n.CustomFields)
	err := c.do(ctx, call{op: "create case", method: http.MethodPost, path: "/case", body: n, write: true, weight: weightLarge, accept: intoEntity(&out, caseID)})
	return out, err
}

// UpdateCase changes what u names, of a case by id or number, and nothing else
// (PATCH /api/v1/case/{idOrName}).
func (c *Client) UpdateCase(ctx context.Context, idOrNumber string, u CaseUpdate) error {
	if err := checkCase("update case", idOrNumber); err != nil {
		return err
	}
	body, err := u.wire("update case")
	if err != nil {
		return err
	}
	return c.do(ctx, call{op: "update case", method: http.MethodPatch, path: "/case/" + idOrNumber, body: body, write: true, weight: weightLarge, accept: nothing})
}

// UpdateCases changes several cases alike (PATCH /api/v1/case/_bulk); ids only.
// TheHive 4 did so in one transaction, so that one refusal undoes all.
func (c *Client) UpdateCases(ctx context.Context, ids []string, u CaseUpdate) error {
	if err := checkIDs("update cases", ids); err != nil {
		return err
	}
	body, err := u.wire("update cases")
	if err != nil {
		return err
	}
	body["ids"] = distinct(ids)
	return c.do(ctx, call{op: "update cases", method: http.MethodPatch, path: "/case/_bulk", body: body, write: true, accept: nothing})
}

// MergeCases makes one new case of at least two, by id, and deletes them; the
// titles are joined by " / " (POST /api/v1/case/_merge/{ids}). TheHive takes at
// most 50 since 5.5.6, if not configured otherwise.
func (c *Client) MergeCases(ctx context.Context, ids ...string) (Case, error) {
	var out Case
	if err := checkIDs("merge cases", ids); err != nil {
		return out, err
	}
	ids = distinct(ids)
	if len(ids) < 2 || len(ids) > maxMerge {
		return out, invalid("merge cases", "ids", "must be two to fifty different ones")
	}
	err := c.do(ctx, call{op: "merge cases", method: http.MethodPost, path: "/case/_merge/" + strings.Join(ids, ","), write: true, weight: weightLarge, accept: intoEntity(&out, caseID)})
	return out, err
}

// maxMerge is TheHive's case.maxMergeInCase.
const maxMerge = 50

// DeleteCase deletes a case by id or number with all that belongs to it
// (DELETE /api/v1/case/{idOrName}). Before 5.5.16 TheHive left comments, pages
// and procedures behind.
func (c *Client) DeleteCase(ctx context.Context, idOrNumber string) error {
	if err := checkCase("delete case", idOrNumber); err != nil {
		return err
	}
	return c.delete(ctx, "delete case", "/case/"+idOrNumber)
}

// TemplateParts says which parts of a case template are taken over, and which of
// its tasks and pages, by id or title.
type TemplateParts struct {
	// TitlePrefix and its neighbours take over what they are called after.
	TitlePrefix, Description, Tags, Severity, Flag, TLP, PAP, CustomFields bool
	// Tasks and Pages are added to the case; none if empty.
	Tasks, Pages []string
}

// ApplyCaseTemplate applies parts of a case template, by name or id, to cases
// that exist, by id (POST /api/v1/case/_bulk/caseTemplate). Tasks and pages are
// added again each time.
func (c *Client) ApplyCaseTemplate(ctx context.Context, template string, parts TemplateParts, ids ...string) error {
	const op = "apply case template"
	if err := checkIDs(op, ids); err != nil {
		return err
	}
	if err := checkTexts(op, rule{"caseTemplate", template, 1, MaxLogin}); err != nil {
		return err
	}
	body := map[string]any{"ids": distinct(ids), "caseTemplate": template}
	for name, wanted := range map[string]bool{
		"updateTitlePrefix": parts.TitlePrefix, "updateDescription": parts.Description, "updateTags": parts.Tags,
		"updateSeverity": parts.Severity, "updateFlag": parts.Flag, "updateTlp": parts.TLP, "updatePap": parts.PAP,
		"updateCustomFields": parts.CustomFields,
	} {
		if wanted {
			body[name] = true
		}
	}
	putList(body, "importTasks", parts.Tasks)
	putList(body, "importPages", parts.Pages)
	return c.change(ctx, op, http.MethodPost, "/case/_bulk/caseTemplate", body)
}

// ExportCase opens a case by id or number as an archive that another TheHive can
// import (.thar), encrypted with a password of 1 to MaxPassword units
// (GET /api/v1/case/{caseId}/export). It streams as [Client.Download] does.
func (c *Client) ExportCase(ctx context.Context, idOrNumber, password string) (io.ReadCloser, error) {
	const op = "export case"
	if err := checkCase(op, idOrNumber); err != nil {
		return nil, err
	}
	if err := checkTexts(op, rule{"password", password, 1, MaxPassword}); err != nil {
		return nil, err
	}
	return c.download(ctx, call{op: op, method: http.MethodGet, path: "/case/" + idOrNumber + "/export", query: url.Values{"password": {password}}.Encode()})
}

// ImportedCase is what TheHive made of an archive (OutputImportCase).
type ImportedCase struct {
	// Case is the new case, Observables and Procedures those that came with it.
	Case        Case         `json:"case"`
	Observables []Observable `json:"observables"`
	Procedures  []Procedure  `json:"procedures"`
	// Errors are what could not be imported, in TheHive's words as JSON.
	Errors []any `json:"errors"`
}

// ImportCase makes a case of an archive of [Client.ExportCase], streaming it
// (multipart POST /api/v1/case/import). Every call makes another case.
func (c *Client) ImportCase(ctx context.Context, archive Upload, password string, sharing ...NewShare) (ImportedCase, error) {
	const op = "import case"
	var out ImportedCase
	if err := checkTexts(op, rule{"password", password, 1, MaxPassword}); err != nil {
		return out, err
	}
	if err := checkShares(op, sharing, "", ""); err != nil {
		return out, err
	}
	body := map[string]any{"password": password}
	if len(sharing) > 0 {
		body["sharingParameters"] = sharing
	}
	upload, err := c.bodyWithFile(op, body, "file", archive)
	if err != nil {
		return out, err
	}
	err = c.do(ctx, call{op: op, method: http.MethodPost, path: "/case/import", upload: upload, write: true, weight: weightLarge,
		accept: intoEntity(&out, func(i *ImportedCase) string { return i.Case.ID })})
	return out, err
}

// NewCase is a case to be created (InputCreateCase). Only Title is required
// and Description usual; what is left out is TheHive's default. Observables and
// procedures cannot come with it.
type NewCase struct {
	// Title has 1 to MaxTitle units, Description (Markdown) at most MaxText.
	Title       string `json:"title"`
	Description string `json:"description"`
	// Severity (1 to 4), TLP (0 to 4) and PAP (0 to 3) default to 2.
	Severity *int `json:"severity,omitempty"`
	TLP      *int `json:"tlp,omitempty"`
	PAP      *int `json:"pap,omitempty"`
	// StartDate defaults to TheHive's now. EndDate is for a case of the past.
	StartDate Millis `json:"startDate,omitempty"`
	EndDate   Millis `json:"endDate,omitempty"`
	// Tags have 1 to MaxTag units each; doubles are left out.
	Tags []string `json:"tags,omitempty"`
	// Flag marks the case in lists.
	Flag bool `json:"flag,omitempty"`
	// Status defaults to "New". An unknown one is refused.
	Status string `json:"status,omitempty"`
	// Assignee is a login; TheHive's default is the account itself.
	Assignee string `json:"assignee,omitempty"`
	// Summary is at most MaxText units.
	Summary string `json:"summary,omitempty"`
	// CaseTemplate is the name or id of a template; an unknown one is refused.
	CaseTemplate string `json:"caseTemplate,omitempty"`
	// CustomFields must exist in TheHive.
	CustomFields []CustomField `json:"customFields,omitempty"`
	// Tasks replace those of the template; nil keeps those, an empty list
	// means none.
	Tasks []NewTask `json:"tasks,omitzero"`
	// Pages are the case's pages.
	Pages []NewPage `json:"pages,omitempty"`
	// Sharing gives the case to other organisations at once.
	Sharing []NewShare `json:"sharingParameters,omitempty"`
	// TaskRule and ObservableRule say whether new tasks and observables are shared
	// too: "manual" or "autoShare"; default: the organisation's.
	TaskRule       string `json:"taskRule,omitempty"`
	ObservableRule string `json:"observableRule,omitempty"`
	// Access restricts the case to users; nil: the whole organisation.
	Access *Access `json:"access,omitempty"`
}

// Check refuses what TheHive would, with an [*InvalidError] that names the call;
// [Client.CreateCase] does it by itself.
func (n NewCase) Check(op string) error {
	if err := checkTexts(op,
		rule{"title", n.Title, 1, MaxTitle}, rule{"description", n.Description, 0, MaxText},
		rule{"status", n.Status, 0, MaxName}, rule{"assignee", n.Assignee, 0, MaxLogin},
		rule{"summary", n.Summary, 0, MaxText}, rule{"caseTemplate", n.CaseTemplate, 0, MaxLogin},
	); err != nil {
		return err
	}
	if err := checkLevels(op, n.Severity, n.TLP, n.PAP); err != nil {
		return err
	}
	if err := checkDates(op, n.StartDate, n.EndDate); err != nil {
		return err
	}
	if err := checkTags(op, "tags", n.Tags); err != nil {
		return err
	}
	for i, t := range n.Tasks {
		if err := t.check(op, "tasks["+strconv.Itoa(i)+"]."); err != nil {
			return err
		}
	}
	for i, p := range n.Pages {
		if err := p.check(op, "pages["+strconv.Itoa(i)+"]."); err != nil {
			return err
		}
	}
	if err := checkShares(op, n.Sharing, n.TaskRule, n.ObservableRule); err != nil {
		return err
	}
	if err := n.Access.check(op); err != nil {
		return err
	}
	return checkFields(op, n.CustomFields)
}

// Clearable is a field of a case that can be emptied.
type Clearable string

// Fields that a [CaseUpdate] can clear (null in OpenAPI 5.5.13).
const (
	// ClearSummary empties the summary.
	ClearSummary Clearable = "summary"
	// ClearAssignee leaves the case to nobody.
	ClearAssignee Clearable = "assignee"
	// ClearImpactStatus empties the impact status.
	ClearImpactStatus Clearable = "impactStatus"
	// ClearEndDate empties the end date.
	ClearEndDate Clearable = "endDate"
)

// CaseUpdate is a change of one or more cases (InputUpdateCase). What is nil
// or empty stays as it is; at least one thing must change. There is no field
// that replaces all tags: the last of two writers would undo the first.
type CaseUpdate struct {
	// Title has 1 to MaxTitle units; Description and Summary at most MaxText.
	Title, Description, Summary *string
	// Severity is 1 to 4, TLP 0 to 4, PAP 0 to 3.
	Severity, TLP, PAP *int
	// Status moves the case to the stage that it belongs to; a status of the
	// stage Closed sets EndDate too.
	Status *string
	// ImpactStatus is "NotApplicable", "WithImpact" or "NoImpact".
	ImpactStatus *string
	// Assignee is a login.
	Assignee *string
	// StartDate and EndDate are event times.
	StartDate, EndDate *Millis
	// Flag marks the case in lists.
	Flag *bool
	// AddTags and RemoveTags are merged by TheHive with what is there.
	AddTags, RemoveTags []string
	// CustomFields are sent as an object, without their Order. Until TheHive 5.7.1 it
	// sets the value of each, and how it does is not to be relied on; from then on it adds
	// a value beside those that the case has, and one field may have several.
	CustomFields []CustomField
	// TaskRule and ObservableRule are as in [NewCase].
	TaskRule, ObservableRule *string
	// Clear empties fields.
	Clear []Clearable
}

// wire checks an update and puts it into TheHive's words.
func (u CaseUpdate) wire(op string) (map[string]any, error) {
	if err := u.check(op); err != nil {
		return nil, err
	}
	body := map[string]any{}
	put(body, "title", u.Title)
	put(body, "description", u.Description)
	put(body, "summary", u.Summary)
	put(body, "severity", u.Severity)
	put(body, "tlp", u.TLP)
	put(body, "pap", u.PAP)
	put(body, "status", u.Status)
	put(body, "impactStatus", u.ImpactStatus)
	put(body, "assignee", u.Assignee)
	put(body, "startDate", u.StartDate)
	put(body, "endDate", u.EndDate)
	put(body, "flag", u.Flag)
	put(body, "taskRule", u.TaskRule)
	put(body, "observableRule", u.ObservableRule)
	putList(body, "addTags", u.AddTags)
	putList(body, "removeTags", u.RemoveTags)
	putFields(body, u.CustomFields)
	for _, field := range u.Clear {
		if _, both := body[string(field)]; both {
			return nil, invalid(op, string(field), "is both set and cleared")
		}
		body[string(field)] = nil
	}
	return body, notEmpty(op, body)
}

// check refuses what TheHive would.
func (u CaseUpdate) check(op string) error {
	if err := checkTexts(op,
		optionalText("title", u.Title, 1, MaxTitle), optionalText("description", u.Description, 0, MaxText),
		optionalText("summary", u.Summary, 0, MaxText), optionalText("status", u.Status, 1, MaxName),
		optionalText("impactStatus", u.ImpactStatus, 1, MaxLogin), optionalText("assignee", u.Assignee, 1, MaxLogin),
		optionalText("taskRule", u.TaskRule, 1, MaxLogin), optionalText("observableRule", u.ObservableRule, 1, MaxLogin),
	); err != nil {
		return err
	}
	if err := checkLevels(op, u.Severity, u.TLP, u.PAP); err != nil {
		return err
	}
	if err := checkDates(op, value(u.StartDate), value(u.EndDate)); err != nil {
		return err
	}
	if err := checkTags(op, "addTags", u.AddTags); err != nil {
		return err
	}
	if err := checkTags(op, "removeTags", u.RemoveTags); err != nil {
		return err
	}
	for _, field := range u.Clear {
		switch field {
		case ClearSummary, ClearAssignee, ClearImpactStatus, ClearEndDate:
		default:
			return invalid(op, "clear", "names a field that cannot be cleared: "+quote(string(field)))
		}
	}
	return checkFields(op, u.CustomFields)
}

// checkFields refuses custom fields without a name or with a composite value.
func checkFields(op string, fields []CustomField) error {
	seen := map[string]bool{}
	for i, f := range fields {
		at := "customFields[" + strconv.Itoa(i) + "]"
		if err := checkTexts(op, rule{at + ".name", f.Name, 1, MaxName}); err != nil {
			return err
		}
		if seen[f.Name] {
			return invalid(op, at+".name", "is there twice: "+quote(f.Name))
		}
		seen[f.Name] = true
		if err := checkFieldValue(op, at, f.Value); err != nil {
			return err
		}
	}
	return nil
}

// checkFieldValue accepts nil and JSON scalars.
func checkFieldValue(op, at string, v any) error {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return nil
	case reflect.String:
		if utf8.ValidString(r.String()) {
			return nil
		}
		return invalid(op, at+".value", "is not valid UTF-8")
	}
	return invalid(op, at+".value", fmt.Sprintf("is no scalar but %T", v))
}

// putFields sets custom fields in the form that adds; a list would replace all.
func putFields(body map[string]any, fields []CustomField) {
	if len(fields) == 0 {
		return
	}
	values := map[string]any{}
	for _, f := range fields {
		values[f.Name] = f.Value
	}
	body["customFields"] = values
}

// inputFields leaves out what is TheHive's to say.
func inputFields(fields []CustomField) []CustomField {
	out := make([]CustomField, 0, len(fields))
	for _, f := range fields {
		out = append(out, CustomField{Name: f.Name, Value: f.Value, Order: f.Order})
	}
	return out
}
