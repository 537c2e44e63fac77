package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/shell"
	"forager/filebound"
	"forager/hive/hivetest"
	"forager/mitre"
)

// simulateCmd is "worker simulate".
type simulateCmd struct {
	Addr      string
	Latency   time.Duration
	Fail      float64
	Ambiguous float64
	Throttle  float64
	Lag       time.Duration
	Children  bool

	Error        float64
	ErrorStatus  int
	ErrorType    string
	ErrorMessage string
	ErrorAfter   bool

	Version      string
	Restrict     string
	TemplateTags string
	As           string
	State        string
	Cortex       []string
	MISP         []string
	JobTime      time.Duration
}

func (c *simulateCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "simulate", "Be a TheHive 5 in memory, for any client; it can be told to misbehave.", c.Run)
	flags := cmd.Flags()
	flags.StringVar(&c.Addr, "addr", "127.0.0.1:9000", "Address to listen on, `HOST:PORT`.")
	flags.DurationVar(&c.Latency, "latency", 0, "`DURATION` of every call.")
	flags.Float64Var(&c.Fail, "fail", 0, "Probability `P` of a 503 before any effect.")
	flags.Float64Var(&c.Ambiguous, "ambiguous", 0, "Probability `P` that the answer to a write is lost after its effect.")
	flags.Float64Var(&c.Error, "error", 0, "Probability `P` of TheHive's own error body, before any effect.")
	flags.IntVar(&c.ErrorStatus, "error-status", 500, "Status `N` of such an error.")
	flags.StringVar(&c.ErrorType, "error-type", "java.lang.NullPointerException", "Its type, `NAME`: BadRequest, NotFoundError, a Java class …")
	flags.StringVar(&c.ErrorMessage, "error-message", "", "Its message, `TEXT`; without it null, as of an exception that has none.")
	flags.BoolVar(&c.ErrorAfter, "error-after", false, "Such an error takes the place of the answer to a write that has its effect.")
	flags.Float64Var(&c.Throttle, "throttle", 0, "More than `N` calls a second get 429; 0 is no limit.")
	flags.DurationVar(&c.Lag, "lag", 0, "`DURATION` until a search shows what was written.")
	flags.BoolVar(&c.Children, "lag-children", false, "The lag counts for the lists of one case or alert, too.")
	flags.StringVar(&c.Version, "version", "5.5.13", "Be release `V` of TheHive, 5.2 to 5.7: what changed between them changes.")
	flags.StringVar(&c.Restrict, "restrict", "", "`HOW` a restricted case looks to whom it is closed: hidden (404), refused (403), shown.")
	flags.StringVar(&c.TemplateTags, "template-tags", "", "`WHEN` a case template's tags come: always, or unless sent (with the request); else as the release does.")
	flags.StringVar(&c.As, "as", "", "Be as the server that \"worker check --connect --conform --json\" wrote into `FILE`.")
	flags.StringSliceVar(&c.Cortex, "cortex", nil, "Be connected with the Cortex servers `NAME,…`, which have a few analyzers and a responder.")
	flags.DurationVar(&c.JobTime, "job-time", time.Second, "`DURATION` of a job of Cortex.")
	flags.StringSliceVar(&c.MISP, "misp", nil, "Be connected with the MISP servers `NAME,…`.")
	flags.StringVar(&c.State, "state", "", "Keep what is there in `FILE`, and begin with what lies in it; written at most once a second, and at the end.")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "error-class" { // of a 500 the type is a class
			name = "error-type"
		}
		return pflag.NormalizedName(name)
	})
	cmd.Args = shell.Reads(c.read)
	return cmd
}

// read refuses what no server can be.
func (c *simulateCmd) read(args []string) error {
	for name, p := range map[string]float64{"fail": c.Fail, "ambiguous": c.Ambiguous, "error": c.Error} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("--%s: %v is no probability: expected 0 to 1", name, p)
		}
	}
	if c.ErrorStatus < 400 || c.ErrorStatus > 599 {
		return fmt.Errorf("--error-status: %d is no status of an error: expected 400 to 599", c.ErrorStatus)
	}
	if !(c.Throttle >= 0) || c.Latency < 0 || c.Lag < 0 || c.JobTime < 0 {
		return fmt.Errorf("--throttle, --latency, --lag and --job-time must not be negative")
	}
	if slices.Contains(c.Cortex, "") || slices.Contains(c.MISP, "") {
		return fmt.Errorf("--cortex, --misp: a name is empty")
	}
	if !releases.MatchString(c.Version) {
		return fmt.Errorf("--version: %s: expected a release of TheHive from 5.2 to 5.7, such as 5.6.2", c.Version)
	}
	if !slices.Contains([]string{"", "hidden", "refused", "shown"}, c.Restrict) {
		return fmt.Errorf("--restrict: %s: expected hidden, refused or shown", c.Restrict)
	}
	if !slices.Contains([]string{"", "always", "unless sent"}, c.TemplateTags) {
		return fmt.Errorf("--template-tags: %s: expected always, or unless sent", c.TemplateTags)
	}
	return cmp.Or(hostPort(c.Addr), shell.AtMost(0, args))
}

var releases = regexp.MustCompile(`^5\.[2-7](\.\d+)?(-\d+)?$`)

// newestOf is the newest release of a line that something is known of (OpenAPI, release notes).
var newestOf = map[string]string{"5.2": "5.2.16", "5.3": "5.3.11", "5.4": "5.4.10", "5.5": "5.5.13", "5.6": "5.6.2", "5.7": "5.7.3"}

// options are what kind of server it is.
func (c *simulateCmd) options() (hivetest.Options, error) {
	o := hivetest.Options{Patterns: servers.Patterns(mitre.Embedded()), Version: c.Version, Cortex: c.Cortex, MISP: c.MISP, JobTime: c.JobTime}
	if c.As != "" {
		raw, err := filebound.Read(c.As, 1<<20)
		if err != nil {
			return o, shell.Misuse(fmt.Errorf("--as: %w", err))
		}
		if o.Version, o.Quirks, err = hivetest.ReadQuirks(raw); err != nil {
			return o, shell.Misuse(fmt.Errorf("--as: %s: %w", c.As, err))
		}
	}
	if c.Restrict != "" {
		o.Quirks.Restricted = hivetest.Sight(c.Restrict)
	}
	if c.TemplateTags != "" {
		o.Quirks.TemplateTags = c.TemplateTags
	}
	if newest, ok := newestOf[o.Version]; ok {
		o.Version = newest
	}
	if !strings.Contains(o.Version, "-") {
		o.Version += "-1"
	}
	return o, nil
}

// Run serves until it is told to stop.
func (c *simulateCmd) Run(ctx context.Context, sh *shell.Shell) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	h := hivetest.New(o)
	h.Set(hivetest.Misbehaviour{
		Latency: c.Latency, Refuse: c.Fail, Ambiguous: c.Ambiguous, Throttle: c.Throttle, Lag: c.Lag, LagChildren: c.Children,
		Error: c.Error, ErrorStatus: c.ErrorStatus, ErrorType: c.ErrorType, ErrorMessage: c.ErrorMessage, ErrorAfter: c.ErrorAfter,
	})
	keeper, err := c.keep(h, sh) //nolint:contextcheck // jobs that were on their way belong to no call
	if err != nil {
		return err
	}
	server, err := hivetest.Listen(c.Addr, h)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	sh.Say("TheHive is simulated at %s; user %s, password %s, API key %s, organisation %s, release %s", server.URL(),
		hivetest.DefaultUser, hivetest.DefaultPassword, hivetest.DefaultAPIKey, hivetest.DefaultOrganisation, o.Version)
	sh.Say("GET %s/_sim/stats counts, POST %s/_sim/reset forgets, POST %s/_sim/misbehave changes its manners", server.URL(), server.URL(), server.URL())
	<-ctx.Done()
	err = server.Close()
	if keeper != nil {
		err = errors.Join(err, keeper.Close())
	}
	return err
}

// maxState bounds the file of --state, in bytes.
const maxState = 2 << 30

// keep begins to keep the state in a file, where one is named.
func (c *simulateCmd) keep(h *hivetest.Hive, sh *shell.Shell) (*hivetest.Keeper, error) {
	if c.State == "" {
		return nil, nil //nolint:nilnil // nothing is kept
	}
	was, err := filebound.Read(c.State, maxState)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, shell.Misuse(fmt.Errorf("--state: %w", err))
	}
	k, err := h.Keep(c.State, was, func(err error) { sh.Say("--state: what is there is not in the file: %v", err) })
	if err != nil {
		return nil, shell.Misuse(fmt.Errorf("--state: %w", err))
	}
	return k, nil
}
