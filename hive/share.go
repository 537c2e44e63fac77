package hive

import (
	"context"
	"encoding/json"
	"net/http"
)

// Share is one organisation's part in a case (OutputShare).
type Share struct {
	// ID is "~" and digits, CaseID the case.
	ID     string `json:"_id"`
	CaseID string `json:"caseId"`
	// Organisation has the case by this share, with the rights of Profile; the
	// Owner's share cannot be taken away.
	Organisation string `json:"organisationName"`
	Profile      string `json:"profileName"`
	Owner        bool   `json:"owner"`
	// TaskRule and ObservableRule say whether new tasks and observables come with it:
	// "manual" or "autoShare".
	TaskRule       string `json:"taskRule"`
	ObservableRule string `json:"observableRule"`
	// CreatedAt and CreatedBy never change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
}

// shareID names the identity of a share to the decoders.
func shareID(s *Share) string { return s.ID }

// NewShare gives a case to an organisation (InputShare).
type NewShare struct {
	// Organisation is a name or id.
	Organisation string `json:"organisation"`
	// Future shares what is added later, too; TheHive's default is true.
	Future *bool `json:"share,omitempty"`
	// Profile says what the organisation may do; default "analyst".
	Profile string `json:"profile,omitempty"`
	// TaskRule and ObservableRule are "manual" or "autoShare"; default: the case's.
	TaskRule       string `json:"taskRule,omitempty"`
	ObservableRule string `json:"observableRule,omitempty"`
}

// checkShares refuses what TheHive would.
func checkShares(op string, shares []NewShare, taskRule, observableRule string) error {
	for _, s := range shares {
		if err := checkTexts(op, rule{"organisation", s.Organisation, 1, MaxLogin}, rule{"profile", s.Profile, 0, MaxName},
			rule{"taskRule", s.TaskRule, 0, MaxName}, rule{"observableRule", s.ObservableRule, 0, MaxName}); err != nil {
			return err
		}
	}
	return checkTexts(op, rule{"taskRule", taskRule, 0, MaxLogin}, rule{"observableRule", observableRule, 0, MaxLogin})
}

// checkOrganisations refuses an empty list, and names that are none.
func checkOrganisations(op string, names []string) error {
	if len(names) == 0 {
		return invalid(op, "organisations", "is empty")
	}
	for _, name := range names {
		if err := checkTexts(op, rule{"organisation", name, 1, MaxLogin}); err != nil {
			return err
		}
	}
	return nil
}

// CaseShares lists who has a case by id or number (GET /api/v1/case/{caseId}/shares).
func (c *Client) CaseShares(ctx context.Context, caseID string) ([]Share, error) {
	const op = "list shares"
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	return fetchAll(ctx, c, op, "/case/"+caseID+"/shares", shareID)
}

// ShareCase gives a case by id or number to more organisations, and leaves the
// shares that there are (POST /api/v1/case/{caseId}/shares).
func (c *Client) ShareCase(ctx context.Context, caseID string, shares ...NewShare) ([]Share, error) {
	return c.setShares(ctx, "share case", http.MethodPost, caseID, shares)
}

// SetShares makes shares all that there are beside the owner's: others are taken
// away (PUT /api/v1/case/{caseId}/shares).
func (c *Client) SetShares(ctx context.Context, caseID string, shares ...NewShare) ([]Share, error) {
	return c.setShares(ctx, "set shares", http.MethodPut, caseID, shares)
}

func (c *Client) setShares(ctx context.Context, op, method, caseID string, shares []NewShare) ([]Share, error) {
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	if err := checkShares(op, shares, "", ""); err != nil {
		return nil, err
	}
	if len(shares) == 0 && method == http.MethodPost {
		return nil, invalid(op, "shares", "is empty")
	}
	var out []Share
	err := c.do(ctx, call{op: op, method: method, path: "/case/" + caseID + "/shares", write: true,
		body: map[string]any{"shares": append([]NewShare{}, shares...)}, accept: intoEntities(&out, shareID)})
	return out, err
}

// UpdateShare gives a share another profile (PATCH /api/v1/case/share/{shareId}).
func (c *Client) UpdateShare(ctx context.Context, id, profile string) error {
	const op = "update share"
	if err := checkID(op, "share", id); err != nil {
		return err
	}
	if err := checkTexts(op, rule{"profile", profile, 1, MaxName}); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPatch, "/case/share/"+id, map[string]any{"profile": profile})
}

// DeleteShare takes a share away (DELETE /api/v1/case/share/{shareId}).
func (c *Client) DeleteShare(ctx context.Context, id string) error {
	const op = "delete share"
	if err := checkID(op, "share", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/case/share/"+id)
}

// DeleteShares takes several away (DELETE /api/v1/case/shares, with a body).
func (c *Client) DeleteShares(ctx context.Context, ids ...string) error {
	const op = "delete shares"
	if err := checkIDs(op, ids); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodDelete, "/case/shares", map[string]any{"ids": distinct(ids)})
}

// UnshareCase takes a case by id or number from organisations
// (DELETE /api/v1/case/{caseId}/shares, with a body).
func (c *Client) UnshareCase(ctx context.Context, caseID string, organisations ...string) error {
	const op = "unshare case"
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	return c.organisations(ctx, op, http.MethodDelete, "/case/"+caseID+"/shares", organisations)
}

// organisations sends names of organisations.
func (c *Client) organisations(ctx context.Context, op, method, path string, names []string) error {
	if err := checkOrganisations(op, names); err != nil {
		return err
	}
	return c.change(ctx, op, method, path, map[string]any{"organisations": distinct(names)})
}

// TaskShares lists who has a task (GET /api/v1/task/{taskId}/shares).
func (c *Client) TaskShares(ctx context.Context, taskID string) ([]Share, error) {
	const op = "list task shares"
	if err := checkID(op, "task", taskID); err != nil {
		return nil, err
	}
	return fetchAll(ctx, c, op, "/task/"+taskID+"/shares", shareID)
}

// ShareTask gives a task to organisations that have its case
// (POST /api/v1/task/{taskId}/shares).
func (c *Client) ShareTask(ctx context.Context, taskID string, organisations ...string) error {
	const op = "share task"
	if err := checkID(op, "task", taskID); err != nil {
		return err
	}
	return c.organisations(ctx, op, http.MethodPost, "/task/"+taskID+"/shares", organisations)
}

// UnshareTask takes a task from organisations (DELETE /api/v1/task/{taskId}/shares,
// with a body).
func (c *Client) UnshareTask(ctx context.Context, taskID string, organisations ...string) error {
	const op = "unshare task"
	if err := checkID(op, "task", taskID); err != nil {
		return err
	}
	return c.organisations(ctx, op, http.MethodDelete, "/task/"+taskID+"/shares", organisations)
}

// ObservableShares lists who has an observable
// (GET /api/v1/observable/{observableId}/shares).
func (c *Client) ObservableShares(ctx context.Context, observableID string) ([]Share, error) {
	const op = "list observable shares"
	if err := checkID(op, "observable", observableID); err != nil {
		return nil, err
	}
	return fetchAll(ctx, c, op, "/observable/"+observableID+"/shares", shareID)
}

// ShareObservable gives an observable to organisations that have its case
// (POST /api/v1/observable/{observableId}/shares).
func (c *Client) ShareObservable(ctx context.Context, observableID string, organisations ...string) error {
	const op = "share observable"
	if err := checkID(op, "observable", observableID); err != nil {
		return err
	}
	return c.organisations(ctx, op, http.MethodPost, "/observable/"+observableID+"/shares", organisations)
}

// UnshareObservable takes an observable from organisations
// (DELETE /api/v1/observable/{observableId}/shares, with a body).
func (c *Client) UnshareObservable(ctx context.Context, observableID string, organisations ...string) error {
	const op = "unshare observable"
	if err := checkID(op, "observable", observableID); err != nil {
		return err
	}
	return c.organisations(ctx, op, http.MethodDelete, "/observable/"+observableID+"/shares", organisations)
}

// Ownership says who shall own a case (InputChangeCaseOwnership).
type Ownership struct {
	// Organisation is the new owner, by name or id.
	Organisation string `json:"organisation"`
	// KeepProfile is the profile that the present owner keeps; empty: it loses
	// the case.
	KeepProfile string `json:"keepProfile,omitempty"`
	// TaskRule and ObservableRule are as in [NewCase].
	TaskRule       string `json:"taskRule,omitempty"`
	ObservableRule string `json:"observableRule,omitempty"`
}

// ChangeOwner gives a case by id or number to another organisation
// (POST /api/v1/case/{caseId}/owner; right manageCase/changeOwnership).
func (c *Client) ChangeOwner(ctx context.Context, caseID string, o Ownership) error {
	const op = "change owner"
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	if err := checkTexts(op, rule{"organisation", o.Organisation, 1, MaxLogin}, rule{"keepProfile", o.KeepProfile, 0, MaxName},
		rule{"taskRule", o.TaskRule, 0, MaxLogin}, rule{"observableRule", o.ObservableRule, 0, MaxLogin}); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPost, "/case/"+caseID+"/owner", o)
}

// Access says which users of the organisation see a case. The zero Access is all
// of them.
type Access struct {
	// Users are logins; none: everybody of the organisation.
	Users []string
}

// MarshalJSON is TheHive's form.
func (a Access) MarshalJSON() ([]byte, error) {
	if len(a.Users) == 0 {
		return []byte(`{"_kind":"OrganisationAccessKind"}`), nil
	}
	return json.Marshal(map[string]any{"_kind": "UserAccessKind", "users": distinct(a.Users)})
}

// check refuses logins that are none.
func (a *Access) check(op string) error {
	if a == nil {
		return nil
	}
	for _, login := range a.Users {
		if !ValidLogin(login) {
			return invalid(op, "access", "names no login: "+quote(login))
		}
	}
	return nil
}

// SetAccess restricts a case by id or number to users, or opens it again
// (POST /api/v1/case/{caseId}/access; Platinum, TheHive 5.5; right
// manageCaseAccess/restrict). From then on others neither find nor list it.
func (c *Client) SetAccess(ctx context.Context, caseID string, a Access) error {
	const op = "set access"
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	if err := a.check(op); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPost, "/case/"+caseID+"/access", map[string]any{"access": a})
}

// SetAccessOfCases is SetAccess for several cases, by id
// (POST /api/v1/case/_bulk/access; TheHive 5.6).
func (c *Client) SetAccessOfCases(ctx context.Context, a Access, ids ...string) error {
	const op = "set access of cases"
	if err := checkIDs(op, ids); err != nil {
		return err
	}
	if err := a.check(op); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPost, "/case/_bulk/access", map[string]any{"access": a, "ids": distinct(ids)})
}
