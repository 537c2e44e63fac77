// Package replay carries a part of a stream again, beside the live traffic.
//
// Promise: everything of a range of time, or of a subject, is carried once more to its end, by a worker on a durable
// consumer of its own. It takes nothing while live traffic waits, keeps a rate, goes on where it stopped, and may
// be shared by several processes. Effects are sets: what is in TheHive already stays as it is.
//
// Its way:
//
//	replay.go  Open and Run: the worker, its progress, when it is finished
//	span.go    which sequences the range has, and the consumer that holds them
//	source.go  how much the worker may pull: live traffic first, then the rate; what lies beyond the end
//	plans.go   the same range without any effect, for a dry run
//
// Limits: the stream must keep what was acknowledged (retention limits); the server forgets a replay after an hour
// in which nobody used it; less is held at a time than a live worker holds.
//
// Errors: [ErrImpossible] is what no waiting cures, [ErrUnfinished] a replay that was stopped; all others are the
// client's own, wrapped.
package replay
