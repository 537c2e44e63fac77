// Package pipeline carries each message from JetStream to exactly one settlement.
//
// Promise: a message is acknowledged only after the [Applier] said that every effect of its
// detections is in TheHive, or dropped for a reason that is counted, or stored in the
// dead-letter stream with its original bytes before it is terminated; in every other case it
// stays in the stream and comes again. Acknowledgements are confirmed by the server. What is
// held, pulled, and waiting is bounded, whatever the backlog.
//
// The way of a message, a file for each step:
//
//	worker.go    makes the worker, runs it, hands back what is left when it stops
//	source.go    where messages come from: the live consumer, or a replay's
//	bind.go      follows the consumer's own configuration, and refuses one that cannot work
//	consume.go   binds and pulls, or waits and probes while the gate is closed
//	pull.go      one subscription: as many messages as may be held, never more
//	inflight.go  what is held: limits, heartbeats, and what went back and will return
//	message.go   a message while it is held: its parts, their results, its worst error
//	decode.go    message → detections → plans, pure
//	requeue.go   what a requeued message says of itself, and whether that is proven
//	group.go     plans of one key wait while its apply runs, then go together
//	holding.go   what waits below a threshold: judged before its apply, held, and carried on
//	apply.go     a slot for each apply, one apply per key, errors to the messages that brought the plans
//	settle.go    the verdict, one pure function
//	finish.go    carries the verdict out: ack, nak, dead letter and term
//	unfinished.go  what is known of messages that come again: parts that are done, failed tries
//
// What holds messages up:
//
//	gate.go           everything, while nothing can succeed
//	organisations.go  the same for one organisation of several
//	senders.go        one sender of whom TheHive refuses most
//	failing.go        keys of which nothing succeeds: their new messages are dead letters
//	ready.go          says all that to people
//
// And: options.go; observe.go tells settlements and writes their one line in the log; trace.go makes a span
// from the sender to the apply; tasks.go runs goroutines whose panics are errors at once.
//
// Rooms of their own: pipeline/stream reaches NATS, deadletter, kvledger, inspect, objects and audit stand below, replay and
// metrics above. Only these know NATS.
//
// Limits: several workers may share one durable consumer; order is kept within a pull, not
// across redeliveries. A message redelivered to another process is applied there again from the
// start: effects are sets, so that costs calls and changes nothing.
//
// Errors: [New] fails with [ErrOptions]; [Worker.Run] only when the connection is closed for good, or after a
// panic in what all messages need. All others decide on their message: [Policy.Settle].
//
// Permissions: deploy/nats/permissions.conf has what each part needs, with a reason for each line and
// a test that takes it away; [inspect.Inspect] names those that an account lacks.
//
// Use:
//
//	link, err := stream.Connect(ctx, stream.Connection{URLs: []string{"nats://127.0.0.1:4222"}}, log)
//	if err != nil {
//		return err
//	}
//	defer link.Close()
//	worker, err := pipeline.New(link, options, decoder, planner, applier)
//	if err != nil {
//		return err
//	}
//	return worker.Run(ctx) // returns after ctx ended and everything is handed back
package pipeline
