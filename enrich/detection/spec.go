package detection

import (
	"fmt"
	"regexp"

	"github.com/goccy/go-yaml"
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
	Tags        []tagRule     `yaml:"tags"`
	Own         []path        `yaml:"own"`
	Observables []observables `yaml:"observables"`
	Techniques  []techniques  `yaml:"techniques"`
	Files       []files       `yaml:"files"`

	file     string   `yaml:"-"`
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

type dropRule struct {
	Reason string      `yaml:"reason"`
	When   []condition `yaml:"when"`
}

// condition holds when any value at any of its paths passes; with not, when none does.
type condition struct {
	Path     oneOrMany `yaml:"path"`
	Type     string    `yaml:"type"`
	Is       texts     `yaml:"is"`
	Prefix   texts     `yaml:"prefix"`
	Suffix   texts     `yaml:"suffix"`
	Contains texts     `yaml:"contains"`
	Matches  pattern   `yaml:"matches"`
	Not      bool      `yaml:"not"`
}

// field is one way to fill a field of a detection: the first of a list that gives a text is taken.
type field struct {
	Path   path               `yaml:"path"`
	Text   string             `yaml:"text"`
	Prefix string             `yaml:"prefix"`
	Each   path               `yaml:"each"`
	Join   []path             `yaml:"join"`
	Sep    string             `yaml:"sep"`
	Words  map[string]string  `yaml:"words"`
	Bands  map[float64]string `yaml:"bands"`
	When   []condition        `yaml:"when"`
	Mark   string             `yaml:"mark"`

	bands []band              `yaml:"-"`
	words map[string]Severity `yaml:"-"`
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

type observables struct {
	Type    string            `yaml:"type"`
	Path    oneOrMany         `yaml:"path"`
	Each    path              `yaml:"each"`
	Kind    path              `yaml:"kind"`
	Value   path              `yaml:"value"`
	Types   map[string]string `yaml:"types"`
	Follow  path              `yaml:"follow"`
	Join    []path            `yaml:"join"`
	Sep     string            `yaml:"sep"`
	Prefix  string            `yaml:"prefix"`
	Tags    []string          `yaml:"tags"`
	Reader  string            `yaml:"reader"`
	Message oneOrMany         `yaml:"message"`
	First   bool              `yaml:"first"`
	IOC     bool              `yaml:"ioc"`
	Native  bool              `yaml:"native"`
	When    []condition       `yaml:"when"`

	types map[string]string `yaml:"-"` // folded kinds
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

// path is a parsed path with its place in the file and, once compiled, its slot.
type path struct {
	text  string
	steps []step
	slot  int32
	set   bool
}

// UnmarshalYAML parses a path where it stands, so that an error names the place.
func (p *path) UnmarshalYAML(n ast.Node) error {
	if err := decodeNode(n, &p.text); err != nil {
		return err
	}
	steps, err := parsePath(p.text)
	if err != nil {
		return at(n, err)
	}
	p.steps, p.set = steps, true
	return nil
}

// under returns the path below a prefix.
func (p path) under(prefix path) path {
	if !prefix.set || !p.set {
		return p
	}
	p.steps = append(append([]step(nil), prefix.steps...), p.steps...)
	p.text = prefix.text + "." + p.text
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
	var s string
	if err := decodeNode(n, &s); err != nil {
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
		var one field
		if _, ok := n.(*ast.MappingNode); !ok {
			if err := one.Path.UnmarshalYAML(n); err != nil {
				return err
			}
		} else if err := decodeNode(n, &one); err != nil {
			return err
		}
		*f = append(*f, one)
		return nil
	})
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

func eachNode(n ast.Node, do func(ast.Node) error) error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return do(n)
	}
	for _, v := range seq.Values {
		if err := do(v); err != nil {
			return err
		}
	}
	return nil
}

func decodeNode(n ast.Node, into any) error { return yaml.NodeToValue(n, into, yaml.Strict()) }
