package files

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Opener opens files that detections carry by reference, "bucket/key" in an object store.
type Opener interface {
	// Find tells of a file, and reads nothing of it. Errors: [ErrNoObject] when there is none; all
	// others may pass.
	Find(ctx context.Context, ref string) (Object, error)
}

// Object is a file in an object store.
type Object struct {
	Size    int64  // in bytes
	Version string // tells contents of one reference apart
	// Open gives the content. The caller bounds the time by the context and closes the reader.
	// Errors: [ErrNoObject] when it is there no more; all others may pass.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// ErrNoObject says that the file that a detection refers to does not exist.
var ErrNoObject = errors.New("no such object")

// Content is what can be spooled.
type Content struct {
	// Name tells contents apart: what has the same name is the same, byte for byte.
	Name string
	// Size is in bytes; a content that turns out to be longer is a *BadFileError.
	Size int64
	// Open gives the content from its start, within the context's time.
	Open func(context.Context) (io.ReadCloser, error)
}

// File is a whole content on this machine's disk, as one of its holders reads it. Not safe for
// concurrent use; each holder has its own.
type File struct {
	*io.SectionReader

	sha  string
	crc  uint32 // CRC-32 (IEEE)
	size int64
	give func() // gives the copy back
}

// newFile reads a copy from its start.
func newFile(w written, give func()) *File {
	return &File{SectionReader: io.NewSectionReader(w.file, 0, w.size), sha: w.sha, crc: w.crc, size: w.size, give: sync.OnceFunc(give)}
}

// SHA256 is the digest of the content, in lower hex.
func (f *File) SHA256() string { return f.sha }

// Bytes is how long the content is.
func (f *File) Bytes() int64 { return f.size }

// Release gives the copy back; nothing is read from it afterwards. The second time it does nothing.
func (f *File) Release() { f.give() }

// BadFileError says what is wrong with a file for good: to try it again changes nothing.
type BadFileError struct {
	Reason string // for people; no path of this machine
}

func (e *BadFileError) Error() string { return e.Reason }
