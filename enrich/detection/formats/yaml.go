package formats

import (
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// nodeTaker is what reads itself from YAML.
type nodeTaker interface{ UnmarshalYAML(n ast.Node) error }

// eachMember reads the values of a mapping into what member says for each key. The library does so by
// reflection, anew for every value, which costs more than the rest of reading a format file.
func eachMember(n ast.Node, member func(key string) any) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return at(n, fmt.Errorf("%s is no mapping", n.Type()))
	}
	for values := m.MapRange(); values.Next(); {
		key := values.Key().GetToken().Value
		into := member(key)
		if into == nil {
			return at(values.Key(), fmt.Errorf("unknown field %q", key))
		}
		if err := takeNode(values.Value(), into); err != nil {
			return err
		}
	}
	return nil
}

func takeNode(n ast.Node, into any) error {
	switch into := into.(type) {
	case nodeTaker:
		return into.UnmarshalYAML(n)
	case *string:
		s, err := textNode(n)
		*into = s
		return err
	case *[]Condition:
		return eachNode(n, func(n ast.Node) error {
			*into = append(*into, Condition{})
			return (&(*into)[len(*into)-1]).UnmarshalYAML(n)
		})
	}
	return decodeNode(n, into)
}

// textNode reads a text; one that is written as such needs no decoder of its own.
func textNode(n ast.Node) (text string, err error) {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value, nil
	}
	err = decodeNode(n, &text)
	return text, err
}

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
