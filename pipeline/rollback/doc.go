// Package rollback notices that a stream, or the ledger, went back: its store lost what it had confirmed,
// as a server does that is killed before its disk was written to (sync_interval), or whose store was restored.
//
// # Promise
//
// A rollback of the stream, of the ledger, of both, a stream or ledger made anew, a mirror that is behind and a consumer
// that is ahead of its stream are told within one look (three seconds) of the server being back: which sequences, and how
// many. After the stream grew, a look reads the message that was its last one before, and up to eight more that
// were the last before a pause, or before the server was away; nothing else is read twice. Where the stream ends as before
// and nothing was settled here, two of three looks ask where stream and bucket end, and neither the consumer nor the ledger.
//
// # What is compared
//
// An [End] is where a stream ended at one moment: when the stream was made, its last sequence, and when that message was
// stored, to the nanosecond. Sequences are given out again after a rollback, but never with the same time. Ends are kept
// where a rollback of the stream cannot reach: in this process, in the ledger (entry "ends.<stream>", for workers that start
// later), and in a small file beside the worker for rollbacks of both.
// What nobody has looked at or settled before it was lost is not known to have been there.
//
// # What is safe
//
// The stream alone: consumption goes on, since whatever is remembered of a message is remembered with its time. The
// ledger: it goes on, and for lease + settle nothing is concluded from an entry that is missing ([Ledger] Distrust). A
// consumer ahead of its stream: the server delivers nothing until the stream has caught up, and what is stored until
// then would be passed over; the server mends that at its own start, and where it does not, [Watch.Reasons] says so.
//
// # The way of a look
//
//	end.go    what is known of a stream, and what follows from where it ends now: pure
//	look.go   asks the servers
//	keep.go   what outlives the process: the ledger's entry and the file
//	watch.go  looks again and again, and says what stands
package rollback
