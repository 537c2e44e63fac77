package rules

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// maxCost bounds the evaluation of one expression, in CEL's own units of work: a detection with
// the most observables can be searched some hundred times over.
const maxCost = 1_000_000

// maxExpression bounds the text of one expression, in bytes, as a text around it is bounded; CEL bounds
// its depth by itself.
const maxExpression = maxRendered

// conditions compiles CEL over the variable `detection`: conditions, keys, and what stands in the
// placeholders of texts.
type conditions struct {
	env *cel.Env
	// readsEvents is set where an expression may look at the event itself, which costs reading it again.
	readsEvents *bool
	tables      map[string]any // the values of lookups
}

func newConditions(lookups map[string]Lookup) (conditions, error) {
	declared, tables := withLookups(lookups)
	env, err := cel.NewEnv(append([]cel.EnvOption{
		ext.NativeTypes(reflect.TypeFor[Seen](), reflect.TypeFor[SeenRule](), reflect.TypeFor[SeenObservable](), ext.ParseStructTags(true)),
		cel.Variable("detection", cel.ObjectType("rules.Seen")),
		ext.Strings(),
		ext.Lists(),
		cel.DefaultUTCTimeZone(true),
	}, declared...)...)
	if err != nil {
		return conditions{}, fmt.Errorf("conditions: %w", err)
	}
	return conditions{env, new(bool), tables}, nil
}

// exactly accepts one type.
func exactly(want *cel.Type) func(*cel.Type) error {
	return func(t *cel.Type) error {
		if !t.IsExactType(want) {
			return fmt.Errorf("gives %s, must give %s", typeName(t), want)
		}
		return nil
	}
}

// compile checks an expression and its type; an error tells where in the text it is.
func (c conditions) compile(text string, fits func(*cel.Type) error) (cel.Program, *RuleError) {
	if len(text) > maxExpression {
		return nil, &RuleError{Line: 1, Column: 1, Err: fmt.Errorf("is longer than %d bytes", maxExpression)}
	}
	if strings.Contains(text, "raw") || strings.Contains(text, "fields") {
		*c.readsEvents = true
	}
	ast, issues := c.env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, &RuleError{
			Line: first.Location.Line(), Column: first.Location.Column() + 1, Err: errors.New(c.plainly(first, text)),
		}
	}
	if err := onlyAsked(ast); err != nil {
		return nil, &RuleError{Line: 1, Column: 1, Err: err}
	}
	if err := fits(ast.OutputType()); err != nil {
		return nil, &RuleError{Line: 1, Column: 1, Err: err}
	}
	program, err := c.env.Program(ast, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize), cel.Globals(c.tables))
	if err != nil {
		return nil, &RuleError{Line: 1, Column: 1, Err: err}
	}
	return program, nil
}

// seenNames says the names of types as somebody knows them who has never seen this package.
var seenNames = strings.NewReplacer("rules.SeenObservable", "observable", "rules.SeenRule", "rule", "rules.Seen", "detection")

// undeclared finds the name that CEL does not know in its message.
var undeclared = regexp.MustCompile(`^undeclared reference to '([a-z]+)'`)

// plainly adds to a message of CEL what is meant most often.
func (c conditions) plainly(e *common.Error, text string) string {
	if about := c.aboutLookups(e.Message, text); about != "" {
		return about
	}
	message := seenNames.Replace(e.Message)
	if name := undeclared.FindStringSubmatch(message); name != nil {
		for field := range reflect.TypeFor[Seen]().Fields() {
			if field.Tag.Get("cel") == name[1] {
				return message + ": write detection." + name[1]
			}
		}
	}
	if strings.Contains(message, "'_?_:_'") {
		return message + ": both results must be of one type, as with string(detection.severity)"
	}
	return c.meant(e, message, text)
}

func typeName(t fmt.Stringer) string { return seenNames.Replace(t.String()) }

// evaluate runs a program over a detection.
func evaluate[T any](p cel.Program, s Seen) (T, error) {
	var none T
	out, err := run(p, s)
	if err != nil {
		return none, err
	}
	v, ok := out.Value().(T)
	if !ok {
		return none, fmt.Errorf("condition gave %T", out.Value())
	}
	return v, nil
}

func run(p cel.Program, s Seen) (ref.Val, error) {
	out, _, err := p.Eval(map[string]any{"detection": s})
	return out, err
}
