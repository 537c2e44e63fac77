// Package filebound reads what an operator names. A name may lead to a device without an end, or to a
// file that is larger than the memory.
//
// Promise: [Read] and [All] hold the bound and one byte more, at most, however much there is, and refuse
// what is larger; [Open] opens regular files and pipes alone. Errors name the file and, where it is the
// reason, the bound. What is below the bound is read whole.
//
// Limits: a pipe is waited for as long as its writer keeps it open.
//
// The package is a leaf: whoever reads a file that is named from outside reads it here.
package filebound

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Errors that callers tell apart.
var (
	// ErrTooLarge says that there is more than the bound.
	ErrTooLarge = errors.New("is too large")
	// ErrNoFile says that a name leads to something that has no end, or no content.
	ErrNoFile = errors.New("is neither a file nor a pipe")
)

// Same tells whether two looks at a file saw the same content, as far as a look can tell: the file, its size, and when
// it was written.
func Same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// Open opens what a name leads to, symbolic links followed: a regular file, or a pipe. The caller closes
// it. Errors: ErrNoFile for anything else but a directory; those of os.Open.
func Open(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return os.Open(name) // which fails, too, and says so as everywhere
	}
	if m := info.Mode(); !m.IsRegular() && m&os.ModeNamedPipe == 0 && name != os.DevNull {
		if m.IsDir() {
			return nil, fmt.Errorf("%s is a directory", name)
		}
		return nil, fmt.Errorf("%s %w", name, ErrNoFile)
	}
	return os.Open(name)
}

// Read reads a file or a pipe of at most so many bytes. A regular file that is larger is refused before
// anything of it is read. Errors: those of Open, ErrTooLarge, those of reading.
func Read(name string, most int64) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return of(f, name, most)
}

// ReadFS reads a regular file of a file system, as Read does.
func ReadFS(dir fs.FS, name string, most int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	return of(f, name, most)
}

func of(f fs.File, name string, most int64) ([]byte, error) {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Size() > most {
		return nil, tooLarge(name, most)
	}
	return All(f, name, most)
}

// All reads a stream to its end. The name is what an error calls it; most is its bound in bytes.
// Errors: ErrTooLarge, those of reading.
func All(r io.Reader, name string, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, tooLarge(name, most)
	}
	return text, nil
}

func tooLarge(name string, most int64) error {
	unit, of := "bytes", int64(1)
	switch {
	case most >= 1<<20 && most%(1<<20) == 0:
		unit, of = "MiB", 1<<20
	case most >= 1<<10 && most%(1<<10) == 0:
		unit, of = "KiB", 1<<10
	}
	return fmt.Errorf("%s %w: more than %d %s", name, ErrTooLarge, most/of, unit)
}
