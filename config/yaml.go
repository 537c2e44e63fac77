package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"forager/yamlbound"
)

// maxText bounds the file, so that a wrong path to something huge is refused, not parsed.
const maxText = 1 << 20

// whole reads the YAML file into the configuration.
func (l *loader) whole() {
	root, p := parse(l.source.Text)
	if p != nil {
		l.garbled = true
		l.problem(p)
		return
	}
	if root != nil {
		_, keys := root.(ast.MapNode)
		l.garbled = !keys
		l.mapping("", reflect.ValueOf(l.config).Elem(), root)
	}
}

// parse gives the one document of a text; nil when the text is empty.
func parse(text []byte) (ast.Node, *Problem) {
	if len(text) > maxText {
		return nil, &Problem{Err: ErrText, Detail: "longer than " + Size(maxText).String()}
	}
	if err := yamlbound.Check(text, true); err != nil {
		return nil, &Problem{Err: ErrText, Detail: err.Error()}
	}
	f, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, textProblem(string(text), err)
	}
	docs := slices.DeleteFunc(slices.Clone(f.Docs), func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch len(docs) {
	case 0:
		return nil, nil
	case 1:
		if _, null := docs[0].Body.(*ast.NullNode); null {
			return nil, nil
		}
		return docs[0].Body, nil
	default:
		return nil, problemAt(docs[1].Body, "", ErrText, "expected one document")
	}
}

// textProblem tells where a text stops being YAML.
func textProblem(text string, err error) *Problem {
	p := &Problem{Err: ErrText, Detail: err.Error()}
	if y, ok := errors.AsType[yaml.Error](err); ok {
		p.Detail = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	if strings.Contains(lineOf(text, p.Line), "{{") {
		p.Detail += "; a text with {{ in it must be quoted"
	}
	return p
}

func problemAt(n ast.Node, key string, kind error, detail string) *Problem {
	p := &Problem{Key: key, Err: kind, Detail: detail}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key // the token of a block mapping is its first colon
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

func placeOf(n ast.Node) place {
	p := problemAt(n, "", nil, "")
	_, block := n.(*ast.LiteralNode)
	return place{line: p.Line, column: p.Column, block: block}
}

// placed gives the place of a value in the file that is being read.
func (l *loader) placed(n ast.Node) place {
	at := placeOf(n)
	at.file, at.source = l.file, l.text
	return at
}

// mapping reads a section from a mapping.
func (l *loader) mapping(prefix string, section reflect.Value, n ast.Node) {
	m, ok := n.(ast.MapNode)
	if !ok {
		l.problem(problemAt(n, prefix, ErrValue, "expected keys and values"))
		return
	}
	for it := m.MapRange(); it.Next(); {
		name, ok := scalar(it.Key())
		if !ok {
			l.problem(problemAt(it.Key(), prefix, ErrUnknown, "expected a plain key"))
			continue
		}
		l.entry(join(prefix, name), name, section, it)
	}
}

func (l *loader) entry(key, name string, section reflect.Value, it *ast.MapNodeIter) {
	i := fieldOf(section.Type(), name)
	if i < 0 {
		p := problemAt(it.Key(), key, ErrUnknown, "no such key")
		if n := nearest(name, names(section.Type())); n != "" {
			p.Detail += ", did you mean " + n + "?"
		}
		l.problem(p)
		return
	}
	f := leaf{key: key, value: section.Field(i), tag: section.Type().Field(i).Tag}
	if _, null := it.Value().(*ast.NullNode); null {
		return // a key without a value keeps its default
	}
	if isSection(f.value) {
		l.mapping(key, f.value, it.Value())
		return
	}
	l.leaf(f, it.Value())
}

// leaf reads a value: a scalar, a list of scalars, or a list of mappings.
func (l *loader) leaf(f leaf, n ast.Node) {
	at := l.placed(n)
	seq, isList := n.(*ast.SequenceNode)
	switch {
	case isList && isItems(f.value):
		l.from[f.key] = at
		l.itemList(f, seq)
	case isList && f.value.Kind() == reflect.Slice:
		l.from[f.key] = at
		l.scalarList(f, seq)
	default:
		text, ok := scalar(n)
		if !ok || isItems(f.value) {
			l.problem(problemAt(n, f.key, ErrValue, "expected "+kindOf(f.value)))
			return
		}
		l.set(f, text, at)
	}
}

func (l *loader) scalarList(f leaf, seq *ast.SequenceNode) {
	list := []string{}
	for i, v := range seq.Values {
		text, ok := scalar(v)
		if !ok || text == "" {
			l.problem(problemAt(v, index(f.key, i), ErrValue, "expected a text"))
			continue
		}
		at := l.placed(v)
		at.text = text
		l.from[index(f.key, len(list))] = at
		list = append(list, text)
	}
	f.value.Set(reflect.ValueOf(list))
}

func (l *loader) itemList(f leaf, seq *ast.SequenceNode) {
	there := f.value.Len() // of an earlier file
	list := reflect.MakeSlice(f.value.Type(), there+len(seq.Values), there+len(seq.Values))
	reflect.Copy(list, f.value)
	for i, v := range seq.Values {
		i += there
		key, before := index(f.key, i), len(l.problems)
		l.from[key] = l.placed(v)
		l.mapping(key, list.Index(i), v)
		if len(l.problems) > before {
			continue
		}
		for part := range leaves(key, list.Index(i)) {
			if part.tag.Get("need") == "always" && part.value.IsZero() {
				l.problem(problemAt(v, part.key, ErrMissing, ""))
			}
		}
	}
	f.value.Set(list)
}

// items reads a list of mappings from the YAML text of a variable.
func (l *loader) items(f leaf, text string) {
	n, p := parse([]byte(text))
	seq, ok := n.(*ast.SequenceNode)
	if p != nil || !ok {
		l.refuse(f.key, ErrValue, "expected "+kindOf(f.value)+" in YAML")
		return
	}
	before := len(l.problems)
	l.itemList(f, seq)
	for _, p := range l.problems[before:] {
		p.Detail = strings.TrimPrefix(p.Detail+" (in "+f.env()+")", " ")
		p.Line, p.Column = 0, 0
	}
}

// scalar gives the text of a scalar as it was written: 007 stays 007, no stays no.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// kindOf names what a key expects, for people.
func kindOf(v reflect.Value) string {
	switch {
	case isItems(v):
		return "a list of " + strings.Join(slices.Collect(names(v.Type().Elem())), ", ")
	case v.Kind() == reflect.Slice:
		return "a list of texts"
	default:
		return "one value"
	}
}

func fieldOf(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("key") == name {
			return i
		}
	}
	return -1
}

func names(t reflect.Type) func(func(string) bool) {
	return func(yield func(string) bool) {
		for f := range t.Fields() {
			if !yield(f.Tag.Get("key")) {
				return
			}
		}
	}
}

func index(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
