package enrich

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"forager/enrich/detection"
)

// spooled is a file on this machine's disk, whole and checked, as one of its holders reads it.
type spooled struct {
	*io.SectionReader
	sha  string // SHA-256 in lower hex
	crc  uint32 // CRC-32 (IEEE)
	size int64  // in bytes
	give func() // gives the copy back
}

func (s *spooled) remove() { s.give() }

// badFileError says what is wrong with a file for good.
type badFileError struct{ reason string }

func (e *badFileError) Error() string { return e.reason }

// spool copies a file to disk, outside the apply slots, and checks size and digest before a byte
// of it goes to TheHive. Whoever has it gives it back by remove.
func (w *work) spool(held context.Context, f detection.File) (s *spooled, err error) {
	c, err := w.content(held, f)
	if err != nil {
		return nil, missing(f, fmt.Errorf("open file: %w", err))
	}
	if most := w.e.options.Files.MaxBytes; c.size > most {
		return nil, &badFileError{fmt.Sprintf("%d bytes, at most %d are allowed", c.size, most)}
	}
	w.slot.leave()
	all, err := w.e.spools.hold(held, c)
	if err != nil {
		return nil, missing(f, err)
	}
	defer func() {
		if s == nil {
			all.remove()
		}
	}()
	if err := all.check(f); err != nil {
		return nil, err
	}
	if err := w.slot.take(held); err != nil {
		return nil, err
	}
	return all, nil
}

// missing tells an object that does not exist from what may pass.
func missing(f detection.File, err error) error {
	if errors.Is(err, ErrNoObject) {
		return &badFileError{"object " + short(f.Object) + " does not exist"}
	}
	return err
}

// content says where a file's bytes are to be had, and what they share a copy with.
func (w *work) content(held context.Context, f detection.File) (content, error) {
	if f.Object == "" {
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.Data)), nil }
		return content{name: "data " + cmp.Or(digest(f.Data), "none"), size: int64(len(f.Data)), open: open}, nil
	}
	if w.e.options.Opener == nil {
		return content{}, ErrNoObject
	}
	o, err := w.e.options.Opener.Find(held, f.Object)
	return content{name: "object " + f.Object + " " + o.Version, size: o.Size, open: o.Open}, err
}

func (s *spooled) check(f detection.File) error {
	if f.SHA256 != "" && f.SHA256 != s.sha {
		return &badFileError{"SHA-256 is " + s.sha + ", the detection says " + short(f.SHA256)}
	}
	return nil
}

// written is a whole copy of a content.
type written struct {
	file *os.File
	sha  string
	crc  uint32
	size int64
}

func (c written) remove() {
	_ = c.file.Close()
	_ = os.Remove(c.file.Name())
}

// copyOut writes a content to a file of its own.
func copyOut(dir string, source io.Reader) (c written, err error) {
	c.file, err = os.CreateTemp(dir, "forager-*")
	if err != nil {
		return written{}, fmt.Errorf("spool file: %w", err)
	}
	whole := false
	defer func() {
		if !whole {
			c.remove()
		}
	}()
	sum, crc := sha256.New(), crc32.NewIEEE()
	c.size, err = io.Copy(io.MultiWriter(c.file, sum, crc), source)
	if err != nil {
		return written{}, fmt.Errorf("spool file: %w", err)
	}
	whole = true
	c.sha, c.crc = hex.EncodeToString(sum.Sum(nil)), crc.Sum32()
	return c, nil
}
