// Package journal keeps a line for every settlement: which message, what became of it, why, and in which cases.
//
// # Promise
//
// An [Entry] is confirmed by its stream before the message is acknowledged or terminated, so that no message leaves without
// one. The same settlement, written again after an answer was lost, is one entry within ten minutes, and the same words
// later. An entry has no text of the event: sequence, outcome, reason, case numbers, and a digest of the body.
//
// # Form
//
// JSON of a few hundred bytes; the names of its members are a contract with "worker prove" and with scripts. The subject is
// "forager.journal.<stream>.<n>", n being the sequence divided by [PerSubject]: who looks for one message reads a thousand entries at most.
//
// # Errors
//
// Those of the stream: then nothing is settled, and the message comes again. Entries end with the age that the
// stream has (journal.keep); what they say is then unknown, not wrong.
package journal
