package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Spool holds the files that are on their way through this process, within a budget of bytes on
// disk. Of one content there is one copy, however many wait for it or read it. A copy is made only
// when there is room; who waits longest comes first. Nobody who holds a copy waits for another, so
// that those who hold always come to an end.
type Spool struct {
	dir    string
	budget int64 // in bytes; a single file that is larger takes all of it
	room   *semaphore.Weighted

	mu     sync.Mutex
	copies map[string]*spoolCopy
}

// NewSpool holds files in a folder (empty: the system's for temporary files), of so many bytes in all at
// a time; one that is larger is alone there. Nothing is checked: see [Check].
func NewSpool(dir string, budget int64) *Spool {
	return &Spool{dir: dir, budget: budget, room: semaphore.NewWeighted(budget), copies: map[string]*spoolCopy{}}
}

// spoolCopy is one content on disk, or about to be.
type spoolCopy struct {
	name    string
	taken   int64         // of the budget
	done    chan struct{} // closed when what follows is known
	written written
	err     error
	gaveUp  bool // whoever made it stopped for a reason of its own: others may try

	holders int // with those that wait for it; under the lock of the spools
}

// errUnmade is a copy that a panic ended.
var errUnmade = errors.New("spool file: not written to its end")

// ErrFull says that a file waited for room in the spool, and got none. It passes.
var ErrFull = errors.New("no room in the spool (files.spoolBytes)")

// longestSpoolWait is how long a file waits for room: its case is claimed meanwhile, and others
// that need it wait, too. A message whose file got none is tried again later.
const longestSpoolWait = 2 * time.Minute

// Hold gives the copy of a content, made for this caller or for another. It waits for room up to two
// minutes, and for as long as another one writes; whoever has the file gives it back by
// [File.Release].
//
// Errors: [*BadFileError]; [ErrFull]; of the content's Open; of the disk; the context's cause at its end.
func (s *Spool) Hold(ctx context.Context, c Content) (*File, error) {
	for {
		copied, mine := s.join(c.Name)
		if mine {
			s.make(ctx, copied, c)
		}
		got, err := s.await(ctx, copied)
		if err == nil || mine || ctx.Err() != nil || !copied.gaveUp {
			return got, err
		}
	}
}

// join makes the caller a holder of a content's copy; the first is to make it.
func (s *Spool) join(name string) (c *spoolCopy, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, there := s.copies[name]
	if !there {
		c = &spoolCopy{name: name, done: make(chan struct{}), err: errUnmade, gaveUp: true}
		s.copies[name] = c
	}
	c.holders++
	return c, !there
}

// await waits until a copy is made, and gives it to its holder, who is none any more on an error.
func (s *Spool) await(ctx context.Context, c *spoolCopy) (*File, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		s.leave(c)
		return nil, context.Cause(ctx)
	}
	if c.err != nil {
		s.leave(c)
		return nil, c.err
	}
	return newFile(c.written, func() { s.leave(c) }), nil
}

// leave takes a holder off. The last one takes the copy off the disk, and its room is free.
func (s *Spool) leave(c *spoolCopy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.holders--; c.holders > 0 {
		return
	}
	s.forget(c)
	if c.err == nil {
		c.written.remove()
		s.room.Release(c.taken)
	}
}

// forget makes a copy one that nobody finds any more; the lock is held.
func (s *Spool) forget(c *spoolCopy) {
	if s.copies[c.name] == c {
		delete(s.copies, c.name)
	}
}

// make waits for room and writes the copy; whatever ends it, those who wait are told.
func (s *Spool) make(ctx context.Context, c *spoolCopy, from Content) {
	defer s.finish(c)
	taken := min(from.Size, s.budget)
	if c.err = s.acquire(ctx, taken); c.err != nil {
		c.gaveUp = ctx.Err() != nil
		return
	}
	c.err = errUnmade
	defer func() {
		if c.err != nil {
			s.room.Release(taken)
		}
	}()
	c.taken = taken
	c.written, c.err = s.write(ctx, from)
	c.gaveUp = ctx.Err() != nil
}

func (s *Spool) finish(c *spoolCopy) {
	if c.err != nil {
		s.mu.Lock()
		s.forget(c)
		s.mu.Unlock()
	}
	close(c.done)
}

// acquire waits for room, first in, first out.
func (s *Spool) acquire(ctx context.Context, bytes int64) error {
	wait, cancel := context.WithTimeout(ctx, longestSpoolWait)
	defer cancel()
	err := s.room.Acquire(wait, bytes)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return fmt.Errorf("spool file: %d bytes: %w", bytes, ErrFull)
	}
}

// write copies a content to the disk, no more of it than there is room for.
func (s *Spool) write(ctx context.Context, c Content) (written, error) {
	source, err := c.Open(ctx)
	if err != nil {
		return written{}, fmt.Errorf("open file: %w", err)
	}
	defer source.Close()
	w, err := copyOut(s.dir, io.LimitReader(source, c.Size+1))
	if err != nil {
		return written{}, err
	}
	if w.size > c.Size {
		w.remove()
		return written{}, &BadFileError{fmt.Sprintf("more than the %d bytes that it should have", c.Size)}
	}
	return w, nil
}
