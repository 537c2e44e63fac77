package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"forager/config"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // called or configured wrongly
)

// cli is what may be written on the command line.
type cli struct {
	Help helpFlag `short:"h" help:"Show help for the command."`

	Run runCmd `cmd:"" help:"Carry detections to TheHive: the service."`

	demonstration

	Explain  explainCmd  `cmd:"" help:"Show what events would become, and why; without a network."`
	Simulate simulateCmd `cmd:"" help:"Be a TheHive 5 in memory, for any client; it can be told to misbehave."`
	Attack   attackCmd   `cmd:"" help:"What is known of MITRE ATT&CK: resolve techniques, list releases, draw a layer."`
	Case     caseCmd     `cmd:"" help:"What the ledger knows of a case; let a removed technique come back."`
	Dlq      dlqCmd      `cmd:"" help:"Look at dead letters, requeue or remove them."`
	Replay   replayCmd   `cmd:"" help:"Carry a part of the stream again, beside live traffic: what is there already stays as it is."`
	Check    checkCmd    `cmd:"" help:"Validate the configuration."`
	HelpCmd  helpCmd     `cmd:"" name:"help" help:"Show help for a command; \"config\" lists every key of the configuration."`
	Version  versionCmd  `cmd:"" help:"Show the version."`
}

// shell is what a command has of the world.
type shell struct {
	env []string
	in  io.Reader
	out io.Writer // results
	err io.Writer // everything else
}

// say writes a line for people to standard error.
func (s *shell) say(format string, args ...any) {
	fmt.Fprintf(s.err, "worker: "+format+"\n", args...)
}

// run is the whole program: main without its process.
func run(ctx context.Context, args, env []string, in io.Reader, out, err io.Writer) int {
	sh := &shell{env: env, in: in, out: out, err: err}
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
	parser, err := newParser(sh)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if errors.Is(err, errHelped) {
		return err
	}
	if err != nil {
		return &usageError{err}
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(sh)
}

func newParser(sh *shell) (*kong.Kong, error) {
	parser, err := kong.New(&cli{},
		kong.Name("worker"),
		kong.Description("Carries detections from NATS JetStream to cases in TheHive 5."),
		kong.Writers(sh.out, sh.err),
		kong.NoDefaultHelp(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		return nil, fmt.Errorf("describe command line: %w", err)
	}
	return parser, nil
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
