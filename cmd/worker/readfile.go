package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds of what is read of a file that an operator names, in bytes.
const (
	mostSecret = 1 << 20   // a key, certificates, credentials
	mostRules  = 64 << 20  // a configuration, rules, an allow-list
	mostBundle = 256 << 20 // ATT&CK as STIX
)

var errNoFile = errors.New("is neither a file nor a pipe")

// openFile opens what a name leads to, symbolic links followed: a regular file, or a pipe. Others have no end, or no content.
func openFile(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return os.Open(name) // which fails, too, and says so as everywhere
	}
	if m := info.Mode(); !m.IsRegular() && m&os.ModeNamedPipe == 0 && name != os.DevNull {
		if m.IsDir() {
			return nil, fmt.Errorf("%s is a directory", name)
		}
		return nil, fmt.Errorf("%s %w", name, errNoFile)
	}
	return os.Open(name)
}

// readFile reads a file or a pipe of at most so many bytes.
func readFile(name string, most int64) ([]byte, error) {
	f, err := openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > most {
		return nil, fmt.Errorf("%s has more than %d KiB", name, most>>10)
	}
	return text, nil
}

// readable tells whether a secret, a key or certificates could be read. A pipe is left as it is: what is read of it is gone.
func readable(name string) error {
	info, err := os.Stat(name)
	if err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		return nil
	}
	_, err = readFile(name, mostSecret)
	return err
}
