package admin

import (
	"context"
	"net/http"

	"forager/hive"
)

// License is a licence of TheHive (OutputLicense).
type License struct {
	// ID is TheHive's, LicenseID the vendor's.
	ID        string `json:"_id"`
	LicenseID string `json:"id"`
	// Customer is whom it was given to, Plan and Kind what it allows.
	Customer string `json:"customer"`
	Plan     string `json:"plan"`
	Kind     string `json:"kind"`
	// ValidFrom and ExpiresAt bound it.
	ValidFrom hive.Millis `json:"validFrom"`
	ExpiresAt hive.Millis `json:"expiresAt"`
	// Current is the one in force.
	Current bool `json:"current"`
	// Capabilities are names of what it allows, Quotas how many of what.
	Capabilities []string       `json:"capabilities"`
	Quotas       map[string]int `json:"quotas"`
}

// CurrentLicense brings the licence in force; false when there is none, or a
// broken one, and TheHive runs by what is left without (GET /api/v1/license/current).
func (a *Admin) CurrentLicense(ctx context.Context) (License, bool, error) {
	var out struct {
		License, Fallback *License
	}
	err := a.client.Exchange(ctx, hive.Exchange{Op: "get licence", Method: http.MethodGet, Path: "/license/current", Into: &out, Proof: func() string {
		switch {
		case out.License != nil:
			return out.License.Plan
		case out.Fallback != nil:
			return out.Fallback.Plan
		}
		return ""
	}})
	switch {
	case err != nil:
		return License{}, false, err
	case out.License != nil:
		return *out.License, true, nil
	}
	return *out.Fallback, false, nil
}

// Licenses lists all licences (GET /api/v1/license; right managePlatform).
func (a *Admin) Licenses(ctx context.Context) ([]License, error) {
	return all[License](ctx, a, "list licences", "/license")
}

// AddLicense adds a licence, as the vendor sent it (POST /api/v1/license).
func (a *Admin) AddLicense(ctx context.Context, license string) error {
	const op = "add licence"
	if err := check(op, text{"license", license, 1, hive.MaxText}); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPost, "/license", body{"license": license})
}

// ActivateLicense puts a licence, by id, in force (PUT /api/v1/license/{licenseId}/activate).
func (a *Admin) ActivateLicense(ctx context.Context, id string) error {
	const op = "activate licence"
	if err := check(op, text{"license", id, 1, hive.MaxLogin}); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPut, below("/license", id, "activate"), nil)
}

// LicenseChallenge is what the vendor wants to know of this TheHive
// (GET /api/v1/license/challenge).
func (a *Admin) LicenseChallenge(ctx context.Context) (string, error) {
	var out string
	err := a.client.Exchange(ctx, hive.Exchange{Op: "get licence challenge", Method: http.MethodGet, Path: "/license/challenge", Text: &out})
	return out, err
}

// PublicStatus is what TheHive says to anybody (OutputPublicStatus, in part).
type PublicStatus struct {
	// Version is TheHive's, SSO whether people may log in by another service.
	Version string `json:"version"`
	SSO     bool   `json:"sso"`
}

// PublicStatus asks what anybody may know (GET /api/v1/status/public).
func (a *Admin) PublicStatus(ctx context.Context) (PublicStatus, error) {
	return get(ctx, a, "get public status", "/status/public", func(s *PublicStatus) string { return s.Version })
}
