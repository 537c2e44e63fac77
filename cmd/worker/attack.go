package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/mitre"
)

// attackCommands are "worker attack": what the worker knows of ATT&CK.
func attackCommands(sh *shell.Shell) *cobra.Command {
	return shell.Branch("attack", "What is known of MITRE ATT&CK: resolve techniques, list releases, draw a layer.",
		(&attackResolveCmd{}).command(sh),
		(&attackReleasesCmd{}).command(sh),
		(&attackLayerCmd{}).command(sh),
	)
}

// attackReleasesCmd is "worker attack releases".
type attackReleasesCmd struct {
	configFlag

	JSON bool
}

func (c *attackReleasesCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "releases", "List the ATT&CK releases that are known.", c.Run)
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Write one JSON line for each release.")
	return cmd
}

// listedRelease is one line of "attack releases --json". The names of its keys are a contract
// with scripts.
type listedRelease struct {
	Domain        string `json:"domain"`
	Release       string `json:"release"`
	Techniques    int    `json:"techniques"`
	SubTechniques int    `json:"subTechniques"`
	Revoked       int    `json:"revoked"`
	Deprecated    int    `json:"deprecated"`
}

// Run lists what the catalogue holds, the operator's bundles included.
func (c *attackReleasesCmd) Run(_ context.Context, sh *shell.Shell) error {
	catalogue, err := c.catalogue(sh)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeReleaseLines(sh.Out, catalogue.Releases())
	}
	table := terminal.NewTable(terminal.Column{Name: "DOMAIN"}, terminal.Column{Name: "RELEASE"}, terminal.Column{Name: "TECHNIQUES", Right: true},
		terminal.Column{Name: "SUB-TECHNIQUES", Right: true}, terminal.Column{Name: "REVOKED", Right: true, Spare: true}, terminal.Column{Name: "DEPRECATED", Right: true, Spare: true})
	for _, r := range catalogue.Releases() {
		table.Row(terminal.Plain.Of(r.Domain), terminal.Plain.Of(r.Version), terminal.Number(r.Techniques), terminal.Number(r.SubTechniques), terminal.Number(r.Revoked), terminal.Number(r.Deprecated))
	}
	out := terminal.Out(sh)
	out.Table(table)
	return out.Failed()
}

func writeReleaseLines(w io.Writer, releases []mitre.Release) error {
	out := json.NewEncoder(w)
	for _, r := range releases {
		line := listedRelease{r.Domain, r.Version, r.Techniques, r.SubTechniques, r.Revoked, r.Deprecated}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// catalogue reads the configuration, if there is one, for its bundles.
func (f configFlag) catalogue(sh *shell.Shell) (*mitre.Catalogue, error) {
	cfg, err := f.load(sh)
	if err != nil {
		return nil, err
	}
	return rulefiles.NewCatalogue(cfg)
}

// releaseOf finds the release that was asked for: "18" is the newest of 18.x. Without one it is
// the newest of each domain, which is written "".
func releaseOf(c *mitre.Catalogue, asked string) (release string, err error) {
	var held []string
	for _, r := range c.Releases() { // oldest first within a domain
		if isRelease(r, asked) {
			release = r.Version
		}
		held = append(held, r.Version)
	}
	if release != "" || asked == "" {
		return release, nil
	}
	slices.Sort(held)
	return "", shell.Misuse(fmt.Errorf("--release: ATT&CK %q is not known here: expected one of %s, or a file in attack.bundles", asked, strings.Join(slices.Compact(held), ", ")))
}

// isRelease tells whether a release is what somebody calls by the whole or the first part of its
// version. Nobody asks for nothing.
func isRelease(r mitre.Release, asked string) bool {
	return asked != "" && (r.Version == asked || strings.HasPrefix(r.Version, asked+"."))
}
