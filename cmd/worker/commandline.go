package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/feedback"
	"forager/cmd/worker/prove"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/setup"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/silences"
	"forager/cmd/worker/status"
	"forager/cmd/worker/whatif"
	"forager/config"
)

// newCommandLine describes everything that may be written on the command line. What runs is
// given this shell.
func newCommandLine(sh *shell.Shell) *cobra.Command {
	root := shell.Branch("worker", "Carries detections from NATS JetStream to cases in TheHive 5.", commands(sh)...)
	root.SilenceErrors, root.SilenceUsage = true, true // run says what is wrong, once
	root.CompletionOptions.DisableDefaultCmd = true    // completionCmd speaks as the others do
	root.SetHelpCommand(shell.Children(root)[slices.Index(shell.Names(root), "help")])
	root.SetIn(sh.In)
	root.SetOut(sh.Out)
	root.SetErr(sh.Err)
	root.PersistentFlags().VarPF(helpFlag{}, "help", "h", "Show help for the command.").NoOptDefVal = "true"
	root.Flags().VarPF(versionFlag{}, "version", "", "Show the version.").NoOptDefVal = "true"
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(sh, c, err) })
	return root
}

// commands are those of the worker, in the order in which people are told of them.
func commands(sh *shell.Shell) []*cobra.Command {
	all := []*cobra.Command{(&runCmd{}).command(sh), (&intakeCmd{}).command(sh)}
	all = append(all, demonstration(sh)...)
	configured := func() (func(*pflag.FlagSet), func(*shell.Shell, ...string) (*config.Config, error)) {
		from := new(configFlag)
		return from.addTo, func(sh *shell.Shell, connects ...string) (*config.Config, error) { return from.load(sh, connects...) }
	}
	statusFlags, statusConfig := configured()
	auditFlags, auditConfig := configured()
	judgedSince := new(moment)
	compared, comparedSince := new(configFlag), new(moment)
	feedbackFlags, feedbackConfig := configured()
	silenceFlags, silenceConfig := configured()
	closedSince := new(moment)
	look := func(ctx context.Context, sh *shell.Shell, file string) error {
		return (&checkCmd{configFlag: configFlag{Config: file}, Connect: true}).Run(ctx, sh)
	}
	return append(all,
		setup.Command(sh, look),
		(&explainCmd{}).command(sh),
		(&publishCmd{}).command(sh),
		formatsCommands(sh),
		(&checkCmd{}).command(sh),
		status.Command(sh, status.Configured{AddTo: statusFlags, Load: statusConfig}),
		prove.Command(sh, prove.Configured{AddTo: auditFlags, Load: auditConfig, Since: judgedSince, Begin: func() time.Time { return judgedSince.Time }}),
		(&replayCmd{}).command(sh),
		whatif.Command(sh, whatif.Configured{AddTo: compared.addTo, Load: func(w *rulefiles.Witness, sh *shell.Shell, connects ...string) (*config.Config, error) {
			return compared.loadBy(w, sh, connects...)
		}, Since: comparedSince, Begin: func() time.Time { return comparedSince.Time }}),
		dlqCommands(sh),
		caseCommands(sh),
		feedback.Commands(sh, feedback.Configured{AddTo: feedbackFlags, Load: feedbackConfig}),
		silences.Commands(sh, silences.Configured{AddTo: silenceFlags, Load: silenceConfig, Since: closedSince, Begin: func() time.Time { return closedSince.Time }}),
		attackCommands(sh),
		(&completionCmd{}).command(sh),
		(&helpCmd{}).command(sh),
		(&versionCmd{}).command(sh),
	)
}

// flagError says what is wrong with a flag, or shows the help that a flag asked for.
func flagError(sh *shell.Shell, c *cobra.Command, err error) error {
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return shell.NoCommand(c, c.Flags().Args()) // the flag was meant for a command that there is not
	}
	if errors.Is(err, errVersion) {
		return errors.Join((&versionCmd{}).Run(c.Context(), sh), errHelped)
	}
	if errors.Is(err, errHelped) {
		return errors.Join(shell.WriteHelp(sh.Out, c), errHelped)
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := e.GetSpecifiedName()
		if e.GetSpecifiedShortnames() != "" {
			return shell.Misuse(fmt.Errorf("unknown flag %s", shell.Shown("-"+name)))
		}
		return shell.Misuse(fmt.Errorf("unknown flag %s%s", shell.Shown("--"+name), shell.Meant(flagsLike(c, name))))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return shell.Misuse(fmt.Errorf("--%s: expected %s after it", e.GetFlag().Name, placeholder(e.GetFlag())))
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return shell.Misuse(fmt.Errorf("--%s: %w", e.GetFlag().Name, valueError(e)))
	}
	return shell.Misuse(err)
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

// flagsLike are flags that a mistyped one may have meant.
func flagsLike(c *cobra.Command, name string) []string {
	var flags []string
	c.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
	like := shell.Like(name, flags)
	for i := range like {
		like[i] = "--" + like[i]
	}
	return like
}
