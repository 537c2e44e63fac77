// Package events reads the events of files as people keep them: one JSON text a line, JSON texts one after the other, or a whole file
// that is one event. It holds one event at a time, of at most 64 MiB.
//
// Its errors name the file: one that cannot be read gives an error, and the next file follows.
package events
