package apply

import (
	"context"
	"errors"
	"slices"

	"forager/enrich"
	"forager/hive"
)

// isDenied reports a DeniedError.
func isDenied(err error) bool {
	_, ok := errors.AsType[*enrich.DeniedError](err)
	return ok
}

// rightFor is the right that a call below a case needs in the account's profile, by the call's name.
func rightFor(err error) string {
	e, ok := errors.AsType[*hive.Error](err)
	if !ok {
		return ""
	}
	return map[string]string{
		"update case": "manageCase/update", "add attachments": "manageCase/update",
		"add observables": "manageObservable", "add file": "manageObservable", "update observable": "manageObservable",
		"add procedures": "manageProcedure",
		"add comment":    "manageComment", "update comment": "manageComment",
	}[e.Op]
}

// deniedHere decides what a 403 of TheHive below a case means that answers: the account has the right and
// may not do this in the case (*DeniedError), or has it nowhere (nil), which concerns everybody. Where the
// case says what may be done in it, and this is among it, the right is had; else only the account's own
// profile tells.
func (w *work) deniedHere(calls context.Context, c hive.Case, err error) error {
	right := rightFor(err)
	if slices.Contains(c.Permissions, right) {
		return &enrich.DeniedError{Err: err}
	}
	user, lookErr := w.hive.CurrentUser(calls)
	switch {
	case lookErr != nil:
		return lookErr
	case user.May(right):
		return &enrich.DeniedError{Err: err}
	}
	return nil
}
