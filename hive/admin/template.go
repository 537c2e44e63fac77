package admin

import (
	"context"
	"iter"
	"net/http"
	"slices"

	"forager/hive"
)

// CaseTemplate is what cases can be made of (OutputCaseTemplate).
type CaseTemplate struct {
	// ID is "~" and digits, Name what cases call it, DisplayName what people read.
	ID          string `json:"_id"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	// TitlePrefix goes before a case's title.
	TitlePrefix string `json:"titlePrefix"`
	// Description, Severity, TLP, PAP, Flag, Tags, Summary and CustomFields are a
	// case's where it says nothing; 0 and nil: not set.
	Description  string             `json:"description"`
	Severity     int                `json:"severity"`
	TLP          *int               `json:"tlp"`
	PAP          *int               `json:"pap"`
	Flag         bool               `json:"flag"`
	Tags         []string           `json:"tags"`
	Summary      string             `json:"summary"`
	CustomFields []hive.CustomField `json:"customFields"`
	// Tasks are added to the case.
	Tasks []hive.Task `json:"tasks"`
	// CreatedAt and CreatedBy never change.
	CreatedAt hive.Millis `json:"_createdAt"`
	CreatedBy string      `json:"_createdBy"`
}

func caseTemplateID(t *CaseTemplate) string { return t.ID }

// CaseTemplates lists the organisation's templates (listCaseTemplate).
func (a *Admin) CaseTemplates(ctx context.Context, q hive.Query) iter.Seq2[CaseTemplate, error] {
	return list(ctx, a, "list case templates", "listCaseTemplate", q, caseTemplateID)
}

// CaseTemplate brings one by id or name (GET /api/v1/caseTemplate/{caseTemplateNameOrId}).
func (a *Admin) CaseTemplate(ctx context.Context, idOrName string) (CaseTemplate, error) {
	const op = "get case template"
	if err := check(op, text{"case template", idOrName, 1, hive.MaxLogin}); err != nil {
		return CaseTemplate{}, err
	}
	return get(ctx, a, op, below("/caseTemplate", idOrName), caseTemplateID)
}

// NewCaseTemplate is a template to be created (InputCreateCaseTemplate).
type NewCaseTemplate struct {
	// Name and DisplayName (default: the name) have 1 to hive.MaxLogin units,
	// TitlePrefix at most hive.MaxName.
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	TitlePrefix string `json:"titlePrefix,omitempty"`
	// Description, Severity, TLP, PAP, Flag, Tags, Summary and CustomFields are as in [CaseTemplate].
	Description  string             `json:"description,omitempty"`
	Severity     *int               `json:"severity,omitempty"`
	TLP          *int               `json:"tlp,omitempty"`
	PAP          *int               `json:"pap,omitempty"`
	Flag         bool               `json:"flag,omitempty"`
	Tags         []string           `json:"tags,omitempty"`
	Summary      string             `json:"summary,omitempty"`
	CustomFields []hive.CustomField `json:"customFields,omitempty"`
	// Tasks come with it; PageTemplates are the ids of its pages, NewPages pages
	// that are made for it.
	Tasks         []hive.NewTask `json:"tasks,omitempty"`
	PageTemplates []string       `json:"pageTemplateIds,omitempty"`
	NewPages      []hive.NewPage `json:"pageTemplates,omitempty"`
}

// CreateCaseTemplate creates a template (POST /api/v1/caseTemplate; right
// manageCaseTemplate). A name that is taken is refused ([hive.Error.Exists]).
func (a *Admin) CreateCaseTemplate(ctx context.Context, n NewCaseTemplate) (CaseTemplate, error) {
	const op = "create case template"
	if err := check(op, text{"name", n.Name, 1, hive.MaxLogin}, text{"displayName", n.DisplayName, 0, hive.MaxLogin},
		text{"titlePrefix", n.TitlePrefix, 0, hive.MaxName}); err != nil {
		return CaseTemplate{}, err
	}
	if err := asCase(op, hive.NewCase{Description: n.Description, Severity: n.Severity, TLP: n.TLP, PAP: n.PAP, Tags: n.Tags, Summary: n.Summary,
		CustomFields: n.CustomFields, Tasks: n.Tasks, Pages: n.NewPages}); err != nil {
		return CaseTemplate{}, err
	}
	n.Tags, n.PageTemplates = distinct(n.Tags), distinct(n.PageTemplates)
	return send(ctx, a, op, http.MethodPost, "/caseTemplate", n, caseTemplateID)
}

// asCase refuses of a template what TheHive would of a case.
func asCase(op string, n hive.NewCase) error {
	n.Title = "of the template"
	return n.Check(op)
}

// distinct has each once, in an order of its own: TheHive 5.6 wants that.
func distinct(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// value is what p points to, or nothing.
func value(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// CaseTemplateUpdate is a change of a template; what is nil stays as it is.
type CaseTemplateUpdate struct {
	// Name and the others are as in [NewCaseTemplate].
	Name, DisplayName, TitlePrefix, Description, Summary *string
	// Severity, TLP and PAP are as in [NewCaseTemplate].
	Severity, TLP, PAP *int
	// Flag is as in [NewCaseTemplate].
	Flag *bool
	// Tags, Tasks and CustomFields replace all; an empty list means none.
	Tags         []string
	Tasks        []hive.NewTask
	CustomFields []hive.CustomField
}

// UpdateCaseTemplate changes what u names
// (PATCH /api/v1/caseTemplate/{caseTemplateNameOrId}).
func (a *Admin) UpdateCaseTemplate(ctx context.Context, idOrName string, u CaseTemplateUpdate) error {
	const op = "update case template"
	if err := check(op, text{"case template", idOrName, 1, hive.MaxLogin}, optional("name", u.Name, 1, hive.MaxLogin),
		optional("displayName", u.DisplayName, 1, hive.MaxName), optional("titlePrefix", u.TitlePrefix, 0, hive.MaxName)); err != nil {
		return err
	}
	if err := asCase(op, hive.NewCase{Description: value(u.Description), Summary: value(u.Summary), Severity: u.Severity, TLP: u.TLP, PAP: u.PAP,
		Tags: u.Tags, Tasks: u.Tasks, CustomFields: u.CustomFields}); err != nil {
		return err
	}
	b := body{}
	put(b, "name", u.Name)
	put(b, "displayName", u.DisplayName)
	put(b, "titlePrefix", u.TitlePrefix)
	put(b, "description", u.Description)
	put(b, "summary", u.Summary)
	put(b, "severity", u.Severity)
	put(b, "tlp", u.TLP)
	put(b, "pap", u.PAP)
	put(b, "flag", u.Flag)
	if u.Tags != nil {
		b["tags"] = append([]string{}, distinct(u.Tags)...)
	}
	if u.Tasks != nil {
		b["tasks"] = u.Tasks
	}
	if u.CustomFields != nil {
		b["customFields"] = u.CustomFields
	}
	if err := b.notEmpty(op); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPatch, below("/caseTemplate", idOrName), b)
}

// DeleteCaseTemplate deletes a template
// (DELETE /api/v1/caseTemplate/{caseTemplateNameOrId}).
func (a *Admin) DeleteCaseTemplate(ctx context.Context, idOrName string) error {
	return a.drop(ctx, "delete case template", "case template", "/caseTemplate", idOrName)
}

// LinkPageTemplates makes page templates, by id, all that a case template has
// (PUT /api/v1/caseTemplate/{caseTemplateNameOrId}/pageTemplate/link).
func (a *Admin) LinkPageTemplates(ctx context.Context, idOrName string, ids ...string) error {
	const op = "link page templates"
	if err := check(op, text{"case template", idOrName, 1, hive.MaxLogin}); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPut, below("/caseTemplate", idOrName, "pageTemplate/link"), body{"pageTemplateIds": append([]string{}, distinct(ids)...)})
}

func pageID(p *hive.Page) string { return p.ID }

// PageTemplates lists the organisation's page templates (listPageTemplate).
func (a *Admin) PageTemplates(ctx context.Context, q hive.Query) iter.Seq2[hive.Page, error] {
	return list(ctx, a, "list page templates", "listPageTemplate", q, pageID)
}

// CreatePageTemplate creates a page that case templates can have
// (POST /api/v1/pageTemplate; right managePageTemplate).
func (a *Admin) CreatePageTemplate(ctx context.Context, n hive.NewPage) (hive.Page, error) {
	const op = "create page template"
	if err := check(op, text{"title", n.Title, 1, hive.MaxTitle}, text{"content", n.Content, 0, hive.MaxText}, text{"category", n.Category, 1, hive.MaxLogin}); err != nil {
		return hive.Page{}, err
	}
	return send(ctx, a, op, http.MethodPost, "/pageTemplate", n, pageID)
}

// UpdatePageTemplate changes what u names
// (PATCH /api/v1/pageTemplate/{pageTemplateId}).
func (a *Admin) UpdatePageTemplate(ctx context.Context, id string, u hive.PageUpdate) error {
	const op = "update page template"
	if err := check(op, text{"page template", id, 1, hive.MaxLogin}, optional("title", u.Title, 1, hive.MaxTitle),
		optional("content", u.Content, 0, hive.MaxText), optional("category", u.Category, 1, hive.MaxLogin)); err != nil {
		return err
	}
	b := body{}
	put(b, "title", u.Title)
	put(b, "content", u.Content)
	put(b, "category", u.Category)
	put(b, "order", u.Order)
	if err := b.notEmpty(op); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPatch, below("/pageTemplate", id), b)
}

// DeletePageTemplate deletes one (DELETE /api/v1/pageTemplate/{pageTemplateId}).
func (a *Admin) DeletePageTemplate(ctx context.Context, id string) error {
	return a.drop(ctx, "delete page template", "page template", "/pageTemplate", id)
}
