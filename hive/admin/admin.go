package admin

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"forager/hive"
)

// Admin administers TheHive as the account of its client, whose profile must
// allow it. It is safe for concurrent use.
type Admin struct{ client *hive.Client }

// New administers by a client.
func New(client *hive.Client) *Admin { return &Admin{client} }

// invalid is an error of what was asked for.
func invalid(op, field, reason string) error {
	return &hive.InvalidError{Op: op, Field: field, Reason: reason}
}

// text is one check of a text before it is sent.
type text struct {
	field, value string
	least, most  int
}

// check refuses texts that TheHive would, counted as it counts.
func check(op string, texts ...text) error {
	for _, t := range texts {
		switch n := hive.Units(t.value); {
		case n < t.least:
			return invalid(op, t.field, "is empty")
		case n > t.most:
			return invalid(op, t.field, "is too long")
		}
	}
	return nil
}

// optional is a check of a text that may be left out.
func optional(field string, value *string, least, most int) text {
	if value == nil {
		return text{field: field}
	}
	return text{field, *value, least, most}
}

// below is a path with a name in it.
func below(root, name string, more ...string) string {
	return strings.Join(append([]string{root, url.PathEscape(name)}, more...), "/")
}

// get reads one entity.
func get[T any](ctx context.Context, a *Admin, op, path string, id func(*T) string) (T, error) {
	var out T
	err := a.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodGet, Path: path, Into: &out, Proof: func() string { return id(&out) }})
	return out, err
}

// send writes a body and reads the entity that answers.
func send[T any](ctx context.Context, a *Admin, op, method, path string, body any, id func(*T) string) (T, error) {
	var out T
	err := a.client.Exchange(ctx, hive.Exchange{Op: op, Method: method, Path: path, Body: body, Into: &out, Proof: func() string { return id(&out) }})
	return out, err
}

// all reads a list that comes whole.
func all[T any](ctx context.Context, a *Admin, op, path string) ([]T, error) {
	var out []T
	err := a.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodGet, Path: path, Into: &out})
	return out, err
}

// change writes a body that has no answer.
func (a *Admin) change(ctx context.Context, op, method, path string, body any) error {
	return a.client.Exchange(ctx, hive.Exchange{Op: op, Method: method, Path: path, Body: body})
}

// drop deletes what a name stands for.
func (a *Admin) drop(ctx context.Context, op, what, root, name string) error {
	if err := check(op, text{what, name, 1, hive.MaxLogin}); err != nil {
		return err
	}
	return a.change(ctx, op, http.MethodDelete, below(root, name), nil)
}

// list reads by a query.
func list[T any](ctx context.Context, a *Admin, op, from string, q hive.Query, id func(*T) string) iter.Seq2[T, error] {
	return hive.List(ctx, a.client, op, from, q, id)
}

// body holds what is set of an update.
type body map[string]any

// put sets a field that is to change.
func put[T any](b body, name string, v *T) {
	if v != nil {
		b[name] = *v
	}
}

// notEmpty refuses an update that changes nothing.
func (b body) notEmpty(op string) error {
	if len(b) == 0 {
		return invalid(op, "update", "changes nothing")
	}
	return nil
}
