package files_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"forager/enrich/files"
	"forager/enrich/files/filestest"
)

// pack makes an archive and checks what it says of itself.
func pack(t testing.TB, content []byte, name, password string) []byte {
	t.Helper()
	first, second, sha, size, err := files.Pack(t.TempDir(), content, name, password)
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	sum := sha256.Sum256(first)
	if !bytes.Equal(first, second) || int64(len(first)) != size || hex.EncodeToString(sum[:]) != sha {
		t.Errorf("%q: read twice %v, %d bytes of %d, digest %s", name, bytes.Equal(first, second), len(first), size, sha)
	}
	return first
}

// archived are contents and names that an archive must carry.
func archived() map[string][]byte {
	return map[string][]byte{
		"evil.exe":                  []byte("MZ\x90\x00 what no scanner should see"),
		"empty":                     {},
		"Rechnung März €.docm":      bytes.Repeat([]byte{0, 255, 'a'}, 50_000),
		"a b'c$(d);e.txt":           []byte("x"),
		strings.Repeat("n", 255):    []byte("long"),
		"請求書.zip":                   []byte("PK\x03\x04 an archive itself"),
		"-rf.sh":                    []byte("#!/bin/sh\n"),
		strings.Repeat("ü", 127):    []byte("long and not ASCII"),
		"archive.zip":               []byte("PK\x05\x06 an empty one"),
		"no ending and a dot . x":   []byte("y"),
		"_CON.txt":                  []byte("device"),
		"eicar-like " + "name.com.": []byte("z"),
	}
}

func TestArchivesHoldTheFileBehindThePassword(t *testing.T) {
	t.Parallel()
	for name, content := range archived() {
		archive := pack(t, content, name, "infected")
		gotName, got, err := filestest.Unpack(archive, "infected")
		if err != nil || gotName != name || !bytes.Equal(got, content) {
			t.Errorf("%q: %q, %d bytes, %v", name, gotName, len(got), err)
		}
		if len(content) > 8 && bytes.Contains(archive, content[:8]) {
			t.Errorf("%q: the content stands in the archive", name)
		}
		r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
		if err != nil {
			t.Fatal(err)
		}
		ascii := strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
		if f := r.File[0]; f.NonUTF8 || (f.Flags&0x800 == 0) != ascii || f.Mode() != 0o644 {
			t.Errorf("%q: flags %#x, mode %v", name, f.Flags, f.Mode())
		}
	}
}

// TestArchivesStayTheSame: a case's archive is known again by its digest, whichever release of
// Forager and of Go made it. If this fails, archives in old cases are not recognised any more once
// the ledger has forgotten them.
func TestArchivesStayTheSame(t *testing.T) {
	t.Parallel()
	const want = "0f4c9ebc54c09284d862fd39947c1538cd35401e74ecde1dfeba9153b67d82d5"
	sum := sha256.Sum256(pack(t, []byte("what no scanner should see"), "böse.exe", "infected"))
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

func TestArchivesDependOnContentNameAndPasswordAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		content := rapid.SliceOf(rapid.Byte()).Draw(r, "content")
		name := rapid.StringMatching(`[a-zA-Z0-9äß€_ .-]{1,40}x`).Draw(r, "name")
		password := rapid.StringMatching(`[!-_a-~]{1,64}`).Draw(r, "password")
		first := pack(t, content, name, password)
		if !bytes.Equal(first, pack(t, content, name, password)) {
			r.Error("made twice, it differs")
		}
		if _, got, err := filestest.Unpack(first, password); err != nil || !bytes.Equal(got, content) {
			r.Errorf("content %q, %v", got, err)
		}
		for what, other := range map[string][]byte{
			"another content":  pack(t, append(content, 1), name, password),
			"another name":     pack(t, content, "a"+name, password),
			"another password": pack(t, content, name, password+"~"),
		} {
			if bytes.Equal(first, other) {
				r.Errorf("%s, the same archive", what)
			}
		}
	})
}

func TestNoArchiveUnpacksElsewhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", ".", "..", "../x", "/etc/passwd", `..\x`, `C:\x`, "a/b", "a\x00b", "a\nb", "a\x1b[2Jb", "a\u0085b",
		"\xff\xfe", strings.Repeat("x", 256), strings.Repeat("x", 300),
	} {
		if _, _, _, _, err := files.Pack(t.TempDir(), []byte("x"), name, "infected"); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestArchiveNamesKeepTheLimit(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.exe": "a.exe.zip", "x": "x.zip", "a.zip": "a.zip.zip",
		strings.Repeat("n", 251): strings.Repeat("n", 251) + ".zip",
		strings.Repeat("n", 255): strings.Repeat("n", 251) + ".zip",
		strings.Repeat("ü", 127): strings.Repeat("ü", 125) + ".zip",
	} {
		if got := files.ArchiveName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestArchivesAreOpenedByWhatPeopleHave: by the programs that are on this machine.
func TestArchivesAreOpenedByWhatPeopleHave(t *testing.T) {
	t.Parallel()
	for _, program := range []struct {
		name string
		args func(archive, dir string) []string
	}{
		{"unzip", func(archive, dir string) []string { return []string{"-q", "-P", "infected", "-d", dir, archive} }},
		{"7z", func(archive, dir string) []string { return []string{"x", "-pinfected", "-o" + dir, archive} }},
		{"7zz", func(archive, dir string) []string { return []string{"x", "-pinfected", "-o" + dir, archive} }}, // as Debian 12 calls it
		{"python3", func(archive, dir string) []string {
			return []string{"-c", "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2], pwd=b'infected')", archive, dir}
		}},
	} {
		t.Run(program.name, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(program.name)
			if err != nil {
				t.Skip(program.name + " is not on this machine")
			}
			for name, content := range archived() {
				file := filepath.Join(t.TempDir(), "archive.zip")
				if err := os.WriteFile(file, pack(t, content, name, "infected"), 0o600); err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				cmd := exec.CommandContext(t.Context(), path, program.args(file, dir)...)
				cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%q: %v\n%s", name, err, out)
					continue
				}
				got, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%q: %d bytes, %v", name, len(got), err)
				}
			}
		})
	}
}

// FuzzArchive packs and unpacks whatever there is.
func FuzzArchive(f *testing.F) {
	for name, content := range archived() {
		f.Add(content, name, "infected")
	}
	f.Add([]byte("x"), "../x", "pass word")
	f.Fuzz(func(t *testing.T, content []byte, name, password string) {
		archive, again, _, _, err := files.Pack(t.TempDir(), content, name, password)
		if err != nil {
			if archive != nil || name != "" && name != "." && name != ".." && len(name) <= 255 && utf8.ValidString(name) &&
				!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '/' || r == '\\' }) {
				t.Errorf("%q: %v", name, err)
			}
			return
		}
		gotName, got, err := filestest.Unpack(archive, password)
		if err != nil || gotName != name || !bytes.Equal(got, content) || !bytes.Equal(archive, again) {
			t.Errorf("%q: %q, %q, %v", name, gotName, got, err)
		}
	})
}

// TestAnArchiveIsReadFromItsStart: whoever uploads it asks for its place, and goes back to the start.
func TestAnArchiveIsReadFromItsStart(t *testing.T) {
	t.Parallel()
	src := &source{data: []byte("hello")}
	f, err := files.NewSpool(t.TempDir(), 100).Hold(t.Context(), src.content("a", 5))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	a, err := files.NewArchive(f, "a.txt", "infected")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, a, 7); err != nil {
		t.Fatal(err)
	}
	if at, err := a.Seek(0, io.SeekCurrent); at != 7 || err != nil {
		t.Errorf("at %d, error %v", at, err)
	}
	for _, to := range []struct {
		offset int64
		whence int
	}{{1, io.SeekStart}, {-1, io.SeekCurrent}, {0, io.SeekEnd}} {
		if at, err := a.Seek(to.offset, to.whence); err == nil {
			t.Errorf("%v: went to %d", to, at)
		}
	}
	if at, err := a.Seek(0, io.SeekStart); at != 0 || err != nil {
		t.Errorf("at %d, error %v", at, err)
	}
	if n, err := io.Copy(io.Discard, a); n != a.Bytes() || err != nil {
		t.Errorf("read %d bytes of %d, error %v", n, a.Bytes(), err)
	}
}
