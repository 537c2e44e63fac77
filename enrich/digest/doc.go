// Package digest keeps what a case's page of detections says: how many of which rules since when, by whom and from
// where, and the newest of them.
//
// # Promise
//
// A [Digest] is a value that grows by [Digest.Add], within bounds whatever is added. [Digest.Text] is the page, less
// than 64 KiB of Markdown in which nothing of an event acts. [Parse] reads a page back and tells whether somebody else
// changed it, by a checksum in its last line. The newest detections are kept as the rows of the page, so that what
// is written and what is read back are one set: writing a digest twice changes nothing.
//
// The package is pure.
package digest
