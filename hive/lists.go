package hive

import "context"

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
