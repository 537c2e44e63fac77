//go:build !image

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

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
	service *service
	decoder *detection.Decoder
	forward *forwarder
	tally   *tally
	sent    []sent // in the order of publication

	stop    context.CancelFunc
	running pipeline.Crew
	failed  error // of the worker, once it has ended
}

// sent is one event that the stream has confirmed.
type sent struct {
	event    event
	sequence uint64
}

// newStage builds everything and starts the worker.
func newStage(ctx context.Context, sh *shell, how *demoCmd) (s *stage, err error) {
	s = &stage{tally: newTally(), stop: func() {}}
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
	s.hive = hivetest.New(hivetest.Options{Patterns: patternsOf(mitre.Embedded()), Seed: 1})
	if !how.Calm {
		s.hive.Set(hivetest.Misbehaviour{Latency: 2 * time.Millisecond, Jitter: 8 * time.Millisecond, Refuse: 0.03, Ambiguous: 0.02})
	}
	if s.server, err = hivetest.Listen("127.0.0.1:0", s.hive); err != nil {
		return s, fmt.Errorf("demo: %w", err)
	}
	return s, s.start(ctx, sh, how.Verbose)
}

// start wires the worker from a configuration that came the way every configuration comes.
func (s *stage) start(ctx context.Context, sh *shell, verbose bool) error {
	c, err := config.Load(config.Source{Env: demoConfig(s.nats.URL(), s.server.URL()), Connects: []string{config.ToNATS, config.ToHive}})
	if err != nil {
		return err
	}
	log := zap.NewNop() // what went wrong is in the report
	if verbose {
		if log, err = newLogger(c, sh.err); err != nil {
			return err
		}
	}
	options := pipelineOptions(c, log)
	options.Observer = s.tally
	options.DeadLetterShare = -1 // any file may be tried: a hundred of an unknown format are no broken configuration
	if s.service, err = newService(ctx, c, newWitness(), options); err != nil {
		return err
	}
	s.decoder = s.service.decoder
	// The stream must be there before the first event; the worker would make it a moment later.
	if err := stream.Ensure(ctx, s.service.link, options.Streams()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if s.forward, err = newForwarder(s.nats.URL()); err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	s.stop = stop
	s.running.Go("worker", func() {
		if s.failed = s.service.run(working); s.failed != nil {
			log.Error("worker ended", zap.Error(s.failed))
		}
	})
	return nil
}

// demoConfig is the configuration of the demonstration. Its times are short: both servers are
// next door, and nobody wants to wait for a lost answer as long as in earnest.
func demoConfig(nats, hive string) []string {
	return []string{
		"FORAGER_NATS_URL=" + nats, "FORAGER_NATS_STREAM=DEMO", "FORAGER_NATS_CONSUMER=demo",
		"FORAGER_NATS_SUBJECTS=demo.>", "FORAGER_NATS_MANAGE=true",
		"FORAGER_HIVE_URL=" + hive, "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey,
		"FORAGER_HIVE_TIMEOUT=3s", "FORAGER_HIVE_SETTLE=4s", "FORAGER_LEDGER_LEASE=6s",
		"FORAGER_PIPELINE_MAX_MESSAGE_BYTES=8MiB", "FORAGER_PIPELINE_MAX_BYTES_HELD=64MiB",
		"FORAGER_LOG_LEVEL=warn", "FORAGER_LOG_FORMAT=text",
	}
}

// publish sends all events. Those that cannot be read or sent are said, and are its error.
func (s *stage) publish(ctx context.Context, sh *shell, events iter.Seq2[event, error]) error {
	type flight struct {
		event   event
		confirm confirmation
	}
	var flying []flight
	bad := 0
	refuse := func(file string, err error) {
		bad++
		sh.say("%s: %v", file, err)
	}
	land := func(keep int) {
		for ; len(flying) > keep; flying = flying[1:] {
			sequence, err := flying[0].confirm(ctx)
			if err != nil {
				refuse(flying[0].event.file, err)
				continue
			}
			s.sent = append(s.sent, sent{event: flying[0].event, sequence: sequence})
		}
	}
	for e, err := range events {
		var confirm confirmation
		if err == nil {
			confirm, err = s.forward.send("demo.events", e.body)
		}
		if err != nil {
			refuse(e.file, err)
			continue
		}
		flying = append(flying, flight{e, confirm})
		land(mostUnconfirmed / 2)
	}
	land(0)
	if bad > 0 {
		return fmt.Errorf("demo: not everything could be read and published: %d failed", bad)
	}
	return nil
}

// settle waits until every event is settled, and fails when nothing moves any more.
func (s *stage) settle(ctx context.Context) error {
	for s.tally.settled() < len(s.sent) {
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
