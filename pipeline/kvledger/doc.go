// Package kvledger is the ledger of all replicas, kept in a JetStream KV bucket.
//
// Promise: it keeps the contract of [claim.Store]. A write takes place only at the revision that its
// caller read. Absence counts as "nothing was done" only where the bucket is known to be complete:
// [Ledger.Trusted].
//
// Its way:
//
//	ledger.go    the operations, trust in the bucket, and what the client's errors mean
//	encoding.go  a ledger key ↔ a KV key
//	keys.go      the keys that have an entry, for who looks at all of them
//
// Limits: one bucket with history 1; values are bounded by the server's message size alone. It
// neither creates nor configures the bucket: [stream.Ensure] does. Permissions: deploy/nats/permissions.conf.
//
// Errors: [claim.ErrConflict], [claim.ErrNoEntry], or the caller's ended context. All others wrap
// [claim.ErrUnreachable]: of a time-out nobody knows whether the change took place.
package kvledger
