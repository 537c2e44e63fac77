package detection

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// spec is one format file as written; the package documentation explains its keys.
type spec struct {
	Format      string        `yaml:"format"`
	Fragment    bool          `yaml:"fragment"`
	Order       int           `yaml:"order"`
	Recognise   [][]condition `yaml:"recognise"`
	Drop        []dropRule    `yaml:"drop"`
	Roots       []path        `yaml:"roots"`
	Parse       parseRule     `yaml:"parse"`
	Inside      []path        `yaml:"inside"`
	With        []include     `yaml:"with"`
	ID          []idRule      `yaml:"id"`
	Hash        []path        `yaml:"hash"`
	Time        fields        `yaml:"time"`
	Severity    fields        `yaml:"severity"`
	Default     string        `yaml:"defaultSeverity"`
	Title       fields        `yaml:"title"`
	Description fields        `yaml:"description"`
	Source      fields        `yaml:"source"`
	Rule        ruleFields    `yaml:"rule"`
	Host        fields        `yaml:"host"`
	User        fields        `yaml:"user"`
	IP          fields        `yaml:"ip"`
	Key         fields        `yaml:"key"`
	LastKey     fields        `yaml:"lastKey"`
	OwnKey      bool          `yaml:"ownKey"`
	Split       splitRule     `yaml:"split"`
	Direction   fields        `yaml:"direction"`
	Happened    happenedRule  `yaml:"happened"`
	Link        fields        `yaml:"link"`
	Tags        []tagRule     `yaml:"tags"`
	Own         []path        `yaml:"own"`
	Observables []observables `yaml:"observables"`
	Techniques  []techniques  `yaml:"techniques"`
	Files       []files       `yaml:"files"`

	file     string   `yaml:"-"`
	folder   int      `yaml:"-"` // place among the directories that were read; the first is embedded
	source   []byte   `yaml:"-"`
	fallback Severity `yaml:"-"`
}

type parseRule struct {
	JSON  []path `yaml:"json"`
	Pairs []path `yaml:"pairs"`
}

// splitRule says where one event tells of several hosts: in rows, or in a list of names.
type splitRule struct {
	Each path      `yaml:"each"`
	By   oneOrMany `yaml:"by"`
	Of   oneOrMany `yaml:"of"`
}

type include struct {
	Format string   `yaml:"format"`
	Under  path     `yaml:"under"`
	Take   []string `yaml:"take"`
}

type ruleFields struct {
	ID   fields `yaml:"id"`
	Name fields `yaml:"name"`
}

// happenedRule says which fields tell what happened.
type happenedRule struct {
	Process     fields `yaml:"process"`
	CommandLine fields `yaml:"commandLine"`
	Parent      fields `yaml:"parent"`
	File        fields `yaml:"file"`
	From        fields `yaml:"from"`
	To          fields `yaml:"to"`
	Action      fields `yaml:"action"`
}

type dropRule struct {
	Reason string      `yaml:"reason"`
	When   []condition `yaml:"when"`
}

// condition holds when any value at any of its paths passes; with not, when none does.
type condition struct {
	Path     oneOrMany
	Type     string
	Is       texts
	Prefix   texts
	Suffix   texts
	Contains texts
	Matches  pattern
	Not      bool
}

// UnmarshalYAML reads a condition.
func (c *condition) UnmarshalYAML(n ast.Node) error {
	return eachMember(n, func(key string) any {
		switch key {
		case "path":
			return &c.Path
		case "type":
			return &c.Type
		case "is":
			return &c.Is
		case "prefix":
			return &c.Prefix
		case "suffix":
			return &c.Suffix
		case "contains":
			return &c.Contains
		case "matches":
			return &c.Matches
		case "not":
			return &c.Not
		}
		return nil
	})
}

// field is one way to fill a field of a detection: the first of a list that gives a text is taken. Most
// are a path and no more, so that the rest is kept apart.
type field struct {
	Path path
	*how
}

// how is what a field says besides its path.
type how struct {
	Text   string
	Prefix string
	Suffix string
	Until  string // the text ends before it
	Each   path
	Join   oneOrMany
	Sep    string
	Words  map[string]string
	Bands  map[float64]string
	When   []condition
	Mark   string

	bands []band
	words map[string]Severity
}

type band struct {
	from     float64
	severity Severity
}

// tagRule gives tags; a path alone gives what stands there.
type tagRule struct {
	Path   path   `yaml:"path"`
	Prefix string `yaml:"prefix"`
	Reader string `yaml:"reader"`
}

// observables is a rule that reads observables; what few rules say is kept apart.
type observables struct {
	Type string
	Path oneOrMany
	Tags []string
	*shape
}

// shape is what a rule for observables says besides type, paths and tags.
type shape struct {
	Each   path
	Kind   path
	Value  path
	Types  map[string]string
	Follow path
	Join   oneOrMany
	Sep    string
	Prefix string
	Reader string
	First  bool
	IOC    bool
	Native bool
	When   []condition

	types map[string]string // folded kinds
}

// UnmarshalYAML keeps apart what few rules say.
func (o *observables) UnmarshalYAML(n ast.Node) error {
	o.shape = &shape{}
	return eachMember(n, func(key string) any {
		switch key {
		case "type":
			return &o.Type
		case "path":
			return &o.Path
		case "tags":
			return &o.Tags
		}
		return o.member(key)
	})
}

// member is where the value of a key goes; nil where there is no such key.
func (s *shape) member(key string) any {
	switch key {
	case "each":
		return &s.Each
	case "kind":
		return &s.Kind
	case "value":
		return &s.Value
	case "types":
		return &s.Types
	case "follow":
		return &s.Follow
	case "join":
		return &s.Join
	case "sep":
		return &s.Sep
	case "prefix":
		return &s.Prefix
	case "reader":
		return &s.Reader
	case "first":
		return &s.First
	case "ioc":
		return &s.IOC
	case "native":
		return &s.Native
	case "when":
		return &s.When
	}
	return nil
}

type techniques struct {
	Path   oneOrMany   `yaml:"path"`
	Else   oneOrMany   `yaml:"else"`
	Tactic oneOrMany   `yaml:"tactic"`
	Each   path        `yaml:"each"`
	Reader string      `yaml:"reader"`
	When   []condition `yaml:"when"`
}

type files struct {
	Each   path `yaml:"each"`
	Name   path `yaml:"name"`
	Base64 path `yaml:"base64"`
	Object path `yaml:"object"`
	SHA256 path `yaml:"sha256"`
}

// path is where something lies and, once compiled, its slot. The zero value is no path; the slot of the
// path of the event itself, and of paths below something, is 0.
type path struct {
	*way
	slot int32
}

// way is a path's text and steps; paths that are written alike share one.
type way struct {
	text  string
	steps []step // none where the walk alone looks the path up
}

func (p path) set() bool { return p.way != nil }

// UnmarshalYAML parses a path where it stands, so that an error names the place.
func (p *path) UnmarshalYAML(n ast.Node) error {
	text, err := textNode(n)
	if err != nil {
		return err
	}
	steps, err := parsePath(text)
	if err != nil {
		return at(n, err)
	}
	p.way = &way{text: text, steps: steps}
	return nil
}

// under returns the path below a prefix.
func (p path) under(prefix path) path {
	if !prefix.set() || !p.set() {
		return p
	}
	p.way = &way{text: prefix.text + "." + p.text, steps: slices.Concat(prefix.steps, p.steps)}
	return p
}

// oneOrMany is a path or a list of paths.
type oneOrMany []path

// UnmarshalYAML takes both forms.
func (o *oneOrMany) UnmarshalYAML(n ast.Node) error {
	return eachNode(n, func(n ast.Node) error {
		var p path
		*o = append(*o, p)
		return (*o)[len(*o)-1].UnmarshalYAML(n)
	})
}

// texts is a text, number or boolean, or a list of those; compared folded.
type texts []string

// UnmarshalYAML takes both forms.
func (t *texts) UnmarshalYAML(n ast.Node) error {
	return eachNode(n, func(n ast.Node) error {
		if s, ok := n.(*ast.StringNode); ok {
			*t = append(*t, fold(s.Value))
			return nil
		}
		var v any
		if err := decodeNode(n, &v); err != nil {
			return err
		}
		switch v.(type) {
		case map[string]any, []any, nil:
			return at(n, fmt.Errorf("%v is no text", v))
		}
		*t = append(*t, fold(fmt.Sprint(v)))
		return nil
	})
}

// pattern is a regular expression (RE2).
type pattern struct{ *regexp.Regexp }

// UnmarshalYAML compiles it.
func (p *pattern) UnmarshalYAML(n ast.Node) error {
	s, err := textNode(n)
	if err != nil {
		return err
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return at(n, err)
	}
	p.Regexp = re
	return nil
}

// fields is a path, a field, or a list of those.
type fields []field

// UnmarshalYAML takes all forms.
func (f *fields) UnmarshalYAML(n ast.Node) error {
	return eachNode(n, func(n ast.Node) error {
		one := field{how: &how{}}
		if _, ok := n.(*ast.MappingNode); !ok {
			if err := one.Path.UnmarshalYAML(n); err != nil {
				return err
			}
		} else if err := eachMember(n, one.member); err != nil {
			return err
		}
		*f = append(*f, one)
		return nil
	})
}

// member is where the value of a key goes; nil where there is no such key.
func (f *field) member(key string) any {
	switch key {
	case "path":
		return &f.Path
	case "text":
		return &f.Text
	case "prefix":
		return &f.Prefix
	case "suffix":
		return &f.Suffix
	case "until":
		return &f.Until
	case "each":
		return &f.Each
	case "join":
		return &f.Join
	case "sep":
		return &f.Sep
	case "words":
		return &f.Words
	case "bands":
		return &f.Bands
	case "when":
		return &f.When
	case "mark":
		return &f.Mark
	}
	return nil
}

// UnmarshalYAML takes a path alone, too.
func (r *tagRule) UnmarshalYAML(n ast.Node) error {
	if _, ok := n.(*ast.MappingNode); !ok {
		return r.Path.UnmarshalYAML(n)
	}
	type plain tagRule
	return decodeNode(n, (*plain)(r))
}

// UnmarshalYAML takes a path alone, too.
func (r *techniques) UnmarshalYAML(n ast.Node) error {
	if _, ok := n.(*ast.MappingNode); !ok {
		return r.Path.UnmarshalYAML(n)
	}
	type plain techniques
	return decodeNode(n, (*plain)(r))
}

// idRule is the paths whose texts make an id, all that are there; the first must be.
type idRule []path

// UnmarshalYAML takes a path or a list.
func (r *idRule) UnmarshalYAML(n ast.Node) error { return (*oneOrMany)(r).UnmarshalYAML(n) }
