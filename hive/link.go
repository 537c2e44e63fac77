package hive

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// LinkedCase is a case that shares observables with another (OutputCaseWithLinks).
type LinkedCase struct {
	Case
	// Shared are the observables that both have; their number is Links, also where
	// not all are shown.
	Shared []Observable `json:"linkedWith"`
	Links  int          `json:"linksCount"`
}

// LinkedCases lists the cases that share observables with one by id or number
// (GET /api/v1/case/{caseId}/links).
func (c *Client) LinkedCases(ctx context.Context, caseID string) ([]LinkedCase, error) {
	const op = "list linked cases"
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	return fetchAll(ctx, c, op, "/case/"+caseID+"/links", func(l *LinkedCase) string { return l.ID })
}

// LinkCases links a case by id or number to another by id, saying how, such as
// "related" (POST /api/v1/case/{caseId}/link/case/add; TheHive 5.5). The kind has
// 1 to MaxName units.
func (c *Client) LinkCases(ctx context.Context, caseID, otherID, kind string) error {
	return c.linkCase(ctx, "link cases", "add", caseID, otherID, kind)
}

// Linked is a case that another one is linked with, and how.
type Linked struct {
	// Kind is as in LinkCases; CaseID the other case's id.
	Kind   string `json:"type"`
	CaseID string `json:"caseId"`
}

// CaseLinks lists what a case by id or number was linked with by LinkCases, from
// either side (the query getCase with the extra data "links"; the official
// client's tests of 5.5.13 read it so). A TheHive before 5.5 answers none, and so
// does one that has no such case.
func (c *Client) CaseLinks(ctx context.Context, caseID string) ([]Linked, error) {
	const op = "list links"
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	var found []struct {
		Extra struct {
			Links struct {
				Cases []Linked `json:"caseLinks"`
			} `json:"links"`
		} `json:"extraData"`
	}
	s := source{op: op, steps: []step{{"_name": "getCase", "idOrName": caseID}, {"_name": "page", "from": 0, "to": 1, "extraData": []string{"links"}}}}
	if err := c.query(ctx, s, s.steps, into(&found)); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0].Extra.Links.Cases, nil
}

// ObservableName names an observable by its type and its value.
type ObservableName struct{ DataType, Data string }

// mostTwins is how many observables are looked through for the cases that they are in.
const mostTwins = 200

// OpenCasesWith finds the cases that are not closed and have one of these values among
// their observables, newest first, in one call (the query listObservable, case). Types
// and values are looked for each by itself: a case with one's type and another's value
// is found, too. No values find nothing. What was just written may not be found yet.
func (c *Client) OpenCasesWith(ctx context.Context, values ...ObservableName) ([]Case, error) {
	const op = "find cases with values"
	if len(values) == 0 {
		return nil, nil
	}
	var types, data []string
	for _, v := range values {
		types, data = append(types, v.DataType), append(data, v.Data)
	}
	which, err := And(In("data", data...), In("dataType", types...)).step(op)
	if err != nil {
		return nil, err
	}
	open, err := Not(Eq("stage", "Closed")).step(op)
	if err != nil {
		return nil, err
	}
	s := source{op: op, omit: []string{"description", "summary", "customFields", "tags", "userPermissions"}}
	var found []Case
	err = c.query(ctx, s, []step{
		{"_name": "listObservable"}, which, {"_name": "case"}, open,
		{"_name": "sort", "_fields": []map[string]string{{"number": "desc"}}}, {"_name": "page", "from": 0, "to": mostTwins},
	}, intoEntities(&found, caseID))
	seen := map[string]bool{}
	return slices.DeleteFunc(found, func(c Case) bool { // a case comes once for each of its observables
		again := seen[c.ID]
		seen[c.ID] = true
		return again
	}), err
}

// UnlinkCases takes such a link away (POST /api/v1/case/{caseId}/link/case/remove).
func (c *Client) UnlinkCases(ctx context.Context, caseID, otherID, kind string) error {
	return c.linkCase(ctx, "unlink cases", "remove", caseID, otherID, kind)
}

func (c *Client) linkCase(ctx context.Context, op, verb, caseID, otherID, kind string) error {
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	if err := checkID(op, "caseId", otherID); err != nil {
		return err
	}
	if err := checkTexts(op, rule{"type", kind, 1, MaxName}); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPost, "/case/"+caseID+"/link/case/"+verb, map[string]any{"type": kind, "caseId": otherID})
}

// LinkURL links a case by id or number to an address outside, such as a ticket
// (POST /api/v1/case/{caseId}/link/external/add; TheHive 5.5).
func (c *Client) LinkURL(ctx context.Context, caseID, address, kind string) error {
	return c.linkURL(ctx, "link address", "add", caseID, address, kind)
}

// UnlinkURL takes such a link away (POST /api/v1/case/{caseId}/link/external/remove).
func (c *Client) UnlinkURL(ctx context.Context, caseID, address, kind string) error {
	return c.linkURL(ctx, "unlink address", "remove", caseID, address, kind)
}

func (c *Client) linkURL(ctx context.Context, op, verb, caseID, address, kind string) error {
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	if u, err := url.Parse(address); err != nil || u.Scheme == "" || u.Host == "" {
		return invalid(op, "url", "is no address: "+quote(address))
	}
	if err := checkTexts(op, rule{"type", kind, 1, MaxName}, rule{"url", address, 1, MaxValue}); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPost, "/case/"+caseID+"/link/external/"+verb, map[string]any{"type": kind, "url": address})
}

// LinkTypes lists the kinds of links that cases have here
// (GET /api/v1/case/link/types).
func (c *Client) LinkTypes(ctx context.Context) ([]string, error) {
	var out []string
	err := c.do(ctx, call{op: "list link types", method: http.MethodGet, path: "/case/link/types", accept: into(&out)})
	return out, err
}

// SimilarToCase lists the observables that a case by id or number has in common
// with another case or an alert, by id
// (GET /api/v1/case/{caseId}/similar/{alertOrCaseId}/observables).
func (c *Client) SimilarToCase(ctx context.Context, caseID, otherID string) ([]Observable, error) {
	const op = "list similar observables"
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	if err := checkID(op, "other", otherID); err != nil {
		return nil, err
	}
	return fetchAll(ctx, c, op, "/case/"+caseID+"/similar/"+otherID+"/observables", observableID)
}

// MergedObservables is what a merge of a case's observables did (OutputMergeCases).
type MergedObservables struct {
	// Untouched had no double, Updated took one in, Deleted were taken in.
	Untouched int `json:"untouched"`
	Updated   int `json:"updated"`
	Deleted   int `json:"deleted"`
}

// MergeObservables merges the observables of a case by id or number that have the
// same type and value, as they may after a merge of cases
// (POST /api/v1/case/{caseId}/observable/_merge; right manageCase/update).
func (c *Client) MergeObservables(ctx context.Context, caseID string) (MergedObservables, error) {
	const op = "merge observables"
	var out MergedObservables
	if err := checkCase(op, caseID); err != nil {
		return out, err
	}
	var n struct{ Untouched, Updated, Deleted *int }
	err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/case/" + caseID + "/observable/_merge", write: true, accept: func(status int, body []byte) error {
		if err := into(&n)(status, body); err != nil {
			return err
		}
		if n.Untouched == nil || n.Updated == nil || n.Deleted == nil {
			return fmt.Errorf("%w: no counts", ErrShape)
		}
		return nil
	}})
	if err != nil {
		return out, err
	}
	return MergedObservables{*n.Untouched, *n.Updated, *n.Deleted}, nil
}
