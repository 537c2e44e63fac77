package silences

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/cmd/worker/whatif"
	"forager/config"
	"forager/pipeline/history"
	"forager/pipeline/stream"
)

// tried says what proposals would drop of what the stream holds: "worker whatif" of the rules in force, without and with
// them. Errors: of the rules in force, of NATS.
func tried(ctx context.Context, sh *shell.Shell, cfg *config.Config, proposals string, since time.Time) (*Dropped, error) {
	old, now, err := bothRules(cfg, proposals)
	if err != nil {
		return nil, err
	}
	link, err := stream.Connect(ctx, service.Connection(cfg, zap.NewNop()), zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer link.Close()
	if err := link.Reach(); err != nil {
		return nil, err
	}
	span := history.Span{Stream: cfg.NATS.Stream, Filters: cfg.NATS.Subjects, Since: since}
	progress := terminal.Begin(sh, "asking NATS")
	defer progress.End()
	r, err := whatif.Compare(ctx, link, span, old, now, progress)
	if err != nil {
		return nil, err
	}
	return droppedOf(r, silenceNames(cfg)), nil
}

// bothRules are the rules in force, and those with the proposals; both read messages the same way.
func bothRules(cfg *config.Config, proposals string) (old, now whatif.Rules, err error) {
	proposed, err := config.Load(config.Source{Name: "proposals", Text: []byte(proposals)})
	if err != nil {
		return old, now, err
	}
	with := *cfg
	with.Silences = slices.Concat(cfg.Silences, proposed.Silences)
	files := rulefiles.NewWitness()
	decoder, err := rulefiles.NewDecoder(cfg, files, rulefiles.Trial{})
	if err != nil {
		return old, now, err
	}
	catalogue, err := rulefiles.NewCatalogue(cfg)
	if err != nil {
		return old, now, err
	}
	rules := func(c *config.Config) (whatif.Rules, error) {
		router, err := rulefiles.NewRouter(c, files)
		if err != nil {
			return whatif.Rules{}, err
		}
		return whatif.Rules{Decoder: decoder, Planner: rulefiles.NewPlanner(c, catalogue, nil, router, time.Now)}, nil
	}
	if old, err = rules(cfg); err != nil {
		return old, now, err
	}
	if now, err = rules(&with); err != nil {
		return old, now, fmt.Errorf("the proposals: %w", err)
	}
	return old, now, nil
}

// droppedOf reads a comparison: what silences dropped that were not in force before.
func droppedOf(r whatif.Report, before []string) *Dropped {
	d := Dropped{Messages: r.Messages, Detections: r.New.Detections, Opened: r.Old.Opened, Fewer: r.Old.Opened - r.New.Opened, By: map[string]int{}}
	for name, t := range r.New.Silences() {
		if !slices.Contains(before, name) {
			d.By[name] = t.Dropped
		}
	}
	return &d
}

// silenceNames are those of the silences in force.
func silenceNames(c *config.Config) (all []string) {
	for _, s := range c.Silences {
		all = append(all, s.Name)
	}
	return all
}
