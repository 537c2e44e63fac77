package lookup

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ReadCSV reads a table with a line of column names at its beginning. Cells are parted by commas; by
// semicolons or tabs where the first line has these and no comma. Errors wrap [ErrTable].
func ReadCSV(from io.Reader, key string, match Match) (*Table, error) {
	buffered := bufio.NewReaderSize(from, 64<<10)
	if begin, _ := buffered.Peek(3); bytes.Equal(begin, []byte("\xef\xbb\xbf")) {
		_, _ = buffered.Discard(3) // it was peeked at
	}
	r := csv.NewReader(buffered)
	r.Comma, r.ReuseRecord, r.TrimLeadingSpace = separator(buffered), true, true
	columns, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: first line: %w", ErrTable, err)
	}
	b, err := newBuilder(slices.Clone(columns), key, match)
	if err != nil {
		return nil, err
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return b.whole(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTable, err)
		}
		if err := b.add(row); err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// separator looks at the first line.
func separator(r *bufio.Reader) rune {
	begin, _ := r.Peek(r.Size())
	line, _, _ := bytes.Cut(begin, []byte("\n"))
	for _, c := range []rune{',', ';', '\t'} {
		if bytes.ContainsRune(line, c) {
			return c
		}
	}
	return ','
}

// ReadJSON reads a list of objects, or objects one after the other (NDJSON). The members are the columns,
// of all objects together; what is no text is written as JSON has it, and null is empty. It reads
// twice. Errors wrap [ErrTable].
func ReadJSON(from io.ReadSeeker, key string, match Match) (*Table, error) {
	var columns []string
	if err := objects(from, func(members map[string]json.RawMessage) error {
		for member := range members {
			if !slices.Contains(columns, member) {
				columns = append(columns, member)
			}
		}
		if len(columns) > MaxColumns {
			return fmt.Errorf("%w: has more than %d columns", ErrTable, MaxColumns)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	slices.Sort(columns)
	b, err := newBuilder(columns, key, match)
	if err != nil {
		return nil, err
	}
	row := make([]string, len(columns))
	err = objects(from, func(members map[string]json.RawMessage) error {
		for i, c := range columns {
			row[i] = written(members[c])
		}
		return b.add(row)
	})
	if err != nil {
		return nil, err
	}
	return b.whole(), nil
}

// objects gives every object of a file, from its beginning.
func objects(from io.ReadSeeker, each func(map[string]json.RawMessage) error) error {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", ErrTable, err)
	}
	buffered := bufio.NewReaderSize(from, 64<<10)
	list, err := isList(buffered)
	if err != nil {
		return err
	}
	d := json.NewDecoder(buffered)
	if list {
		_, err = d.Token() // the bracket that was seen
	}
	for n := 1; err == nil; n++ {
		if list && !d.More() {
			_, err = d.Token()
			break
		}
		var members map[string]json.RawMessage
		if err = d.Decode(&members); err == nil {
			err = each(members)
		}
		if errors.Is(err, io.EOF) && !list {
			return nil
		}
		if err != nil && !errors.Is(err, ErrTable) {
			err = fmt.Errorf("%w: %w", ErrTable, err)
		}
		if err != nil {
			err = fmt.Errorf("row %d: %w", n, err)
		}
	}
	if err != nil && !errors.Is(err, ErrTable) {
		return fmt.Errorf("%w: %w", ErrTable, err)
	}
	return err
}

// isList tells whether the first thing in a file is a list.
func isList(r *bufio.Reader) (bool, error) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return false, fmt.Errorf("%w: is empty", ErrTable)
		}
		if !strings.ContainsRune(" \t\r\n", rune(c)) {
			_ = r.UnreadByte() // a byte was read
			return c == '[', nil
		}
	}
}

// written is a value as a text.
func written(raw json.RawMessage) string {
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return ""
	case json.Unmarshal(raw, &text) == nil:
		return text
	}
	return string(raw)
}
