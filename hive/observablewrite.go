package hive

import (
	"context"
	"errors"
	"iter"
	"net/http"
)

// ObservableUpdate is a change of an observable (InputUpdateObservable). What
// is nil or empty stays as it is; the value itself cannot be changed.
type ObservableUpdate struct {
	// DataType may change between types of values, or between types of files.
	DataType *string
	// Message has at most MaxText units; the empty text clears it.
	Message *string
	// TLP is 0 to 4, PAP 0 to 3.
	TLP, PAP *int
	// IOC, Sighted and IgnoreSimilarity are as in [Observable].
	IOC, Sighted, IgnoreSimilarity *bool
	// SightedAt is when it was seen.
	SightedAt *Millis
	// AddTags and RemoveTags are merged by TheHive with what is there.
	AddTags, RemoveTags []string
}

// wire checks an update and puts it into TheHive's words.
func (u ObservableUpdate) wire(op string) (map[string]any, error) {
	if err := checkTexts(op, optionalText("dataType", u.DataType, 1, MaxName), optionalText("message", u.Message, 0, MaxText)); err != nil {
		return nil, err
	}
	if err := errors.Join(checkLevels(op, nil, u.TLP, u.PAP), checkDates(op, value(u.SightedAt)),
		checkTags(op, "addTags", u.AddTags), checkTags(op, "removeTags", u.RemoveTags)); err != nil {
		return nil, err
	}
	body := map[string]any{}
	put(body, "dataType", u.DataType)
	put(body, "message", u.Message)
	if u.Message != nil && *u.Message == "" {
		body["message"] = nil
	}
	put(body, "tlp", u.TLP)
	put(body, "pap", u.PAP)
	put(body, "ioc", u.IOC)
	put(body, "sighted", u.Sighted)
	put(body, "ignoreSimilarity", u.IgnoreSimilarity)
	put(body, "sightedAt", u.SightedAt)
	putList(body, "addTags", u.AddTags)
	putList(body, "removeTags", u.RemoveTags)
	if len(body) == 0 {
		return nil, invalid(op, "update", "changes nothing")
	}
	return body, nil
}

// UpdateObservable changes what u names (PATCH /api/v1/observable/{id}).
func (c *Client) UpdateObservable(ctx context.Context, id string, u ObservableUpdate) error {
	const op = "update observable"
	if err := checkID(op, "observable", id); err != nil {
		return err
	}
	body, err := u.wire(op)
	if err != nil {
		return err
	}
	return c.do(ctx, call{op: op, method: http.MethodPatch, path: "/observable/" + id, body: body, write: true, accept: nothing})
}

// DeleteObservable deletes one observable (DELETE /api/v1/observable/{id}).
func (c *Client) DeleteObservable(ctx context.Context, id string) error {
	const op = "delete observable"
	if err := checkID(op, "observable", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/observable/"+id)
}

// parts lists what belongs to one case, oldest first.
func parts[T any](ctx context.Context, c *Client, op, caseID, part string, id func(*T) string) iter.Seq2[T, error] {
	if err := checkCase(op, caseID); err != nil {
		return func(yield func(T, error) bool) {
			var none T
			yield(none, err)
		}
	}
	return list(ctx, c, partsOf(op, caseID, part), Query{PageSize: childPage}, id)
}

// asError is errors.AsType for *Error.
func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }
