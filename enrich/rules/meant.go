package rules

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"forager/spelling"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// meant adds to CEL's message about a field or an operator which fields there are, and of what type they are.
func (c conditions) meant(e *common.Error, message, text string) string {
	parsed, issues := c.env.Parse(text)
	if issues.Err() != nil {
		return message
	}
	found := ast.MatchDescendants(ast.NavigateAST(parsed.NativeRep()), func(n ast.NavigableExpr) bool { return n.ID() == e.ExprID })
	if len(found) == 0 {
		return message
	}
	at := found[0]
	switch {
	case at.Kind() == ast.SelectKind && undefinedField.MatchString(message):
		return noField(at)
	case at.Kind() == ast.SelectKind && strings.HasSuffix(message, "does not support field selection"):
		return message + typesOf([]ast.Expr{at.AsSelect().Operand()})
	case at.Kind() == ast.CallKind:
		operands := at.AsCall().Args()
		if at.AsCall().IsMemberFunction() {
			operands = append([]ast.Expr{at.AsCall().Target()}, operands...)
		}
		return message + typesOf(operands)
	default:
		return message
	}
}

// noField says that there is no such field, and which one was meant, or which there are.
func noField(at ast.Expr) string {
	field := at.AsSelect().FieldName()
	of := structOf(at.AsSelect().Operand())
	said := pathOf(at) + ": no such field"
	like := slices.DeleteFunc(fieldsOf(of), func(f reflect.StructField) bool { return !alike(field, f.Tag.Get("cel")) })
	if len(like) == 0 {
		var names []string
		for _, f := range fieldsOf(of) {
			names = append(names, f.Tag.Get("cel"))
		}
		slices.Sort(names)
		return said + "; there are " + strings.Join(names, ", ")
	}
	var meant []string
	for _, f := range like {
		meant = append(meant, f.Tag.Get("cel")+"? it is "+typeWords(f))
	}
	return said + "; meant " + strings.Join(meant, "; or ")
}

// structOf is what a field is asked of: the detection, its rule, else one of its observables.
func structOf(e ast.Expr) reflect.Type {
	switch pathOf(e) {
	case "detection":
		return reflect.TypeFor[Seen]()
	case "detection.rule":
		return reflect.TypeFor[SeenRule]()
	default:
		return reflect.TypeFor[SeenObservable]()
	}
}

func fieldsOf(t reflect.Type) []reflect.StructField { return slices.Collect(t.Fields()) }

// pathOf writes an expression of names and dots; others are "…".
func pathOf(e ast.Expr) string {
	if e.Kind() == ast.IdentKind {
		return e.AsIdent()
	}
	if e.Kind() == ast.SelectKind {
		return pathOf(e.AsSelect().Operand()) + "." + e.AsSelect().FieldName()
	}
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == operators.Index {
		return pathOf(e.AsCall().Args()[0]) + "[…]"
	}
	return "…"
}

// typesOf says of what type the fields among some operands are.
func typesOf(operands []ast.Expr) string {
	said := ""
	for _, o := range operands {
		if o.Kind() != ast.SelectKind {
			continue
		}
		path := pathOf(o)
		if !strings.HasPrefix(path, "detection.") {
			continue
		}
		for _, f := range fieldsOf(structOf(o.AsSelect().Operand())) {
			if f.Tag.Get("cel") == o.AsSelect().FieldName() && !strings.Contains(said, path+" is") {
				said += ": " + path + " is " + typeWords(f)
			}
		}
	}
	return said
}

// typeWords says the type of a field in words of CEL.
func typeWords(f reflect.StructField) string {
	switch {
	case f.Name == "Severity":
		return "an int 1–4"
	case f.Type == reflect.TypeFor[time.Time]():
		return `a timestamp, as timestamp("2026-03-02T08:00:00Z") is`
	case f.Type == reflect.TypeFor[SeenRule]():
		return "a rule with id and name"
	case f.Type == reflect.TypeFor[[]SeenObservable]():
		return "a list of observables with type, data, tags and ioc"
	case f.Type == reflect.TypeFor[[]string]():
		return "a list of strings"
	case f.Type == reflect.TypeFor[bool]():
		return "a bool"
	case f.Type.Kind() == reflect.Map:
		return "a map by path"
	default:
		return fmt.Sprint("a ", cel.StringType)
	}
}

// alike tells whether one name may be a typing mistake of another: cases aside, one or two letters more, less, or other ones.
func alike(written, name string) bool {
	written, name = strings.ToLower(written), strings.ToLower(name)
	return spelling.Distance(written, name) <= min(2, len(name)/2)
}
