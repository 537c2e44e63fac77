// Package view gathers what the page shows: from the replica's own history at once, from NATS and TheHive now and then,
// and only while somebody looks.
//
// # Promise
//
// It is the page's source. A [View.Snapshot] waits for a server at most [Patience]; what is not known by then follows.
// NATS is read by a connection of its own, so that what the page may not read makes no worker unready. Nothing is
// consumed, claimed or changed.
//
// # The way of an answer
//
//	view.go      puts a snapshot together
//	cached.go    what is asked of a server, now and then
//	replicas.go  sessions and dead letters, by NATS
//	matrix.go    procedures, by TheHive
//	open.go      a message of the stream, read and explained again
//
// # Limits
//
// Of dead letters the first [MostLetters] are grouped, of procedures the newest [MostProcedures] counted.
//
// # Errors
//
// They stand in the part that could not be read.
package view
