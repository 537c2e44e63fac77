package hive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"forager/hive/throttle"
)

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
