// Package audit keeps what TheHive's webhook tells until it is learnt.
//
// Promise: a document is stored at once or refused at once, so that the webhook can answer; once stored it is
// learnt by one replica, and comes again until it is learnt or cannot be read.
//
// Its way:
//
//	store.go    the stream and its limits; Store puts a document in
//	consume.go  Run hands the documents to a [Learner]
//
// Limits: the stream that [Queue.Ensure] makes keeps a week or 1 GiB, whichever is less; a document has [MaxBytes] at
// most; it is learnt late, twice, or before an earlier one. Permissions: deploy/nats/permissions.conf.
//
// Errors: [ErrTooLarge] is what no waiting cures, and an impossible name ([stream.ErrTopology]); all others of
// [Queue.Store] mean that the document may be sent again.
package audit
