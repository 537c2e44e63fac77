package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/sightings"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/hive"
	"forager/mitre"
)

// attackLayerCmd is "worker attack layer".
type attackLayerCmd struct {
	configFlag

	Since   moment
	Tag     string
	Domain  string
	Release string
}

func (c *attackLayerCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "layer", "Write an ATT&CK Navigator layer of the procedures in TheHive.", c.Run)
	flags := cmd.Flags()
	c.addTo(flags)
	flags.Var(&c.Since, "since", "Only procedures that occurred since then: 2026-03-01, 2026-03-01T08:00:00Z, or so long ago: 12h, 30d.")
	flags.StringVar(&c.Tag, "tag", "", "Only procedures of cases with this `TAG`.")
	domains := []string{"enterprise-attack", "mobile-attack", "ics-attack"}
	c.Domain = domains[0]
	flags.Var(shell.Choice{Word: &c.Domain, Of: domains}, "domain", "Matrix of the layer: "+strings.Join(domains, ", ")+".")
	flags.StringVar(&c.Release, "release", "", "ATT&CK `RELEASE` of the layer (19.0); default: the newest of the domain.")
	_ = cmd.RegisterFlagCompletionFunc("domain", cobra.FixedCompletions(domains, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

// Run writes the layer. Ids and tactics of other releases count as what the layer's release
// calls them, so that a server that was upgraded shows each technique once.
func (c *attackLayerCmd) Run(ctx context.Context, sh *shell.Shell) error {
	cfg, err := c.load(sh, config.ToHive)
	if err != nil {
		return err
	}
	catalogue, err := rulefiles.NewCatalogue(cfg)
	if err != nil {
		return err
	}
	release, err := c.release(catalogue)
	if err != nil {
		return err
	}
	client, err := service.NewClient(cfg)
	if err != nil {
		return shell.Misuse(err)
	}
	defer client.CloseIdle()
	counted := sightings.New(catalogue, release, c.Domain)
	progress := terminal.Begin(sh, "asking TheHive")
	defer progress.End()
	progress.Step("reading procedures", 0)
	for p, err := range c.procedures(ctx, client) {
		if err != nil {
			return fmt.Errorf("read procedures: %w", err)
		}
		counted.Add(p.PatternID, p.Tactic, 1)
		progress.More()
	}
	progress.End()
	layer, err := mitre.Layer(c.name(), counted.Counts, release, c.Domain)
	if err != nil {
		return err
	}
	report(sh, counted)
	_, err = sh.Out.Write(layer)
	return err
}

// name tells what the layer shows.
func (c *attackLayerCmd) name() string {
	name := "TheHive procedures"
	if c.Tag != "" {
		name += " of cases tagged " + c.Tag
	}
	if !c.Since.IsZero() {
		name += " since " + c.Since.UTC().Format(time.RFC3339)
	}
	return name
}

// release is the one that was asked for, or the domain's newest.
func (c *attackLayerCmd) release(catalogue *mitre.Catalogue) (version string, err error) {
	for _, r := range catalogue.Releases() {
		if r.Domain == c.Domain && (c.Release == "" || isRelease(r, c.Release)) {
			version = r.Version // the newest comes last
		}
	}
	if version == "" {
		return "", shell.Misuse(fmt.Errorf("--release: no %s %s is known here; see \"worker attack releases\"", c.Domain, shell.Shown(c.Release)))
	}
	return version, nil
}

// procedures are those that the flags choose.
func (c *attackLayerCmd) procedures(ctx context.Context, client *hive.Client) iter.Seq2[hive.Procedure, error] {
	if c.Tag != "" {
		return c.proceduresTagged(ctx, client)
	}
	q := hive.Query{}
	if !c.Since.IsZero() {
		q.Filter = hive.Gte("occurDate", c.Since.Time)
	}
	return client.Procedures(ctx, q)
}

// proceduresTagged goes by way of the cases: a procedure has no tags.
func (c *attackLayerCmd) proceduresTagged(ctx context.Context, client *hive.Client) iter.Seq2[hive.Procedure, error] {
	return func(yield func(hive.Procedure, error) bool) {
		for found, err := range client.FindCases(ctx, hive.Query{Filter: hive.Eq("tags", c.Tag)}) {
			if err != nil {
				yield(hive.Procedure{}, err)
				return
			}
			for p, err := range client.CaseProcedures(ctx, found.ID) {
				if err == nil && p.OccurDate < hive.MillisOf(c.Since.Time) && !c.Since.IsZero() {
					continue
				}
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// report says what the layer cannot show.
func report(sh *shell.Shell, s *sightings.Sightings) {
	for _, domain := range slices.Sorted(maps.Keys(s.Elsewhere)) {
		sh.Say("not in this layer: %d of %s, see --domain", s.Elsewhere[domain], domain)
	}
	for _, id := range slices.Sorted(maps.Keys(s.Unknown)) {
		sh.Say("not in this ATT&CK release: %d of %s", s.Unknown[id], shell.Shown(id))
	}
}

// moment is a point in time on the command line.
type moment struct{ time.Time }

// String is empty for no time: a flag that was not given.
func (m *moment) String() string {
	if m.IsZero() {
		return ""
	}
	return m.Format(time.RFC3339)
}

// Type is what help shows for it.
func (m *moment) Type() string { return "TIME" }

// Set reads a day, a time, or how long ago it was.
func (m *moment) Set(s string) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			m.Time = t
			return nil
		}
	}
	ago, err := time.ParseDuration(s)
	if days, isDays := strings.CutSuffix(s, "d"); isDays {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16) // 16 bits: 179 years, far from an overflow
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago <= 0 {
		return fmt.Errorf("%q is no time: expected 2026-03-01, 2026-03-01T08:00:00Z, or how long ago: 12h, 30d", s)
	}
	m.Time = time.Now().Add(-ago)
	return nil
}
