package pipeline

import (
	"errors"
	"fmt"
	"time"

	"forager/enrich"
)

// errStopped is what becomes of plans that wait when the worker stops.
var errStopped = fmt.Errorf("not begun: %w", enrich.ErrStopping)

// errKeyBlocked is what becomes of new messages of a key of which nothing succeeded for long.
var errKeyBlocked = fmt.Errorf("%w: nothing of this correlation key succeeded for long; see the errors of the messages before", enrich.ErrKeyBlocked)

// overflowError sends a message back because its key holds its share already. It is
// Interrupted: not the message's fault, and not counted.
type overflowError struct{ delay time.Duration }

func (e *overflowError) Error() string { return "key holds its share" }

// Unwrap gives the class.
func (e *overflowError) Unwrap() error { return enrich.ErrStopping }

// refused gives all open parts of a message an error without an apply.
func (m *message) refused(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.parts {
		m.parts[i].err = err
	}
	m.open = 0
}

// retryAfter is how long a message was asked to stay away, by TheHive or by its full key.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*overflowError](err); ok {
		return e.delay
	}
	return enrich.RetryAfter(err)
}
