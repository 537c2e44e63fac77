// Package inspect looks at what of NATS a worker needs, before it is let loose.
//
// Promise: what is broken, what hurts and what is missing is said in words that an operator can act on: what was
// seen, what follows, what to do, and the missing line of deploy/nats/permissions.conf. Nothing is changed.
//
// Its way:
//
//	inspect.go      what is expected, and the order of the questions; limits of the account
//	reach.go        the connection, the server, and whether answers arrive
//	permissions.go  each line that the worker needs, tried by a request without effect
//	stream.go       where detections wait
//	consumer.go     what all replicas share
//	ledger.go       the ledger, the dead letters, the webhook's documents
//	hold.go         where waits what is below a threshold
//	feedback.go     where sources are told what became of their alerts
//	finding.go      what a finding is, and how bad
//
// Limits: one question after the other, each for as long as Expected.Confirm; what only the server's files say
// (sync_interval) cannot be seen. Errors: [stream.ErrTopology] alone; all that NATS does is a finding.
package inspect
