package hive

import "context"

// Attempt names what a request is for, to a transport that tells of what it carries.
type Attempt struct {
	// Op names the call as an [Error] does: "create case".
	Op string
	// Number counts the attempts of the call from 1.
	Number int
}

// attemptKey is the context key of AttemptOf.
type attemptKey struct{}

// AttemptOf is the attempt that a request with this context belongs to; false when no [Client]
// made the request.
func AttemptOf(ctx context.Context) (Attempt, bool) {
	a, ok := ctx.Value(attemptKey{}).(Attempt)
	return a, ok
}

// naming gives requests their attempt.
func naming(ctx context.Context, k call, n int) context.Context {
	return context.WithValue(ctx, attemptKey{}, Attempt{Op: k.op, Number: n})
}
