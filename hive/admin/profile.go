package admin

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"forager/hive"
)

// Profile is a role (OutputProfile).
type Profile struct {
	// ID is "~" and digits, Name what memberships call it.
	ID   string `json:"_id"`
	Name string `json:"name"`
	// Permissions are what it allows, such as "manageCase/create".
	Permissions []string `json:"permissions"`
	// Editable profiles are the organisation's own; ForAdmin and ForOrg say where
	// they are of use, ConsumesLicense whether their users count for the licence.
	Editable        bool `json:"editable"`
	ForAdmin        bool `json:"forAdmin"`
	ForOrg          bool `json:"forOrg"`
	ConsumesLicense bool `json:"consumesLicense"`
	// CreatedAt and CreatedBy never change.
	CreatedAt hive.Millis `json:"_createdAt"`
	CreatedBy string      `json:"_createdBy"`
}

func profileID(p *Profile) string { return p.ID }

// Profiles lists the profiles (listProfile).
func (a *Admin) Profiles(ctx context.Context, q hive.Query) iter.Seq2[Profile, error] {
	return list(ctx, a, "list profiles", "listProfile", q, profileID)
}

// Profile brings one by id or name (GET /api/v1/profile/{profileId}).
func (a *Admin) Profile(ctx context.Context, idOrName string) (Profile, error) {
	const op = "get profile"
	if err := check(op, text{"profile", idOrName, 1, hive.MaxLogin}); err != nil {
		return Profile{}, err
	}
	return get(ctx, a, op, below("/profile", idOrName), profileID)
}

// CreateProfile creates a profile, whose name has 1 to hive.MaxName units
// (POST /api/v1/profile; right manageProfile).
func (a *Admin) CreateProfile(ctx context.Context, name string, permissions ...string) (Profile, error) {
	const op = "create profile"
	if err := errors.Join(check(op, text{"name", name, 1, hive.MaxName}), checkPermissions(op, permissions)); err != nil {
		return Profile{}, err
	}
	return send(ctx, a, op, http.MethodPost, "/profile", body{"name": name, "permissions": append([]string{}, permissions...)}, profileID)
}

// checkPermissions refuses names that are none.
func checkPermissions(op string, permissions []string) error {
	for _, p := range permissions {
		if err := check(op, text{"permission", p, 1, hive.MaxName}); err != nil {
			return err
		}
	}
	return nil
}

// ProfileUpdate is a change of a profile; what is nil stays as it is.
type ProfileUpdate struct {
	// Name has 1 to hive.MaxName units.
	Name *string
	// Permissions replace all; an empty list means none.
	Permissions []string
}

// UpdateProfile changes what u names (PATCH /api/v1/profile/{profileId}).
func (a *Admin) UpdateProfile(ctx context.Context, idOrName string, u ProfileUpdate) error {
	const op = "update profile"
	if err := check(op, text{"profile", idOrName, 1, hive.MaxLogin}, optional("name", u.Name, 1, hive.MaxName)); err != nil {
		return err
	}
	if err := checkPermissions(op, u.Permissions); err != nil {
		return err
	}
	b := body{}
	put(b, "name", u.Name)
	if u.Permissions != nil {
		b["permissions"] = u.Permissions
	}
	if err := b.notEmpty(op); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPatch, below("/profile", idOrName), b)
}

// DeleteProfile deletes a profile that nobody has (DELETE /api/v1/profile/{profileId}).
func (a *Admin) DeleteProfile(ctx context.Context, idOrName string) error {
	return a.drop(ctx, "delete profile", "profile", "/profile", idOrName)
}

// Permission is a right that a profile may have (PermissionDesc).
type Permission struct {
	// Name is what profiles call it, Label what people read.
	Name  string `json:"name"`
	Label string `json:"label"`
	// ConsumesLicense says that users with it count for the licence, Scope where it is of use.
	ConsumesLicense bool     `json:"consumesLicense"`
	Scope           []string `json:"scope"`
}

// Permissions lists the rights that TheHive knows (GET /api/v1/permission).
func (a *Admin) Permissions(ctx context.Context) ([]Permission, error) {
	return all[Permission](ctx, a, "list permissions", "/permission")
}
