package main

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

func TestNothingRunsBeforeMain(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					t.Errorf("%s: init function", s.where(d.Pos()))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					s.checkVars(t, d)
				}
			}
		}
	}
}

// checkVars lets pass what never changes: errors, compiled patterns, tables, embedded files,
// sync.OnceValue, interface assertions; and of tests flags, and what is another module's variable.
func (s source) checkVars(t *testing.T, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		v := spec.(*ast.ValueSpec)
		comments := s.commentsOf(d, v)
		embedded := strings.Contains(comments, "go:embed") || s.test() && strings.Contains(comments, "go:linkname")
		for i, name := range v.Names {
			var value ast.Expr
			if i < len(v.Values) {
				value = v.Values[i]
			}
			if name.Name == "_" || embedded || constant(value, name.Name, s.test()) {
				continue
			}
			t.Errorf("%s: package variable %s", s.where(name.Pos()), name.Name)
		}
	}
}

func (s source) commentsOf(d *ast.GenDecl, v *ast.ValueSpec) string {
	var b strings.Builder
	for _, g := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if g != nil {
			for _, c := range g.List {
				b.WriteString(c.Text)
			}
		}
	}
	return b.String()
}

// constant tells whether an expression is one of those that package variables may have.
func constant(value ast.Expr, name string, test bool) bool {
	switch v := value.(type) {
	case *ast.CompositeLit:
		return true // a table
	case *ast.UnaryExpr:
		return constant(v.X, name, test)
	case *ast.BinaryExpr:
		return true
	case *ast.SelectorExpr:
		// An error of a package below may be given to those above, who do not import that one.
		return test || strings.HasPrefix(v.Sel.Name, "Err") && strings.HasPrefix(name, "Err")
	case *ast.Ident:
		return test // an alias that shows the tests something unexported
	case *ast.CallExpr:
		called := ast.Unparen(v.Fun)
		if ix, ok := called.(*ast.IndexExpr); ok {
			called = ix.X
		}
		sel, ok := called.(*ast.SelectorExpr)
		if !ok {
			return tabulated(v)
		}
		from, _ := sel.X.(*ast.Ident)
		what := ""
		if from != nil {
			what = from.Name + "." + sel.Sel.Name
		}
		switch what {
		case "errors.New", "fmt.Errorf", "regexp.MustCompile", "sync.OnceValue", "sync.OnceValues", "strings.NewReplacer", "time.Date", "slices.Concat":
			return true
		}
		if test && from != nil && (from.Name == "flag" || from.Name == "rapid") {
			return true // flags of the tests, generators of properties
		}
		return strings.HasPrefix(sel.Sel.Name, "Must")
	}
	return false
}

// tabulated tells a table that a function of the package completes: newKind(kind{…}).
func tabulated(call *ast.CallExpr) bool {
	id, ok := call.Fun.(*ast.Ident)
	if !ok || id.IsExported() || len(call.Args) == 0 {
		return false
	}
	if id.Name == "append" {
		return true // a table that grows out of another one
	}
	for _, arg := range call.Args {
		switch arg.(type) {
		case *ast.CompositeLit, *ast.BasicLit, *ast.Ident:
		default:
			return false
		}
	}
	return true
}
