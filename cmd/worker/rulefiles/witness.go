package rulefiles

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"forager/enrich/lookup"
	"forager/filebound"
)

// Witness reads files and remembers what they were, so that a change can be noticed later. It
// looks at what a name leads to: Kubernetes changes a mounted ConfigMap by turning a symbolic link,
// which no watch on the file itself would tell, nor one across a network file system.
type Witness struct {
	seen   map[string]os.FileInfo // nil: could not be looked at
	tables *lookup.Cache          // which reads a table once for each change
}

// NewWitness has seen nothing yet.
func NewWitness() *Witness {
	return &Witness{seen: map[string]os.FileInfo{}, tables: new(lookup.Cache)}
}

// Anew has seen nothing either, but for tables that did not change since.
func (w *Witness) Anew() *Witness { return &Witness{seen: map[string]os.FileInfo{}, tables: w.tables} }

// Note looks before anything is read: a change in between is a change.
func (w *Witness) Note(name string) {
	info, err := os.Stat(name)
	if err != nil {
		info = nil
	}
	w.seen[name] = info
}

// ReadFile is os.ReadFile of a file or pipe of a bounded size.
func (w *Witness) ReadFile(name string) ([]byte, error) {
	w.Note(name)
	return filebound.Read(name, mostRules)
}

// ReadSecret is ReadFile of a key, a password or a token.
func (w *Witness) ReadSecret(name string) ([]byte, error) {
	w.Note(name)
	return filebound.Read(name, MostSecret)
}

// ReadDir is os.ReadDir.
func (w *Witness) ReadDir(name string) ([]fs.DirEntry, error) {
	w.Note(name)
	return os.ReadDir(name)
}

// Formats is the directory as a file system, with the format files in it noted.
func (w *Witness) Formats(dir string) fs.FS {
	w.Note(dir)
	names, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		names = nil // a directory with a bracket in its name: its own changes are noticed
	}
	for _, name := range names {
		w.Note(name)
	}
	return os.DirFS(dir)
}

// Again looks at the same names now.
func (w *Witness) Again() *Witness {
	now := w.Anew()
	for name := range w.seen {
		now.Note(name)
	}
	return now
}

// Differs tells whether something is not what it was.
func (w *Witness) Differs(now *Witness) bool {
	return !maps.EqualFunc(w.seen, now.seen, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return filebound.Same(a, b)
	})
}

// Add takes over what it has not looked at itself.
func (w *Witness) Add(other *Witness) {
	for name, info := range other.seen {
		if _, own := w.seen[name]; !own {
			w.seen[name] = info
		}
	}
}
