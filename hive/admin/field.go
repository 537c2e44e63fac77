package admin

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"forager/hive"
)

// Types of custom fields.
const (
	// String fields hold text.
	String = "string"
	// Integer fields hold whole numbers.
	Integer = "integer"
	// Float fields hold numbers.
	Float = "float"
	// Boolean fields hold true or false.
	Boolean = "boolean"
	// Date fields hold milliseconds since 1970, UTC.
	Date = "date"
	// URL fields hold addresses.
	URL = "url"
)

// CustomField is a field that cases and alerts can have (OutputCustomField).
type CustomField struct {
	// ID is "~" and digits, Name what cases call it, DisplayName what people read.
	ID          string `json:"_id"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	// Group and Description are free text.
	Group       string `json:"group"`
	Description string `json:"description"`
	// Type is one of String, Integer, Float, Boolean, Date, URL.
	Type string `json:"type"`
	// Options are the values that it takes; none: any.
	Options []any `json:"options"`
	// Mandatory fields must be set before a case is closed.
	Mandatory bool `json:"mandatory"`
	// CreatedAt and CreatedBy never change.
	CreatedAt hive.Millis `json:"_createdAt"`
	CreatedBy string      `json:"_createdBy"`
}

func customFieldID(f *CustomField) string { return f.ID }

// CustomFields lists the fields (GET /api/v1/customField).
func (a *Admin) CustomFields(ctx context.Context) ([]CustomField, error) {
	return all[CustomField](ctx, a, "list custom fields", "/customField")
}

// NewCustomField is a field to be created (InputCustomField).
type NewCustomField struct {
	// Name, DisplayName (default: the name) and Group have 1 to hive.MaxName units.
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	Group       string `json:"group"`
	// Description has at most hive.MaxText units.
	Description string `json:"description"`
	// Type, Mandatory and Options are as in [CustomField].
	Type      string `json:"type"`
	Mandatory bool   `json:"mandatory,omitempty"`
	Options   []any  `json:"options,omitempty"`
}

// CreateCustomField creates a field (POST /api/v1/customField; right
// manageCustomField). A name that is taken is refused ([hive.Error.Exists]).
func (a *Admin) CreateCustomField(ctx context.Context, n NewCustomField) (CustomField, error) {
	const op = "create custom field"
	if err := check(op, text{"name", n.Name, 1, hive.MaxName}, text{"displayName", n.DisplayName, 0, hive.MaxName},
		text{"group", n.Group, 1, hive.MaxName}, text{"description", n.Description, 0, hive.MaxText}, text{"type", n.Type, 1, hive.MaxName}); err != nil {
		return CustomField{}, err
	}
	if err := checkKind(op, n.Type); err != nil {
		return CustomField{}, err
	}
	return send(ctx, a, op, http.MethodPost, "/customField", n, customFieldID)
}

// checkKind refuses a type of fields that there is not.
func checkKind(op, kind string) error {
	switch kind {
	case String, Integer, Float, Boolean, Date, URL:
		return nil
	}
	return invalid(op, "type", "is no type of custom fields")
}

// CustomFieldUpdate is a change of a field; what is nil stays as it is.
type CustomFieldUpdate struct {
	// DisplayName and the others are as in [NewCustomField].
	DisplayName, Group, Description, Type *string
	// Mandatory is as in [CustomField].
	Mandatory *bool
	// Options replace all; an empty list means any value.
	Options []any
}

// UpdateCustomField changes what u names, of a field by id or name
// (PATCH /api/v1/customField/{customFieldId}).
func (a *Admin) UpdateCustomField(ctx context.Context, idOrName string, u CustomFieldUpdate) error {
	const op = "update custom field"
	if err := check(op, text{"custom field", idOrName, 1, hive.MaxLogin}, optional("displayName", u.DisplayName, 1, hive.MaxName),
		optional("group", u.Group, 1, hive.MaxName), optional("description", u.Description, 0, hive.MaxText)); err != nil {
		return err
	}
	if u.Type != nil {
		if err := checkKind(op, *u.Type); err != nil {
			return err
		}
	}
	b := body{}
	put(b, "displayName", u.DisplayName)
	put(b, "group", u.Group)
	put(b, "description", u.Description)
	put(b, "type", u.Type)
	put(b, "mandatory", u.Mandatory)
	if u.Options != nil {
		b["options"] = u.Options
	}
	if err := b.notEmpty(op); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodPatch, below("/customField", idOrName), b)
}

// DeleteCustomField deletes a field, also one that cases have where force says so
// (DELETE /api/v1/customField/{customFieldId}).
func (a *Admin) DeleteCustomField(ctx context.Context, idOrName string, force bool) error {
	const op = "delete custom field"
	if err := check(op, text{"custom field", idOrName, 1, hive.MaxLogin}); err != nil {
		return err
	}
	return a.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodDelete, Path: below("/customField", idOrName),
		Query: url.Values{"force": {strconv.FormatBool(force)}}})
}

// ObservableType is a type that observables can have (OutputObservableType).
type ObservableType struct {
	// ID is "~" and digits, Name such as "ip".
	ID   string `json:"_id"`
	Name string `json:"name"`
	// IsAttachment types are for files.
	IsAttachment bool `json:"isAttachment"`
	// CaseSensitive types tell "A" from "a" (TheHive 5.7).
	CaseSensitive bool `json:"isCaseSensitive"`
}

func observableTypeID(t *ObservableType) string { return t.ID }

// ObservableTypes lists the types (listObservableType).
func (a *Admin) ObservableTypes(ctx context.Context, q hive.Query) iter.Seq2[ObservableType, error] {
	return list(ctx, a, "list observable types", "listObservableType", q, observableTypeID)
}

// ObservableType brings one by id or name (GET /api/v1/observable/type/{typeId}).
func (a *Admin) ObservableType(ctx context.Context, idOrName string) (ObservableType, error) {
	const op = "get observable type"
	if err := check(op, text{"type", idOrName, 1, hive.MaxLogin}); err != nil {
		return ObservableType{}, err
	}
	return get(ctx, a, op, below("/observable/type", idOrName), observableTypeID)
}

// CreateObservableType creates a type, for files or values; its name has 1 to
// hive.MaxName units (POST /api/v1/observable/type; right manageObservableTemplate).
func (a *Admin) CreateObservableType(ctx context.Context, name string, forFiles bool) (ObservableType, error) {
	const op = "create observable type"
	if err := check(op, text{"name", name, 1, hive.MaxName}); err != nil {
		return ObservableType{}, err
	}
	return send(ctx, a, op, http.MethodPost, "/observable/type", body{"name": name, "isAttachment": forFiles}, observableTypeID)
}

// DeleteObservableType deletes a type that no observable has
// (DELETE /api/v1/observable/type/{typeId}).
func (a *Admin) DeleteObservableType(ctx context.Context, idOrName string) error {
	return a.drop(ctx, "delete observable type", "type", "/observable/type", idOrName)
}
