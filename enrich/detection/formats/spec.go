package formats

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/tree"
)

// spec is one format file as written; the package documentation explains its keys.
type spec struct {
	Format      string           `yaml:"format"`
	Fragment    bool             `yaml:"fragment"`
	Order       int              `yaml:"order"`
	Recognise   [][]Condition    `yaml:"recognise"`
	Drop        []dropRule       `yaml:"drop"`
	Roots       []Path           `yaml:"roots"`
	Parse       parseRule        `yaml:"parse"`
	Inside      []Path           `yaml:"inside"`
	With        []include        `yaml:"with"`
	ID          []idRule         `yaml:"id"`
	Hash        []Path           `yaml:"hash"`
	Time        Fields           `yaml:"time"`
	Severity    Fields           `yaml:"severity"`
	Default     string           `yaml:"defaultSeverity"`
	Title       Fields           `yaml:"title"`
	Description Fields           `yaml:"description"`
	Source      Fields           `yaml:"source"`
	Rule        ruleFields       `yaml:"rule"`
	Host        Fields           `yaml:"host"`
	User        Fields           `yaml:"user"`
	IP          Fields           `yaml:"ip"`
	Key         Fields           `yaml:"key"`
	LastKey     Fields           `yaml:"lastKey"`
	OwnKey      bool             `yaml:"ownKey"`
	Split       splitRule        `yaml:"split"`
	Direction   Fields           `yaml:"direction"`
	Happened    HappenedRule     `yaml:"happened"`
	Link        Fields           `yaml:"link"`
	Tags        []tagRule        `yaml:"tags"`
	Own         []Path           `yaml:"own"`
	Observables []ObservableRule `yaml:"observables"`
	Techniques  []TechniqueRule  `yaml:"techniques"`
	Files       []FileRule       `yaml:"files"`

	file     string         `yaml:"-"`
	folder   int            `yaml:"-"` // place among the directories that were read; the first is embedded
	source   []byte         `yaml:"-"`
	Fallback canon.Severity `yaml:"-"`
}

type parseRule struct {
	JSON  []Path `yaml:"json"`
	Pairs []Path `yaml:"pairs"`
}

// splitRule says where one event tells of several hosts: in rows, or in a list of names.
type splitRule struct {
	Each Path      `yaml:"each"`
	By   oneOrMany `yaml:"by"`
	Of   oneOrMany `yaml:"of"`
}

type include struct {
	Format string   `yaml:"format"`
	Under  Path     `yaml:"under"`
	Take   []string `yaml:"take"`
}

type ruleFields struct {
	ID   Fields `yaml:"id"`
	Name Fields `yaml:"name"`
}

// HappenedRule says which fields tell what happened.
type HappenedRule struct {
	Process     Fields `yaml:"process"`
	CommandLine Fields `yaml:"commandLine"`
	Parent      Fields `yaml:"parent"`
	File        Fields `yaml:"file"`
	From        Fields `yaml:"from"`
	To          Fields `yaml:"to"`
	Action      Fields `yaml:"action"`
}

// Fields are those of the rule, in the order in which they stand there.
func (r *HappenedRule) Fields() []*Fields {
	return []*Fields{&r.Process, &r.CommandLine, &r.Parent, &r.File, &r.From, &r.To, &r.Action}
}

type dropRule struct {
	Reason string      `yaml:"reason"`
	When   []Condition `yaml:"when"`
}

// Condition holds when any value at any of its paths passes; with not, when none does.
type Condition struct {
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
func (c *Condition) UnmarshalYAML(n ast.Node) error {
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

// Field is one way to fill a field of a detection: the first of a list that gives a text is taken. Most
// are a path and no more, so that the rest is kept apart.
type Field struct {
	Path Path
	*how
}

// how is what a field says besides its path.
type how struct {
	Text   string
	Prefix string
	Suffix string
	After  string // the text begins after it, where it holds it
	Until  string // the text ends before it
	Each   Path
	Join   oneOrMany
	Sep    string
	Words  map[string]string
	Bands  map[float64]string
	When   []Condition
	Mark   string

	bands []band
	words map[string]canon.Severity
}

type band struct {
	from     float64
	severity canon.Severity
}

// tagRule gives tags; a path alone gives what stands there.
type tagRule struct {
	Path   Path   `yaml:"path"`
	Prefix string `yaml:"prefix"`
	Reader string `yaml:"reader"`
}

// ObservableRule is a rule that reads observables; what few rules say is kept apart.
type ObservableRule struct {
	Type string
	Path oneOrMany
	Tags []string
	*shape
}

// shape is what a rule for observables says besides type, paths and tags.
type shape struct {
	Each   Path
	Kind   Path
	Value  Path
	Types  map[string]string
	Follow Path
	Join   oneOrMany
	Sep    string
	Prefix string
	Reader string
	First  bool
	IOC    bool
	Native bool
	When   []Condition

	types map[string]string // folded kinds
}

// UnmarshalYAML keeps apart what few rules say.
func (o *ObservableRule) UnmarshalYAML(n ast.Node) error {
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

// TypeOf is the type of observable that a folded kind of the event's means.
func (s *shape) TypeOf(kind string) (dataType string, known bool) {
	dataType, known = s.types[kind]
	return dataType, known
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

// TechniqueRule says where references to techniques lie, and the tactics that go with them.
type TechniqueRule struct {
	Path   oneOrMany   `yaml:"path"`
	Else   oneOrMany   `yaml:"else"`
	Tactic oneOrMany   `yaml:"tactic"`
	Each   Path        `yaml:"each"`
	Reader string      `yaml:"reader"`
	When   []Condition `yaml:"when"`
}

// FileRule says where files lie: below each object of Each, name, content or object, and digest.
type FileRule struct {
	Each   Path `yaml:"each"`
	Name   Path `yaml:"name"`
	Base64 Path `yaml:"base64"`
	Object Path `yaml:"object"`
	SHA256 Path `yaml:"sha256"`
}

// Path is where something lies and, once compiled, its slot. The zero value is no path; the slot of the
// path of the event itself, and of paths below something, is 0.
type Path struct {
	*way
	slot int32
}

// way is a path's text and steps; paths that are written alike share one.
type way struct {
	Text  string
	Steps []tree.Step // none where the walk alone looks the path up
}

// IsSet tells whether the format file names the path.
func (p Path) IsSet() bool { return p.way != nil }

// IsEvent tells the path of the event itself, and one that is looked up below something.
func (p Path) IsEvent() bool { return p.slot == 0 && p.IsSet() }

// UnmarshalYAML parses a path where it stands, so that an error names the place.
func (p *Path) UnmarshalYAML(n ast.Node) error {
	text, err := textNode(n)
	if err != nil {
		return err
	}
	steps, err := tree.ParsePath(text)
	if err != nil {
		return at(n, err)
	}
	p.way = &way{Text: text, Steps: steps}
	return nil
}

// under returns the path below a prefix.
func (p Path) under(prefix Path) Path {
	if !prefix.IsSet() || !p.IsSet() {
		return p
	}
	p.way = &way{Text: prefix.Text + "." + p.Text, Steps: slices.Concat(prefix.Steps, p.Steps)}
	return p
}

// oneOrMany is a path or a list of paths.
type oneOrMany []Path

// UnmarshalYAML takes both forms.
func (o *oneOrMany) UnmarshalYAML(n ast.Node) error {
	return eachNode(n, func(n ast.Node) error {
		var p Path
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
			*t = append(*t, tree.Fold(s.Value))
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
		*t = append(*t, tree.Fold(fmt.Sprint(v)))
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

// Fields are the ways to fill one field of a detection, tried in order. A file writes a path, a field, or a list of those.
type Fields []Field

// UnmarshalYAML takes all forms.
func (f *Fields) UnmarshalYAML(n ast.Node) error {
	return eachNode(n, func(n ast.Node) error {
		one := Field{how: &how{}}
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

// Around is a text as the field has it: from its beginning up to its end, between prefix and suffix.
func (f *Field) Around(s string) string {
	if _, rest, ok := strings.Cut(s, f.After); ok && f.After != "" && strings.TrimSpace(rest) != "" {
		s = rest
	}
	if f.Until != "" {
		s, _, _ = strings.Cut(s, f.Until)
	}
	return f.Prefix + s + f.Suffix
}

// member is where the value of a key goes; nil where there is no such key.
func (f *Field) member(key string) any {
	switch key {
	case "path":
		return &f.Path
	case "text":
		return &f.Text
	case "prefix":
		return &f.Prefix
	case "suffix":
		return &f.Suffix
	case "after":
		return &f.After
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
func (r *TechniqueRule) UnmarshalYAML(n ast.Node) error {
	if _, ok := n.(*ast.MappingNode); !ok {
		return r.Path.UnmarshalYAML(n)
	}
	type plain TechniqueRule
	return decodeNode(n, (*plain)(r))
}

// idRule is the paths whose texts make an id, all that are there; the first must be.
type idRule []Path

// UnmarshalYAML takes a path or a list.
func (r *idRule) UnmarshalYAML(n ast.Node) error { return (*oneOrMany)(r).UnmarshalYAML(n) }
