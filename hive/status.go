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
