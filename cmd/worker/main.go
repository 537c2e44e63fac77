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
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
