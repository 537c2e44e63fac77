// Package files has the files that detections carry on this machine's disk while they are on their
// way: whole, counted and checked before a byte of them goes on.
//
// [Spool.Hold] copies a [Content], of an object store ([Opener]) or of a message, to the disk and gives
// back a [File], with size and SHA-256; its holder releases it. [NewArchive] puts a File into a ZIP with a
// password, which is made anew whenever it is read; [HasDigest] tells whether a content is what a sender
// named.
//
// # What it guarantees
//
//   - All copies together take no more than the spool's budget; a file that is larger is alone there. Who
//     waited longest for room comes first, and waits two minutes at most ([ErrFull]).
//   - Of one content there is one copy, however many hold it or wait for it. The last one who releases it
//     takes it off the disk. Whoever made it and gave up, or panicked, costs the others nothing.
//   - Nothing longer than its content said is copied on: it is a [*BadFileError], as is what no archive can
//     hold.
//   - An archive is the same, byte for byte, for one content, name and password, in every release; by its
//     digest it is known again.
//
// # What it does not
//
// A process that dies leaves its copies in the folder. The encryption of archives keeps scanners and
// double clicks away, and nobody else: its password is written beside it. Whoever holds a file must
// not wait for another, else two holders may wait for each other until the time is up.
//
// # The files
//
// files.go has what goes in and comes out; spool.go and copy.go the way to the disk; check.go, room_linux.go
// and room_other.go whether a folder can be used at all; archive.go and zipcrypto.go the archive;
// digest.go the digests. The package knows neither TheHive nor NATS, and never logs.
package files
