package enrich

import (
	"bytes"
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

// spooled is a file on this machine's disk, whole and checked.
type spooled struct {
	*os.File
	sha  string // SHA-256 in lower hex
	crc  uint32 // CRC-32 (IEEE)
	size int64  // in bytes
}

func (s *spooled) remove() {
	_ = s.Close()
	_ = os.Remove(s.Name())
}

// badFileError says what is wrong with a file for good.
type badFileError struct{ reason string }

func (e *badFileError) Error() string { return e.reason }

// spool copies a file to disk, outside the apply slots, and checks size and digest before a byte
// of it goes to TheHive.
func (w *work) spool(held context.Context, f detection.File) (*spooled, error) {
	source, size, err := w.open(held, f)
	if errors.Is(err, ErrNoObject) {
		return nil, &badFileError{"object " + short(f.Object) + " does not exist"}
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	defer source.Close()
	most := w.e.options.Files.MaxBytes
	if size > most {
		return nil, &badFileError{fmt.Sprintf("%d bytes, at most %d are allowed", size, most)}
	}
	w.seat.leave()
	s, err := copyOut(w.e.options.Files.Spool, io.LimitReader(source, most+1))
	if err != nil {
		return nil, err
	}
	if bad := s.check(f, most); bad != nil {
		s.remove()
		return nil, bad
	}
	if err := w.seat.take(held); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (w *work) open(held context.Context, f detection.File) (io.ReadCloser, int64, error) {
	if f.Object == "" {
		return io.NopCloser(bytes.NewReader(f.Data)), int64(len(f.Data)), nil
	}
	if w.e.options.Opener == nil {
		return nil, 0, ErrNoObject
	}
	return w.e.options.Opener.Open(held, f.Object)
}

func (s *spooled) check(f detection.File, most int64) error {
	switch {
	case s.size > most:
		return &badFileError{fmt.Sprintf("more than the %d bytes that are allowed", most)}
	case f.SHA256 != "" && f.SHA256 != s.sha:
		return &badFileError{"SHA-256 is " + s.sha + ", the detection says " + short(f.SHA256)}
	default:
		return nil
	}
}

func copyOut(dir string, source io.Reader) (*spooled, error) {
	file, err := os.CreateTemp(dir, "forager-*")
	if err != nil {
		return nil, fmt.Errorf("spool file: %w", err)
	}
	sum, crc := sha256.New(), crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(file, sum, crc), source)
	s := &spooled{File: file, size: n, sha: hex.EncodeToString(sum.Sum(nil)), crc: crc.Sum32()}
	if err != nil {
		s.remove()
		return nil, fmt.Errorf("spool file: %w", err)
	}
	return s, nil
}
