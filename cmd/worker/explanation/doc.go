// Package explanation says what a message would become and why: what "worker explain" writes, and what the page shows of
// a message that somebody opens.
//
// # Promise
//
// It asks the decoder and the planner that it is given, and nothing else: without a network, without an effect.
//
// # Limits
//
// A message larger than [Explainer] takes is refused as the worker would refuse it.
//
// # Errors
//
// [Explainer.Explain] gives the error for which the message would become a dead letter; it stands in the lines, too.
package explanation
