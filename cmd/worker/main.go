// Command worker carries detections from NATS JetStream to cases in TheHive.
//
// Results go to standard output, everything else to standard error. It exits with 0 when it is
// done, 1 when it failed, and 2 when it was called or configured wrongly. "worker help" lists
// the commands, "worker help config" every key of the configuration.
//
//	worker demo --once              # the whole way with nothing but this binary
//	worker run --config worker.yaml
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

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
		sayFailed(sh, failed)
		return exitUsage
	default:
		sayFailed(sh, failed)
		return exitFailed
	}
}

// sayFailed says why a command failed. Some reasons have several lines.
func sayFailed(sh *shell.Shell, failed error) {
	to := terminal.Err(sh)
	first, others, more := strings.Cut(failed.Error(), "\n")
	to.Line(2, terminal.Bad.Of("worker:"), terminal.Plain.Of(" "+first))
	for more {
		first, others, more = strings.Cut(others, "\n")
		to.Line(2, terminal.Plain.Of(first))
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
