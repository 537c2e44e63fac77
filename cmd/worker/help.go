package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/config"
)

// errHelped ends the reading of a command line that asks for help.
var errHelped = errors.New("help was shown")

// helpFlag is --help: it ends the reading where it stands.
type helpFlag struct{}

func (helpFlag) String() string { return "false" }

// Set is called as soon as the flag is read; flagError then shows the help.
func (helpFlag) Set(string) error { return errHelped }

// Type is what cobra wants a flag of this name to be.
func (helpFlag) Type() string { return "bool" }

// columns is the width of a terminal that help fits on.
const columns = 80

// place is the annotation with a command's place among its siblings: cobra gives them by name.
const place = "place"

// writeHelp shows what a command does, and how it is called.
func writeHelp(w io.Writer, c *cobra.Command) error {
	c.InheritedFlags() // joins the flags of all commands above to its own
	var b strings.Builder
	b.WriteString("Usage: " + c.CommandPath() + strings.TrimPrefix(c.Use, c.Name()))
	if c.HasSubCommands() {
		b.WriteString(" COMMAND")
	}
	b.WriteString(" [flags]\n\n" + fold(c.Short, 0) + "\n\n")
	if c.HasSubCommands() {
		b.WriteString("Commands:\n" + commandHelp(c) + "\n")
	}
	b.WriteString(c.Long + "Flags:\n" + c.Flags().FlagUsagesWrapped(columns))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("show help: %w", err)
	}
	return nil
}

// children are the commands of a branch, in their order.
func children(c *cobra.Command) []*cobra.Command {
	all := slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool { return sub.Hidden })
	slices.SortStableFunc(all, func(a, b *cobra.Command) int { return cmp.Compare(placeOf(a), placeOf(b)) })
	return all
}

func placeOf(c *cobra.Command) int {
	n, _ := strconv.Atoi(c.Annotations[place]) // branch wrote it
	return n
}

func names(c *cobra.Command) (all []string) {
	for _, sub := range children(c) {
		all = append(all, sub.Name())
	}
	return all
}

func commandHelp(c *cobra.Command) string {
	var rows []argument
	for _, sub := range children(c) {
		rows = append(rows, argument{sub.Name(), sub.Short})
	}
	return table(rows)
}

// argumentHelp is the part of a command's help that is about its arguments.
func argumentHelp(of []argument) string {
	if len(of) == 0 {
		return ""
	}
	return "Arguments:\n" + table(of) + "\n"
}

// table puts what names mean beside them.
func table(rows []argument) string {
	width := 0
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r.name))
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-*s   %s\n", width, r.name, fold(r.help, width+5))
	}
	return b.String()
}

// fold breaks a text into lines; all but the first are indented.
func fold(text string, indent int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// placeholder is what help shows for the value of a flag.
func placeholder(f *pflag.Flag) string {
	name, _ := pflag.UnquoteUsage(f)
	return name
}

// helpCmd is "worker help [COMMAND…]".
type helpCmd struct {
	Topic []string
}

func (c *helpCmd) command(sh *shell) *cobra.Command {
	cmd := leaf(sh, "help", `Show help for a command; "config" lists every key of the configuration.`, nil,
		argument{"[COMMAND…]", `Command, or "config".`})
	cmd.Args = listed(&c.Topic)
	cmd.RunE = func(at *cobra.Command, _ []string) error { return c.Run(at.Context(), sh, at.Root()) }
	cmd.ValidArgsFunction = func(at *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		of, _, err := at.Root().Find(args)
		if err != nil || len(args) == 0 {
			return append(names(at.Root()), "config"), cobra.ShellCompDirectiveNoFileComp
		}
		return names(of), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// Run shows the help of the command that the topic names below root.
func (c *helpCmd) Run(_ context.Context, sh *shell, root *cobra.Command) error {
	if len(c.Topic) == 1 && c.Topic[0] == "config" {
		return config.WriteReference(sh.out)
	}
	of, rest, err := root.Find(c.Topic)
	if err != nil {
		return &usageError{fmt.Errorf("no help: %w", err)}
	}
	if len(rest) == 0 {
		return writeHelp(sh.out, of)
	}
	if of.HasSubCommands() {
		err = noCommand(of, rest)
	} else {
		err = &usageError{atMost(0, rest)}
	}
	return fmt.Errorf("no help: %w", err)
}
