package apply

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/files"
)

// spool copies a file to disk, outside the apply slots, and checks size and digest before a byte
// of it goes to TheHive. Whoever has it releases it.
func (w *work) spool(held context.Context, f detection.File) (s *files.File, err error) {
	c, err := w.content(held, f)
	if err != nil {
		return nil, missing(f, fmt.Errorf("open file: %w", err))
	}
	if most := w.e.options.Files.MaxBytes; c.Size > most {
		return nil, &files.BadFileError{Reason: fmt.Sprintf("%d bytes, at most %d are allowed", c.Size, most)}
	}
	w.slot.leave()
	all, err := w.e.spools.Hold(held, c)
	if err != nil {
		return nil, missing(f, err)
	}
	defer func() {
		if s == nil {
			all.Release()
		}
	}()
	if err := checkDigest(all, f); err != nil {
		return nil, err
	}
	if err := w.slot.take(held); err != nil {
		return nil, err
	}
	return all, nil
}

// missing tells an object that does not exist from what may pass.
func missing(f detection.File, err error) error {
	if errors.Is(err, files.ErrNoObject) {
		return &files.BadFileError{Reason: "object " + enrich.Excerpt(f.Object) + " does not exist"}
	}
	return err
}

// content says where a file's bytes are to be had, and what they share a copy with.
func (w *work) content(held context.Context, f detection.File) (files.Content, error) {
	if f.Object == "" {
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.Data)), nil }
		return files.Content{Name: "data " + cmp.Or(digest(f.Data), "none"), Size: int64(len(f.Data)), Open: open}, nil
	}
	if w.e.options.Opener == nil {
		return files.Content{}, files.ErrNoObject
	}
	o, err := w.e.options.Opener.Find(held, f.Object)
	return files.Content{Name: "object " + f.Object + " " + o.Version, Size: o.Size, Open: o.Open}, err
}

// checkDigest tells whether a file is the one that the detection means. Error: *files.BadFileError.
func checkDigest(s *files.File, f detection.File) error {
	if f.SHA256 != "" && f.SHA256 != s.SHA256() {
		return &files.BadFileError{Reason: "SHA-256 is " + s.SHA256() + ", the detection says " + enrich.Excerpt(f.SHA256)}
	}
	return nil
}
