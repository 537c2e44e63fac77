package lookup

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"forager/filebound"
)

// Source is a file that holds a table. What kind it is, its name says: .csv, .json, .ndjson, .jsonl, .mmdb.
type Source struct {
	File  string
	Key   string // column that names a row; none for .mmdb
	Match Match  // how keys are compared; "" is MatchText
}

// Rows is a table of any kind.
type Rows interface {
	// Columns are the names of the columns, each a name of CEL.
	Columns() []string
	// Find gives what reads a cell of a row, by the place of its column in Columns; or false.
	Find(key string) (cell func(column int) string, found bool)
}

// Cache opens tables, and reads again only what changed: a large table is not read for a change of another
// file. It is for one goroutine at a time. The zero value is ready.
type Cache struct{ kept map[Source]kept }

type kept struct {
	rows Rows
	info os.FileInfo
}

// Open gives the tables of sources, or an error for each that has none: then the cache is as before. Tables
// that are not asked for are forgotten.
func (c *Cache) Open(sources []Source) ([]Rows, []error) {
	all, errs, next, failed := make([]Rows, len(sources)), make([]error, len(sources)), map[Source]kept{}, false
	for i, s := range sources {
		k, err := c.open(s)
		if err != nil {
			errs[i], failed = err, true
			continue
		}
		all[i], next[s] = k.rows, k
	}
	if !failed {
		c.kept = next
	}
	return all, errs
}

func (c *Cache) open(s Source) (kept, error) {
	f, err := filebound.Open(s.File)
	if err != nil {
		return kept{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return kept{}, err
	}
	if k, ok := c.kept[s]; ok && filebound.Same(k.info, info) {
		return k, nil
	}
	rows, err := read(f, s)
	if err != nil {
		return kept{}, fmt.Errorf("%s %w", s.File, err)
	}
	return kept{rows, info}, nil
}

// read reads a table as its name says.
func read(f io.ReadSeeker, s Source) (Rows, error) {
	switch ext := strings.ToLower(filepath.Ext(s.File)); ext {
	case ".csv":
		return ReadCSV(f, s.Key, s.Match)
	case ".json", ".ndjson", ".jsonl":
		return ReadJSON(f, s.Key, s.Match)
	case ".mmdb":
		whole, err := filebound.All(f, s.File, MaxBytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTable, err)
		}
		return ReadAddresses(whole)
	default:
		return nil, fmt.Errorf("%w: its name must end in .csv, .json, .ndjson, .jsonl or .mmdb", ErrTable)
	}
}
