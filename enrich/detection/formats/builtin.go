package formats

import (
	"bytes"
	"embed"
	"io/fs"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed *.yaml
var builtInFiles embed.FS

// builtIn are the embedded format files, which need no check of what they cost.
type builtIn struct{ fs.FS }

func embedded() fs.FS { return builtIn{builtInFiles} }

// builtInSet has the embedded formats alone. To read all of a file takes milliseconds and half a megabyte of garbage, and most workers meet
// a handful of formats: of the others only what tells them is read.
var builtInSet = sync.OnceValues(func() (*Set, error) {
	files, err := fs.Glob(builtInFiles, "*.yaml")
	if err != nil {
		return nil, err
	}
	s := &Set{formats: map[string]func() *Format{}, index: map[string][]alternative{}}
	for _, file := range files {
		head, err := readHead(file)
		if err != nil {
			return nil, err
		}
		if head.Fragment {
			continue
		}
		get := sync.OnceValue(func() *Format { return builtInNamed(head.Format) })
		if err := s.add(&Format{spec: head}, get); err != nil {
			return nil, err
		}
	}
	return s, nil
})

// readHead reads what tells a format of an embedded file.
func readHead(file string) (*spec, error) {
	text, err := builtInFiles.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &spec{file: file}
	if err := yaml.NewDecoder(bytes.NewReader(head(text)), yaml.Strict()).Decode(s); err != nil {
		return nil, placed(file, err)
	}
	return s, nil
}

// head are the lines of a file that say its name, its order and what it is recognised by.
func head(text []byte) []byte {
	var lines []byte
	wanted := false
	for line := range bytes.Lines(text) {
		if c := line[0] | 0x20; 'a' <= c && c <= 'z' {
			key, _, _ := strings.Cut(string(line), ":")
			wanted = key == "format" || key == "fragment" || key == "order" || key == "recognise"
		}
		if wanted {
			lines = append(lines, line...)
		}
	}
	return lines
}

// builtInNamed reads and compiles an embedded format, with what it takes from other files. That it can be is what a test of all
// of them says; what cannot is a mistake of whoever built this, and no error of an event.
func builtInNamed(name string) *Format {
	own, err := readSpec(embedded(), name+".yaml")
	if err != nil {
		panic(err)
	}
	specs := map[string]*spec{name: own}
	for _, w := range own.With {
		if specs[w.Format], err = readSpec(embedded(), w.Format+".yaml"); err != nil {
			panic(err)
		}
	}
	f := &Format{spec: own}
	if err := f.compile(specs); err != nil {
		panic(f.located(err))
	}
	newSharing().format(f)
	return f
}
