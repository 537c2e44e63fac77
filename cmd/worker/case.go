package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"

	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive"
	"forager/pipeline"
)

// caseCmd is "worker case": what Forager remembers of a case, for people.
type caseCmd struct {
	Show  caseShowCmd  `cmd:"" help:"Show what the ledger knows of a case: what Forager added, and what analysts removed."`
	Allow caseAllowCmd `cmd:"" help:"Let techniques that an analyst removed from a case come back with the next detection."`
}

// caseChoice names a case.
type caseChoice struct {
	configFlag

	Number string `arg:"" name:"number" help:"Number of the case in TheHive, or its id (~…) when it is deleted."`
}

// remembered is the ledger's side of a case, and TheHive's.
type remembered struct {
	enricher *enrich.Enricher
	client   *hive.Client
	close    func()
}

// open connects to NATS and TheHive. Nothing is consumed, claimed or created.
func (c caseChoice) open(ctx context.Context, sh *shell) (*remembered, error) {
	files := newWitness()
	cfg, err := c.loadBy(files, sh, config.ToNATS, config.ToHive)
	if err != nil {
		return nil, err
	}
	parts, err := newParts(cfg, files)
	if err != nil {
		return nil, err
	}
	log := zap.NewNop()
	link, err := pipeline.Connect(ctx, connection(cfg), log)
	if err != nil {
		return nil, &usageError{err}
	}
	enricher, err := newEnricher(cfg, parts, link, log)
	if err != nil {
		link.Close()
		return nil, err
	}
	client := parts.clients.own
	return &remembered{enricher: enricher, client: client, close: func() { link.Close(); client.CloseIdle() }}, nil
}

// openCase connects, and finds the case that was named.
func (c caseChoice) openCase(ctx context.Context, sh *shell) (*remembered, hive.Case, error) {
	r, err := c.open(ctx, sh)
	if err != nil {
		return nil, hive.Case{}, err
	}
	found, err := r.find(ctx, c.Number)
	if err != nil {
		r.close()
		return nil, hive.Case{}, err
	}
	return r, found, nil
}

// find gives TheHive's id of the case, and the case; a deleted one has but its id.
func (r *remembered) find(ctx context.Context, number string) (hive.Case, error) {
	c, err := r.client.Case(ctx, number)
	if err == nil || !strings.HasPrefix(number, "~") {
		return c, err
	}
	return hive.Case{ID: number}, nil
}

// caseShowCmd is "worker case show".
type caseShowCmd struct {
	caseChoice

	JSON bool `name:"json" help:"Write one JSON object."`
}

// Run shows.
func (c *caseShowCmd) Run(ctx context.Context, sh *shell) error {
	r, found, err := c.openCase(ctx, sh)
	if err != nil {
		return err
	}
	defer r.close()
	m, err := r.enricher.Recall(ctx, found.ID)
	if err != nil {
		return err
	}
	shown := shownCaseOf(found, m)
	if c.JSON {
		out := json.NewEncoder(sh.out)
		out.SetEscapeHTML(false)
		return out.Encode(shown)
	}
	return shown.print(sh.out)
}

// caseAllowCmd is "worker case allow".
type caseAllowCmd struct {
	caseChoice

	Techniques []string `arg:"" name:"technique" help:"Techniques, T1059 or T1059.001, for all their tactics."`
	JSON       bool     `name:"json" help:"Write one JSON line for each removal that was lifted."`
}

// Run lifts removals.
func (c *caseAllowCmd) Run(ctx context.Context, sh *shell) error {
	r, found, err := c.openCase(ctx, sh)
	if err != nil {
		return err
	}
	defer r.close()
	for _, technique := range c.Techniques {
		lifted, err := r.enricher.Allow(ctx, found.ID, technique)
		if err != nil {
			return err
		}
		for _, item := range lifted {
			if c.JSON {
				if err := json.NewEncoder(sh.out).Encode(shownItem{item.Kind, item.Item}); err != nil {
					return fmt.Errorf("allow: %w", err)
				}
				continue
			}
			fmt.Fprintf(sh.out, "case %d: %s may come back\n", found.Number, detection.Clean(item.Item, 120))
		}
	}
	return nil
}

// shownCase is a case as JSON. The names of its keys are a contract with scripts.
type shownCase struct {
	Number      int              `json:"number,omitempty"` // none: TheHive has it no more
	ID          string           `json:"id"`
	Title       string           `json:"title,omitempty"`
	Known       bool             `json:"known"`
	Held        bool             `json:"held"`
	Unsettled   bool             `json:"unsettled"`
	Procedures  []shownProcedure `json:"procedures"`
	Observables int              `json:"observables"`
	Files       int              `json:"files"`
	Tags        []string         `json:"tags"`
	Comments    []shownComment   `json:"comments"`
	High        shownHigh        `json:"high"`
	LeftOut     map[string]int   `json:"leftOut,omitempty"`
	Removed     []shownItem      `json:"removed"`
	Lifted      []shownItem      `json:"lifted"`
	MovedTo     string           `json:"movedTo,omitempty"`
	Deleted     *time.Time       `json:"deleted,omitempty"`
}

type shownProcedure struct {
	ID        string `json:"id"`
	Technique string `json:"technique"`
	Tactic    string `json:"tactic"`
}

type shownComment struct {
	ID         string    `json:"id"`
	Day        string    `json:"day"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Detections int       `json:"detections"`
}

// shownHigh is the most that Forager wrote; -1 is nothing.
type shownHigh struct {
	Severity int `json:"severity"`
	TLP      int `json:"tlp"`
	PAP      int `json:"pap"`
}

type shownItem struct {
	Kind string `json:"kind"`
	Item string `json:"item"`
}

func shownCaseOf(c hive.Case, m enrich.Memory) shownCase {
	s := shownCase{
		Number: c.Number, ID: m.Case, Title: c.Title, Known: m.Known, Held: m.Held, Unsettled: m.Unsettled,
		Procedures: []shownProcedure{}, Comments: []shownComment{}, Tags: append([]string{}, m.Tags...),
		Observables: m.Observables, Files: m.Files, High: shownHigh{m.Severity, m.TLP, m.PAP}, LeftOut: m.LeftOut,
		Removed: shownItems(m.Removed), Lifted: shownItems(m.Lifted), MovedTo: m.MovedTo,
	}
	for _, p := range m.Procedures {
		s.Procedures = append(s.Procedures, shownProcedure(p))
	}
	for _, n := range m.Comments {
		s.Comments = append(s.Comments, shownComment{ID: n.ID, Day: n.Day, First: n.First, Last: n.Last, Detections: n.Detections})
	}
	if !m.Gone.IsZero() {
		s.Deleted = &m.Gone
	}
	return s
}

func shownItems(all []enrich.Removal) []shownItem {
	items := []shownItem{}
	for _, r := range all {
		items = append(items, shownItem(r))
	}
	return items
}

// print writes the case for people.
func (s shownCase) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, name+"\t"+format+"\n", args...)
	}
	line("case", "%d  %s  %s", s.Number, s.ID, detection.Clean(s.Title, 100))
	line("ledger", "%s", s.state())
	line("highest written", "severity %s, TLP %s, PAP %s", orNone(s.High.Severity), orNone(s.High.TLP), orNone(s.High.PAP))
	line("observables", "%d, files %d", s.Observables, s.Files)
	line("tags", "%s", detection.Clean(strings.Join(s.Tags, ", "), 2000))
	for _, p := range s.Procedures {
		line("procedure", "%s  %s  %s", detection.Clean(p.Technique, 40), detection.Clean(p.Tactic, 40), detection.Clean(p.ID, 40))
	}
	for _, c := range s.Comments {
		line("comment", "%s  %d detections until %s  %s", c.Day, c.Detections, c.Last.Format(time.RFC3339), detection.Clean(c.ID, 40))
	}
	for _, kind := range slices.Sorted(maps.Keys(s.LeftOut)) {
		line("left out", "%d %s over the limit", s.LeftOut[kind], kind)
	}
	for _, r := range s.Removed {
		line("removed by analysts", "%s  %s", r.Kind, detection.Clean(r.Item, 120))
	}
	for _, r := range s.Lifted {
		line("may come back", "%s  %s", r.Kind, detection.Clean(r.Item, 120))
	}
	return t.Flush()
}

// state says in words how the ledger stands to the case.
func (s shownCase) state() string {
	words := []string{"has an entry"}
	if !s.Known {
		words = []string{"has no entry: Forager never added to this case, or forgot it long after its end"}
	}
	for _, one := range []struct {
		is   bool
		word string
	}{
		{s.Held, "a worker is at it now"}, {s.Unsettled, "the next worker looks at TheHive first"},
		{s.MovedTo != "", "merged into " + s.MovedTo}, {s.Deleted != nil, "deleted by an analyst"},
	} {
		if one.is {
			words = append(words, one.word)
		}
	}
	return strings.Join(words, "; ")
}

func orNone(n int) string {
	if n < 0 {
		return "none"
	}
	return strconv.Itoa(n)
}
