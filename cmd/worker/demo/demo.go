package demo

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forager/cmd/worker/events"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/enrich/detection"
)

// samples are alerts as the tools of the trade send them, written for this demonstration.
//
//go:embed samples
var samples embed.FS

// Commands are "worker demo" and "worker simulate".
func Commands(sh *shell.Shell) []*cobra.Command {
	return []*cobra.Command{(&demoCmd{}).command(sh), (&simulateCmd{}).command(sh)}
}

// demoCmd is "worker demo".
type demoCmd struct {
	Once    bool
	JSON    bool
	Calm    bool
	Verbose bool
	Addr    string
	Files   []string
}

func (c *demoCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "demo", "Show the whole way of alerts with nothing but this binary.", c.Run,
		shell.Arg("[FILE…]", "Files or directories of events to publish instead of the built-in samples."))
	flags := cmd.Flags()
	flags.BoolVar(&c.Once, "once", false, "End when everything is settled; exit 0 only if all could be read, nothing was lost and nothing doubled.")
	flags.BoolVar(&c.JSON, "json", false, "Print one JSON object with the figures instead of the table.")
	flags.BoolVar(&c.Calm, "calm", false, "Let nothing go wrong; without it the simulated TheHive refuses some calls and loses some answers, and while the page stays up there is a storm, a poison message, an outage, a killed replica and an analyst who removes something, now and then.")
	flags.BoolVarP(&c.Verbose, "verbose", "v", false, "Show the worker's own log.")
	flags.StringVar(&c.Addr, "addr", "127.0.0.1:8080", "Address of the page with the cases, while it stays up: `HOST:PORT`.")
	cmd.Args = shell.Reads(func(args []string) error { c.Files = args; return hostPort(c.Addr) })
	cmd.ValidArgsFunction = nil // the shell completes files
	return cmd
}

// stalled is how long nothing may move before the demonstration gives up: longer than any
// pause that a misbehaving TheHive can bring about.
const stalled = 2 * time.Minute

// errDemo says that the demonstration did not end as it should.
var errDemo = errors.New("demo: not everything ended in its case exactly once")

// errUnread says that events are none that anybody reads.
var errUnread = errors.New(`demo: some events could not be read: "worker explain" says why`)

// Run shows the whole way of alerts.
func (c *demoCmd) Run(ctx context.Context, sh *shell.Shell) (err error) {
	var page net.Listener
	if !c.Once {
		if page, err = listenPage(ctx, c.Addr); err != nil {
			return err
		}
		defer page.Close() // twice does no harm
	}
	s, err := newStage(ctx, sh, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	start := time.Now()
	var progress *terminal.Progress
	if terminal.Is(sh.RawErr) {
		progress = terminal.Begin(sh, "publishing")
	}
	defer progress.End()
	progress.Step("publishing", 0)
	unread := s.publish(ctx, progress, sh, c.events(s.decoder))
	if err := s.settle(ctx, progress); err != nil {
		progress.Over(sh).Say("%v", err)
	}
	progress.End()
	r, err := s.report(ctx, time.Since(start))
	if err != nil {
		return err
	}
	if err := r.print(sh, c.JSON); err != nil {
		return err
	}
	if page != nil && ctx.Err() == nil {
		if err := s.stay(ctx, sh, page, c); err != nil {
			return err
		}
	}
	return errors.Join(unread, r.verdict())
}

// events are those of the files, or the samples of the formats that this build knows.
func (c *demoCmd) events(d *detection.Decoder) iter.Seq2[events.Event, error] {
	if len(c.Files) > 0 {
		return events.Of(c.Files, strings.NewReader(""))
	}
	return func(yield func(events.Event, error) bool) {
		for _, name := range sampleFiles(d.Formats()) {
			f, err := samples.Open(name)
			if err != nil {
				yield(events.Event{File: name}, fmt.Errorf("read samples: %w", err))
				return
			}
			more := events.Split(name, f, yield)
			_ = f.Close() // embedded
			if !more {
				return
			}
		}
	}
}

// sampleFiles are the sample files of these formats; each is named after its own.
func sampleFiles(formats []string) []string {
	names, _ := fs.Glob(samples, "samples/*.ndjson") // the pattern is well-formed
	return slices.DeleteFunc(names, func(name string) bool {
		return !slices.Contains(formats, strings.TrimSuffix(path.Base(name), ".ndjson"))
	})
}
