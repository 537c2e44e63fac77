package rules

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Lookup is a table of an operator's, which conditions and texts name as lookup.NAME: a row by its key,
// lookup.assets[detection.host].owner, and whether there is one, detection.host in lookup.assets. A key
// without a row gives empty texts.
type Lookup interface {
	// Columns are the names of the columns; each is a name of CEL.
	Columns() []string
	// Find gives what reads a cell of a row, by the place of its column in Columns; or false.
	Find(key string) (cell func(column int) string, found bool)
}

// lookupPrefix begins the name of a table, and of the type of its rows.
const lookupPrefix = "lookup."

// withLookups declares tables, and gives the values of their variables.
func withLookups(tables map[string]Lookup) (options []cel.EnvOption, values map[string]any) {
	values = map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		full := lookupPrefix + name
		options = append(options, cel.Variable(full, cel.MapType(cel.StringType, cel.ObjectType(full))))
		columns := tables[name].Columns()
		values[full] = &tableValue{table: tables[name], row: types.NewObjectType(full), columns: columns}
	}
	if len(tables) > 0 {
		options = append(options, func(e *cel.Env) (*cel.Env, error) {
			return cel.CustomTypeProvider(rowTypes{e.CELTypeProvider(), tables})(e)
		})
	}
	return options, values
}

var (
	// undeclaredTable finds the table that CEL does not know in its message.
	undeclaredTable = regexp.MustCompile(`^undeclared reference to 'lookup(?:\.([A-Za-z0-9_]+))?'`)
	// undefinedField finds the column that CEL does not know.
	undefinedField = regexp.MustCompile(`^undefined field '([A-Za-z0-9_]+)'`)
	// named finds the tables that an expression names.
	named = regexp.MustCompile(`\blookup\.([A-Za-z0-9_]+)`)
)

// aboutLookups says a message of CEL that is about a table in words about it; empty where it is not.
func (c conditions) aboutLookups(message, text string) string {
	if m := undeclaredTable.FindStringSubmatch(message); m != nil {
		table := m[1]
		if in := named.FindStringSubmatch(text); table == "" && in != nil {
			table = in[1]
		}
		if len(c.tables) == 0 {
			return fmt.Sprintf("there is no lookup %q: none is configured under lookups", table)
		}
		return fmt.Sprintf("there is no lookup %q: write one of %s", table, strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(c.tables)), ", "), lookupPrefix, ""))
	}
	m, in := undefinedField.FindStringSubmatch(message), named.FindAllStringSubmatch(text, -1)
	if m == nil || len(in) == 0 {
		return ""
	}
	var tables []string
	for _, name := range in {
		table, ok := c.tables[lookupPrefix+name[1]].(*tableValue)
		if !ok || slices.Contains(table.columns, m[1]) {
			continue
		}
		tables = append(tables, fmt.Sprintf("lookup %s has no column %q: its columns are %s", name[1], m[1], strings.Join(table.columns, ", ")))
	}
	return strings.Join(slices.Compact(tables), "; ")
}

// errAsked says how a table is used.
var errAsked = errors.New("lookups are asked for a row: lookup.assets[detection.host].owner, or whether there is one: detection.host in lookup.assets")

// onlyAsked refuses expressions that go through a table, count it or compare it: it may be large.
func onlyAsked(of *cel.Ast) error {
	root := ast.NavigateAST(of.NativeRep())
	for _, table := range ast.MatchDescendants(root, func(e ast.NavigableExpr) bool {
		return e.Kind() == ast.IdentKind && strings.HasPrefix(e.AsIdent(), lookupPrefix)
	}) {
		around, ok := table.Parent()
		if !ok || around.Kind() != ast.CallKind {
			return errAsked
		}
		call := around.AsCall()
		asked := call.FunctionName() == operators.Index && call.Args()[0].ID() == table.ID() ||
			call.FunctionName() == operators.In && call.Args()[1].ID() == table.ID()
		if !asked {
			return errAsked
		}
	}
	return nil
}

// rowTypes knows the rows of tables besides what another provider knows.
type rowTypes struct {
	types.Provider
	tables map[string]Lookup
}

func (p rowTypes) columns(structType string) ([]string, bool) {
	name, ok := strings.CutPrefix(structType, lookupPrefix)
	if !ok {
		return nil, false
	}
	table, ok := p.tables[name]
	if !ok {
		return nil, false
	}
	return table.Columns(), true
}

// FindStructType gives the type of a row.
func (p rowTypes) FindStructType(structType string) (*types.Type, bool) {
	if _, ok := p.columns(structType); ok {
		return types.NewTypeTypeWithParam(types.NewObjectType(structType)), true
	}
	return p.Provider.FindStructType(structType)
}

// FindStructFieldNames gives the columns of a row.
func (p rowTypes) FindStructFieldNames(structType string) ([]string, bool) {
	if columns, ok := p.columns(structType); ok {
		return columns, true
	}
	return p.Provider.FindStructFieldNames(structType)
}

// FindStructFieldType gives a column of a row, which is a text.
func (p rowTypes) FindStructFieldType(structType, fieldName string) (*types.FieldType, bool) {
	columns, ok := p.columns(structType)
	if !ok {
		return p.Provider.FindStructFieldType(structType, fieldName)
	}
	at := slices.Index(columns, fieldName)
	if at < 0 {
		return nil, false
	}
	return &types.FieldType{
		Type:    types.StringType,
		IsSet:   func(row any) bool { return cellOf(row, at) != "" },
		GetFrom: func(row any) (any, error) { return cellOf(row, at), nil },
	}, true
}

// cellOf is a cell of a row; empty where no row was found.
func cellOf(row any, at int) string {
	if r, ok := row.(*rowValue); ok && r.cell != nil {
		return r.cell(at)
	}
	return ""
}

// unnamed is the part that the values of tables and rows share: they are only asked for keys and columns.
type unnamed struct{ kind *types.Type }

// ConvertToNative fails: nothing outside of CEL takes these values.
func (u unnamed) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s is no %s", u.kind, t)
}

// ConvertToType fails, too.
func (u unnamed) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("%s is no %s", u.kind, t.TypeName())
}

// Equal is false: the checker keeps comparisons of tables and rows from meaning anything.
func (unnamed) Equal(ref.Val) ref.Val { return types.False }

// Type is that of the value.
func (u unnamed) Type() ref.Type { return u.kind }

// tableValue is a table as CEL sees it: a map that is never gone through.
type tableValue struct {
	unnamed
	table   Lookup
	row     *types.Type
	columns []string
}

// Value is the table.
func (t *tableValue) Value() any { return t }

// Type is that of a map.
func (*tableValue) Type() ref.Type { return types.MapType }

// Contains tells whether a key has a row.
func (t *tableValue) Contains(key ref.Val) ref.Val {
	text, ok := key.(types.String)
	if !ok {
		return types.False
	}
	_, found := t.table.Find(string(text))
	return types.Bool(found)
}

// Find gives the row of a key, an empty one where there is none.
func (t *tableValue) Find(key ref.Val) (ref.Val, bool) { return t.Get(key), true }

// Get does the same.
func (t *tableValue) Get(key ref.Val) ref.Val {
	row := &rowValue{unnamed: unnamed{t.row}}
	if text, ok := key.(types.String); ok {
		if cell, found := t.table.Find(string(text)); found {
			row.cell = cell
		}
	}
	return row
}

// Iterator goes through nothing: a table may be large.
func (*tableValue) Iterator() traits.Iterator {
	return types.NewStringList(types.DefaultTypeAdapter, nil).Iterator()
}

// Size is zero, for the same reason.
func (*tableValue) Size() ref.Val { return types.IntZero }

// rowValue is a row as CEL sees it.
type rowValue struct {
	unnamed
	cell func(column int) string // nil where there is no row
}

// Value is the row.
func (r *rowValue) Value() any { return r }
