package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newCommandLine describes everything that may be written on the command line. What runs is
// given this shell.
func newCommandLine(sh *shell) *cobra.Command {
	root := branch("worker", "Carries detections from NATS JetStream to cases in TheHive 5.", commands(sh)...)
	root.SilenceErrors, root.SilenceUsage = true, true // run says what is wrong, once
	root.CompletionOptions.DisableDefaultCmd = true    // completionCmd speaks as the others do
	root.SetHelpCommand(children(root)[slices.Index(names(root), "help")])
	root.SetIn(sh.in)
	root.SetOut(sh.out)
	root.SetErr(sh.err)
	root.PersistentFlags().VarPF(helpFlag{}, "help", "h", "Show help for the command.").NoOptDefVal = "true"
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(sh, c, err) })
	return root
}

// commands are those of the worker, in the order in which people are told of them.
func commands(sh *shell) []*cobra.Command {
	all := []*cobra.Command{(&runCmd{}).command(sh)}
	all = append(all, demonstration(sh)...)
	return append(all,
		(&explainCmd{}).command(sh),
		(&checkCmd{}).command(sh),
		(&replayCmd{}).command(sh),
		dlqCommands(sh),
		caseCommands(sh),
		attackCommands(sh),
		(&completionCmd{}).command(sh),
		(&helpCmd{}).command(sh),
		(&versionCmd{}).command(sh),
	)
}

// argument is what a command takes beside its flags, as help shows it.
type argument struct{ name, help string }

// leaf makes a command that does something. Without more being said it takes no arguments.
func leaf(sh *shell, name, help string, do func(context.Context, *shell) error, takes ...argument) *cobra.Command {
	use := []string{name}
	for _, a := range takes {
		use = append(use, a.name)
	}
	c := &cobra.Command{
		Use: strings.Join(use, " "), Short: help, Long: argumentHelp(takes), DisableFlagsInUseLine: true,
		Args: reads(func(args []string) error { return atMost(0, args) }), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error { return do(c.Context(), sh) },
	}
	c.Flags().SortFlags = false // in the order of the code
	return c
}

// branch makes a command that consists of others. They keep their order.
func branch(name, help string, of ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: help, SuggestionsMinimumDistance: 2, Args: noCommand, RunE: noCommand}
	for i, sub := range of {
		sub.Annotations = map[string]string{place: strconv.Itoa(i)}
	}
	c.AddCommand(of...)
	return c
}

// reads makes cobra's check of arguments: a mistake in them is one in the use of the command.
func reads(read func([]string) error) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if err := read(args); err != nil {
			return &usageError{err}
		}
		return nil
	}
}

// listed takes any number of arguments.
func listed(into *[]string) cobra.PositionalArgs {
	return reads(func(args []string) error { *into = args; return nil })
}

// atMost refuses what is more than a command takes.
func atMost(n int, args []string) error {
	if len(args) > n {
		return fmt.Errorf("unexpected argument %s", shown(args[n]))
	}
	return nil
}

// noCommand refuses a branch that no command follows.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return &usageError{fmt.Errorf("expected one of %s", quoted(names(c)))}
	}
	return &usageError{fmt.Errorf("unknown command %s%s", shown(args[0]), meant(c.SuggestionsFor(args[0])))}
}

// flagError says what is wrong with a flag, or shows the help that a flag asked for.
func flagError(sh *shell, c *cobra.Command, err error) error {
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return noCommand(c, c.Flags().Args()) // the flag was meant for a command that there is not
	}
	if errors.Is(err, errHelped) {
		return errors.Join(writeHelp(sh.out, c), errHelped)
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := e.GetSpecifiedName()
		if e.GetSpecifiedShortnames() != "" {
			return &usageError{fmt.Errorf("unknown flag %s", shown("-"+name))}
		}
		return &usageError{fmt.Errorf("unknown flag %s%s", shown("--"+name), meant(flagsLike(c, name)))}
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return &usageError{fmt.Errorf("--%s: expected %s after it", e.GetFlag().Name, placeholder(e.GetFlag()))}
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return &usageError{fmt.Errorf("--%s: %w", e.GetFlag().Name, valueError(e))}
	}
	return &usageError{err}
}

// expected says what the kinds of flags expect whose errors speak of Go's functions.
var expected = map[string]string{
	"bool": "true or false", "duration": "a duration, such as 250ms or 5s", "float64": "a number",
}

func valueError(e *pflag.InvalidValueError) error {
	if want := expected[e.GetFlag().Value.Type()]; want != "" {
		return fmt.Errorf("impossible value %q: expected %s", e.GetValue(), want)
	}
	return errors.Unwrap(e)
}

// flagsLike are flags that a mistyped one may have meant. Cobra compares the names of commands:
// these get the names of the flags.
func flagsLike(c *cobra.Command, name string) []string {
	lent := &cobra.Command{SuggestionsMinimumDistance: 2}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		lent.AddCommand(&cobra.Command{Use: f.Name, RunE: noCommand})
	})
	var like []string
	for _, n := range lent.SuggestionsFor(name) {
		like = append(like, "--"+n)
	}
	return like
}

// meant asks whether one of these was.
func meant(like []string) string {
	switch len(like) {
	case 0:
		return ""
	case 1:
		return ", did you mean " + quoted(like) + "?"
	default:
		return ", did you mean one of " + quoted(like) + "?"
	}
}

func quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }

// choice is a flag that takes one of several words.
type choice struct {
	word *string
	of   []string
}

func (c choice) String() string {
	if c.word == nil {
		return ""
	}
	return *c.word
}

func (c choice) Type() string { return "NAME" }

func (c choice) Set(word string) error {
	if !slices.Contains(c.of, word) {
		return fmt.Errorf("impossible value %q: expected one of %s", word, quoted(c.of))
	}
	*c.word = word
	return nil
}
