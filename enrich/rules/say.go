package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

var errNoText = errors.New("gave neither a text, a number, true or false, a time, a duration nor a list of texts")

// sayableKinds are those that a text can say; dyn is looked at when it is there.
var sayableKinds = []cel.Kind{
	cel.StringKind, cel.IntKind, cel.UintKind, cel.DoubleKind, cel.BoolKind, cel.TimestampKind, cel.DurationKind, cel.DynKind,
}

// sayable accepts the types that a text can say, and lists of texts.
func sayable(t *cel.Type) error {
	one := slices.Contains(sayableKinds, t.Kind())
	list := t.Kind() == cel.ListKind && (t.Parameters()[0].Kind() == cel.StringKind || t.Parameters()[0].Kind() == cel.DynKind)
	if !one && !list {
		return fmt.Errorf("gives %s, must give a text, a number, true or false, a time, a duration, or a list of texts", typeName(t))
	}
	return nil
}

// say gives what a placeholder gave as CEL's string() does, the texts of a list one after the other.
func say(v ref.Val) (string, error) {
	list, ok := v.(traits.Lister)
	if !ok {
		return said(v)
	}
	var all []string
	for it := list.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return "", errNoText
		}
		all = append(all, string(s))
	}
	return strings.Join(all, ", "), nil
}

// said is a value that is no list, as a text.
func said(v ref.Val) (string, error) {
	switch v := v.(type) {
	case types.String:
		return string(v), nil
	case types.Int, types.Uint, types.Double, types.Bool, types.Timestamp, types.Duration:
		if s, ok := v.ConvertToType(types.StringType).(types.String); ok {
			return string(s), nil
		}
	}
	return "", errNoText
}
