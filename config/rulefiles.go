package config

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// ruleFile is what a file of rules may hold.
type ruleFile struct {
	Routes   []Route   `key:"routes"`
	Silences []Silence `key:"silences"`
}

// ruleFiles reads the files that rules.files names; what they hold comes after what is there.
func (l *loader) ruleFiles() {
	if l.source.ReadFile == nil {
		return
	}
	for i, name := range l.config.Rules.Files {
		for _, file := range l.expand(l.beside(name)) {
			text, err := l.source.ReadFile(file)
			if err != nil {
				l.refuse(index("rules.files", i), ErrValue, err.Error())
				continue
			}
			l.ruleFile(file, text)
		}
	}
}

// expand gives the *.yaml files of a directory in the order of their names; of anything else
// itself. Names that begin with a dot are not meant: Kubernetes keeps its versions under such.
func (l *loader) expand(name string) []string {
	if l.source.ReadDir == nil {
		return []string{name}
	}
	entries, err := l.source.ReadDir(name)
	if err != nil {
		return []string{name} // no directory; reading it as a file says what is wrong
	}
	var files []string
	for _, e := range entries {
		if n := e.Name(); !e.IsDir() && !strings.HasPrefix(n, ".") && (strings.HasSuffix(n, ".yaml") || strings.HasSuffix(n, ".yml")) {
			files = append(files, filepath.Join(name, n))
		}
	}
	slices.Sort(files)
	return files
}

// paths makes the files that the configuration file names those beside it, from wherever the worker
// is started. What a variable names is relative to the working directory, as everywhere.
func (l *loader) paths() {
	for f := range l.leaves() {
		if _, given := l.from[f.key]; !given || !f.path() {
			continue
		}
		switch v := f.value.Addr().Interface().(type) {
		case *string:
			*v = l.beside(*v)
		case *[]string:
			for i, name := range *v {
				(*v)[i] = l.beside(name)
			}
		}
	}
}

// beside gives a name that the configuration file mentions, as seen from its own directory.
func (l *loader) beside(name string) string {
	if name == "" || filepath.IsAbs(name) || l.source.Name == "" {
		return name
	}
	return filepath.Join(filepath.Dir(l.source.Name), name)
}

func (l *loader) ruleFile(name string, text []byte) {
	whole := l.text
	l.reading(name, string(text))
	defer l.reading("", whole)
	root, p := parse(text)
	if p != nil {
		l.problem(p)
		return
	}
	if root == nil {
		return // an empty file has no rules
	}
	held := ruleFile{Routes: l.config.Routes, Silences: l.config.Silences}
	l.mapping("", reflect.ValueOf(&held).Elem(), root)
	l.config.Routes, l.config.Silences = held.Routes, held.Silences
}

// reading turns to a file: what is found wrong from now on is in it. The configuration itself
// has no name here.
func (l *loader) reading(name, text string) { l.file, l.text = name, text }

// rules refuses rules that cannot be told apart, and lists that are nowhere or in two places.
func (l *loader) rules() {
	names := map[string]string{}
	for i, r := range l.config.Routes {
		key := index("routes", i)
		if other, twice := names[r.Name]; twice {
			l.refuse(key+".name", ErrValue, "is the name of "+other+", too")
		}
		names[r.Name] = key
		if keep := l.config.Ledger.Keep; r.Window != nil && keep < *r.Window {
			l.refuse(key+".window", ErrValue, "must not be longer than ledger.keep ("+text(keep)+"): the ledger would forget cases that still take events")
		}
	}
	l.lookups()
	for i, a := range l.config.AllowLists {
		key := index("allowLists", i)
		switch {
		case a.File == "" && len(a.Values) == 0:
			l.refuse(key+".file", ErrMissing, "give a file, or kind and values")
		case a.File != "" && len(a.Values)+len(a.Kind) > 0:
			l.refuse(key+".file", ErrValue, "give a file, or kind and values, not both")
		case a.File == "" && a.Kind == "":
			l.refuse(key+".kind", ErrMissing, "needed with values")
		case a.File != "":
			l.config.AllowLists[i].File = l.beside(a.File)
		}
	}
}

// lookupName is a name that CEL can follow "lookup." with.
var lookupName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

// lookups refuses tables that cannot be named, told apart or asked.
func (l *loader) lookups() {
	names := map[string]string{}
	for i, t := range l.config.Lookups {
		key := index("lookups", i)
		if t.Name != "" && !lookupName.MatchString(t.Name) {
			l.refuse(key+".name", ErrValue, "must be a letter, then letters, digits and underscores, 64 at most")
		}
		if other, twice := names[t.Name]; twice {
			l.refuse(key+".name", ErrValue, "is the name of "+other+", too")
		}
		names[t.Name] = key
		switch addresses := strings.HasSuffix(strings.ToLower(t.File), ".mmdb"); {
		case addresses && t.Key+t.Match != "":
			l.refuse(key+".file", ErrValue, "rows of a .mmdb are found by address: leave key and match out")
		case !addresses && t.Key == "" && t.File != "":
			l.refuse(key+".key", ErrMissing, "name the column that rows are found by")
		}
		l.config.Lookups[i].File = l.beside(t.File)
	}
}
