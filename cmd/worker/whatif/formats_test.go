package whatif

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTheSameFormatsAreRead: messages are read once only where the folder holds what is in force, and nothing else.
func TestTheSameFormatsAreRead(t *testing.T) {
	t.Parallel()
	folder := func(files ...string) string {
		dir := t.TempDir()
		for i := 0; i < len(files); i += 2 {
			if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	inForce := folder("a.yaml", "a", "b.yaml", "b", "README", "one")
	for name, c := range map[string]struct {
		inForce []string
		folder  string
		want    bool
	}{
		"the same, with another README": {[]string{inForce}, folder("a.yaml", "a", "b.yaml", "b", "README", "two"), true},
		"the folder itself":             {[]string{inForce}, inForce, true},
		"another text":                  {[]string{inForce}, folder("a.yaml", "a", "b.yaml", "B"), false},
		"another name":                  {[]string{inForce}, folder("a.yaml", "a", "c.yaml", "b"), false},
		"one more":                      {[]string{inForce}, folder("a.yaml", "a", "b.yaml", "b", "c.yaml", "c"), false},
		"one less":                      {[]string{inForce}, folder("a.yaml", "a"), false},
		"two folders":                   {[]string{inForce, inForce}, inForce, false},
		"none in force":                 {nil, folder(), false},
	} {
		if got := sameFormats(c.inForce, c.folder); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
