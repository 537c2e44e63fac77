package enrich

import (
	"errors"
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// maxCost bounds the evaluation of one condition, in CEL's own units of work: a detection with the
// most observables can be searched some hundred times over.
const maxCost = 1_000_000

// conditions compiles CEL over the variable `detection`.
type conditions struct{ env *cel.Env }

func newConditions() (conditions, error) {
	env, err := cel.NewEnv(
		ext.NativeTypes(reflect.TypeFor[Seen](), reflect.TypeFor[SeenRule](), reflect.TypeFor[SeenObservable](), ext.ParseStructTags(true)),
		cel.Variable("detection", cel.ObjectType("enrich.Seen")),
		ext.Strings(),
		cel.DefaultUTCTimeZone(true),
	)
	if err != nil {
		return conditions{}, fmt.Errorf("conditions: %w", err)
	}
	return conditions{env}, nil
}

// compile checks an expression and its type; an error tells where in the text it is.
func (c conditions) compile(text string, want *cel.Type) (cel.Program, *RuleError) {
	ast, issues := c.env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, &RuleError{Line: first.Location.Line(), Column: first.Location.Column() + 1, Err: errors.New(first.Message)}
	}
	if !ast.OutputType().IsExactType(want) {
		return nil, &RuleError{Line: 1, Column: 1, Err: fmt.Errorf("gives %s, must give %s", ast.OutputType(), want)}
	}
	program, err := c.env.Program(ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &RuleError{Line: 1, Column: 1, Err: err}
	}
	return program, nil
}

// evaluate runs a program over a detection.
func evaluate[T any](p cel.Program, s Seen) (T, error) {
	var none T
	out, _, err := p.Eval(map[string]any{"detection": s})
	if err != nil {
		return none, err
	}
	v, ok := out.Value().(T)
	if !ok {
		return none, fmt.Errorf("condition gave %T", out.Value())
	}
	return v, nil
}
