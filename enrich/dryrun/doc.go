// Package dryrun carries the real apply out without an effect: for explain, and for a replay that only tells.
//
// # Promise
//
// Nothing is written, neither to TheHive nor to the ledger. What an apply would do is told in its own
// order, and what it would have written it reads back, so that a second detection meets what the first
// would have left.
//
// # The way
//
//	recorder.go   cases: what is found, opened, changed; and the list of effects
//	parts.go      observables, procedures, comments and files of a case
//	alerts.go     alerts that become cases, or are imported into them
//	ledger.go     entries of the ledger, read once and kept here
//
// # Limits
//
// Applies of several keys may run at the same time: [Recorder.Watch] tells their effects apart. Memory grows with what would be changed. Claims of others are not waited for.
//
// # Errors
//
// Those of the reads, as TheHive and the ledger give them.
package dryrun
