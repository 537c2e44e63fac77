package demo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/events"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/enrich/detection"
	"forager/hive/hivetest"
	"forager/mitre"
	"forager/pipeline"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// demoMessage is the largest message of the demonstration; the server takes headers besides.
const (
	demoMessage = 8 << 20
	demoHeaders = 64 << 10
)

// stage is where the demonstration takes place: an embedded JetStream, a simulated TheHive, and
// between them the worker, wired as run wires it.
type stage struct {
	dir     string
	nats    *natstest.Server
	hive    *hivetest.Hive
	server  *hivetest.Server
	service *service.Service
	decoder *detection.Decoder
	config  *config.Config
	forward *servers.Forwarder
	tally   *tally
	sent    []sent                                        // in the order of publication
	pause   func(ctx context.Context, long time.Duration) // of the stream that goes on, and of what goes wrong in it

	stop    context.CancelFunc
	running pipeline.Tasks
	failed  error // of the worker, once it has ended
}

// sent is one event that the stream has confirmed.
type sent struct {
	event    events.Event
	sequence uint64
}

// newStage builds everything and starts the worker.
func newStage(ctx context.Context, sh *shell.Shell, how *demoCmd) (s *stage, err error) {
	s = &stage{tally: newTally(), pause: wait, stop: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "forager-demo-"); err != nil {
		return s, fmt.Errorf("demo: %w", err)
	}
	if s.nats, err = natstest.Start(s.dir, natstest.MaxPayload(demoMessage+demoHeaders)); err != nil {
		return s, fmt.Errorf("demo: %w", err)
	}
	s.hive = hivetest.New(hivetest.Options{Patterns: servers.Patterns(mitre.Embedded()), Seed: 1})
	if !how.Calm {
		s.hive.Set(rough())
	}
	if s.server, err = hivetest.Listen("127.0.0.1:0", s.hive); err != nil {
		return s, fmt.Errorf("demo: %w", err)
	}
	return s, s.start(ctx, sh, how.Verbose)
}

// start wires the worker from a configuration that came the way every configuration comes.
func (s *stage) start(ctx context.Context, sh *shell.Shell, verbose bool) error {
	c, err := config.Load(config.Source{Env: servers.Config(s.nats.URL(), s.server.URL()), Connects: []string{config.ToNATS, config.ToHive}})
	if err != nil {
		return err
	}
	s.config = c
	log := zap.NewNop() // what went wrong is in the report
	if verbose {
		if log, err = service.NewLogger(c, sh.Err); err != nil {
			return err
		}
	}
	options := service.PipelineOptions(c, log)
	options.Observer = s.tally
	options.DeadLetterShare = -1 // any file may be tried: a hundred of an unknown format are no broken configuration
	if s.service, err = service.New(ctx, c, rulefiles.NewWitness(), options); err != nil {
		return err
	}
	s.decoder = s.service.Decoder
	// The stream must be there before the first event; the worker would make it a moment later.
	if err := stream.Ensure(ctx, s.service.Link, options.Streams()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if s.forward, err = servers.NewForwarder(s.nats.URL()); err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	s.stop = stop
	s.running.Go("worker", func() {
		if s.failed = s.service.Run(working); s.failed != nil {
			log.Error("worker ended", zap.Error(s.failed))
		}
	})
	return nil
}

// publish sends all events. Those that cannot be read or sent are said, and are its error.
func (s *stage) publish(ctx context.Context, progress *terminal.Progress, sh *shell.Shell, all iter.Seq2[events.Event, error]) error {
	type flight struct {
		event   events.Event
		confirm servers.Confirmation
	}
	var flying []flight
	bad := 0
	refuse := func(file string, err error) {
		bad++
		progress.Over(sh).Say("%s: %v", file, err)
	}
	land := func(keep int) {
		for ; len(flying) > keep; flying = flying[1:] {
			sequence, err := flying[0].confirm(ctx)
			if err != nil {
				refuse(flying[0].event.File, err)
				continue
			}
			s.sent = append(s.sent, sent{event: flying[0].event, sequence: sequence})
		}
	}
	for e, err := range all {
		var confirm servers.Confirmation
		if err == nil {
			confirm, err = s.forward.Send("demo.events", e.Body)
		}
		if err != nil {
			refuse(e.File, err)
			continue
		}
		flying = append(flying, flight{e, confirm})
		progress.More()
		land(servers.MostUnconfirmed / 2)
	}
	land(0)
	if bad > 0 {
		return fmt.Errorf("demo: not everything could be read and published: %d failed", bad)
	}
	return nil
}

// settle waits until every event is settled, and fails when nothing moves any more.
func (s *stage) settle(ctx context.Context, progress *terminal.Progress) error {
	progress.Step("settling", uint64(len(s.sent)))
	for s.tally.settled() < len(s.sent) {
		progress.At(uint64(s.tally.settled()))
		select {
		case <-s.tally.moved:
		case <-ctx.Done():
			return errors.New("demo: interrupted before everything was settled")
		case <-time.After(stalled):
			_, reasons := s.service.Ready()
			return fmt.Errorf("demo: nothing was settled for %s: %s", stalled, strings.Join(reasons, "; "))
		}
	}
	return nil
}

// Close ends everything, in the order in which it depends on each other.
func (s *stage) Close() error {
	s.stop()
	_ = s.running.Wait() // a panic has ended the process
	err := s.failed
	if s.forward != nil {
		s.forward.Close()
	}
	if s.service != nil {
		s.service.Close()
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Close())
	}
	if s.nats != nil {
		s.nats.Close()
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
