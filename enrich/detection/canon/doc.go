// Package canon says what values are: each in its one canonical spelling, or none.
//
// # Promise
//
// Functions are pure. What comes out is valid UTF-8 without control characters; a value's spelling is the same
// however a sender wrote it, and canonical again: Canonical of it is itself. Nothing is looked up or fetched.
//
// # Where to find what
//
// [Canonical] (canon.go) reads a text as a type of observable: addresses, names, mail, hashes; path.go URLs,
// paths and registry keys; filename.go the name that a file may have on disk. [JudgeAddr] (address.go) says whose an
// address is. values.go and readers.go take apart texts that hold several. [Instant] (when.go) reads times.
// [Clean], [Escape] and [Code] (text.go) make texts fit to be shown. [FoldHost] and its like (identity.go) make hosts,
// accounts and keys comparable.
//
// # Limits
//
// URLs are read to 4096 bytes, times to 64, names of files to 255. The caller bounds the rest.
//
// # Errors
//
// There are none: what is no value of its type is reported as such.
package canon
