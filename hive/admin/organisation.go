package admin

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"forager/hive"
)

// Organisation is a tenant (OutputOrganisation).
type Organisation struct {
	// ID is "~" and digits, Name what X-Organisation says.
	ID   string `json:"_id"`
	Name string `json:"name"`
	// Description is free text.
	Description string `json:"description"`
	// TaskRule and ObservableRule say whether what is new is shared with the case:
	// "manual" or "autoShare".
	TaskRule       string `json:"taskRule"`
	ObservableRule string `json:"observableRule"`
	// Locked organisations refuse their users.
	Locked bool `json:"locked"`
	// CreatedAt and CreatedBy never change.
	CreatedAt hive.Millis `json:"_createdAt"`
	CreatedBy string      `json:"_createdBy"`
}

func organisationID(o *Organisation) string { return o.ID }

// Organisations lists the organisations that the account may see (listOrganisation).
func (a *Admin) Organisations(ctx context.Context, q hive.Query) iter.Seq2[Organisation, error] {
	return list(ctx, a, "list organisations", "listOrganisation", q, organisationID)
}

// Organisation brings one by id or name (GET /api/v1/organisation/{orgId}).
func (a *Admin) Organisation(ctx context.Context, idOrName string) (Organisation, error) {
	const op = "get organisation"
	if err := check(op, text{"organisation", idOrName, 1, hive.MaxLogin}); err != nil {
		return Organisation{}, err
	}
	return get(ctx, a, op, below("/organisation", idOrName), organisationID)
}

// NewOrganisation is a tenant to be created (InputCreateOrganisation).
type NewOrganisation struct {
	// Name has 1 to hive.MaxName units, Description at most hive.MaxText.
	Name        string `json:"name"`
	Description string `json:"description"`
	// TaskRule and ObservableRule default to "manual".
	TaskRule       string `json:"taskRule,omitempty"`
	ObservableRule string `json:"observableRule,omitempty"`
	// Locked organisations refuse their users.
	Locked bool `json:"locked,omitempty"`
}

// CreateOrganisation creates one (POST /api/v1/organisation; right
// manageOrganisation). A name that is taken is refused ([hive.Error.Exists]).
func (a *Admin) CreateOrganisation(ctx context.Context, n NewOrganisation) (Organisation, error) {
	const op = "create organisation"
	if err := check(op, text{"name", n.Name, 1, hive.MaxName}, text{"description", n.Description, 0, hive.MaxText},
		text{"taskRule", n.TaskRule, 0, hive.MaxName}, text{"observableRule", n.ObservableRule, 0, hive.MaxName}); err != nil {
		return Organisation{}, err
	}
	return send(ctx, a, op, http.MethodPost, "/organisation", n, organisationID)
}

// OrganisationUpdate is a change of an organisation; what is nil stays as it is.
type OrganisationUpdate struct {
	// Name and the others are as in [NewOrganisation].
	Name, Description, TaskRule, ObservableRule *string
	// Locked is as in [NewOrganisation].
	Locked *bool
}

// UpdateOrganisation changes what u names (PATCH /api/v1/organisation/{orgId}).
func (a *Admin) UpdateOrganisation(ctx context.Context, idOrName string, u OrganisationUpdate) error {
	const op = "update organisation"
	if err := check(op, text{"organisation", idOrName, 1, hive.MaxLogin}, optional("name", u.Name, 1, hive.MaxName),
		optional("description", u.Description, 0, hive.MaxText), optional("taskRule", u.TaskRule, 1, hive.MaxName),
		optional("observableRule", u.ObservableRule, 1, hive.MaxName)); err != nil {
		return err
	}
	b := body{}
	put(b, "name", u.Name)
	put(b, "description", u.Description)
	put(b, "taskRule", u.TaskRule)
	put(b, "observableRule", u.ObservableRule)
	put(b, "locked", u.Locked)
	if err := b.notEmpty(op); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPatch, below("/organisation", idOrName), b)
}

// OrganisationLink is what one organisation shows another (OrganisationLink).
type OrganisationLink struct {
	// To is the other organisation, by name or id.
	To string `json:"toOrganisation"`
	// Kind is the sharing profile of this one towards the other, Back that of the
	// other: "supervised", "notSupervised" or a name of TheHive's configuration.
	Kind string `json:"linkType"`
	Back string `json:"otherLinkType"`
}

// LinkOrganisations links two organisations (PUT /api/v1/organisation/{orgId}/link/{otherOrgId}).
// Empty kinds are TheHive's default.
func (a *Admin) LinkOrganisations(ctx context.Context, idOrName string, link OrganisationLink) error {
	const op = "link organisations"
	if err := checkLink(op, idOrName, link); err != nil {
		return err
	}
	b := body{}
	if link.Kind != "" {
		b["linkType"] = link.Kind
	}
	if link.Back != "" {
		b["otherLinkType"] = link.Back
	}
	return a.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPut, Path: below("/organisation", idOrName, "link", url.PathEscape(link.To)), Body: b, Empty: true})
}

func checkLink(op, from string, link OrganisationLink) error {
	return check(op, text{"organisation", from, 1, hive.MaxLogin}, text{"other organisation", link.To, 1, hive.MaxLogin},
		text{"linkType", link.Kind, 0, hive.MaxName}, text{"otherLinkType", link.Back, 0, hive.MaxName})
}

// UnlinkOrganisations ends a link (DELETE /api/v1/organisation/{orgId}/link/{otherOrgId}).
func (a *Admin) UnlinkOrganisations(ctx context.Context, idOrName, other string) error {
	const op = "unlink organisations"
	if err := checkLink(op, idOrName, OrganisationLink{To: other}); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodDelete, below("/organisation", idOrName, "link", url.PathEscape(other)), nil)
}

// LinkedOrganisation is a link as TheHive describes it (OutputOrganisationLink).
type LinkedOrganisation struct {
	// Kind and Back are as in [OrganisationLink].
	Kind string `json:"linkType"`
	Back string `json:"otherLinkType"`
	// Organisation is the other one.
	Organisation Organisation `json:"organisation"`
}

// OrganisationLinks lists the links of an organisation
// (GET /api/v1/organisation/{orgId}/links).
func (a *Admin) OrganisationLinks(ctx context.Context, idOrName string) ([]LinkedOrganisation, error) {
	const op = "list organisation links"
	if err := check(op, text{"organisation", idOrName, 1, hive.MaxLogin}); err != nil {
		return nil, err
	}
	return all[LinkedOrganisation](ctx, a, op, below("/organisation", idOrName, "links"))
}

// SetOrganisationLinks makes links all that an organisation has
// (PUT /api/v1/organisation/{orgId}/links); here both kinds are required.
func (a *Admin) SetOrganisationLinks(ctx context.Context, idOrName string, links ...OrganisationLink) error {
	const op = "set organisation links"
	for _, l := range links {
		if err := checkLink(op, idOrName, l); err != nil {
			return err
		}
		if err := check(op, text{"linkType", l.Kind, 1, hive.MaxName}, text{"otherLinkType", l.Back, 1, hive.MaxName}); err != nil {
			return err
		}
	}
	if err := check(op, text{"organisation", idOrName, 1, hive.MaxLogin}); err != nil {
		return err
	}
	return a.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPut, Path: below("/organisation", idOrName, "links"),
		Body: body{"links": append([]OrganisationLink{}, links...)}, Empty: true})
}

// SharingProfile is a way in which linked organisations share (OutputSharingProfile).
type SharingProfile struct {
	// Name is what links call it.
	Name        string `json:"name"`
	Description string `json:"description"`
	// AutoShare shares new cases by itself, Editable lets people change that.
	AutoShare bool `json:"autoShare"`
	Editable  bool `json:"editable"`
	// PermissionProfile is what the other organisation may do.
	PermissionProfile string `json:"permissionProfile"`
	TaskRule          string `json:"taskRule"`
	ObservableRule    string `json:"observableRule"`
}

// SharingProfiles lists the kinds of links that TheHive's configuration knows
// (GET /api/v1/sharingProfile).
func (a *Admin) SharingProfiles(ctx context.Context) ([]SharingProfile, error) {
	return all[SharingProfile](ctx, a, "list sharing profiles", "/sharingProfile")
}
