package apply_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sourcegraph/conc/panics"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/files"
	"forager/hive"
	"forager/hive/hivetest"
)

// stock is an object store that looks at the spool whenever it is read.
type stock struct {
	t       *testing.T
	dir     string
	objects map[string][]byte
	opened  atomic.Int64
	found   atomic.Int64
	most    atomic.Int64                                // bytes in the spool, at any time
	read    func(ctx context.Context, ref string) error // before the content; nil is at once
}

func (s *stock) Find(_ context.Context, ref string) (files.Object, error) {
	data, ok := s.objects[ref]
	if !ok {
		return files.Object{}, files.ErrNoObject
	}
	s.found.Add(1)
	return files.Object{Size: int64(len(data)), Version: "1", Open: func(ctx context.Context) (io.ReadCloser, error) {
		s.opened.Add(1)
		if s.read != nil {
			if err := s.read(ctx, ref); err != nil {
				return nil, err
			}
		}
		return io.NopCloser(io.TeeReader(bytes.NewReader(data), s)), nil
	}}, nil
}

// Write is called when some of a content was read.
func (s *stock) Write(p []byte) (int, error) {
	if used := s.used(); used > s.most.Load() {
		s.most.Store(used)
	}
	return len(p), nil
}

func (s *stock) used() (bytes int64) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Error(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// spoolDesk is a site with a stock and a worker whose spool is small.
type spoolDesk struct {
	*site
	*stock
	e     *apply.Applier
	slots *enrich.Slots
}

func newSpoolDesk(t *testing.T, budget int64, objects map[string][]byte, change ...func(*apply.Options)) spoolDesk {
	d := spoolDesk{site: newSite(t, hivetest.Options{}), stock: &stock{t: t, dir: t.TempDir(), objects: objects}, slots: enrich.NewSlots(3)}
	keep := func(o *apply.Options) {
		o.Opener = d.stock
		o.Files = apply.FilePolicy{Spool: d.dir, SpoolBytes: budget}
	}
	d.e = d.worker(t, append([]func(*apply.Options){keep}, change...)...)
	return d
}

// carries makes the plans of a message that names one object.
func carries(t *testing.T, n int, ref string) []enrich.Plan {
	one := seen("host"+strconv.Itoa(n), "id"+strconv.Itoa(n), day(9))
	one.Files = []detection.File{{Name: "dump.bin", Object: ref}}
	return plan(t, uint64(n+1), one)
}

// send applies messages side by side.
func (d spoolDesk) send(all [][]enrich.Plan) []error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, plans := range all {
		wg.Go(func() {
			slot := d.slots.Slot()
			defer slot.Leave()
			if errs[i] = slot.Take(d.t.Context()); errs[i] == nil {
				errs[i] = errors.Join(d.e.Apply(d.t.Context(), enrich.Batch{Queue: plans[0].Queue(), Plans: plans, Slot: slot})...)
			}
		})
	}
	wg.Wait()
	return errs
}

// attached counts the files in all cases; the spool must be empty, and have kept to its budget.
func (d spoolDesk) attached(budget int64) (n int) {
	d.t.Helper()
	for _, c := range d.hive.Snapshot().Cases {
		n += len(c.Files)
		for _, o := range c.Observables {
			if o.File.Name != "" {
				n++
			}
		}
	}
	if left := d.used(); left != 0 || d.most.Load() > budget {
		d.t.Errorf("%d bytes in the spool at the most, %d of them for ever; the budget is %d", d.most.Load(), left, budget)
	}
	return n
}

// swallow is a TheHive that keeps nothing of a file but its name: the simulated one keeps all in memory.
type swallow struct {
	apply.Hive

	sha   string
	files *atomic.Int64
}

// AddFile reads a file to its end.
func (s swallow) AddFile(_ context.Context, _ string, _ hive.NewObservable, u hive.Upload) (hive.ObservableResult, error) {
	size, err := io.Copy(io.Discard, u.Body)
	n := s.files.Add(1)
	file := hive.Attachment{ID: fmt.Sprintf("~%d", n), ContentID: s.sha, Name: u.Name, Size: size, Hashes: []string{s.sha}}
	return hive.ObservableResult{Created: []hive.Observable{{ID: fmt.Sprintf("~9%d", n), DataType: "file", Attachment: &file}}}, err
}

// TestAHundredMessagesOfOneObjectAreOneCopy: of 20 MiB, where there is room for one and a half; and those that
// wait for it take no apply slot, of which there are three.
func TestAHundredMessagesOfOneObjectAreOneCopy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size, budget, messages = 20 << 20, 30 << 20, 100
		dump := make([]byte, size)
		stored := swallow{sha: fmt.Sprintf("%x", sha256.Sum256(dump)), files: new(atomic.Int64)}
		d := newSpoolDesk(t, budget, map[string][]byte{"evidence/dump": dump}, func(o *apply.Options) {
			of := o.Hive
			o.Hive = func(organisation string) apply.Hive { return swallow{of(organisation), stored.sha, stored.files} }
		})
		all := make(chan struct{})
		d.read = func(context.Context, string) error { <-all; return nil }
		var sent [][]enrich.Plan
		for n := range messages {
			sent = append(sent, carries(t, n, "evidence/dump"))
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, err := range d.send(sent) {
				if err != nil {
					t.Error(err)
				}
			}
		})
		time.Sleep(time.Minute) // all wait
		if got := d.found.Load(); got != messages {
			t.Errorf("%d messages came as far as their file", got)
		}
		close(all)
		wg.Wait()
		d.attached(budget)
		if got := stored.files.Load(); got != messages || d.opened.Load() != 1 {
			t.Errorf("%d files, read %d times", got, d.opened.Load())
		}
	})
	if status, err := os.ReadFile("/proc/self/status"); err == nil && os.Getenv(measured) != "" {
		os.Stdout.Write(status)
	}
}

// measured makes a process that runs one test say what memory it took.
const measured = "FORAGER_TEST_MEASURED"

// TestFilesWaitForRoomInTheSpool: many contents, room for two; in archives, too.
func TestFilesWaitForRoomInTheSpool(t *testing.T) {
	t.Parallel()
	for _, policy := range []enrich.ZipPolicy{enrich.ZipNever, enrich.ZipAlways} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size, budget, messages = 100 << 10, 250 << 10, 30
				objects := map[string][]byte{}
				var sent [][]enrich.Plan
				for n := range messages {
					ref := fmt.Sprintf("evidence/%d", n)
					objects[ref] = bytes.Repeat([]byte{byte(n)}, size)
					plans := carries(t, n, ref)
					plans[0].Zip = policy
					sent = append(sent, plans)
				}
				d := newSpoolDesk(t, budget, objects)
				d.read = func(ctx context.Context, _ string) error { time.Sleep(time.Second); return ctx.Err() }
				for _, err := range d.send(sent) {
					if err != nil {
						t.Error(err)
					}
				}
				if got := d.attached(budget); got != messages {
					t.Errorf("%d files", got)
				}
			})
		})
	}
}

func TestAFileLargerThanTheSpoolIsAloneThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const small, large = 60 << 10, 300 << 10
		objects := map[string][]byte{"evidence/large": make([]byte, large)}
		sent := [][]enrich.Plan{}
		for n := range 6 {
			ref := fmt.Sprintf("evidence/%d", n)
			objects[ref] = bytes.Repeat([]byte{byte(n)}, small)
			if n == 3 {
				ref = "evidence/large"
			}
			sent = append(sent, carries(t, n, ref))
		}
		d := newSpoolDesk(t, 2*small, objects)
		d.read = func(ctx context.Context, _ string) error { time.Sleep(time.Second); return ctx.Err() }
		for _, err := range d.send(sent) {
			if err != nil {
				t.Error(err)
			}
		}
		if got := d.attached(large); got != len(sent) {
			t.Errorf("%d files", got)
		}
	})
}

// TestWhoGivesUpCostsNobodyHisFile: who reads, and who waits, ends; neither the others' files nor room is lost.
func TestWhoGivesUpCostsNobodyHisFile(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(cancel context.CancelFunc){
		"by cancelling": func(cancel context.CancelFunc) { cancel() },
		"by a panic":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const size = 64 << 10
				d := newSpoolDesk(t, size, map[string][]byte{"evidence/a": make([]byte, size), "evidence/b": bytes.Repeat([]byte("b"), size)})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				panicking := make(chan struct{})
				d.read = func(ctx context.Context, _ string) error {
					if d.opened.Load() > 1 {
						return nil
					}
					select {
					case <-panicking:
						panic("a broken reader")
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				apply := func(ctx context.Context, n int, ref string) (err error) {
					plans := carries(t, n, ref)
					if r := panics.Try(func() { err = d.e.Apply(ctx, enrich.BatchOf(plans...))[0] }); r != nil {
						return errKilled
					}
					return err
				}
				errs := make([]error, 4)
				var wg sync.WaitGroup
				for i, ref := range []string{"evidence/a", "evidence/a", "evidence/b", "evidence/b"} {
					until := t.Context()
					if i%2 == 0 {
						until = ctx
					}
					wg.Go(func() { errs[i] = apply(until, i, ref) })
					synctest.Wait()
					time.Sleep(time.Second)
				}
				if end != nil {
					end(cancel)
				} else {
					close(panicking)
				}
				wg.Wait()
				if errs[0] == nil || errs[1] != nil || errs[3] != nil || end != nil && enrich.ClassOf(errs[2]) != enrich.Interrupted {
					t.Errorf("errors %v", errs)
				}
				if err := apply(t.Context(), 9, "evidence/a"); err != nil {
					t.Errorf("no room was given back: %v", err)
				}
				d.attached(size)
			})
		})
	}
}

// TestAWaitForRoomEnds: its case must not be claimed for ever.
func TestAWaitForRoomEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 64 << 10
		d := newSpoolDesk(t, size, map[string][]byte{"evidence/a": make([]byte, size), "evidence/b": bytes.Repeat([]byte("b"), size)})
		stuck := make(chan struct{})
		d.read = func(_ context.Context, ref string) error {
			if ref == "evidence/a" {
				<-stuck
			}
			return nil
		}
		var wg sync.WaitGroup
		wg.Go(func() { d.send([][]enrich.Plan{carries(t, 0, "evidence/a")}) })
		synctest.Wait()
		began := time.Now()
		err := d.send([][]enrich.Plan{carries(t, 1, "evidence/b")})[0]
		if waited := time.Since(began); !errors.Is(err, files.ErrFull) || enrich.ClassOf(err) != enrich.Transient || waited > 5*time.Minute {
			t.Errorf("after %s: %v", waited, err)
		}
		close(stuck)
		wg.Wait()
		if err := d.send([][]enrich.Plan{carries(t, 1, "evidence/b")})[0]; err != nil {
			t.Error(err)
		}
		if got := d.attached(size); got != 2 {
			t.Errorf("%d files", got)
		}
	})
}
