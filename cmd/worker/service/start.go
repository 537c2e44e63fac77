package service

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"forager/pipeline"
	"forager/pipeline/journal"
	"forager/pipeline/stream"
	"forager/retry"
)

// Pauses between two looks at what a start waits for.
const (
	firstLook = 250 * time.Millisecond
	lastLook  = 10 * time.Second
)

// start is what has to be there before the first message is taken. What is not there is said
// once, and looked for until it is.
type start struct {
	log   *zap.Logger
	needs []need

	mu      sync.Mutex
	missing map[string]string // need → why it is not there
}

// need is one thing, and how to look for it.
type need struct {
	name string
	look func(context.Context) error
}

func newStart(log *zap.Logger) *start {
	return &start{log: log, missing: map[string]string{}}
}

// need adds something to wait for. It is called before wait.
func (s *start) need(name string, look func(context.Context) error) {
	s.needs = append(s.needs, need{name, look})
	s.missing[name] = "not asked yet"
}

// reaching looks for NATS, and with nats.manage makes there what is missing.
func reaching(link *stream.Link, o pipeline.Options) func(context.Context) error {
	if !o.Manage {
		return func(context.Context) error { return link.Reach() }
	}
	return func(ctx context.Context) error {
		if lines, ok := o.Journal.(*journal.Journal); ok {
			if err := lines.Ensure(ctx); err != nil {
				return err
			}
		}
		return stream.Ensure(ctx, link, o.Streams())
	}
}

// wait looks for everything at a time and returns when all is there; its error is ctx's, or a panic
// of a look.
func (s *start) wait(ctx context.Context) error {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	all := pipeline.Tasks{Failed: func(error) { stop() }}
	for _, n := range s.needs {
		all.Go("look for "+n.name, func() { s.waitFor(looking, n) })
	}
	return cmp.Or(all.Wait(), ctx.Err())
}

func (s *start) waitFor(ctx context.Context, n need) {
	pauses := retry.Backoff{First: firstLook, Last: lastLook}.Pauses()
	for said := false; ; {
		err := n.look(ctx)
		if err == nil {
			s.found(n.name, said)
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.set(n.name, err.Error())
		if !said {
			said = true
			s.log.Error("waiting for "+n.name+": nothing is consumed until it is there; worker check --connect says what to do", zap.Error(err))
		}
		if !pauses.Wait(ctx) {
			return
		}
	}
}

func (s *start) set(name, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing[name] = why
}

func (s *start) found(name string, waited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.missing, name)
	if waited {
		s.log.Info(name + " is there")
	}
}

// reasons says what is missing, and why.
func (s *start) reasons() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for name, why := range s.missing {
		all = append(all, name+": "+why)
	}
	slices.Sort(all)
	return all
}
