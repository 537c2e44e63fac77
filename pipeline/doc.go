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
//	consume.go   pulls as many as may be held, never more
//	decode.go    message → detections → plans, pure
//	hold.go      what is held: limits, heartbeats
//	group.go     plans of one key wait while its apply runs, then go together
//	apply.go     one apply per key, errors to the messages that brought the plans
//	settle.go    the verdict, one pure function
//	finish.go    carries the verdict out: ack, nak, dead letter and term
//	gate.go      stops all that while nothing can succeed
//	organisations.go  the same for one organisation of several
//
// Of each message log.go writes one line, trace.go a span that leads from its sender to its apply.
// Beside it stand rooms of their own: deadletter, kvledger, audit, inspect, stream.
// Only this package and those below it know NATS.
//
// Limits: several workers may share one durable consumer; order is kept within a pull, not
// across redeliveries. A message redelivered to another process is applied there again from the
// start: effects are sets, so that costs calls and changes nothing.
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
