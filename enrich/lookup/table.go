package lookup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"forager/enrich/detection/canon"
)

// Bounds of one table.
const (
	MaxBytes   = 512 << 20 // of its rows in memory
	MaxColumns = 64
	MaxCell    = 4 << 10 // bytes
)

// ErrTable says that a file cannot be a table.
var ErrTable = errors.New("is no table for a lookup")

// Match says which spellings of a key are one.
type Match string

// The matches.
const (
	MatchText Match = "text" // without regard to case, and to white space around it; the default
	MatchHost Match = "host" // as case keys fold hosts: web01, WEB01 and web01.corp.example are one
)

// fold gives the one spelling of a key.
func (m Match) fold(key string) string {
	if m == MatchHost {
		return canon.FoldHost(key, false)
	}
	return canon.FoldText(key)
}

// Table is rows of texts, each found by its key.
type Table struct {
	columns []string
	match   Match
	rows    []byte   // one after the other: the folded key and every cell, each with its length before it; never changed
	slots   []uint32 // open addressing: where a row begins, plus one; 0 is free
	seed    maphash.Seed
	count   int
}

// Columns are the names of the columns, as CEL can name them, in the order of the file.
func (t *Table) Columns() []string { return slices.Clone(t.columns) }

// Len is how many rows there are.
func (t *Table) Len() int { return t.count }

// Find gives what reads a cell of the row of a key, by its column's place. A cell is copied when it is read, and no other:
// what a plan keeps of a table keeps no table that was replaced.
func (t *Table) Find(key string) (cell func(column int) string, found bool) {
	folded := t.match.fold(key)
	if folded == "" || len(t.slots) == 0 {
		return nil, false
	}
	at := t.slots[t.slot(folded)]
	if at == 0 {
		return nil, false
	}
	return func(column int) string { return t.cellAt(at-1, column) }, true
}

// cellAt is a cell of the row that begins somewhere; empty where there is no such column.
func (t *Table) cellAt(begin uint32, column int) string {
	if column < 0 || column >= len(t.columns) {
		return ""
	}
	text, rest := cell(t.rows[begin:]) // the key
	for range column + 1 {
		text, rest = cell(rest)
	}
	return string(text)
}

// slot is where a key stands, or would.
func (t *Table) slot(key string) uint64 {
	mask := uint64(len(t.slots) - 1)
	for i := maphash.String(t.seed, key) & mask; ; i = (i + 1) & mask {
		at := t.slots[i]
		if at == 0 {
			return i
		}
		if there, _ := cell(t.rows[at-1:]); string(there) == key {
			return i
		}
	}
}

// cell cuts the first text off.
func cell(rows []byte) (text, rest []byte) {
	n, width := binary.Uvarint(rows)
	return rows[width : width+int(n)], rows[width+int(n):]
}

// builder makes a table row by row.
type builder struct {
	table Table
	key   int // index of the column
}

// newBuilder begins a table with the columns of a file; key is one of them, as the file or as CEL names it.
func newBuilder(columns []string, key string, match Match) (*builder, error) {
	if len(columns) > MaxColumns {
		return nil, fmt.Errorf("%w: has %d columns, at most %d are read", ErrTable, len(columns), MaxColumns)
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = name(c)
		if j := slices.Index(names[:i], names[i]); j >= 0 {
			return nil, fmt.Errorf("%w: columns %q and %q have one name", ErrTable, columns[j], c)
		}
	}
	at := slices.Index(names, name(key))
	if at < 0 {
		return nil, fmt.Errorf("%w: has no column %q; its columns are %s", ErrTable, key, strings.Join(names, ", "))
	}
	return &builder{table: Table{columns: names, match: match, seed: maphash.MakeSeed(), slots: make([]uint32, 16)}, key: at}, nil
}

// add takes a row. One without a key is left out, and of several with one key the first stays.
func (b *builder) add(row []string) error {
	t := &b.table
	key := t.match.fold(row[b.key])
	if key == "" {
		return nil
	}
	at := t.slot(key)
	if t.slots[at] != 0 {
		return nil
	}
	begin := len(t.rows)
	t.rows = appendCell(t.rows, key)
	for i, text := range row {
		if len(text) > MaxCell {
			return fmt.Errorf("%w: column %s has a text of more than %d bytes", ErrTable, t.columns[i], MaxCell)
		}
		t.rows = appendCell(t.rows, text)
	}
	if len(t.rows) > MaxBytes {
		return fmt.Errorf("%w: takes more than %d MiB of memory", ErrTable, MaxBytes>>20)
	}
	t.slots[at] = uint32(begin) + 1
	if t.count++; 3*t.count > 2*len(t.slots) {
		b.grow()
	}
	return nil
}

func appendCell(rows []byte, text string) []byte {
	return append(binary.AppendUvarint(rows, uint64(len(text))), text...)
}

// grow doubles the slots.
func (b *builder) grow() {
	t := &b.table
	old := t.slots
	t.slots = make([]uint32, 2*len(old))
	for _, at := range old {
		if at != 0 {
			key, _ := cell(t.rows[at-1:])
			t.slots[t.slot(string(key))] = at
		}
	}
}

// whole is the finished table.
func (b *builder) whole() *Table {
	t := b.table
	t.rows = slices.Clip(t.rows)
	return &t
}

// name makes a name of CEL of a column's: what is no letter, digit or underscore is an underscore.
func name(column string) string {
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, strings.TrimSpace(column))
	if out == "" || out[0] >= '0' && out[0] <= '9' {
		return "_" + out
	}
	return out
}
