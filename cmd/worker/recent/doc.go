// Package recent keeps what the page shows of one replica: its last messages, an hour of counts, and how often
// happened what should not.
//
// # Promise
//
// Its memory and what it costs are bounded, whatever passes: [MostMessages] messages of a few words each, [Minutes] minutes, a number for
// each word of a closed list. No text of an event is kept but the title, the host and what an error says, each cut short.
//
// # The way of a message
//
//	history.go   is told of settlements, events and measurements, and tells what it holds
//	message.go   what is kept of one message
//
// # Limits
//
// It is of one process: it begins empty, and knows nothing of other replicas.
//
// # Errors
//
// None: it is told, and asked.
package recent
