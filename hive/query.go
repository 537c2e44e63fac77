package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Limits of listing.
const (
	// DefaultPageSize is the number of entities that one request brings.
	DefaultPageSize = 100
	// childPage is the same for what belongs to one case. It is generous: what
	// comes in one answer cannot shift between two.
	childPage = 500
	// maxRestarts bounds how often a list that moves is read from its start.
	maxRestarts = 5
)

// Query chooses and orders entities, and says how many to bring.
type Query struct {
	// Filter chooses; the zero Filter chooses all.
	Filter Filter
	// Sort orders; none means by creation, oldest first, since pages of an
	// unordered list could overlap or leave gaps.
	Sort []Sort
	// PageSize is the number of entities per request; default 100.
	PageSize int
	// Skip leaves out so many at the beginning.
	Skip int
	// Limit ends the list after so many entities; 0 means no limit.
	Limit int
}

// Sort orders by one field.
type Sort struct {
	// Field is a name as in a [Filter].
	Field string
	// Desc puts the greatest first.
	Desc bool
}

// step is one operation of TheHive's query API (POST /api/v1/query).
type step map[string]any

// source is where a list begins: all entities of a kind, or those of a case.
type source struct {
	op    string
	steps []step
	omit  []string // fields to leave out of the answer
}

// listOf begins with all entities of a kind.
func listOf(op, name string) source { return source{op: op, steps: []step{{"_name": name}}} }

// partsOf begins with what belongs to one entity ("getCase", "getAlert",
// "getTask"). TheHive answers an empty list, not a 404, when there is none.
func partsOf(op, get, id, part string) source {
	return source{op: op, steps: []step{{"_name": get, "idOrName": id}, {"_name": part}}}
}

// parts lists what belongs to one case, oldest first.
func parts[T any](ctx context.Context, c *Client, op, caseID, part string, id func(*T) string) iter.Seq2[T, error] {
	if err := checkCase(op, caseID); err != nil {
		return failed[T](err)
	}
	return list(ctx, c, partsOf(op, "getCase", caseID, part), Query{PageSize: childPage}, id)
}

// alertParts lists what belongs to one alert, oldest first.
func alertParts[T any](ctx context.Context, c *Client, op, alertID, part string, id func(*T) string) iter.Seq2[T, error] {
	if err := checkID(op, "alert", alertID); err != nil {
		return failed[T](err)
	}
	return list(ctx, c, partsOf(op, "getAlert", alertID, part), Query{PageSize: childPage}, id)
}

// failed is a list that cannot be asked for.
func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

// step is the operation with its operator beside its name.
func (f Filter) step(op string) (step, error) {
	text, err := json.Marshal(f)
	if err != nil {
		if f.err != nil {
			err = f.err
		}
		return nil, invalid(op, "filter", strings.ReplaceAll(err.Error(), "\n", ", "))
	}
	var operator map[string]json.RawMessage // raw: a large integer must stay exact
	if err := json.Unmarshal(text, &operator); err != nil {
		return nil, invalid(op, "filter", "cannot be encoded")
	}
	s := step{"_name": "filter"}
	for name, operand := range operator {
		s[name] = operand
	}
	return s, nil
}

// with adds filter and order to the source's own steps.
func (s source) with(q Query) ([]step, error) {
	steps := append([]step{}, s.steps...)
	if !q.Filter.all() {
		f, err := q.Filter.step(s.op)
		if err != nil {
			return nil, err
		}
		steps = append(steps, f)
	}
	order := []map[string]string{}
	for _, by := range q.Sort {
		if err := checkField(by.Field); err != nil {
			return nil, invalid(s.op, "sort", err.Error())
		}
		order = append(order, map[string]string{by.Field: direction(by.Desc)})
	}
	if len(order) == 0 {
		order = append(order, map[string]string{"_createdAt": "asc"})
	}
	return append(steps, step{"_name": "sort", "_fields": order}), nil
}

// direction is TheHive's word.
func direction(desc bool) string {
	if desc {
		return "desc"
	}
	return "asc"
}

// query posts steps; it is a read, whatever its method.
func (c *Client) query(ctx context.Context, s source, steps []step, accept func(int, []byte) error) error {
	body := map[string]any{"query": steps}
	if len(s.omit) > 0 {
		body["excludeFields"] = s.omit
	}
	return c.do(ctx, call{
		op: s.op, method: http.MethodPost, path: queryPath,
		query: url.Values{"name": {strings.ReplaceAll(s.op, " ", "-")}}.Encode(), // a label in TheHive's log
		body:  body, accept: accept, weight: c.options.MaxResponseBytes,
	})
}

// count asks how many entities of a kind a filter chooses.
func (c *Client) count(ctx context.Context, s source, f Filter) (int, error) {
	steps := append([]step{}, s.steps...)
	if !f.all() {
		step, err := f.step(s.op)
		if err != nil {
			return 0, err
		}
		steps = append(steps, step)
	}
	var n int
	err := c.query(ctx, s, append(steps, step{"_name": "count"}), into(&n))
	return n, err
}

// list reads a list page by page.
func list[T any](ctx context.Context, c *Client, s source, q Query, id func(*T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		steps, err := s.with(q)
		if err == nil && min(q.PageSize, q.Skip, q.Limit) < 0 {
			err = invalid(s.op, "query", "has a negative page size, skip or limit")
		}
		if err != nil {
			yield(none, err)
			return
		}
		size := q.PageSize
		if size == 0 {
			size = DefaultPageSize
		}
		if q.Limit > 0 {
			size = min(size, q.Limit)
		}
		p := pages[T]{op: s.op, size: size, limit: q.Limit, id: id, fetch: func(from, to int) ([]T, error) {
			var page []T
			err := c.query(ctx, s, append(slices.Clip(steps), step{"_name": "page", "from": q.Skip + from, "to": q.Skip + to}), intoEntities(&page, id))
			return page, err
		}}
		if err := p.each(yield); err != nil {
			yield(none, err)
		}
	}
}

// pages reads a list that others may change meanwhile. Each page but the first
// begins with the last entity of the one before: when another one is there,
// something before it came or went, and the list is read again from its start,
// leaving out what was already given. A page that is too large is asked for in
// halves, down to one entity.
type pages[T any] struct {
	op          string
	size, limit int
	id          func(*T) string
	fetch       func(from, to int) ([]T, error)
}

// pair is fetch. Two entities, of which the first is the last of the page before,
// come singly where they are too large together.
func (p pages[T]) pair(from, to int) ([]T, error) {
	page, err := p.fetch(from, to)
	if !errors.Is(err, ErrTooLarge) || to-from != 2 || p.size != 1 {
		return page, err
	}
	if page, err = p.fetch(from, from+1); err != nil || len(page) == 0 {
		return page, err
	}
	next, err := p.fetch(from+1, to)
	return append(page, next...), err
}

// each yields every entity once; it returns nil when the consumer stopped.
func (p pages[T]) each(yield func(T, error) bool) error {
	seen := map[string]bool{}
	last, from, restarts := "", 0, 0
	for {
		to := from + p.size
		begin := max(0, from-1)
		page, err := p.pair(begin, to)
		if errors.Is(err, ErrTooLarge) && p.size > 1 {
			p.size /= 2
			continue
		}
		if err != nil {
			return err
		}
		if from > 0 && (len(page) == 0 || p.id(&page[0]) != last) {
			if restarts++; restarts > maxRestarts {
				return &Error{Op: p.op, Method: http.MethodPost, Path: apiRoot + queryPath, Status: http.StatusOK, Sent: true,
					Err: fmt.Errorf("%w: %d times", ErrMoved, restarts)}
			}
			from = 0
			continue
		}
		for i := range page {
			if seen[p.id(&page[i])] {
				continue
			}
			seen[p.id(&page[i])] = true
			if !yield(page[i], nil) || len(seen) == p.limit {
				return nil
			}
		}
		if len(page) < to-begin {
			return nil
		}
		last, from = p.id(&page[len(page)-1]), begin+len(page)
	}
}
