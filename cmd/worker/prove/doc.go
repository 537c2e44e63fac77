// Package prove is "worker prove": an auditor of Forager that shares no code with it. It reads the stream, the dead letters,
// the journal and TheHive by itself, and says of every message where it is; what is missing, doubled or contradicts itself is a
// fault, with its evidence.
//
// # Promise
//
// It imports nothing of enrich… and pipeline… (the architecture test holds that), reads TheHive over plain HTTP, changes nothing, and
// judges nothing that began after it did: what the consumer had not settled when it began, waits, and so does what the journal says
// is held below a threshold.
//
// # How a message is found
//
// By three things that are a contract: source ids in the markers and the page of a case, the tag "forager:" and half a SHA-256 over
// organisation, kind and key, of which every text of the event is tried as key, and the journal's case numbers. Of events in
// Forager's own form every observable and technique is asked for; of others, whose fields a format names that this
// package does not read, that the case names the event, holds a value of it, or is the case of its key. Alerts of routes that want
// alerts are places like cases; of them it is not asked whether they hold more than was detected.
//
// # What it cannot know
//
// Without a journal, whether a message that is in no case was dropped: it is unaccounted for, which is no fault where routes,
// silences or formats may drop. What an analyst removed stands in the ledger once Forager noticed it; before, it looks missing. Values on allow-lists and above a case's limits are not asked for.
//
// # The way of a proof
//
//	command.go  the command
//	prove.go    what is asked in which order
//	nats.go     the consumer's place, streams, dead letters, journal
//	hive.go     cases over HTTP
//	event.go    what of a body may be found again
//	message.go  judges one message
//	cases.go    judges one case
//	records.go  judges dead letters and journal
//	report.go   what was found
package prove
