package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"forager/cmd/worker/workertest"
)

// name gives "package.Name" of a selector.
func name(e ast.Expr) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return id.Name + "." + sel.Sel.Name
}

// each calls f for every node of every file.
func each(t *testing.T, f func(source, ast.Node)) {
	t.Helper()
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			f(s, n)
			return true
		})
	}
}

// parsed are the files that people wrote.
type parsed struct {
	sync.Once
	all []source
}

// once has them for all tests: to parse the module takes a second with the race detector.
var once = sync.OnceValue(func() *parsed { return &parsed{} })

// sources parses every Go file of the module that people wrote. Nobody changes what it gives.
func sources(t *testing.T) []source {
	t.Helper()
	files := once()
	files.Do(func() {
		for name, text := range tree(t, ".go") {
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Error(err)
				continue
			}
			if !ast.IsGenerated(file) {
				files.all = append(files.all, source{name: name, file: file, set: set})
			}
		}
	})
	return files.all
}

// tree reads the files of the module whose name ends so.
func tree(t *testing.T, suffix string) map[string]string {
	t.Helper()
	all, top := map[string]string{}, workertest.Root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path != top && strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci" || d.Name() == "testdata" && suffix != "" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() && strings.HasSuffix(path, suffix) {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(top, path)
			all[filepath.ToSlash(rel)] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mostFiles is how many files a package holds, beside its tests.
const mostFiles = 25

// TestPackagesFitOnAScreen: a package with more files than this is several.
func TestPackagesFitOnAScreen(t *testing.T) {
	files := map[string]int{}
	for name := range tree(t, ".go") {
		if !strings.HasSuffix(name, "_test.go") {
			files[path.Dir(name)]++
		}
	}
	for dir, n := range files {
		if n > mostFiles {
			t.Errorf("%s: %d files, at most %d", dir, n, mostFiles)
		}
	}
}
