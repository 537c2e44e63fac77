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
//     [Claim.Check] and the write that follows it. A process has one session, an entry that it renews each
//     fifth of a lease, and its claims name it; it relies on all of them for two thirds of the lease after
//     the last renewal that the store confirmed, counted from before that was sent. Others take a claim
//     only from a session that ended in order, or that they marked dead: by compare-and-set at the revision
//     that they saw unchanged for all of the lease. If that succeeds, the session can never be renewed
//     again. So neither a clock, nor a watch that is late or silent, nor a read that is old decides alone.
//   - A holder that lost its claim cannot change the entry: every write names the revision that it must
//     follow (fencing), and its token must still be there.
//   - An entry names the kinds of effects that its holder may do (its intent). Whoever takes it from a holder
//     that died, or that left it dirty, is told for which kinds it must wait ([Claim.OwedFor]), counted from
//     that death, before it looks at what was done; the kinds stay in the entry until somebody did. An entry
//     that is absent from a store which is too young for absence to mean anything owes all kinds, and so
//     does one that somebody took there without coming to the answer.
//   - A store that went back to an older state, as after a loss of its disks, ends the session at the next
//     renewal that shows it: others may hold what is claimed here.
//   - An entry that cannot be released now is released later, by the session: it lives, so that nobody
//     else would ever take the entry.
//   - Within a process, [KeyedLock] serves who waited longest. Between processes the order is random;
//     [Contention] sees to it that a holder leaves a shared key to the others now and then.
//   - An entry that cannot be read, or is of a later version, is never written over. Workers of version 1,
//     which renew each claim by itself, may run beside this one: each leaves alone what the other holds.
//
// # What it does not
//
// What a holder writes elsewhere is not fenced: TheHive knows no token. Therefore such writes go out
// under a context of [Claim.Bind], each after Check and after [Claim.Intend] of its kind, and what was under
// way when a claim was lost counts as unknown for settle. And an entry is no proof: it says what its
// holders wrote down.
//
// # When a claim is lost
//
// The store did not confirm a renewal in time, or somebody else wrote the entry. Then contexts of Bind
// end with [ErrLost] as their cause, Check and Release answer ErrLost, and the entry stays as it is. The
// next Acquire begins a new session, and says that the old one ended. A process that dies says nothing:
// [Claims.Watch] lets others know its death a lease after its last renewal. A panic in a renewal loses
// the session, too, and is told as the cause.
//
// # The files
//
// store.go is what the package needs; claims.go the types; membership.go joins, watches, counts and ends
// sessions; session.go is our own, others.go those of other processes. acquire.go, held.go, intent.go and
// release.go are the life of a claim, in this order; leftover.go is what could not be released. entry.go has
// the form of an entry, record.go entries that are changed without a claim; lock.go and contention.go keep
// waiting cheap. Errors are in store.go, claims.go, entry.go. The package knows neither TheHive nor NATS, and
// never logs.
package claim
