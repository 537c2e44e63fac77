package formats

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"forager/filebound"
	"forager/yamlbound"
)

// Error tells what is wrong in a format file, and where.
type Error struct {
	File   string // name of the file in its directory
	Line   int    // from 1; 0 where the error has no single place
	Column int    // from 1
	Key    string // key of the format file, "observables[3].type"; may be empty
	Err    error
}

// Error names file, line, column and key.
func (e *Error) Error() string {
	s := "format " + e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d:%d", e.Line, e.Column)
	}
	if e.Key != "" {
		s += ": " + e.Key
	}
	return s + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// at gives an error the place of a node.
func at(n ast.Node, err error) error {
	e := &Error{Err: err}
	if t := n.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	e.Key = n.GetPath()
	return e
}

// maxFormatFile bounds a format file in bytes.
const maxFormatFile = 1 << 20

// load reads every *.yaml of the directories; a later file replaces an earlier format of its name.
// Its error is that of every file that is wrong.
func load(dirs []fs.FS) (map[string]*spec, error) {
	specs := map[string]*spec{}
	var wrong []error
	for folder, dir := range dirs {
		names, err := fs.Glob(dir, "*.yaml")
		if err != nil {
			return nil, fmt.Errorf("formats: %w", err)
		}
		here := map[string]string{}
		for _, name := range names {
			s, err := readSpec(dir, name)
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			if other := here[s.Format]; other != "" {
				wrong = append(wrong, &Error{File: name, Key: "format", Err: fmt.Errorf("%q is in %s as well", s.Format, other)})
				continue
			}
			s.folder = folder
			here[s.Format], specs[s.Format] = name, s
		}
	}
	return specs, errors.Join(wrong...)
}

func readSpec(dir fs.FS, name string) (*spec, error) {
	src, err := filebound.ReadFS(dir, name, maxFormatFile)
	if errors.Is(err, filebound.ErrTooLarge) {
		return nil, &Error{File: name, Err: fmt.Errorf("larger than %d bytes", maxFormatFile)}
	}
	if err != nil {
		return nil, fmt.Errorf("formats: %w", err)
	}
	if _, ours := dir.(builtIn); !ours { // what was built in costs what it costs
		if err := yamlbound.Check(src, false); err != nil {
			return nil, &Error{File: name, Err: err}
		}
	}
	s := &spec{}
	if err := yaml.NewDecoder(bytes.NewReader(src), yaml.Strict()).Decode(s); err != nil {
		return nil, placed(name, err)
	}
	s.file, s.source = name, src
	if want := strings.TrimSuffix(name, ".yaml"); s.Format != want {
		return nil, &Error{File: name, Key: "format", Err: fmt.Errorf("%q is not the name of the file, %q", s.Format, want)}
	}
	return s, nil
}

// placed turns an error of the YAML library, or one of ours from within it, into one with a place.
func placed(name string, err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		own.File = name
		return own
	}
	e := &Error{File: name, Err: err}
	if errors.Is(err, io.EOF) {
		e.Err = errors.New("nothing is in it")
	}
	if y, ok := errors.AsType[yaml.Error](err); ok {
		e.Err = errors.New(y.GetMessage())
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Column, e.Key = t.Position.Line, t.Position.Column, t.Value
		}
	}
	return e
}

// located completes an error found after the file was read: with its name, and the place of the key.
func (f *Format) located(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Err: err}
	}
	e.File = f.file
	if e.Line > 0 || e.Key == "" {
		return e
	}
	for _, key := range []string{e.Key, strings.TrimSuffix(e.Key, "[0]")} { // one of a list may stand alone
		p, err := yaml.PathString("$." + key)
		if err != nil {
			continue
		}
		if n, err := p.ReadNode(bytes.NewReader(f.source)); err == nil && n.GetToken() != nil {
			e.Line, e.Column = n.GetToken().Position.Line, n.GetToken().Position.Column
			break
		}
	}
	return e
}

// sortedNames are the formats that events can be of, fragments left out.
func sortedNames(specs map[string]*spec) []string {
	var names []string
	for name, s := range specs {
		if !s.Fragment {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
