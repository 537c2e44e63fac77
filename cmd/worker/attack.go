package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"forager/config"
	"forager/filebound"
	"forager/mitre"
)

// attackCommands are "worker attack": what the worker knows of ATT&CK.
func attackCommands(sh *shell) *cobra.Command {
	return branch("attack", "What is known of MITRE ATT&CK: resolve techniques, list releases, draw a layer.",
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

func (c *attackReleasesCmd) command(sh *shell) *cobra.Command {
	cmd := leaf(sh, "releases", "List the ATT&CK releases that are known.", c.Run)
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
func (c *attackReleasesCmd) Run(_ context.Context, sh *shell) error {
	catalogue, err := c.catalogue(sh)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeReleaseLines(sh.out, catalogue.Releases())
	}
	table := tabwriter.NewWriter(sh.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DOMAIN\tRELEASE\tTECHNIQUES\tSUB-TECHNIQUES\tREVOKED\tDEPRECATED")
	for _, r := range catalogue.Releases() {
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\n", r.Domain, r.Version, r.Techniques, r.SubTechniques, r.Revoked, r.Deprecated)
	}
	return table.Flush()
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
func (f configFlag) catalogue(sh *shell) (*mitre.Catalogue, error) {
	cfg, err := f.load(sh)
	if err != nil {
		return nil, err
	}
	return newCatalogue(cfg)
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
	return "", &usageError{fmt.Errorf("--release: ATT&CK %q is not known here: expected one of %s, or a file in attack.bundles", asked, strings.Join(slices.Compact(held), ", "))}
}

// isRelease tells whether a release is what somebody calls by the whole or the first part of its
// version. Nobody asks for nothing.
func isRelease(r mitre.Release, asked string) bool {
	return asked != "" && (r.Version == asked || strings.HasPrefix(r.Version, asked+"."))
}

// withBundles adds the operator's STIX files to a catalogue.
func withBundles(known *mitre.Catalogue, c *config.Config) (*mitre.Catalogue, error) {
	var wrong []config.Mistake
	for i, name := range c.Attack.Bundles {
		text, err := filebound.Read(name, mostBundle)
		if err == nil {
			if known, err = withBundle(known, name, text); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
		if err != nil {
			wrong = append(wrong, config.Mistake{Key: fmt.Sprintf("attack.bundles[%d]", i), Err: err})
		}
	}
	return known, mistaken(c, wrong)
}

// inFileName is how MITRE and others write a release at the end of a file's name:
// enterprise-attack-17.1.json, ics-attack-v17.json.
var inFileName = regexp.MustCompile(`(?:attack-|v)([0-9]{1,2}(?:\.[0-9]{1,2}){0,2})$`)

// withBundle adds one bundle. One that does not say which release it is, as those in STIX 2.0,
// may say it by its name.
func withBundle(c *mitre.Catalogue, name string, text []byte) (*mitre.Catalogue, error) {
	more, err := c.With(text)
	if !errors.Is(err, mitre.ErrNoRelease) {
		return more, reasonOfBundle(err)
	}
	stem := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	found := inFileName.FindStringSubmatch(stem)
	if found == nil {
		return c, fmt.Errorf("%w; nor does its name, as enterprise-attack-17.1.json would", reasonOfBundle(err))
	}
	more, err = c.WithRelease(found[1], text)
	return more, reasonOfBundle(err)
}

// reasonOfBundle leaves out which of several bundles it was: the file's name says it better.
func reasonOfBundle(err error) error {
	if b, ok := errors.AsType[*mitre.BundleError](err); ok {
		return b.Err
	}
	return err
}

// shown makes a text of somebody else fit for one line of a terminal.
func shown(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` || text == "" {
		return quoted
	}
	return text
}
