package admin

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"

	"forager/hive"
)

// checkLogin refuses what is no mail address.
func checkLogin(op, field, login string) error {
	if !hive.ValidLogin(login) {
		return invalid(op, field, "is no mail address")
	}
	return nil
}

// checkType refuses a kind of users that there is not.
func checkType(op, kind string) error {
	switch kind {
	case "", Normal, Service:
		return nil
	}
	return invalid(op, "type", "is neither Normal nor Service")
}

// Kinds of users. A service account counts for no user of the licence, sees restricted
// cases (TheHive 5.6.1), and cannot log in by password.
const (
	// Normal is a person.
	Normal = "Normal"
	// Service is a program.
	Service = "Service"
)

// User is an account (OutputUser).
type User struct {
	hive.User
	// Email is where it gets mail.
	Email string `json:"email"`
	// HasKey, HasPassword and HasMFA say what it can prove itself by.
	HasKey      bool `json:"hasKey"`
	HasPassword bool `json:"hasPassword"`
	HasMFA      bool `json:"hasMFA"`
	// DefaultOrganisation is the one of calls that name none.
	DefaultOrganisation string `json:"defaultOrganisation"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt hive.Millis `json:"_createdAt"`
	CreatedBy string      `json:"_createdBy"`
	UpdatedAt hive.Millis `json:"_updatedAt"`
	UpdatedBy string      `json:"_updatedBy"`
}

func userID(u *User) string { return u.ID }

// Users lists the accounts that this one may see (listUser).
func (a *Admin) Users(ctx context.Context, q hive.Query) iter.Seq2[User, error] {
	return list(ctx, a, "list users", "listUser", q, userID)
}

// User brings one account by login or id (GET /api/v1/user/{userId}).
func (a *Admin) User(ctx context.Context, idOrLogin string) (User, error) {
	const op = "get user"
	if err := check(op, text{"user", idOrLogin, 1, hive.MaxLogin}); err != nil {
		return User{}, err
	}
	return get(ctx, a, op, below("/user", idOrLogin), userID)
}

// NewUser is an account to be created (InputCreateUser).
type NewUser struct {
	// Login is a mail address, of 1 to hive.MaxLogin units; Name what people read.
	Login string `json:"login"`
	Name  string `json:"name"`
	// Profile is the role in Organisation, whose default is the caller's.
	Profile      string `json:"profile"`
	Organisation string `json:"organisation,omitempty"`
	// Email and Password may be left out.
	Email    string `json:"email,omitempty"`
	Password string `json:"password,omitempty"`
	// Type is Normal, the default, or Service.
	Type string `json:"type,omitempty"`
}

// CreateUser creates an account (POST /api/v1/user; right manageUser). A login that
// is there already is answered with the account that there is.
func (a *Admin) CreateUser(ctx context.Context, n NewUser) (User, error) {
	const op = "create user"
	if err := check(op, text{"login", n.Login, 1, hive.MaxLogin}, text{"name", n.Name, 1, hive.MaxLogin}, text{"profile", n.Profile, 1, hive.MaxName},
		text{"organisation", n.Organisation, 0, hive.MaxLogin}, text{"email", n.Email, 0, hive.MaxLogin}, text{"password", n.Password, 0, hive.MaxLogin}); err != nil {
		return User{}, err
	}
	if err := errors.Join(checkLogin(op, "login", n.Login), checkType(op, n.Type)); err != nil {
		return User{}, err
	}
	if n.Email != "" {
		if err := checkLogin(op, "email", n.Email); err != nil {
			return User{}, err
		}
	}
	return send(ctx, a, op, http.MethodPost, "/user", n, userID)
}

// UserUpdate is a change of an account; what is nil stays as it is.
type UserUpdate struct {
	// Name, Organisation, Profile, Email and Type are as in [NewUser].
	Name, Organisation, Profile, Email, Type *string
	// Locked accounts are refused everything.
	Locked *bool
}

// UpdateUser changes what u names, of an account by login or id
// (PATCH /api/v1/user/{userId}).
func (a *Admin) UpdateUser(ctx context.Context, idOrLogin string, u UserUpdate) error {
	const op = "update user"
	if err := check(op, text{"user", idOrLogin, 1, hive.MaxLogin}, optional("name", u.Name, 1, hive.MaxLogin),
		optional("organisation", u.Organisation, 1, hive.MaxLogin), optional("profile", u.Profile, 1, hive.MaxName)); err != nil {
		return err
	}
	if u.Email != nil {
		if err := checkLogin(op, "email", *u.Email); err != nil {
			return err
		}
	}
	if err := checkType(op, value(u.Type)); err != nil {
		return err
	}
	b := body{}
	put(b, "name", u.Name)
	put(b, "organisation", u.Organisation)
	put(b, "profile", u.Profile)
	put(b, "email", u.Email)
	put(b, "type", u.Type)
	put(b, "locked", u.Locked)
	if err := b.notEmpty(op); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPatch, below("/user", idOrLogin), b)
}

// LockUser locks an account, which keeps its name in what it did
// (DELETE /api/v1/user/{userId}).
func (a *Admin) LockUser(ctx context.Context, idOrLogin string) error {
	return a.drop(ctx, "lock user", "user", "/user", idOrLogin)
}

// DeleteUser deletes an account, or takes it out of one organisation
// (DELETE /api/v1/user/{userId}/force); an empty organisation means the caller's.
func (a *Admin) DeleteUser(ctx context.Context, idOrLogin, organisation string) error {
	const op = "delete user"
	if err := check(op, text{"user", idOrLogin, 1, hive.MaxLogin}, text{"organisation", organisation, 0, hive.MaxLogin}); err != nil {
		return err
	}
	query := url.Values{}
	if organisation != "" {
		query.Set("organisation", organisation)
	}
	return a.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodDelete, Path: below("/user", idOrLogin, "force"), Query: query})
}

// Membership is a user's part in an organisation (InputUserOrganisation).
type Membership struct {
	// Organisation and Profile are names or ids.
	Organisation string `json:"organisation"`
	Profile      string `json:"profile"`
	// Default says that calls which name no organisation act in this one.
	Default bool `json:"default"`
}

// SetOrganisations makes memberships all that a user has
// (PUT /api/v1/user/{userId}/organisations), and gives what TheHive made of them.
func (a *Admin) SetOrganisations(ctx context.Context, idOrLogin string, memberships ...Membership) ([]Membership, error) {
	const op = "set organisations of user"
	if err := check(op, text{"user", idOrLogin, 1, hive.MaxLogin}); err != nil {
		return nil, err
	}
	var out struct {
		Organisations []Membership `json:"organisations"`
	}
	err := a.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPut, Path: below("/user", idOrLogin, "organisations"),
		Body: body{"organisations": append([]Membership{}, memberships...)}, Into: &out, Proof: func() string {
			if out.Organisations == nil {
				return ""
			}
			return idOrLogin
		}})
	return out.Organisations, err
}

// SetLogin gives a user another login (POST /api/v1/user/{userId}/login/set).
func (a *Admin) SetLogin(ctx context.Context, idOrLogin, login string) error {
	const op = "set login"
	if err := checkLogin(op, "login", login); err != nil {
		return err
	}
	return a.set(ctx, op, idOrLogin, "login/set", body{"login": login})
}

// SetPassword gives a user another password (POST /api/v1/user/{userId}/password/set;
// right manageUser).
func (a *Admin) SetPassword(ctx context.Context, idOrLogin, password string) error {
	return a.set(ctx, "set password", idOrLogin, "password/set", body{"password": password}, text{"password", password, 1, hive.MaxLogin})
}

// ChangePassword changes the caller's own password
// (POST /api/v1/user/{userId}/password/change).
func (a *Admin) ChangePassword(ctx context.Context, idOrLogin, current, next string) error {
	return a.set(ctx, "change password", idOrLogin, "password/change", body{"currentPassword": current, "password": next},
		text{"currentPassword", current, 1, hive.MaxLogin}, text{"password", next, 1, hive.MaxLogin})
}

func (a *Admin) set(ctx context.Context, op, user, verb string, b body, texts ...text) error {
	if err := check(op, append(texts, text{"user", user, 1, hive.MaxLogin})...); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPost, below("/user", user, verb), b)
}

// RenewKey makes a new API key of a user, and ends the old one
// (POST /api/v1/user/{userId}/key/renew). After an ambiguous error the old key may
// have ended: ask for a new one again.
func (a *Admin) RenewKey(ctx context.Context, idOrLogin string) (string, error) {
	return a.key(ctx, "renew key", http.MethodPost, idOrLogin, "key/renew")
}

// Key brings a user's API key (GET /api/v1/user/{userId}/key).
func (a *Admin) Key(ctx context.Context, idOrLogin string) (string, error) {
	return a.key(ctx, "get key", http.MethodGet, idOrLogin, "key")
}

func (a *Admin) key(ctx context.Context, op, method, user, verb string) (string, error) {
	if err := check(op, text{"user", user, 1, hive.MaxLogin}); err != nil {
		return "", err
	}
	var key string
	err := a.client.Exchange(ctx, hive.Exchange{Op: op, Method: method, Path: below("/user", user, verb), Text: &key})
	return key, err
}

// DeleteKey ends a user's API key (DELETE /api/v1/user/{userId}/key).
func (a *Admin) DeleteKey(ctx context.Context, idOrLogin string) error {
	const op = "delete key"
	if err := check(op, text{"user", idOrLogin, 1, hive.MaxLogin}); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodDelete, below("/user", idOrLogin, "key"), nil)
}
