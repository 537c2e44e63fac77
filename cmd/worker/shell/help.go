package shell

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Columns is the width of a terminal that help fits on.
const Columns = 80

// place is the annotation with a command's place among its siblings: cobra gives them by name.
const place = "place"

// WriteHelp shows what a command does, and how it is called.
func WriteHelp(w io.Writer, c *cobra.Command) error {
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
	b.WriteString(c.Long + "Flags:\n" + c.Flags().FlagUsagesWrapped(Columns))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("show help: %w", err)
	}
	return nil
}

// Children are the commands of a branch, in their order.
func Children(c *cobra.Command) []*cobra.Command {
	all := slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool { return sub.Hidden })
	slices.SortStableFunc(all, func(a, b *cobra.Command) int { return cmp.Compare(placeOf(a), placeOf(b)) })
	return all
}

func placeOf(c *cobra.Command) int {
	n, _ := strconv.Atoi(c.Annotations[place]) // branch wrote it
	return n
}

// Names are those of the commands of a branch, in their order.
func Names(c *cobra.Command) (all []string) {
	for _, sub := range Children(c) {
		all = append(all, sub.Name())
	}
	return all
}

func commandHelp(c *cobra.Command) string {
	var rows []Argument
	for _, sub := range Children(c) {
		rows = append(rows, Arg(sub.Name(), sub.Short))
	}
	return table(rows)
}

// argumentHelp is the part of a command's help that is about its arguments.
func argumentHelp(of []Argument) string {
	if len(of) == 0 {
		return ""
	}
	return "Arguments:\n" + table(of) + "\n"
}

// table puts what names mean beside them.
func table(rows []Argument) string {
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
		case at+1+n > Columns:
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
