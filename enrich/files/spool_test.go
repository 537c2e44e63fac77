package files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"

	"forager/enrich/files"
)

// source is a content that counts how often it is opened; before runs first.
type source struct {
	data   []byte
	opened atomic.Int64
	before func(context.Context) error
}

func (s *source) content(name string, size int) files.Content {
	return files.Content{Name: name, Size: int64(size), Open: func(ctx context.Context) (io.ReadCloser, error) {
		s.opened.Add(1)
		if s.before != nil {
			if err := s.before(ctx); err != nil {
				return nil, err
			}
		}
		return io.NopCloser(bytes.NewReader(s.data)), nil
	}}
}

// left is how many copies are in a folder.
func left(t *testing.T, dir string) int {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestHoldersShareOneCopy, each reads it from its start, and the last takes it off the disk.
func TestHoldersShareOneCopy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, src := files.NewSpool(dir, 100), &source{data: []byte("hello")}
	sum := sha256.Sum256(src.data)
	var held []*files.File
	for range 3 {
		f, err := s.Hold(t.Context(), src.content("a", 5))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, f)
	}
	for i, f := range held {
		got, err := io.ReadAll(f)
		if err != nil || string(got) != "hello" || f.Bytes() != 5 || f.SHA256() != hex.EncodeToString(sum[:]) {
			t.Errorf("read %q of %d bytes, digest %s, error %v", got, f.Bytes(), f.SHA256(), err)
		}
		if n := left(t, dir); n != 1 || src.opened.Load() != 1 {
			t.Errorf("before release %d: %d copies, opened %d times", i, n, src.opened.Load())
		}
		f.Release()
		f.Release() // once more does nothing
	}
	if n := left(t, dir); n != 0 {
		t.Errorf("%d copies are left", n)
	}
	again, err := s.Hold(t.Context(), src.content("a", 5))
	if err != nil || src.opened.Load() != 2 {
		t.Fatalf("opened %d times, error %v", src.opened.Load(), err)
	}
	again.Release()
}

// TestWhatCannotBeSpooledLeavesNothing, neither a copy nor a place that is taken.
func TestWhatCannotBeSpooledLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		size   int // that the content says it has; it has 5 bytes
		before func(context.Context) error
		want   error
		bad    bool
		panics bool
	}{
		"it is longer than it says": {size: 4, bad: true},
		"it cannot be opened":       {size: 5, before: func(context.Context) error { return broken }, want: broken},
		"it is gone":                {size: 5, before: func(context.Context) error { return files.ErrNoObject }, want: files.ErrNoObject},
		"opening it panics":         {size: 5, before: func(context.Context) error { panic("injected") }, panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, src := files.NewSpool(dir, 5), &source{data: []byte("hello"), before: c.before}
			var err error
			r := panics.Try(func() { _, err = s.Hold(t.Context(), src.content("a", c.size)) })
			_, bad := errors.AsType[*files.BadFileError](err)
			if (r != nil) != c.panics || bad != c.bad || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("panic %v, error %v", r, err)
			}
			if n := left(t, dir); n != 0 {
				t.Errorf("%d copies are left", n)
			}
			src.before = nil
			f, err := s.Hold(t.Context(), src.content("a", 5)) // all room is there
			if err != nil {
				t.Fatal(err)
			}
			f.Release()
		})
	}
}

// TestRoomIsGivenToWhoWaitedLongest, and a wait for it ends.
func TestRoomIsGivenToWhoWaitedLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, src := files.NewSpool(dir, 10), &source{data: []byte("hello")}
		first, err := s.Hold(t.Context(), src.content("first", 5))
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		var wg conc.WaitGroup
		for _, name := range []string{"large", "small"} { // the small one would fit
			wg.Go(func() {
				size := map[string]int{"large": 100, "small": 5}[name] // larger than the spool: alone there
				f, err := s.Hold(t.Context(), src.content(name, size))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				order = append(order, name)
				f.Release()
			})
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		if len(order) != 0 {
			t.Errorf("%v did not wait", order)
		}
		first.Release()
		wg.Wait()
		if len(order) != 2 || order[0] != "large" {
			t.Errorf("in the order %v", order)
		}
		if first, err = s.Hold(t.Context(), src.content("first", 10)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = s.Hold(t.Context(), src.content("other", 1))
		if took := time.Since(began); !errors.Is(err, files.ErrFull) || took != 2*time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
		first.Release()
		if n := left(t, dir); n != 0 {
			t.Errorf("%d copies are left", n)
		}
	})
}

// TestAnEndedContextEndsOneHolderAlone: whoever waits with it makes the copy itself.
func TestAnEndedContextEndsOneHolderAlone(t *testing.T) {
	t.Parallel()
	stopped := errors.New("stopped")
	for name, ends := range map[string]int{"who makes it": 0, "who waits for it": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				s, src := files.NewSpool(dir, 10), &source{data: []byte("hello")}
				src.before = func(ctx context.Context) error {
					select {
					case <-time.After(time.Minute):
						return nil
					case <-ctx.Done():
						return context.Cause(ctx)
					}
				}
				var wg conc.WaitGroup
				var cancels []context.CancelCauseFunc
				errs := make([]error, 2)
				for i := range errs {
					ctx, cancel := context.WithCancelCause(t.Context())
					cancels = append(cancels, cancel)
					wg.Go(func() {
						f, err := s.Hold(ctx, src.content("a", 5))
						if errs[i] = err; err == nil {
							f.Release()
						}
					})
					synctest.Wait()
				}
				cancels[ends](stopped)
				wg.Wait()
				if !errors.Is(errs[ends], stopped) || errs[1-ends] != nil {
					t.Errorf("errors %v", errs)
				}
				if n := left(t, dir); n != 0 {
					t.Errorf("%d copies are left", n)
				}
				cancels[1-ends](nil)
			})
		})
	}
}
