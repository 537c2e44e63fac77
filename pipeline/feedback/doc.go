// Package feedback keeps in a stream what sources are told of their alerts, each message once, and looks at cases
// whenever there is a reason to.
//
// # Promise
//
// A message is stored once for as long as the stream keeps it: on a subject of its own that must be empty
// (<subject>.<source>.<case number>.<id>), so that it is the server that refuses a second one, days later too. What
// there is to tell is decided by enrich/feedback.
//
// # Its way
//
//	outbox.go  the stream and its limits; Put stores messages
//	runner.go  Note and Run: looks at the cases that somebody names, those that changed, and those that are owed something
//	queue.go   the cases that are to be looked at, and when
//	reader.go  the other end: takes messages of one source, in order
//
// # Limits
//
// The stream that [Outbox.Ensure] makes keeps a month or 1 GiB, and refuses what does not fit: then it is told later,
// and nothing is lost. A case that is noted waits in memory; should the worker die, the next look for changed cases
// finds it. Permissions: deploy/nats/permissions.conf.
package feedback
