package hive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"forager/hive/throttle"
)

// maxMessage bounds what an error keeps of a server's message, in units.
const maxMessage = 1024

// into accepts a 200 or 201 with one JSON value and decodes it.
func into[T any](out *T) func(int, []byte) error {
	return func(status int, body []byte) error {
		if status != http.StatusOK && status != http.StatusCreated {
			return fmt.Errorf("%w: status %d", ErrShape, status)
		}
		return decode(body, out)
	}
}

// intoEntity is into for an object that must have its id: a 2xx of somebody
// else, such as {}, must not pass for success.
func intoEntity[T any](out *T, id func(*T) string) func(int, []byte) error {
	return func(status int, body []byte) error {
		if err := into(out)(status, body); err != nil {
			return err
		}
		return hasID(id(out))
	}
}

// intoEntities is intoEntity for an array.
func intoEntities[T any](out *[]T, id func(*T) string) func(int, []byte) error {
	return func(status int, body []byte) error {
		if err := into(out)(status, body); err != nil {
			return err
		}
		for i := range *out {
			if err := hasID(id(&(*out)[i])); err != nil {
				return err
			}
		}
		return nil
	}
}

// nothing accepts a 204, or a 200 with an object that has its id; any other 2xx
// is somebody else's, as an empty page or {} of a portal.
func nothing(status int, body []byte) error {
	if status == http.StatusNoContent && len(body) == 0 {
		return nil
	}
	var entity struct {
		ID string `json:"_id"`
	}
	return intoEntity(&entity, func(e *struct {
		ID string `json:"_id"`
	}) string {
		return e.ID
	})(status, body)
}

// hasID refuses an object without its id.
func hasID(id string) error {
	if id == "" {
		return fmt.Errorf("%w: no _id", ErrShape)
	}
	return nil
}

// decode reads exactly one JSON value. A list that TheHive streamed and broke
// off fails here, under its 200.
func decode(body []byte, out any) error {
	if bytes.Equal(bytes.TrimSpace(body), []byte("null")) {
		return fmt.Errorf("%w: null", ErrShape) // it would decode into anything: an empty list
	}
	if err := checkCount(body); err != nil {
		return fmt.Errorf("%w: %w", ErrShape, err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w: %w", ErrShape, err)
	}
	return nil
}

// explain fills an error from an answer that is no success.
func (i *identity) explain(e *Error, resp *http.Response, body []byte) {
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if kind, message, ok := ownError(resp, body); ok {
		e.Type, e.Message = i.clean(kind), i.clean(message)
		return
	}
	e.Message = i.clean(string(body))
	if resp.StatusCode/100 == 3 {
		e.Message = "redirect to " + i.clean(redirectHost(resp.Header.Get("Location"))) + " not followed"
	}
}

// ownError reads TheHive's own error: an object that is called JSON, with a type
// of TheHive's and a message, which is null where a Java exception had none.
func ownError(resp *http.Response, body []byte) (kind, message string, ok bool) {
	if resp.StatusCode < 400 || !saysJSON(resp.Header) {
		return "", "", false
	}
	var fields map[string]json.RawMessage // and no struct, which takes Type for type
	if json.Unmarshal(body, &fields) != nil || json.Unmarshal(fields["type"], &kind) != nil || !isOwnType(resp.StatusCode, kind) {
		return "", "", false
	}
	var text *string
	if json.Unmarshal(fields["message"], &text) != nil { // absent too
		return "", "", false
	}
	if text != nil {
		message = *text
	}
	return kind, message, true
}

// isStrange reports that a 2xx that was not accepted is whole: called something
// else than JSON, or JSON of another kind. A list that broke off is neither.
func isStrange(resp *http.Response, body []byte, err error) bool {
	return errors.Is(err, ErrShape) && !errors.Is(err, ErrTooLarge) && (!saysJSON(resp.Header) || json.Valid(body))
}

// saysJSON reports that an answer is called JSON by its sender.
func saysJSON(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (kind == "application/json" || kind == "text/json")
}

// redirectHost is the origin that a Location names, without anything secret.
func redirectHost(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "the same host"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

// clean makes a server's text fit for an error: one line, short, no secrets.
func (i *identity) clean(text string) string {
	// Cut first, generously: the text may be an answer of many megabytes.
	text = i.redact.Replace(Truncate(strings.ToValidUTF8(text[:min(len(text), 8*maxMessage)], ""), 4*maxMessage))
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	return Truncate(strings.Join(strings.Fields(text), " "), maxMessage)
}

// MaxRetryAfter is the longest pause that a server's Retry-After is taken for:
// the number comes from outside, and a wrong one must not park anything for long.
const MaxRetryAfter = 2 * time.Minute

// retryAfter reads seconds or a date, at most MaxRetryAfter; 0 when absent,
// past or nonsense.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if digits.MatchString(value) {
		seconds, err := strconv.ParseInt(value, 10, 32)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now)), MaxRetryAfter)
	}
	return 0
}

// digits is a number of any length without a sign.
var digits = regexp.MustCompile(`^[0-9]+$`)

// exactlyEntities is intoEntities for an array of known length.
func exactlyEntities[T any](out *[]T, id func(*T) string, n int) func(int, []byte) error {
	return func(status int, body []byte) error {
		if err := intoEntities(out, id)(status, body); err != nil {
			return err
		}
		if len(*out) != n {
			return fmt.Errorf("%w: %d of %d created", ErrShape, len(*out), n)
		}
		return nil
	}
}

// What an answer may weigh in bytes, decompressed.
const (
	weightSmall  = 64 << 10 // an error; and any answer without a share of the budget
	weightObject = 1 << 20  // an object, beside what it repeats of the request
	weightLarge  = 8 << 20  // a case, whose description may have MaxText units of six bytes each; several objects
)

// What an answer may hold, so that no byte of it becomes a hundred in memory.
const (
	maxObjects = 5_000
	maxValues  = 100_000
)

// limit is what an answer of a status may weigh to a request of so many bytes.
func (k *call) limit(status int, sent int, most int64) int64 {
	limit := k.weight
	switch {
	case status > 299:
		limit = weightSmall
	case limit == 0:
		limit = min(weightObject+4*int64(sent), weightLarge)
	}
	return min(limit, most)
}

// read reads an answer within its limit. What is more than small waits for its
// share of the budget of all answers; the attempt's time stands still meanwhile.
func (r *room) read(caller context.Context, left *clock, resp *http.Response, limit int64) (body []byte, err error) {
	if resp.StatusCode < 200 { // the connection is another protocol's now, and its body has no end
		return nil, nil
	}
	for _, bound := range []int64{weightSmall, weightObject, limit} {
		if bound = min(bound, limit); bound > weightSmall {
			left.pause()
			if err := r.take(caller, bound); err != nil {
				return nil, err
			}
			left.resume()
		}
		body, err = readBounded(io.MultiReader(bytes.NewReader(body), resp.Body), bound)
		if bound == limit || !errors.Is(err, ErrTooLarge) {
			break
		}
	}
	return body, err
}

// room is an answer's share of the budget of all.
type room struct {
	throttle *throttle.Throttle
	done     func() // nil: there is none
}

// take exchanges the share for another one. Whoever waits holds nothing, so that somebody can go on.
func (r *room) take(ctx context.Context, n int64) (err error) {
	r.free()
	r.done, err = r.throttle.Room(ctx, n)
	return err
}

// free gives the share back.
func (r *room) free() {
	if r.done != nil {
		r.done()
		r.done = nil
	}
}

// readBounded reads all; beyond limit it fails with ErrTooLarge and what was read.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return body, fmt.Errorf("%w: over %d bytes", ErrTooLarge, limit)
	}
	return body, err
}

// checkCount refuses JSON that holds more than any page does.
func checkCount(body []byte) error {
	objects, values, text := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{':
			objects, values = objects+1, values+1
		case c == '[' || c == ',':
			values++
		}
	}
	if objects > maxObjects || values > maxValues {
		return fmt.Errorf("%w: %d objects, %d values", ErrTooLarge, objects, values)
	}
	return nil
}

// clock is the time that an attempt has. It can stand still.
type clock struct {
	timer  *time.Timer
	end    time.Time
	left   time.Duration // while it stands still
	cancel context.CancelCauseFunc
}

// startClock gives the attempt's context, which ends with context.DeadlineExceeded as its cause.
func startClock(caller context.Context, d time.Duration) (context.Context, *clock) {
	ctx, cancel := context.WithCancelCause(caller)
	timer := time.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return ctx, &clock{timer: timer, end: time.Now().Add(d), cancel: cancel}
}

func (c *clock) pause() {
	if c.timer.Stop() {
		c.left = time.Until(c.end)
	}
}

func (c *clock) resume() {
	if c.left > 0 {
		c.end = time.Now().Add(c.left)
		c.timer.Reset(c.left)
		c.left = 0
	}
}

func (c *clock) stop() {
	c.timer.Stop()
	c.cancel(nil)
}
