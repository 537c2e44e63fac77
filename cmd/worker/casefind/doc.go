// Package casefind is "worker case find": where an alert went.
//
// # Promise
//
// It reads, and changes nothing: the stream, dead letters, what is held below a threshold, the journal where it is on, the
// ledger, and TheHive. What it says of a detection names what that is known by; where nothing is known, it says what was looked at.
//
// # Limits
//
// The stream is read from a time on, a week back unasked. The newest matches are told, twenty unasked; the others are counted.
// Without the journal the case of a detection is the last one of its key that began before the event: that is where a worker puts it,
// unless an analyst moved things since.
//
// # The way of a question
//
//	command.go  the command
//	wanted.go   what is asked for, and whether a detection is it
//	search.go   reads messages and dead letters, and keeps what matches
//	place.go    where each match went
//	answer.go   what people and scripts read
//
// # Errors
//
// A part that cannot be asked is a problem in the answer, and the rest is told.
package casefind
