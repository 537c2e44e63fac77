package shell

import (
	"fmt"
	"io"
)

// Shell is what a command has of the world.
type Shell struct {
	Env []string
	In  io.Reader
	Out io.Writer // results; a printer
	Err io.Writer // everything else; a printer

	RawOut, RawErr io.Writer // behind the printers: for bytes as they are, and for what moves on a terminal
}

// Say writes a line for people to standard error.
func (s *Shell) Say(format string, args ...any) {
	fmt.Fprintf(s.Err, "worker: "+format+"\n", args...)
}

// UsageError says that the command line is wrong.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() + "\nworker: see \"worker help\"" }

func (e *UsageError) Unwrap() error { return e.err }

// Misuse says that an error is a mistake of the caller.
func Misuse(err error) error { return &UsageError{err} }
