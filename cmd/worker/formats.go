package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
)

// formatsCommands are "worker formats": which formats there are, and what they make of events.
func formatsCommands(sh *shell.Shell) *cobra.Command {
	return shell.Branch("formats", "Which formats of alerts are known, what each reads, and what one makes of samples.",
		(&formatsListCmd{}).command(sh),
		(&formatsShowCmd{}).command(sh),
		(&formatsTestCmd{}).command(sh),
		(&formatsDraftCmd{}).command(sh),
	)
}

// formatFile is the flag of a format file that is tried beside the others.
func formatFile(flags *pflag.FlagSet, into *string) {
	flags.StringVar(into, "format-file", "", "Know the format of this `FILE` (YAML), too; it replaces another of its name.")
}

// formats are the formats that are known, and the configuration that says so.
func (f configFlag) formats(sh *shell.Shell) ([]formats.File, *config.Config, error) {
	cfg, err := f.load(sh)
	if err != nil {
		return nil, nil, err
	}
	all, err := rulefiles.Formats(cfg, rulefiles.NewWitness())
	return all, cfg, err
}

// formatsListCmd is "worker formats ls".
type formatsListCmd struct {
	configFlag

	JSON bool
}

func (c *formatsListCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "ls", "List the formats, built in and of formats.directories.", c.Run)
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Write one JSON line for each format.")
	return cmd
}

// Run lists.
func (c *formatsListCmd) Run(_ context.Context, sh *shell.Shell) error {
	all, cfg, err := c.formats(sh)
	if err != nil {
		return err
	}
	if c.JSON {
		for _, f := range all {
			if err := writeLine(sh.Out, shownFormatOf(f, cfg)); err != nil {
				return fmt.Errorf("list formats: %w", err)
			}
		}
		return nil
	}
	table := terminal.NewTable(terminal.Column{Name: "NAME"}, terminal.Column{Name: "KIND"}, terminal.Column{Name: "FILE", Spare: true, Cut: true}, terminal.Column{Name: "READS", Fold: true})
	for _, f := range all {
		shown := shownFormatOf(f, cfg)
		table.Row(terminal.Plain.Of(canon.Line(f.Name, 60)), terminal.Plain.Of(shown.Kind), terminal.Plain.Of(canon.Line(shown.File, 200)), terminal.Plain.Of(canon.Line(f.Product, 120)))
	}
	out := terminal.Out(sh)
	out.Table(table)
	return out.Failed()
}

// writeLine writes one JSON line.
func writeLine(w io.Writer, line any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return out.Encode(line)
}

// shownFormat is a format as JSON. The names of its keys are a contract with scripts; every key but
// text is always there.
type shownFormat struct {
	Name            string       `json:"name"`
	Product         string       `json:"product"`
	Kind            string       `json:"kind"`    // one of the kind… constants
	File            string       `json:"file"`    // "built in", or the operator's file
	BuiltIn         bool         `json:"builtIn"` // not an operator's
	RecognisedBy    []string     `json:"recognisedBy"`
	Drops           []shownDrop  `json:"drops"`
	Severity        []string     `json:"severity"`
	DefaultSeverity string       `json:"defaultSeverity"`
	Fields          []shownField `json:"fields"`
	Takes           []string     `json:"takes"` // rules of other files
	Text            string       `json:"text,omitempty"`
}

type shownDrop struct {
	Reason string `json:"reason"`
	When   string `json:"when"`
}

type shownField struct {
	Name string   `json:"name"`
	From []string `json:"from"`
}

// Kinds of formats.
const (
	kindDetections = "detections"
	kindBoth       = "detections, noise" // and what it drops by name
	kindFragment   = "rules for others"
)

// builtInFile stands for the file of a format that is built in.
const builtInFile = "built in"

func shownFormatOf(f formats.File, cfg *config.Config) shownFormat {
	shown := shownFormat{
		Name: f.Name, Product: f.Product, Kind: kindDetections, File: builtInFile, BuiltIn: f.Folder < 0, RecognisedBy: notNil(f.Recognised),
		Drops: []shownDrop{}, Severity: notNil(f.Severity), DefaultSeverity: f.Default, Fields: []shownField{}, Takes: notNil(f.Takes),
	}
	switch {
	case f.Fragment:
		shown.Kind = kindFragment
	case len(f.Drops) > 0:
		shown.Kind = kindBoth
	}
	if !shown.BuiltIn {
		shown.File = filepath.Join(cfg.Formats.Directories[f.Folder], f.File)
	}
	for _, d := range f.Drops {
		shown.Drops = append(shown.Drops, shownDrop(d))
	}
	for _, of := range f.Fields {
		shown.Fields = append(shown.Fields, shownField(of))
	}
	return shown
}

// formatsShowCmd is "worker formats show".
type formatsShowCmd struct {
	configFlag

	Name string
	Text bool
	JSON bool
}

func (c *formatsShowCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "show", "Show what a format recognises and reads, and its file.", c.Run, shell.Arg("NAME", "Name of the format, from ls."))
	c.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&c.Text, "text", false, "Write the format file and nothing else: a beginning for one of your own.")
	cmd.Flags().BoolVar(&c.JSON, "json", false, "Write one JSON object.")
	cmd.Args = shell.Reads(func(args []string) error {
		if len(args) == 0 {
			return errors.New("expected the NAME of a format")
		}
		c.Name = args[0]
		return shell.AtMost(1, args)
	})
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		all, _, err := c.formats(sh)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return formatNames(all), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

func formatNames(all []formats.File) (names []string) {
	for _, f := range all {
		names = append(names, f.Name)
	}
	return names
}

// Run shows.
func (c *formatsShowCmd) Run(_ context.Context, sh *shell.Shell) error {
	if c.Text && c.JSON {
		return shell.Misuse(errors.New("--text and --json: expected one of them"))
	}
	all, cfg, err := c.formats(sh)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(f formats.File) bool { return f.Name == c.Name })
	if i < 0 {
		return shell.Misuse(rulefiles.NoFormat(c.Name, formatNames(all)))
	}
	shown := shownFormatOf(all[i], cfg)
	shown.Text = all[i].Text
	switch {
	case c.Text:
		_, err = io.WriteString(sh.Out, shown.Text)
	case c.JSON:
		err = writeLine(sh.Out, shown)
	default:
		err = shown.print(sh, all[i].Comment)
	}
	return err
}

// print writes a format for people: what it is, what it reads, its file.
func (s *shownFormat) print(sh *shell.Shell, comment string) error {
	to := terminal.Out(sh)
	to.Line(2, terminal.Heading.Of(s.Name), terminal.Plain.Of(fmt.Sprintf(": %s (%s)", s.Kind, s.File)))
	for line := range strings.SplitSeq(comment, "\n") {
		to.Line(0, terminal.Plain.Of(line))
	}
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			to.Blank()
			to.Line(0, terminal.Heading.Of(title+":"))
		}
		for _, line := range lines {
			to.Line(4, terminal.Plain.Of("  "+line))
		}
	}
	section(`Recognised by any of (texts as they are compared: without case, "_" and "-")`, s.RecognisedBy)
	var drops []string
	for _, d := range s.Drops {
		drops = append(drops, d.Reason+": "+d.When)
	}
	section("Dropped as", drops)
	if s.Kind != kindFragment {
		section("Severity, the first that says one", append(slices.Clone(s.Severity), "else "+s.DefaultSeverity))
	}
	section("Takes from other formats", s.Takes)
	to.Blank()
	to.Line(0, terminal.Heading.Of("Fields:"))
	fields := terminal.NewList(2)
	for _, f := range s.Fields {
		fields.Row(terminal.Plain.Of(f.Name), terminal.Plain.Of(strings.Join(f.From, ", ")))
	}
	to.List(fields)
	to.Blank()
	to.Line(0, terminal.Heading.Of("File:"))
	to.Blank()
	if err := to.Failed(); err != nil {
		return err
	}
	_, err := io.WriteString(sh.Out, s.Text) // as it is: to be copied
	return err
}

// notNil is a list that JSON shows as one, empty or not.
func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
