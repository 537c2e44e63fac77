package rulefiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"forager/config"
	"forager/enrich/detection"
	"forager/enrich/lookup"
	"forager/enrich/rules"
)

// This file turns the rules that an operator wrote into those of enrich and detection, and what
// these find wrong into places of the operator's files.

// NewRouter compiles routes and silences, with the tables that they ask. The error is a *config.Error.
func NewRouter(c *config.Config, w *Witness) (*rules.Router, error) {
	return NewAskedRouter(c, w, nil)
}

// NewAskedRouter is NewRouter, of which it is noted what its rules ask; nil notes nothing.
func NewAskedRouter(c *config.Config, w *Witness, notes *Asked) (*rules.Router, error) {
	asked, err := lookups(c, w)
	if err != nil {
		return nil, err
	}
	for name, table := range asked {
		asked[name] = notes.of(name, table)
	}
	all := rulesOf(c)
	all.Lookups = asked
	router, err := rules.NewRouter(all)
	if err == nil {
		return router, nil
	}
	var wrong []config.Mistake
	for _, e := range unjoin(err) {
		r, ok := errors.AsType[*rules.RuleError](e)
		if !ok {
			return nil, err
		}
		wrong = append(wrong, config.Mistake{Key: r.Rule + "." + r.Field, Line: r.Line, Column: r.Column, Err: r.Err})
	}
	return nil, c.Wrong(wrong...)
}

// lookups opens the tables of a configuration.
func lookups(c *config.Config, w *Witness) (map[string]rules.Lookup, error) {
	sources := make([]lookup.Source, len(c.Lookups))
	for i, l := range c.Lookups {
		w.Note(l.File)
		sources[i] = lookup.Source{File: l.File, Key: l.Key, Match: lookup.Match(l.Match)}
	}
	opened, errs := w.tables.Open(sources)
	all := map[string]rules.Lookup{}
	var wrong []config.Mistake
	for i, l := range c.Lookups {
		if errs[i] != nil {
			wrong = append(wrong, config.Mistake{Key: fmt.Sprintf("lookups[%d].file", i), Err: errs[i]})
			continue
		}
		all[l.Name] = opened[i]
	}
	return all, c.Mistaken(wrong...)
}

// unjoin gives the parts of a joined error.
func unjoin(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

func rulesOf(c *config.Config) rules.Rules {
	var all rules.Rules
	for _, r := range c.Routes {
		all.Routes = append(all.Routes, routeOf(r))
	}
	for _, s := range c.Silences {
		all.Silences = append(all.Silences, rules.Silence{
			Name: s.Name, When: s.When, Owner: s.Owner, Reason: s.Reason, Expires: s.Expires, Pierce: int(s.Pierce),
		})
	}
	return all
}

func routeOf(r config.Route) rules.Route {
	out := rules.Route{
		Name: r.Name, When: r.When, Drop: r.Drop, Organisation: r.Organisation, Key: r.Key, Window: r.Window,
		Minimum: int(r.Minimum), Closed: rules.ClosedPolicy(r.Closed), MaxNewCases: r.MaxNewCases, Via: rules.Via(r.Via),
		As: rules.As(r.As), Group: rules.Group(r.Group), MaxNewAlerts: r.MaxNewAlerts,
		Case: rules.CaseFields{
			Title: r.Case.Title, Description: r.Case.Description, Severity: r.Case.Severity, TLP: r.Case.TLP, PAP: r.Case.PAP,
			Tags: r.Case.Tags, Assignee: r.Case.Assignee, Template: r.Case.Template,
		},
	}
	for _, a := range r.Analyze {
		out.Analyze = append(out.Analyze, rules.Analysis{Analyzer: a.Analyzer, Cortex: a.Cortex, Types: a.Types, IOC: a.IOC, MaxTLP: a.MaxTLP, Once: rules.Once(a.Once), Window: a.Window, Raise: a.Raise, MarkIOC: a.MarkIOC, Level: a.Level})
	}
	if r.Threshold != (config.Threshold{}) {
		below := rules.Threshold(r.Threshold)
		out.Threshold = &below
	}
	for _, t := range r.Filter {
		out.Filter = append(out.Filter, rules.Term(t))
	}
	for _, f := range r.Case.Fields {
		out.Case.Fields = append(out.Case.Fields, rules.Field(f))
	}
	for _, t := range r.Case.Tasks {
		out.Case.Tasks = append(out.Case.Tasks, rules.Task(t))
	}
	for _, p := range r.Case.Pages {
		out.Case.Pages = append(out.Case.Pages, rules.Page(p))
	}
	for _, x := range r.Case.Rows {
		out.Case.Rows = append(out.Case.Rows, rules.Row(x))
	}
	for _, l := range r.Case.Links {
		out.Case.Links = append(out.Case.Links, rules.Link(l))
	}
	return out
}

// formatFolders are the directories of the operator's formats.
func formatFolders(c *config.Config, w *Witness) ([]fs.FS, error) {
	var folders []fs.FS
	var wrong []config.Mistake
	for i, dir := range c.Formats.Directories {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			wrong = append(wrong, config.Mistake{Key: fmt.Sprintf("formats.directories[%d]", i), Err: fmt.Errorf("%s is no directory that can be read", dir)})
			continue
		}
		folders = append(folders, w.Formats(dir))
	}
	return folders, c.Mistaken(wrong...)
}

// wrongFormats tells where what detection refuses is in the operator's files.
func wrongFormats(c *config.Config, err error) error {
	if err == nil {
		return nil
	}
	var wrong []config.Mistake
	for _, e := range unjoin(err) {
		if pin, ok := errors.AsType[*detection.PinError](e); ok {
			wrong = append(wrong, config.Mistake{Key: fmt.Sprintf("formats.pins[%d].format", pin.Index), Err: pin.Err})
			continue
		}
		wrong = append(wrong, config.Mistake{Key: "formats.directories", Err: e})
	}
	return c.Mistaken(wrong...)
}

// allowLists reads the lists of values that are too common.
func allowLists(c *config.Config, read func(string) ([]byte, error)) ([]detection.List, error) {
	var lists []detection.List
	var wrong []config.Mistake
	for i, a := range c.AllowLists {
		l := detection.List{Name: a.Name, Action: detection.Action(a.Action), DataTypes: a.Types}
		var err error
		if a.File != "" {
			l.JSON, err = read(a.File)
		} else {
			l.JSON, err = json.Marshal(map[string]any{"name": a.Name, "type": a.Kind, "list": a.Values})
		}
		if err == nil {
			_, err = detection.New(detection.Options{Lists: []detection.List{l}})
		}
		if err != nil {
			wrong = append(wrong, config.Mistake{Key: listKey(i, a), Err: err})
			continue
		}
		lists = append(lists, l)
	}
	return lists, c.Mistaken(wrong...)
}

// listKey is where a mistake of a list is looked for.
func listKey(i int, a config.AllowList) string {
	if a.File != "" {
		return fmt.Sprintf("allowLists[%d].file", i)
	}
	return fmt.Sprintf("allowLists[%d].values", i)
}
