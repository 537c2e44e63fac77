package hive

import (
	"context"
	"iter"
	"net/http"
	"strings"
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
	if err := n.check("create case"); err != nil {
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

// delete is a DELETE without a body.
func (c *Client) delete(ctx context.Context, op, path string) error {
	return c.do(ctx, call{op: op, method: http.MethodDelete, path: path, write: true, accept: nothing})
}
