package main

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	mostFileLines = 600
	mostFuncLines = 60
)

// source is one parsed Go file.
type source struct {
	name string // path from the root
	file *ast.File
	set  *token.FileSet
}

func (s source) test() bool               { return strings.HasSuffix(s.name, "_test.go") }
func (s source) line(p token.Pos) int     { return s.set.Position(p).Line }
func (s source) lines(n ast.Node) int     { return s.line(n.End()) - s.line(n.Pos()) + 1 }
func (s source) where(p token.Pos) string { return s.set.Position(p).String() }

func TestFilesAndFunctionsFitOnAScreen(t *testing.T) {
	for _, s := range sources(t) {
		if n := s.set.File(s.file.Pos()).LineCount() - s.tableLines(s.file); n > mostFileLines {
			t.Errorf("%s: %d lines, at most %d", s.name, n, mostFileLines)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok {
				if n := s.lines(f) - s.tableLines(f); n > mostFuncLines {
					t.Errorf("%s: %s has %d lines, at most %d", s.where(f.Pos()), f.Name.Name, n, mostFuncLines)
				}
			}
			return true
		})
	}
}

// tableLines counts the lines of table data: lists and maps written out. In functions that are
// no tests they count as code.
func (s source) tableLines(within ast.Node) (lines int) {
	if _, isFunc := within.(*ast.FuncDecl); isFunc && !s.test() {
		return 0
	}
	ast.Inspect(within, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && !s.test() && f != within {
			return false
		}
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		switch lit.Type.(type) {
		case *ast.ArrayType, *ast.MapType:
			lines += s.lines(lit) - 1
			return false
		}
		return true
	})
	return lines
}

func TestPackagesSayWhatTheyPromise(t *testing.T) {
	docs := map[string]int{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.name)
		if s.test() {
			continue
		}
		docs[dir] += 0
		want := "Package " + s.file.Name.Name + " "
		if s.file.Name.Name == "main" {
			want = "Command " + filepath.Base(dir) + " "
		}
		if strings.HasPrefix(s.file.Doc.Text(), want) {
			docs[dir]++
		}
	}
	for dir, n := range docs {
		if n != 1 {
			t.Errorf("%s: %d package comments that begin as they should, want one", dir, n)
		}
	}
}

func TestGoroutinesComeFromConc(t *testing.T) {
	each(t, func(s source, n ast.Node) {
		if g, ok := n.(*ast.GoStmt); ok {
			t.Errorf("%s: bare go statement", s.where(g.Pos()))
		}
	})
}

func TestNoStructHoldsAContext(t *testing.T) {
	each(t, func(s source, n ast.Node) {
		st, ok := n.(*ast.StructType)
		if !ok {
			return
		}
		for _, f := range st.Fields.List {
			if name(f.Type) == "context.Context" {
				t.Errorf("%s: context in a struct", s.where(f.Pos()))
			}
		}
	})
}

// TestTestsDoNotSleep: virtual time (testing/synctest) may pass, real time may not.
func TestTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if name(call.Fun) == "time.Sleep" {
				t.Errorf("%s: sleeps", s.where(call.Pos()))
			}
			return name(call.Fun) != "synctest.Test"
		})
	}
}

// usual are methods whose meaning their interface gives.
var usual = regexp.MustCompile(`^(Error|String|Unwrap|Is|As|Len|Less|Swap|Push|Pop|Marshal\w+|Unmarshal\w+|ServeHTTP|RoundTrip|Read|Write|Close)$`)

func TestExportedIdentifiersAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && !selfEvident(d) {
					t.Errorf("%s: %s has no comment", s.where(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				s.checkDoc(t, d)
			}
		}
	}
}

func (s source) checkDoc(t *testing.T, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch v := spec.(type) {
		case *ast.TypeSpec:
			if v.Name.IsExported() && d.Doc == nil && v.Doc == nil {
				t.Errorf("%s: %s has no comment", s.where(v.Pos()), v.Name.Name)
			}
		case *ast.ValueSpec:
			if v.Names[0].IsExported() && d.Doc == nil && v.Doc == nil && v.Comment == nil {
				t.Errorf("%s: %s has no comment", s.where(v.Pos()), v.Names[0].Name)
			}
		}
	}
}

// selfEvident tells methods that their interface explains, and those of types that nobody sees.
func selfEvident(f *ast.FuncDecl) bool {
	return f.Recv != nil && (usual.MatchString(f.Name.Name) || !ast.IsExported(receiver(f)))
}

func receiver(f *ast.FuncDecl) string {
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if ix, ok := typ.(*ast.IndexExpr); ok {
		typ = ix.X
	}
	id, _ := typ.(*ast.Ident)
	if id == nil {
		return ""
	}
	return id.Name
}
