// Package feedback says what sources are to be told of what became of their alerts, each thing once.
//
// # Promise
//
// For each source alert of a case there is one [Message] when the case is closed, one when it is closed otherwise
// (another status), and one when it is open again. Whatever dies, whatever answer is lost, and however many workers
// look at once, no message is there twice and none is missing, provided the outbox keeps a message at least as long
// as a look may be repeated; see [Outbox]. What is told is a state that TheHive showed: one that an analyst took back
// before anybody looked is not told, and what is told of a case is told in the order in which it was so.
//
// # Its way
//
//	state.go    what a case is to a source, and what there is to tell: pure
//	message.go  what a source reads
//	tracker.go  Look: reads record, alerts and case, decides, tells, writes down; Changed, Unfinished: which cases to look at
//
// The record feedback.<case> of the ledger says which state is told, and to how many alerts of the case: they are a
// list that only grows (apply.ReadSourceAlerts). A state is written down before it is told, at the revision that was
// read before the case was: so a worker that slept writes nothing old. The next state is decided when the last one is
// told to all.
//
// # Limits
//
// A case tells of the alerts that it remembers (feedback.perCase), and says in each message how many it does not.
// Alerts that came while feedback was off are not remembered. A record that is lost with the ledger begins anew: the
// state is told again under the same ids, which the outbox knows.
//
// The package returns errors and never logs.
package feedback
