// Package deadletter keeps the messages that were given up, in a stream of their own.
//
// Promise: a dead letter has the original's bytes and headers, and says why it was given up. It is stored once,
// however often that is tried, and takes no other's place. What is requeued comes through deduplication and keeps
// the time at which it was stored first.
//
// Its way:
//
//	queue.go   what a dead letter is; for people: list, get, requeue, purge
//	store.go   for the worker: store one, confirmed by the server
//	encode.go  a dead letter ↔ a message with headers
//
// Limits: [MaxHeader] bytes of headers are added to the original's; what does not fit into the server's
// message size is not stored. Nothing is counted or logged. Permissions: deploy/nats/permissions.conf.
//
// Errors: [ErrNotFound] where no dead letter has a number, [ErrTooLarge] where one does not fit; all others are the
// client's own, wrapped, with what the server refused.
package deadletter
