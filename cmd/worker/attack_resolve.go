package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"forager/cmd/worker/events"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/mitre"
)

// attackResolveCmd is "worker attack resolve".
type attackResolveCmd struct {
	configFlag

	Release string
	Tactic  string
	JSON    bool
	Refs    []string
}

func (c *attackResolveCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "resolve", "Show which techniques texts mean; without a network.", c.Run,
		shell.Arg("[REF…]", `References in any spelling (T1059, attack.t1059.001, a name, an address …); "-" or none: one a line from standard input.`))
	flags := cmd.Flags()
	c.addTo(flags)
	flags.StringVar(&c.Release, "release", "", "Show the techniques as this ATT&CK `RELEASE` knows them (19.0); default: the newest of each domain.")
	flags.StringVar(&c.Tactic, "tactic", "", "`TACTIC` that decides between techniques of one name.")
	flags.BoolVar(&c.JSON, "json", false, "Write one JSON line for each reference.")
	cmd.Args = shell.Listed(&c.Refs)
	return cmd
}

// resolved is one line of "attack resolve --json". The names of its keys are a contract with
// scripts; every key is always there.
type resolved struct {
	Ref        string              `json:"ref"`
	Techniques []resolvedTechnique `json:"techniques"`
	Reason     string              `json:"reason"` // why something that the reference names is not among the techniques, or why there is none
}

type resolvedTechnique struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Tactics []string `json:"tactics"` // short names in matrix order
	Release string   `json:"release"`
	Note    string   `json:"note"`
}

// Run resolves every reference. One that means nothing is an answer with its reason, not a failure.
func (c *attackResolveCmd) Run(_ context.Context, sh *shell.Shell) error {
	catalogue, err := c.catalogue(sh)
	if err != nil {
		return err
	}
	release, err := releaseOf(catalogue, c.Release)
	if err != nil {
		return err
	}
	r := &resolver{catalogue: catalogue, target: catalogue.For(mitre.KnownRelease(release)), hint: mitre.Hint{Tactic: c.Tactic}}
	out := terminal.Out(sh)
	write := func(line resolved) error { return writeResolvedText(out, line) }
	if c.JSON {
		write = func(line resolved) error { return writeLine(sh.Out, line) }
	}
	for ref, err := range references(c.Refs, sh.In) {
		if err != nil {
			return err
		}
		if err := write(r.resolve(ref)); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// references are those on the command line; those of standard input stand one a line.
func references(refs []string, in io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if len(refs) == 0 {
			refs = []string{events.Stdin}
		}
		for _, ref := range refs {
			if ref == events.Stdin && !lines(in, yield) || ref != events.Stdin && !yield(ref, nil) {
				return
			}
		}
	}
}

// lines gives the lines that are not blank.
func lines(in io.Reader, yield func(string, error) bool) bool {
	for r := bufio.NewReader(in); ; {
		line, err := events.ReadLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return yield("", fmt.Errorf("read references: %w", err))
		}
		if text := strings.TrimSpace(string(line)); text != "" && !yield(text, nil) {
			return false
		}
		if err != nil {
			return true
		}
	}
}

// resolver answers for one release.
type resolver struct {
	catalogue *mitre.Catalogue
	target    *mitre.Target
	hint      mitre.Hint
}

func (r *resolver) resolve(ref string) resolved {
	found := r.catalogue.Resolve(ref, r.hint)
	out := resolved{Ref: ref, Techniques: []resolvedTechnique{}, Reason: string(found.Reason)}
	var absent []string
	for _, id := range found.IDs {
		m := r.target.Map(id, "")
		if m.Kind == mitre.KindNone {
			absent = append(absent, m.Note)
			continue
		}
		out.add(resolvedTechnique{ID: m.ID, Name: m.Name, Tactics: append([]string{}, r.target.Tactics(m.ID)...), Release: m.Release, Note: m.Note})
	}
	if len(out.Techniques) > 0 {
		out.Techniques[0].note(found.Note)
	} else if found.Note != "" {
		absent = append(absent, found.Note)
	}
	if len(absent) > 0 {
		out.Reason = strings.TrimPrefix(out.Reason+": "+strings.Join(absent, "; "), ": ")
	}
	return out
}

// add adds a technique once: two spellings may become one in the release that is asked for.
func (o *resolved) add(t resolvedTechnique) {
	i := slices.IndexFunc(o.Techniques, func(have resolvedTechnique) bool { return have.ID == t.ID })
	if i < 0 {
		o.Techniques = append(o.Techniques, t)
		return
	}
	o.Techniques[i].note(t.Note)
}

func (t *resolvedTechnique) note(more string) {
	if more != "" && t.Note != "" {
		more = "; " + more
	}
	t.Note += more
}

// writeResolvedText writes a line for people.
func writeResolvedText(to *terminal.Screen, line resolved) error {
	spans := []terminal.Span{terminal.Heading.Of(shell.Shown(line.Ref)), terminal.Plain.Of(": ")}
	between := ""
	for _, t := range line.Techniques {
		spans = append(spans, terminal.Plain.Of(between), terminal.Good.Of(t.ID+" "+t.Name), terminal.Plain.Of(fmt.Sprintf(" (%s, ATT&CK %s)", strings.Join(t.Tactics, ", "), t.Release)))
		if t.Note != "" {
			spans = append(spans, terminal.Plain.Of(" ["+t.Note+"]"))
		}
		between = " | "
	}
	if line.Reason != "" {
		spans = append(spans, terminal.Plain.Of(between), terminal.Warning.Of("no technique"), terminal.Plain.Of(": "+line.Reason))
	}
	to.Line(2, spans...)
	return to.Failed()
}
