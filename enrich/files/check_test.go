package files_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"forager/enrich/files"
)

func TestTheSpoolIsCheckedBeforeItIsNeeded(t *testing.T) {
	dir := t.TempDir()
	file, locked := filepath.Join(dir, "file"), filepath.Join(dir, "locked")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Mkdir(locked, 0o500)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, want string }{
		"what is not there": {filepath.Join(dir, "none"), "/none does not exist"},
		"a file":            {file, "/file is no directory"},
		"below a file":      {filepath.Join(file, "x"), "/file/x cannot be looked at: not a directory"},
		"no right to write": {locked, "/locked cannot be written: permission denied"},
	} {
		if c.dir == locked && os.Geteuid() == 0 {
			continue // root may write everywhere
		}
		if err := files.Check(c.dir, 1); err == nil || !strings.HasSuffix(err.Error(), c.want) || errors.Is(err, files.ErrNoRoom) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	spool := t.TempDir()
	t.Setenv("TMPDIR", spool)
	for _, d := range []string{spool, ""} {
		if err := files.Check(d, 1); err != nil {
			t.Errorf("%q: %v", d, err)
		}
		if err := files.Check(d, math.MaxInt64); runtime.GOOS == "linux" && !errors.Is(err, files.ErrNoRoom) {
			t.Errorf("%q: %v, want too little room", d, err)
		}
	}
	if left, err := os.ReadDir(spool); err != nil || len(left) != 0 {
		t.Errorf("left there: %v, %v", left, err)
	}
}
