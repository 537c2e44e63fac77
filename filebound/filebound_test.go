package filebound_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"forager/filebound"
)

// endless is a stream without an end.
type endless struct{ read int64 }

func (e *endless) Read(b []byte) (int, error) {
	e.read += int64(len(b))
	return len(b), nil
}

func TestWhatIsLargerThanItsBoundIsRefusedBeforeItIsHeld(t *testing.T) {
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge")
	for name, size := range map[string]int64{"huge": 8 << 30, "exact": 1024, "over": 1025, "empty": 0} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, name), size); err != nil { // a hole: it takes no room
			t.Skipf("no file with a hole of that size can be made here: %v", err)
		}
	}
	for name, c := range map[string]struct {
		read func() ([]byte, error)
		want int
		err  error
		says string
	}{
		"empty":     {func() ([]byte, error) { return filebound.Read(filepath.Join(dir, "empty"), 1024) }, 0, nil, ""},
		"the bound": {func() ([]byte, error) { return filebound.Read(filepath.Join(dir, "exact"), 1024) }, 1024, nil, ""},
		"one more": {func() ([]byte, error) { return filebound.Read(filepath.Join(dir, "over"), 1024) }, 0, filebound.ErrTooLarge,
			filepath.Join(dir, "over") + " is too large: more than 1 KiB"},
		"gigabytes": {func() ([]byte, error) { return filebound.Read(huge, 64<<20) }, 0, filebound.ErrTooLarge, huge + " is too large: more than 64 MiB"},
		"odd":       {func() ([]byte, error) { return filebound.Read(huge, 1000) }, 0, filebound.ErrTooLarge, "more than 1000 bytes"},
		"endless":   {func() ([]byte, error) { return filebound.All(&endless{}, "the stream", 1<<20) }, 0, filebound.ErrTooLarge, "the stream is too large: more than 1 MiB"},
		"short":     {func() ([]byte, error) { return filebound.All(strings.NewReader("abc"), "the stream", 3) }, 3, nil, ""},
		"in a folder": {func() ([]byte, error) {
			return filebound.ReadFS(fstest.MapFS{"a.yaml": {Data: make([]byte, 2000)}}, "a.yaml", 1024)
		}, 0, filebound.ErrTooLarge, "a.yaml is too large"},
		"a folder for a file": {func() ([]byte, error) { return filebound.ReadFS(os.DirFS(dir), ".", 1024) }, 0, nil, "no regular file"},
		"a directory":         {func() ([]byte, error) { return filebound.Read(dir, 1024) }, 0, nil, "is a directory"},
		"not there":           {func() ([]byte, error) { return filebound.Read(huge+"x", 1024) }, 0, os.ErrNotExist, huge + "x"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		text, err := c.read()
		runtime.ReadMemStats(&after)
		if len(text) != c.want || (err != nil) != (c.says != "") || c.err != nil && !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20 {
			t.Errorf("%s: took %d bytes", name, used)
		}
	}
}

func TestDevicesAreNoFilesAndErrorsOfReadingStay(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err == nil {
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink("/dev/zero", link); err != nil {
			t.Fatal(err)
		}
		if _, err := filebound.Read(link, 1024); !errors.Is(err, filebound.ErrNoFile) || !strings.Contains(err.Error(), link) {
			t.Errorf("a device: %v", err)
		}
	}
	broken := io.MultiReader(bytes.NewReader([]byte("ab")), breaksOff{})
	if _, err := filebound.All(broken, "the stream", 1024); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken stream: %v", err)
	}
}

// breaksOff breaks off.
type breaksOff struct{}

func (breaksOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
