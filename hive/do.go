package hive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"forager/hive/throttle"
	"forager/hive/wire"
)

// apiRoot precedes every path.
const apiRoot = "/api/v1"

// queryPath is where lists are asked for, by POST.
const queryPath = "/query"

// expectAbove is the length in bytes from which an upload first asks whether it
// is welcome: a server that refuses it unread and hangs up would look like a
// lost connection, and a refused body need not travel.
const expectAbove = 1 << 20

// call is one request to TheHive, before it is sent.
type call struct {
	op     string
	method string
	path   string // below apiRoot, made of checked parameters
	query  string // encoded
	body   any    // sent as JSON; nil: none
	upload *form  // sent as multipart instead of body
	write  bool   // changes something: guarded, and never sent again once it may have acted
	accept func(status int, body []byte) error
	weight int64     // bytes that its answer may have; 0: as an ordinary object
	as     *identity // of the attempt
	large  bool      // its answer is, of the attempt
	plain  bool      // its answer is text, and not JSON
}

// do performs a call: encodes it, tries it as the retry rules allow, decodes
// the answer. Its error is an *Error or an *InvalidError.
func (c *Client) do(ctx context.Context, k call) error {
	var payload []byte
	if k.body != nil {
		var err error
		if payload, err = json.Marshal(k.body); err != nil {
			return invalid(k.op, "body", "cannot be encoded: "+err.Error())
		}
	}
	return c.retry(ctx, k, func(n int) error {
		return c.attempt(naming(ctx, k, n), k, payload, n)
	})
}

// attempt takes a slot, performs one exchange and reports it. The wait for the
// slot is before the attempt's time-out begins.
func (c *Client) attempt(ctx context.Context, k call, payload []byte, n int) error {
	slot, err := c.slot(ctx, &k)
	if err != nil {
		return err
	}
	start, end := time.Now(), throttle.Abandoned // of an attempt that panics
	defer func() { slot.Release(end, k.took(start)) }()
	status, err := c.exchange(ctx, &k, payload)
	end = ending(ctx, err)
	if c.options.Observe != nil {
		c.options.Observe(Call{Op: k.op, Method: k.method, Status: status, Duration: time.Since(start), Attempt: n, Err: err})
	}
	return err
}

// unsent is the error of an attempt that never began.
func (c *Client) unsent(k call, err error) *Error {
	return &Error{Op: k.op, Method: k.method, Path: apiRoot + k.path, Err: err}
}

// exchange sends one request and reads its answer to the end.
func (c *Client) exchange(ctx context.Context, k *call, payload []byte) (int, error) {
	timed, clock := startClock(ctx, k.timeout(c.options.Timeout))
	defer clock.stop()
	defer k.upload.retire() // the caller may read the file again
	resp, err := c.send(timed, ctx, *k, payload)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	share := room{throttle: c.throttle}
	defer share.free() // when the answer is decoded
	body, readErr := share.read(ctx, clock, resp, k.limit(resp.StatusCode, len(payload), c.options.MaxResponseBytes))
	k.large = len(body) > weightSmall
	failure := &Error{Op: k.op, Method: k.method, Path: apiRoot + k.path, Status: resp.StatusCode, Sent: true}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		k.as.explain(failure, resp, body)
		failure.incomplete = k.upload.cut()
		return resp.StatusCode, failure
	}
	if readErr != nil {
		failure.Err = fmt.Errorf("%w: %w", ErrShape, causeOf(ctx, causeOf(timed, readErr)))
		return resp.StatusCode, failure
	}
	if err := k.judge(resp, body); err != nil {
		failure.Err, failure.strange = err, isStrange(resp, body, err)
		if failure.strange {
			failure.Message = k.as.clean(string(body))
		}
		return resp.StatusCode, failure
	}
	return resp.StatusCode, nil
}

// judge accepts a 2xx that is what the endpoint promises, and is called so.
func (k call) judge(resp *http.Response, body []byte) error {
	if len(body) > 0 && !k.plain && !saysJSON(resp.Header) {
		return fmt.Errorf("%w: content type %s", ErrShape, quote(resp.Header.Get("Content-Type")))
	}
	return k.accept(resp.StatusCode, body)
}

// timeout is the attempt's, longer where an upload asks for it.
func (k call) timeout(usual time.Duration) time.Duration {
	if k.upload != nil && k.upload.timeout > 0 {
		return k.upload.timeout
	}
	return usual
}

// send performs the round trip up to the answer's headers. It goes to the
// transport and not through an http.Client, which would follow redirects and
// carry the key along.
func (c *Client) send(timed, caller context.Context, k call, payload []byte) (*http.Response, error) {
	var way wire.Passage
	if k.write {
		way.Guard = wire.GuardOf(caller)
	}
	if err := way.Guard.Ask(); err != nil {
		e := c.unsent(k, err)
		e.incomplete = true
		return nil, e
	}
	req, upload, err := c.request(httptrace.WithClientTrace(timed, way.Hooks()), k, payload)
	if err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err == nil && resp == nil {
		err = fmt.Errorf("%w: transport gave neither answer nor error", ErrShape)
	}
	if err == nil {
		return resp, nil
	}
	e := c.unsent(k, k.as.cause(caller, causeOf(timed, err)))
	e.Sent = way.Sent()
	if refusal := way.Guard.Refusal(); refusal != nil && !e.Sent {
		e.incomplete, e.Err = true, refusal
	} else if broken := upload.failure(); broken != nil && caller.Err() == nil {
		e.incomplete, e.Err = true, fmt.Errorf("read upload: %w", broken)
	} else if way.Fenced() && upload.unfinished() {
		e.incomplete = true
	}
	return nil, e
}

// request builds the request. GetBody stays nil: with it net/http would send a
// write again by itself.
func (c *Client) request(ctx context.Context, k call, payload []byte) (*http.Request, *uploadBody, error) {
	address := c.base.JoinPath(apiRoot, k.path)
	address.RawQuery = k.query
	req, err := http.NewRequestWithContext(ctx, k.method, address.String(), nil)
	if err != nil {
		return nil, nil, invalid(k.op, "path", "cannot be sent")
	}
	maps.Copy(req.Header, c.header)
	req.Header["Authorization"] = []string{k.as.authorization}
	if k.upload != nil {
		length := k.upload.length()
		upload := &uploadBody{source: k.upload.reader(), known: length >= 0, left: length}
		req.Body, req.ContentLength, k.upload.current = upload, length, upload
		req.Header["Content-Type"] = []string{k.upload.contentType()}
		if length < 0 || length >= expectAbove {
			req.Header["Expect"] = []string{"100-continue"}
		}
		return req, upload, nil
	}
	if k.body != nil {
		// Known to be in memory, so that it leaves in one piece with the headers.
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(payload)), int64(len(payload))
		req.Header["Content-Type"] = []string{"application/json"}
	}
	return req, nil, nil
}

// cause is what ended a round trip: the caller's own context before all else.
func (i *identity) cause(caller context.Context, err error) error {
	if caller.Err() != nil {
		return causeOf(caller, err)
	}
	if text := i.redact.Replace(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// causeOf prefers the reason for which a context ended to what followed.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, ctx.Err()) || errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return fmt.Errorf("%w: %w", ctx.Err(), cause)
}

// Exchange is one call to an endpoint for which this package has no method: the
// rooms beside it are made of them, and so may be a program that needs more of
// TheHive's API. It gets what every call gets: limits, verdicts, tries, guards.
type Exchange struct {
	// Op names the call in errors and traces: "create user".
	Op string
	// Method is the HTTP method. Path begins with a slash, below /api/v1; what is
	// put into it is escaped by its maker (url.PathEscape).
	Method, Path string
	// Query are parameters behind the path.
	Query url.Values
	// Body is sent as JSON; nil: none. With a File it becomes the part "_json".
	Body any
	// File is sent as the part Part, beside Body.
	File *Upload
	// Part is the name of the File's part.
	Part string
	// Reads of a POST says that nothing changes by it: it is tried again like any read, and
	// asks no guard. A GET reads, unless it Acts.
	Reads, Acts bool
	// Into gets the answer, decoded from JSON. nil: the answer is empty, or an
	// entity that nobody looks at.
	Into any
	// Proof tells, of a decoded answer, something that only TheHive's has, such as
	// its id; "" is a refusal, for {} may come from anybody. nil: any JSON is right.
	Proof func() string
	// Empty says that a 200 or 201 without a body is success, too.
	Empty bool
	// Text gets an answer that is plain text and no JSON, such as a key.
	Text *string
}

// pathShape is what a path may be made of.
var pathShape = regexp.MustCompile(`^(/[A-Za-z0-9_.~@!$&'()*,:;=+%-]+)+$`)

// checkPath refuses what is no path, and ways up.
func checkPath(op, path string) error {
	if !pathShape.MatchString(path) || slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return invalid(op, "path", "is none: "+quote(path))
	}
	return nil
}

// Exchange makes one call (see [Exchange]). Its error is an [*Error] or an
// [*InvalidError].
func (c *Client) Exchange(ctx context.Context, x Exchange) error {
	if err := checkPath(x.Op, x.Path); err != nil {
		return err
	}
	k := call{op: x.Op, method: x.Method, path: x.Path, query: x.Query.Encode(), body: x.Body, write: x.Acts || !x.Reads && x.Method != http.MethodGet, weight: weightLarge}
	if x.File != nil {
		upload, err := c.bodyWithFile(x.Op, x.Body, x.Part, *x.File)
		if err != nil {
			return err
		}
		k.body, k.upload = nil, upload
	}
	switch {
	case x.Text != nil:
		k.plain, k.accept = true, func(status int, body []byte) error { return plainText(status, body, x.Text) }
	case x.Into == nil && x.Empty:
		k.accept = nothingAtAll
	case x.Into == nil:
		k.accept = nothing
	default:
		k.accept = func(status int, body []byte) error {
			if status/100 != 2 {
				return fmt.Errorf("%w: status %d", ErrShape, status)
			}
			if err := decode(body, x.Into); err != nil || x.Proof == nil {
				return err
			}
			return hasID(x.Proof())
		}
	}
	return c.do(ctx, k)
}

// nothingAtAll accepts what nothing does, and a 200 or 201 without a body.
func nothingAtAll(status int, body []byte) error {
	if (status == http.StatusOK || status == http.StatusCreated) && len(body) == 0 {
		return nil
	}
	return nothing(status, body)
}

// plainText accepts a short text of one line; a page of somebody else is none.
func plainText(status int, body []byte, out *string) error {
	*out = strings.TrimSpace(string(body))
	if status != http.StatusOK || *out == "" || len(*out) > maxSecret || strings.ContainsAny(*out, "<>\n\r {") {
		*out = ""
		return fmt.Errorf("%w: no plain text", ErrShape)
	}
	return nil
}

// List reads what an operation of TheHive's query API lists, such as "listUser",
// page by page; id gives an entity's own (see [Query]). It ends with its first error.
func List[T any](ctx context.Context, c *Client, op, from string, q Query, id func(*T) string) iter.Seq2[T, error] {
	return list(ctx, c, listOf(op, from), q, id)
}

// create posts a body, and decodes the entity that answers.
func create[T any](ctx context.Context, c *Client, op, path string, body any, id func(*T) string) (T, error) {
	var out T
	err := c.do(ctx, call{op: op, method: http.MethodPost, path: path, body: body, write: true, accept: intoEntity(&out, id)})
	return out, err
}

// fetch gets one entity.
func fetch[T any](ctx context.Context, c *Client, op, path string, id func(*T) string) (T, error) {
	var out T
	err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, weight: weightLarge, accept: intoEntity(&out, id)})
	return out, err
}

// fetchAll gets a list that comes whole.
func fetchAll[T any](ctx context.Context, c *Client, op, path string, id func(*T) string) ([]T, error) {
	var out []T
	err := c.do(ctx, call{op: op, method: http.MethodGet, path: path, weight: weightLarge, accept: intoEntities(&out, id)})
	return out, err
}

// change is a write that answers without a body, or with the entity.
func (c *Client) change(ctx context.Context, op, method, path string, body any) error {
	return c.do(ctx, call{op: op, method: method, path: path, body: body, write: true, weight: weightLarge, accept: nothing})
}

// delete is a DELETE without a body.
func (c *Client) delete(ctx context.Context, op, path string) error {
	return c.change(ctx, op, http.MethodDelete, path, nil)
}

// changes are what an update is to change.
type changes interface {
	// wire checks them and gives the body; an error where nothing is to change.
	wire(op string) (map[string]any, error)
}

// update changes one entity of a kind, by id.
func (c *Client) update(ctx context.Context, op, kind, id string, u changes) error {
	if err := checkID(op, kind, id); err != nil {
		return err
	}
	body, err := u.wire(op)
	if err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPatch, "/"+kind+"/"+id, body)
}

// updateAll changes several of a kind alike.
func (c *Client) updateAll(ctx context.Context, op, kind string, ids []string, u changes) error {
	if err := checkIDs(op, ids); err != nil {
		return err
	}
	body, err := u.wire(op)
	if err != nil {
		return err
	}
	body["ids"] = distinct(ids)
	return c.change(ctx, op, http.MethodPatch, "/"+kind+"/_bulk", body)
}

// put sets a field of a body when it is to change.
func put[T any](body map[string]any, name string, v *T) {
	if v != nil {
		body[name] = *v
	}
}

// putOrClear is put for a field that its zero value empties.
func putOrClear[T comparable](body map[string]any, name string, v *T) {
	var zero T
	if put(body, name, v); v != nil && *v == zero {
		body[name] = nil
	}
}

// putList sets a list of a body when it has members, each once.
func putList(body map[string]any, name string, list []string) {
	if len(list) > 0 {
		body[name] = distinct(list)
	}
}

// value is what p points to, or zero.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// distinct keeps the first of each; TheHive's OpenAPI 5.6 wants unique items.
func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
