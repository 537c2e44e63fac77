package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sourcegraph/conc/panics"

	"forager/enrich"
	"forager/hive"
)

// scope is whom an error concerns that a request for items met.
type scope int

const (
	scopeAll     scope = iota // everybody: nothing more can be done in this apply
	scopeRefused              // what the request holds: TheHive will never take it
	scopeFailed               // perhaps what the request holds: nobody knows whether it will be taken
)

// panicError is a panic while what a plan asks for was made.
type panicError struct{ err error }

func (e *panicError) Error() string { return "panic: " + e.err.Error() }
func (e *panicError) Unwrap() error { return e.err }

// scopeOf tells whom an error concerns.
func scopeOf(err error) scope {
	if _, ok := errors.AsType[*hive.InvalidError](err); ok {
		return scopeRefused
	}
	if isDenied(err) {
		return scopeRefused
	}
	e, ok := errors.AsType[*hive.Error](err)
	switch {
	case enrich.ClassOf(err) != enrich.Transient, errors.Is(err, enrich.ErrVanished):
		return scopeAll
	case !ok:
		return scopeFailed
	case e.Verdict() == hive.Unacceptable, e.Verdict() == hive.NotFound:
		return scopeRefused
	case e.Verdict() == hive.Unanswered && e.Refused(): // nothing took it: neither will it take another
		return scopeAll
	default:
		return scopeFailed
	}
}

// rolledBack tells whether TheHive itself says that nothing of a write stayed.
func rolledBack(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.RolledBack()
}

// unseenError says that nobody knows whether a lost write took effect, since the look for it failed too.
// What was sent, and what is like it, must not be sent again before a look has passed. Its class is that
// of what the look met.
type unseenError struct{ err error }

func (e *unseenError) Error() string { return "look for what was sent: " + e.err.Error() }
func (e *unseenError) Unwrap() error { return e.err }

// unseen is the error of a look after a lost write.
func unseen(err error) error {
	if err == nil {
		return nil
	}
	return &unseenError{err}
}

// isUnseen reports an unseenError.
func isUnseen(err error) bool {
	_, ok := errors.AsType[*unseenError](err)
	return ok
}

// isGone tells whether TheHive itself says that there is no such thing, to the eye of this account;
// a 404 of what stands before it says nothing. To look at a case takes no right, so that a 403 says no
// more than that this one is closed to the account.
func isGone(err error) bool {
	if e, ok := errors.AsType[*hive.Error](err); ok && e.Verdict() == hive.Denied {
		return e.Op == "get case"
	}
	return hive.VerdictOf(err) == hive.NotFound
}

// caught makes something of a plan, and a panic of that an error. No call stands in it: a panic there
// leaves open what was done, and concerns the apply.
func caught(do func() error) (err error) {
	var c panics.Catcher
	c.Try(func() { err = do() })
	if r := c.Recovered(); r != nil {
		return &panicError{fmt.Errorf("%v", r.Value)}
	}
	return err
}

// bisection sends items together. A request that fails for what it holds is sent again in parts,
// until what fails stands alone: with k such items among n that takes O(k log n) requests, and
// costs no other item anything.
type bisection[T any] struct {
	// send makes one request. With an error it gives what of the items the error concerns; what it
	// leaves out is done.
	send func(items []T) (failed []T, err error)
	// look is asked after some requests, with the gravest error of those that failed, before
	// anything is sent again; its error ends all.
	look func(failed []T, cause error) error
	// missing leaves out what a look found to be there.
	missing func(items []T) []T
	// alone is told of an item that fails by itself, why; its error ends all.
	alone func(item T, err error) error
}

// How a failed request is taken apart. What was refused is refused again, so that halves are sent
// at once. What failed otherwise may pass the next time, and each look may have to wait
// until a lost request has settled: quarters take as many requests as halves, and half the looks.
const (
	partsRefused = 2
	partsFailed  = 4
	maxAlone     = 3  // requests for one item that fails without a verdict
	maxHopeless  = 40 // requests that fail without a verdict while none succeeds: then the rest waits
)

// request is a part of the items on its way.
type request[T any] struct {
	items []T
	tries int // with the same items
	err   error
}

// run sends all items. Its error concerns everybody; what concerns items was told to alone.
func (b bisection[T]) run(items []T) error {
	if len(items) == 0 {
		return nil
	}
	batch, hopeless := []request[T]{{items: items}}, 0
	for len(batch) > 0 {
		failed, err := b.sendAll(batch, &hopeless)
		if err != nil || len(failed) == 0 {
			return err
		}
		if err := b.look(allOf(failed), gravest(failed)); err != nil {
			return err
		}
		batch = nil
		for _, f := range failed {
			f.items = b.missing(f.items)
			next, alone := f.parts(hopeless >= maxHopeless)
			for _, item := range alone {
				if err := b.alone(item, f.err); err != nil {
					return err
				}
			}
			batch = append(batch, next...)
		}
	}
	return nil
}

// sendAll sends requests, and gives those that failed for what they hold.
func (b bisection[T]) sendAll(all []request[T], hopeless *int) (failed []request[T], err error) {
	for _, r := range all {
		if *hopeless >= maxHopeless {
			failed = append(failed, request[T]{r.items, r.tries + 1, all[0].reason(failed)})
			continue
		}
		rest, err := b.send(r.items)
		switch {
		case err == nil:
			*hopeless = 0
			continue
		case scopeOf(err) == scopeAll:
			return nil, err
		case scopeOf(err) == scopeFailed:
			*hopeless++
		}
		if len(rest) < len(r.items) {
			*hopeless = 0
		}
		failed = append(failed, request[T]{rest, r.tries + 1, err})
	}
	return failed, nil
}

// reason is why requests are not sent that would fail like those before.
func (request[T]) reason(failed []request[T]) error {
	if len(failed) == 0 {
		return enrich.ErrUnsettled
	}
	return failed[len(failed)-1].err
}

// parts takes a failed request apart: what to send next, and what fails by itself.
func (r request[T]) parts(hopeless bool) (next []request[T], alone []T) {
	refused := scopeOf(r.err) == scopeRefused
	switch n := len(r.items); {
	case n == 0:
		return nil, nil
	case !refused && hopeless:
		return nil, r.items
	case n == 1 && (refused || r.tries >= maxAlone):
		return nil, r.items
	case n == 1:
		return []request[T]{r}, nil
	}
	ways := partsFailed
	if refused {
		ways = partsRefused
	}
	size := (len(r.items) + ways - 1) / ways
	for rest := r.items; len(rest) > 0; rest = rest[min(size, len(rest)):] {
		next = append(next, request[T]{items: rest[:min(size, len(rest))]})
	}
	return next, nil
}

func allOf[T any](failed []request[T]) (items []T) {
	for _, f := range failed {
		items = append(items, f.items...)
	}
	return items
}

// gravest is the error after which most is unknown: one that says that nothing happened is not.
func gravest[T any](failed []request[T]) error {
	grave := failed[0].err
	for _, f := range failed {
		if gravity(f.err) > gravity(grave) {
			grave = f.err
		}
	}
	return grave
}

// gravity orders errors by how much they leave unknown.
func gravity(err error) int {
	switch {
	case hive.Uncertain(err) && !rolledBack(err):
		return 3
	case hive.Uncertain(err):
		return 2
	case scopeOf(err) == scopeFailed:
		return 1
	default:
		return 0
	}
}

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
		"update alert": "manageAlert/update", "add alert observables": "manageObservable", "add alert file": "manageObservable",
		"add alert procedures": "manageProcedure", "add alert comment": "manageComment",
	}[e.Op]
}

// deniedHere decides what a 403 of TheHive below a case means that answers: the account has the right and
// may not do this in the case (*DeniedError), or has it nowhere (nil), which concerns everybody. Where the
// case says what may be done in it, and this is among it, the right is had; else only the account's own
// profile tells.
func (w *caseWork) deniedHere(calls context.Context, c hive.Case, err error) error {
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
