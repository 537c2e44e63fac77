package hive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// apiRoot precedes every path.
const apiRoot = "/api/v1"

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
		return c.attempt(ctx, k, payload, n)
	})
}

// attempt takes a place, performs one exchange and reports it.
func (c *Client) attempt(ctx context.Context, k call, payload []byte, n int) error {
	if err := c.places.Acquire(ctx, 1); err != nil {
		return c.unsent(k, causeOf(ctx, err))
	}
	defer c.places.Release(1)
	if k.write {
		if err := guardOf(ctx)(); err != nil {
			return c.unsent(k, err)
		}
	}
	start := time.Now()
	status, err := c.exchange(ctx, k, payload)
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
func (c *Client) exchange(ctx context.Context, k call, payload []byte) (int, error) {
	timed, cancel := context.WithTimeout(ctx, k.timeout(c.options.Timeout))
	defer cancel()
	resp, sent, err := c.send(timed, ctx, k, payload)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, readErr := readBounded(resp.Body, c.options.MaxResponseBytes)
	failure := &Error{Op: k.op, Method: k.method, Path: apiRoot + k.path, Status: resp.StatusCode, Sent: sent}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		c.explain(failure, resp, body)
		return resp.StatusCode, failure
	}
	switch {
	case readErr != nil:
		failure.Err = fmt.Errorf("%w: %w", ErrShape, causeOf(ctx, readErr))
		return resp.StatusCode, failure
	default:
		if err := k.accept(resp.StatusCode, body); err != nil {
			failure.Err = err
			return resp.StatusCode, failure
		}
	}
	return resp.StatusCode, nil
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
func (c *Client) send(timed, caller context.Context, k call, payload []byte) (*http.Response, bool, error) {
	var trace sentTrace
	body, req, err := c.request(httptrace.WithClientTrace(timed, trace.hooks()), k, payload)
	if err != nil {
		return nil, false, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err == nil && resp == nil {
		err = fmt.Errorf("%w: transport gave neither answer nor error", ErrShape)
	}
	if err == nil {
		return resp, true, nil
	}
	e := c.unsent(k, c.cause(caller, err))
	begun, guardErr, readErr := body.state()
	switch {
	case guardErr != nil:
		e.Err = guardErr
	case readErr != nil:
		e.Sent, e.incomplete, e.Err = trace.sent(begun), true, fmt.Errorf("read upload: %w", readErr)
	default:
		e.Sent = trace.sent(begun)
	}
	return nil, e.Sent, e
}

// request builds the request with its guarded body.
func (c *Client) request(ctx context.Context, k call, payload []byte) (*guardedBody, *http.Request, error) {
	body := &guardedBody{source: bytes.NewReader(payload), check: func() error { return nil }}
	if k.write {
		body.check = guardOf(ctx)
	}
	address := c.base.JoinPath(apiRoot, k.path)
	address.RawQuery = k.query
	req, err := http.NewRequestWithContext(ctx, k.method, address.String(), nil)
	if err != nil {
		return body, nil, invalid(k.op, "path", "cannot be sent")
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	switch {
	case k.upload != nil:
		body.source = k.upload.reader()
		req.Body, req.ContentLength = body, k.upload.length()
		req.Header["Content-Type"] = []string{k.upload.contentType()}
	case k.body != nil:
		req.Body, req.ContentLength = body, int64(len(payload))
		req.Header["Content-Type"] = []string{"application/json"}
	case k.method == http.MethodDelete:
		// An empty body of unknown length: the transport asks it before it
		// writes, and so asks the guard, and will not send the request again
		// by itself. It goes out as a DELETE without a body.
		req.Body, req.ContentLength = body, -1
	}
	// GetBody stays nil: with it net/http would send a write again by itself.
	return body, req, nil
}

// cause is what ended a round trip: the caller's own context before all else.
func (c *Client) cause(caller context.Context, err error) error {
	if caller.Err() != nil {
		return causeOf(caller, err)
	}
	if text := c.redact.Replace(err.Error()); text != err.Error() {
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

// sentTrace learns from the transport whether a byte of a request left.
type sentTrace struct {
	conn   atomic.Pointer[countedConn]
	before atomic.Int64
	wrote  atomic.Bool
}

// hooks are the callbacks for httptrace.
func (t *sentTrace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if conn := counted(info.Conn); conn != nil {
				t.before.Store(conn.written.Load())
				t.conn.Store(conn)
			}
		},
		WroteHeaders: func() { t.wrote.Store(true) },
	}
}

// sent reports whether a byte may have left. The connection's own count is
// exact; without one, handing the headers or the body to the transport counts.
func (t *sentTrace) sent(bodyRead bool) bool {
	if conn := t.conn.Load(); conn != nil {
		return conn.written.Load() != t.before.Load()
	}
	return t.wrote.Load() || bodyRead
}

// readBounded reads all, or fails with ErrTooLarge beyond limit.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return body[:limit], fmt.Errorf("%w: over %d bytes", ErrTooLarge, limit)
	}
	return body, err
}
