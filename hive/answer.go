package hive

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
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

// nothing accepts a 204, or another 2xx but 207 whose body is empty or JSON; a
// page of a proxy's log-in form is neither.
func nothing(status int, body []byte) error {
	if status == http.StatusMultiStatus || status == http.StatusAccepted {
		return fmt.Errorf("%w: status %d", ErrShape, status)
	}
	if len(body) > 0 && !json.Valid(body) {
		return fmt.Errorf("%w: not JSON", ErrShape)
	}
	return nil
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
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w: %w", ErrShape, err)
	}
	return nil
}

// explain fills an error from an answer that is no success.
func (i *identity) explain(e *Error, resp *http.Response, body []byte) {
	e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	var own struct{ Type, Message string }
	if json.Unmarshal(body, &own) == nil && own.Type != "" {
		e.Type, e.Message = i.clean(own.Type), i.clean(own.Message)
		return
	}
	e.Message = i.clean(string(body))
	if resp.StatusCode/100 == 3 {
		e.Message = "redirect to " + i.clean(redirectHost(resp.Header.Get("Location"))) + " not followed"
	}
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

// retryAfter reads seconds or a date; 0 when absent, past or nonsense.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32); err == nil {
		return time.Duration(max(0, seconds)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

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
