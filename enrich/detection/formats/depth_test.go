package formats

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

func TestADeepFormatFileIsRefusedBeforeItIsParsed(t *testing.T) {
	laughs := "format: x\na: &a [x, x, x, x, x, x, x, x, x]\n"
	for _, c := range "bcdefgh" {
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 9) + "x]\n"
	}
	for name, text := range map[string]string{
		"lists": strings.Repeat("[", 60_000), "a megabyte of them": strings.Repeat("[", 1<<20), "entries of one line": strings.Repeat("- ", 60_000) + "a",
		"keys of one line": strings.Repeat("? ", 60_000), "mappings": strings.Repeat("{a: ", 20_000), "aliases": laughs,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := New(fstest.MapFS{"x.yaml": yamlFile(text)})
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
			t.Errorf("%s: %d MiB", name, used)
		}
	}
}

func TestAFormatFileThatHasNoEndIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "x.yaml")); err != nil {
		t.Skipf("no link to /dev/zero can be made here: %v", err)
	}
	if _, err := New(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("error %v", err)
	}
}
