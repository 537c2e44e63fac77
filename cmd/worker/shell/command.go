package shell

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// Argument is what a command takes beside its flags, as help shows it.
type Argument struct{ name, help string }

// Leaf makes a command that does something. Without more being said it takes no arguments.
func Leaf(sh *Shell, name, help string, do func(context.Context, *Shell) error, takes ...Argument) *cobra.Command {
	use := []string{name}
	for _, a := range takes {
		use = append(use, a.name)
	}
	c := &cobra.Command{
		Use: strings.Join(use, " "), Short: help, Long: argumentHelp(takes), DisableFlagsInUseLine: true,
		Args: Reads(func(args []string) error { return AtMost(0, args) }), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error { return do(c.Context(), sh) },
	}
	c.Flags().SortFlags = false // in the order of the code
	return c
}

// Branch makes a command that consists of others. They keep their order.
func Branch(name, help string, of ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: help, SuggestionsMinimumDistance: 2, Args: NoCommand, RunE: NoCommand}
	for i, sub := range of {
		sub.Annotations = map[string]string{place: strconv.Itoa(i)}
	}
	c.AddCommand(of...)
	return c
}

// Reads makes cobra's check of arguments: a mistake in them is one in the use of the command.
func Reads(read func([]string) error) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if err := read(args); err != nil {
			return Misuse(err)
		}
		return nil
	}
}

// Listed takes any number of arguments.
func Listed(into *[]string) cobra.PositionalArgs {
	return Reads(func(args []string) error { *into = args; return nil })
}

// AtMost refuses what is more than a command takes.
func AtMost(n int, args []string) error {
	if len(args) > n {
		return fmt.Errorf("unexpected argument %s", Shown(args[n]))
	}
	return nil
}

// NoCommand refuses a branch that no command follows.
func NoCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return Misuse(fmt.Errorf("expected one of %s", Quoted(Names(c))))
	}
	return Misuse(fmt.Errorf("unknown command %s%s", Shown(args[0]), Meant(c.SuggestionsFor(args[0]))))
}

// Like are the names that a mistyped one may have meant. Cobra compares the names of commands: these
// are lent to it as such.
func Like(name string, of []string) []string {
	lent := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, n := range of {
		lent.AddCommand(&cobra.Command{Use: n, RunE: NoCommand})
	}
	return lent.SuggestionsFor(name)
}

// Meant asks whether one of these was.
func Meant(like []string) string {
	switch len(like) {
	case 0:
		return ""
	case 1:
		return ", did you mean " + Quoted(like) + "?"
	default:
		return ", did you mean one of " + Quoted(like) + "?"
	}
}

// Quoted lists names, each in quotation marks.
func Quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }

// Choice is a flag that takes one of several words.
type Choice struct {
	Word *string
	Of   []string
}

// String is the word that is chosen.
func (c Choice) String() string {
	if c.Word == nil {
		return ""
	}
	return *c.Word
}

// Type is how help shows the value.
func (c Choice) Type() string { return "NAME" }

// Set refuses what is none of the words.
func (c Choice) Set(word string) error {
	if !slices.Contains(c.Of, word) {
		return fmt.Errorf("impossible value %q: expected one of %s", word, Quoted(c.Of))
	}
	*c.Word = word
	return nil
}

// Shown makes a text of somebody else fit for one line of a terminal.
func Shown(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` || text == "" {
		return quoted
	}
	return text
}

// Arg is an argument, and what help says of it.
func Arg(name, help string) Argument { return Argument{name, help} }
