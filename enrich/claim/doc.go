// Package claim lets one holder at a time have a key or a case, across replicas.
//
// Replicas share a [Store], entries that are changed by compare-and-set at a revision. [Claims.Acquire]
// writes a fresh token into an entry and gives back a [Claim]; the holder reads the entry's body, does
// its work, and gives the entry back with [Claim.Release], with what it did as the new body. So the
// entry is both the lock and the memory of what was done under it.
//
// # What it guarantees
//
//   - Two processes never both believe that they hold an entry, as long as no process is frozen between
//     [Claim.Check] and the write that follows it. A claim is renewed each third of its lease by a write,
//     which moves the entry's revision; its holder relies on it for two thirds of the lease after the
//     last renewal that the store confirmed, counted from before that was sent. Others take it only once
//     they saw the revision unchanged for all of the lease that the holder wrote down. Each judges by its
//     own monotonic clock, so that no two clocks are compared.
//   - A holder that lost its claim cannot change the entry: every write names the revision that it must
//     follow (fencing), and its token must still be there.
//   - Whoever takes an entry that was not released clean is told how long it must wait ([Claim.Owed])
//     before it looks at what the last holder may have done. The same holds for an entry that is absent
//     from a store which is too young for absence to mean anything.
//   - Within a process, [KeyedLock] serves who waited longest. Between processes the order is random;
//     [Contention] sees to it that a holder leaves a shared key to the others now and then.
//   - An entry that cannot be read, or is of a later version, is never written over.
//
// # What it does not
//
// What a holder writes elsewhere is not fenced: TheHive knows no token. Therefore such writes go out
// under a context of [Claim.Bind], each after Check, and what was under way when a claim was lost counts
// as unknown for settle. And an entry is no proof: it says what its holders wrote down.
//
// # When a claim is lost
//
// The store did not confirm a renewal in time, or somebody else wrote the entry. Then contexts of Bind
// end with [ErrLost] as their cause, Check and Release answer ErrLost, and the entry stays as it is: it
// is dirty for who takes it over, a lease later. A process that dies leaves the same behind. A panic in
// a renewal loses the claim, too, and is told as the cause.
//
// # The files
//
// store.go is what the package needs; claims.go the types; acquire.go, renew.go and release.go the life
// of a claim, in this order; entry.go the form of an entry; record.go entries that are changed without a
// claim; lock.go and contention.go what keeps waiting cheap. Errors are in store.go, claims.go, entry.go.
// The package knows neither TheHive nor NATS, and never logs.
package claim
