package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"forager/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // called or configured wrongly
)

// shell is what a command has of the world.
type shell struct {
	env []string
	in  io.Reader
	out io.Writer // results; a printer
	err io.Writer // everything else; a printer

	rawOut, rawErr io.Writer // behind the printers: for bytes as they are, and for what moves on a terminal
}

// say writes a line for people to standard error.
func (s *shell) say(format string, args ...any) {
	fmt.Fprintf(s.err, "worker: "+format+"\n", args...)
}

// run is the whole program: main without its process.
func run(ctx context.Context, args, env []string, in io.Reader, out, err io.Writer) int {
	sh := &shell{env: env, in: in, out: &printer{to: out}, err: &printer{to: err}, rawOut: out, rawErr: err}
	switch failed := dispatch(ctx, sh, args); {
	case failed == nil, errors.Is(failed, errHelped):
		return exitDone
	case isUsage(failed):
		sh.say("%v", failed)
		return exitUsage
	default:
		sh.say("%v", failed)
		return exitFailed
	}
}

// dispatch reads the command line and runs the command that it names.
func dispatch(ctx context.Context, sh *shell, args []string) error {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	line := newCommandLine(sh) //nolint:contextcheck // commands get it from cobra when they run
	line.SetArgs(args)
	return line.ExecuteContext(ctx)
}

// usageError says that the command line is wrong.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() + "\nworker: see \"worker help\"" }

func (e *usageError) Unwrap() error { return e.err }

// isUsage tells mistakes of the caller from failures.
func isUsage(err error) bool {
	_, usage := errors.AsType[*usageError](err)
	_, configuration := errors.AsType[*config.Error](err)
	return usage || configuration
}
