package hive

import (
	"context"
	"net/http"
	"slices"
)

// Status is what TheHive says about itself (OutputStatus, in part).
type Status struct {
	// Version is TheHive's, such as "5.5.13-1".
	Version string `json:"version"`
	// Features are names of what the licence allows.
	Features []string `json:"features"`
	// License says until when writing is allowed.
	License License `json:"license"`
}

// License is TheHive's licence, in part.
type License struct {
	// Plan is its name, IsValid whether it is in force.
	Plan    string `json:"plan"`
	IsValid bool   `json:"isValid"`
	// ExpiresAt is its end.
	ExpiresAt Millis `json:"expiresAt"`
}

// Status asks TheHive for its version (GET /api/v1/status).
func (c *Client) Status(ctx context.Context) (Status, error) {
	var out Status
	err := c.do(ctx, call{
		op: "get status", method: http.MethodGet, path: "/status",
		accept: intoEntity(&out, func(s *Status) string { return s.Version }),
	})
	return out, err
}

// User is the account that the client speaks as (OutputUser, in part).
type User struct {
	// ID is "~" and digits, Login what cases call it.
	ID    string `json:"_id"`
	Login string `json:"login"`
	Name  string `json:"name"`
	// Organisation is the one that the calls act in, Profile the role there.
	Organisation string `json:"organisation"`
	Profile      string `json:"profile"`
	// Permissions are those of the profile, such as "manageCase/create".
	Permissions []string `json:"permissions"`
	// Locked accounts are refused everything.
	Locked bool `json:"locked"`
	// Type is "Normal", "Service" or "External". Only a Service account is said to
	// see cases that are restricted to others, and the licence does not count it.
	Type string `json:"type"`
	// Organisations are all that the account belongs to.
	Organisations []Membership `json:"organisations"`
}

// Membership is an organisation that an account belongs to.
type Membership struct {
	// OrganisationID is "~" and digits, Organisation its name, Profile the role.
	OrganisationID string `json:"organisationId"`
	Organisation   string `json:"organisation"`
	Profile        string `json:"profile"`
}

// May reports whether the account has a permission in its organisation.
func (u User) May(permission string) bool { return slices.Contains(u.Permissions, permission) }

// CurrentUser asks as whom, where and with which rights the client speaks
// (GET /api/v1/user/current); 401 when the key is not valid.
func (c *Client) CurrentUser(ctx context.Context) (User, error) {
	var out User
	err := c.do(ctx, call{
		op: "get current user", method: http.MethodGet, path: "/user/current",
		accept: intoEntity(&out, func(u *User) string { return u.ID }),
	})
	return out, err
}

// named is an entity of which only the name matters.
type named struct {
	ID   string `json:"_id"`
	Name string `json:"name"`
}

// DataTypes lists the names of the types that observables can have here
// (listObservableType).
func (c *Client) DataTypes(ctx context.Context) ([]string, error) {
	return c.names(ctx, listOf("list data types", "listObservableType"))
}

// CustomFields lists the custom fields that cases can have, without values
// (listCustomField).
func (c *Client) CustomFields(ctx context.Context) ([]CustomField, error) {
	var all []CustomField
	from := listOf("list custom fields", "listCustomField")
	for f, err := range list(ctx, c, from, Query{PageSize: childPage}, func(f *CustomField) string { return f.ID }) {
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// CaseTemplates lists the names of the organisation's case templates
// (listCaseTemplate).
func (c *Client) CaseTemplates(ctx context.Context) ([]string, error) {
	return c.names(ctx, listOf("list case templates", "listCaseTemplate"))
}

// TemplateTags gives the tags of a case template, by name or id; none where there
// is no such template (getCaseTemplate). From TheHive 5.7.1 a case that is created
// with tags does not get those of its template.
func (c *Client) TemplateTags(ctx context.Context, template string) ([]string, error) {
	const op = "get case template"
	if err := checkTexts(op, rule{"caseTemplate", template, 1, MaxLogin}); err != nil {
		return nil, err
	}
	type tagged struct {
		ID   string   `json:"_id"`
		Tags []string `json:"tags"`
	}
	from := source{op: op, steps: []step{{"_name": "getCaseTemplate", "idOrName": template}}}
	for t, err := range list(ctx, c, from, Query{PageSize: 1}, func(t *tagged) string { return t.ID }) {
		return t.Tags, err
	}
	return nil, nil
}

// Logins lists the accounts that are not locked and that this one may see
// (listUser): those of its own organisation at least.
func (c *Client) Logins(ctx context.Context) ([]string, error) {
	var logins []string
	users := list(ctx, c, listOf("list users", "listUser"), Query{PageSize: childPage}, func(u *User) string { return u.ID })
	for u, err := range users {
		if err != nil {
			return nil, err
		}
		if !u.Locked {
			logins = append(logins, u.Login)
		}
	}
	return logins, nil
}

func (c *Client) names(ctx context.Context, from source) ([]string, error) {
	var names []string
	for n, err := range list(ctx, c, from, Query{PageSize: childPage}, func(n *named) string { return n.ID }) {
		if err != nil {
			return nil, err
		}
		names = append(names, n.Name)
	}
	return names, nil
}
