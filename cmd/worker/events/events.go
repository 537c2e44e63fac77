package events

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"forager/filebound"
)

// mostEvent bounds one event that is read from a file, in bytes: far above what a message may
// hold, so that the pipeline's own limit is what an event meets.
const mostEvent = 64 << 20

// Event is one message that was read from a file.
type Event struct {
	File string // as it was named, "-" is standard input
	Body []byte
}

// Stdin is the name of standard input among files.
const Stdin = "-"

// Of reads the events of files, of the JSON files below directories, and of standard
// input where "-" is named, or nothing. A file that cannot be read gives an error and the
// next one follows. Nothing but one event is held in memory.
func Of(names []string, in io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if len(names) == 0 {
			names = []string{Stdin}
		}
		for _, name := range names {
			for e, err := range eventsIn(name, in) {
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

func eventsIn(name string, in io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if name == Stdin {
			Split(name, in, yield)
			return
		}
		files, err := filesBelow(name)
		if err != nil && !yield(Event{File: name}, err) {
			return
		}
		for _, file := range files {
			if !eventsInFile(file, yield) {
				return
			}
		}
	}
}

func eventsInFile(name string, yield func(Event, error) bool) bool {
	f, err := filebound.Open(name)
	if err != nil {
		return yield(Event{File: name}, fmt.Errorf("read events: %w", err))
	}
	defer f.Close()
	return Split(name, f, yield)
}

// filesBelow gives a file itself, or the files of events below a directory, sorted. A directory
// without any is an error: a mistyped path must not look like a success.
func filesBelow(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	var files []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && slices.Contains([]string{".json", ".jsonl", ".ndjson"}, strings.ToLower(filepath.Ext(path))) {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = errors.New("no .json, .jsonl or .ndjson file in " + name)
	}
	if err != nil {
		return files, fmt.Errorf("read events: %w", err)
	}
	return files, nil
}

// Split cuts a file into events: lines, when the first line is a JSON text by itself; else the
// JSON texts that follow one another; else the whole, whatever it is.
func Split(name string, r io.Reader, yield func(Event, error) bool) bool {
	lines := bufio.NewReader(r)
	first, err := ReadLine(lines)
	if err != nil && !errors.Is(err, io.EOF) {
		return yield(Event{File: name}, fmt.Errorf("read %s: %w", name, err))
	}
	if errors.Is(err, io.EOF) || !json.Valid(first) {
		return splitWhole(name, io.MultiReader(bytes.NewReader(first), lines), yield)
	}
	for line := first; ; {
		if len(bytes.TrimSpace(line)) > 0 && !yield(Event{name, bytes.TrimSpace(line)}, nil) {
			return false
		}
		if errors.Is(err, io.EOF) {
			return true
		}
		if line, err = ReadLine(lines); err != nil && !errors.Is(err, io.EOF) {
			return yield(Event{File: name}, fmt.Errorf("read %s: %w", name, err))
		}
	}
}

func splitWhole(name string, r io.Reader, yield func(Event, error) bool) bool {
	whole, err := filebound.All(r, name, mostEvent)
	if errors.Is(err, filebound.ErrTooLarge) {
		err = errTooLong
	}
	if err != nil {
		return yield(Event{File: name}, fmt.Errorf("read %s: %w", name, err))
	}
	for _, body := range texts(whole) {
		if !yield(Event{name, body}, nil) {
			return false
		}
	}
	return true
}

// texts gives the JSON texts that a file holds one after the other, or the file as it is when
// that is not what it holds.
func texts(whole []byte) [][]byte {
	var all [][]byte
	for d := json.NewDecoder(bytes.NewReader(whole)); ; {
		var text json.RawMessage
		err := d.Decode(&text)
		if errors.Is(err, io.EOF) && len(all) > 1 {
			return all
		}
		if err != nil {
			return [][]byte{whole}
		}
		all = append(all, text)
	}
}

var errTooLong = errors.New("an event is longer than 64 MiB")

// ReadLine reads a line of bounded length. io.EOF may come with the last line.
func ReadLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > mostEvent {
			return nil, errTooLong
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
