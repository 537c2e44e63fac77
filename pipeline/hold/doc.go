// Package hold keeps detections that wait below a threshold, so that none is lost, none counts twice, and all go on once it
// is met.
//
// # Promise
//
// Before a message that waits is acknowledged, a copy of it with its bytes and headers is in a stream of its own, confirmed, and
// what it counts is in the ledger. A copy is removed only when its detections are settled: in their case, or dropped as below
// threshold. Whoever dies in between leaves a copy, an entry, or the message where it was, and others go on from there.
//
// # Why a stream of its own
//
// Left unacknowledged, what waits would fill what the consumer may have outstanding, and a quiet threshold of a day
// would stop all traffic. Named in the ledger and acknowledged, it would be lost with the ledger, with a work queue's or an
// interest stream's acknowledgement, or when the stream's age limit passes. A copy depends on neither: what the ledger forgets
// is counted anew from the copies.
//
// # The files
//
//	message.go  a message and its copy; where copies lie
//	stream.go   the copies, in JetStream
//	keeper.go   what arrives: count it by compare-and-set, hold it or let it pass
//	take.go     what goes on: what passed, what is over, and what nobody knows any more
//	totals.go   how much was held, dropped and met, for people
//	mirror.go   which entries there is something to do with
//
// # Limits
//
// One key of a threshold holds [threshold.Most] detections; what comes on top stays in its stream. A message that grows too
// large by the headers of its copy cannot be held, and stays there too. All that is held is bounded by the hold stream's own
// limits, which refuse what is new.
//
// # Errors
//
// All wrap [claim.ErrUnreachable], but [ErrFull] and [ErrTooLarge].
package hold
