package enrich

import (
	"errors"
)

// DeniedError says that TheHive does not let the account do something to one case, though its
// profile has the right: the case is shared with fewer rights, or the step needs a right of its own,
// as reopening does. It concerns what was asked alone; its class is Rejected.
type DeniedError struct {
	Err error // TheHive's answer
}

func (e *DeniedError) Error() string { return "denied in this case: " + e.Err.Error() }

// Unwrap is TheHive's answer.
func (e *DeniedError) Unwrap() error { return e.Err }

// isDenied reports a DeniedError.
func isDenied(err error) bool {
	_, ok := errors.AsType[*DeniedError](err)
	return ok
}
