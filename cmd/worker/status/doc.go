// Package status says on one screen how Forager does, from what all replicas share: it asks NATS and
// TheHive, and no replica.
//
// # Promise
//
// Nothing is consumed, claimed or changed. Each part is asked for itself: one that cannot be reached says
// so, and hides nothing of the others. An answer takes at most [Within].
//
// # The way of an answer
//
//	gather.go   asks: the stream, the dead letters, the replicas' sessions, TheHive
//	render.go   writes it for people
//	command.go  is "worker status"
//
// # Limits
//
// Of the dead letters the first [MostLetters] are read; what is beyond is counted and not grouped.
//
// # Errors
//
// [ErrPartly] where a part could not be reached; what is wrong there stands in the answer.
package status
