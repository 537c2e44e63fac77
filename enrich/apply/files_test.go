package apply_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/files"
	"forager/hive/hivetest"
)

// shelf is an object store of one bucket.
type shelf map[string][]byte

func (s shelf) Find(_ context.Context, ref string) (files.Object, error) {
	data, ok := s[ref]
	if !ok {
		return files.Object{}, files.ErrNoObject
	}
	return files.Object{Size: int64(len(data)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}, nil
}

func shaOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func withFiles(t *testing.T, change ...func(*apply.Options)) (*site, *apply.Applier) {
	s := newSite(t, hivetest.Options{})
	keep := func(o *apply.Options) {
		o.Opener = shelf{"evidence/dump": []byte("memory"), "evidence/big": make([]byte, 5000)}
		o.Files = apply.FilePolicy{MaxBytes: 4096, Spool: t.TempDir()}
	}
	return s, s.worker(t, append([]func(*apply.Options){keep}, change...)...)
}

func TestFilesAreThereOnceInEitherForm(t *testing.T) {
	t.Parallel()
	for name, attach := range map[string]bool{"as observables": false, "as attachments": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, e := withFiles(t, func(o *apply.Options) { o.Files.Attach = attach })
				d := seen("web01", "a", day(9))
				d.Files = []detection.File{
					{Name: "note.txt", Data: []byte("hello")},
					{Name: "dump.bin", Object: "evidence/dump", SHA256: shaOf([]byte("memory"))},
				}
				mustApply(t, e, plan(t, 1, d))
				d.ID = "b"
				mustApply(t, e, plan(t, 2, d))
				c := s.hive.Snapshot().Cases[0]
				files := map[string]string{}
				for _, f := range c.Files {
					files[f.Name] = f.SHA256
				}
				for _, o := range c.Observables {
					if o.File.Name != "" {
						files[o.File.Name] = o.File.SHA256
					}
				}
				if len(files) != 2 || files["dump.bin"] != shaOf([]byte("memory")) || len(c.Files)+len(c.Observables) != 4 {
					t.Errorf("files %v in %+v", files, c)
				}
				if dup := s.hive.Stats(24 * time.Hour).Duplicates; dup.Files != 0 {
					t.Errorf("duplicates %+v", dup)
				}
			})
		})
	}
}

func TestABrokenFileCostsOnlyItself(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]detection.File{
		"a missing object":       {Name: "x", Object: "evidence/none"},
		"a digest that differs":  {Name: "x", Object: "evidence/dump", SHA256: shaOf([]byte("other"))},
		"a content that differs": {Name: "x", Data: []byte("hello"), SHA256: shaOf([]byte("other"))},
		"an object over the cap": {Name: "x", Object: "evidence/big"},
		"a content over the cap": {Name: "x", Data: make([]byte, 5000)},
		"a name that cannot be":  {Name: "../../etc/passwd", Data: []byte("x")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, e := withFiles(t)
				bad := seen("web01", "a", day(9))
				bad.Files = []detection.File{f, {Name: "good.txt", Data: []byte("fine")}}
				plans := plan(t, 1, bad, seen("web01", "b", day(9)))
				errs := e.Apply(t.Context(), enrich.BatchOf(plans...))
				var rejected *enrich.RejectedError
				if !errors.As(errs[0], &rejected) || rejected.Items[0].Step != "file" || errs[1] != nil {
					t.Errorf("errors %v", errs)
				}
				if c := s.hive.Snapshot().Cases[0]; len(c.Observables) != 3 || len(c.Procedures) != 2 {
					t.Errorf("case %+v", c)
				}
			})
		})
	}
}

func TestAFileWhoseAnswerIsLostIsThereOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, e := withFiles(t)
		calls, lost := 0, false
		s.hive.On(hivetest.AfterEffect, "POST /api/v1/case/{id}/observable", func(hivetest.Call) hivetest.Action {
			calls++
			lost = lost || calls == 3 // an address, a host name, then the file
			return hivetest.Action{Cut: calls == 3}
		})
		d := seen("web01", "a", day(9))
		d.Files = []detection.File{{Name: "note.txt", Data: []byte("hello")}}
		mustApply(t, e, plan(t, 1, d))
		if c := s.hive.Snapshot().Cases[0]; !lost || len(c.Observables) != 3 {
			t.Errorf("lost %v, observables %+v", lost, c.Observables)
		}
	})
}
