package main

import (
	"context"
	"errors"
	"io"

	"forager/cmd/worker/shell"
	"forager/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // called or configured wrongly
)

// run is the whole program: main without its process.
func run(ctx context.Context, args, env []string, in io.Reader, out, err io.Writer) int {
	sh := &shell.Shell{Env: env, In: in, Out: shell.NewPrinter(out), Err: shell.NewPrinter(err), RawOut: out, RawErr: err}
	switch failed := dispatch(ctx, sh, args); {
	case failed == nil, errors.Is(failed, errHelped):
		return exitDone
	case isUsage(failed):
		sh.Say("%v", failed)
		return exitUsage
	default:
		sh.Say("%v", failed)
		return exitFailed
	}
}

// dispatch reads the command line and runs the command that it names.
func dispatch(ctx context.Context, sh *shell.Shell, args []string) error {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	line := newCommandLine(sh) //nolint:contextcheck // commands get it from cobra when they run
	line.SetArgs(args)
	return line.ExecuteContext(ctx)
}

// isUsage tells mistakes of the caller from failures.
func isUsage(err error) bool {
	_, usage := errors.AsType[*shell.UsageError](err)
	_, configuration := errors.AsType[*config.Error](err)
	return usage || configuration
}
