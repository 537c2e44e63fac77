package formats

import (
	"bufio"
	"bytes"
	"cmp"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// File is what a format file says, for people. Paths and values stand in backquotes, so that Markdown shows them as they are.
type File struct {
	Name       string
	Product    string        // the first sentence of the comment at the top; may be empty
	Comment    string        // at the top of the file, on one line; may be empty
	File       string        // its name in its folder
	Folder     int           // place among the operator's folders, from 0; -1 is built in
	Text       string        // of the whole file, with its comments
	Fragment   bool          // rules for other formats alone
	Recognised []string      // each is enough
	Drops      []Drop        // parts that are no detections, in the order in which they are tried
	Severity   []string      // the scale: each is tried in this order
	Default    string        // severity of an event that does not say it
	Fields     []FilledField // that the file fills, in the order of a detection's own
	Takes      []string      // rules that it takes from other files
}

// Drop is what a format drops by name.
type Drop struct{ Reason, When string }

// FilledField says where a field of a detection comes from: the first that is there counts; of observables and tags, all.
type FilledField struct {
	Name string
	From []string
}

// Describe describes every format that there is, fragments too, sorted by name: the embedded ones, and those of an operator's folders, of
// which a later one replaces an earlier one of its name. What a file says is not checked against the other files: [New] does so. Its errors
// are an *Error for each file that cannot be read.
func Describe(folders ...fs.FS) ([]File, error) {
	specs, err := load(append([]fs.FS{embedded()}, folders...))
	if err != nil {
		return nil, err
	}
	var all []File
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		all = append(all, specs[name].about())
	}
	return all, nil
}

// about describes a format file as it was written, before anything is taken from other files.
func (s *spec) about() File {
	f := File{
		Name: s.Format, File: s.file, Folder: s.folder - 1, Text: string(s.source), Fragment: s.Fragment,
		Comment: topComment(s.source), Default: cmp.Or(s.Default, "medium"), Fields: s.filled(),
	}
	f.Product = firstSentence(f.Comment)
	if len(s.Recognise) == 0 && !s.Fragment {
		f.Recognised = []string{"nothing: it is what formats.unknown: generic, or a pin, reads by"}
	}
	for _, when := range s.Recognise {
		f.Recognised = append(f.Recognised, saidAll(when))
	}
	for _, d := range s.Drop {
		f.Drops = append(f.Drops, Drop{d.Reason, saidAll(d.When)})
	}
	for i := range s.Severity {
		f.Severity = append(f.Severity, s.Severity[i].scaleSaid())
	}
	for _, w := range s.With {
		what := strings.Join(w.Take, ", ")
		said := cmp.Or(what, "observables") + " of " + inBackquotes(w.Format)
		if w.Under.IsSet() {
			said += " below " + inBackquotes(w.Under.Text)
		}
		f.Takes = append(f.Takes, said)
	}
	return f
}

// topComment is the comment before the first key, on one line.
func topComment(source []byte) string {
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(source)); s.Scan(); {
		text, ok := strings.CutPrefix(strings.TrimSpace(s.Text()), "#")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSpace(text))
	}
	return strings.Join(strings.Fields(strings.Join(lines, " ")), " ")
}

// firstSentence is what stands before the first colon, semicolon or full stop that a space follows.
func firstSentence(text string) string {
	for _, end := range []string{". ", ": ", "; "} {
		text, _, _ = strings.Cut(text, end)
	}
	return strings.TrimSuffix(text, ".")
}

// filled are the fields for which the file has rules.
func (s *spec) filled() []FilledField {
	var ids []string
	for _, alternative := range s.ID {
		ids = append(ids, joinedPaths(alternative, " + "))
	}
	if len(s.Hash) > 0 {
		ids = append(ids, "hash of "+joinedPaths(s.Hash, " + "))
	}
	all := []FilledField{{"id", ids}}
	h := &s.Happened
	for _, f := range []struct {
		name string
		of   Fields
	}{
		{"time", s.Time}, {"title", s.Title}, {"description", s.Description}, {"rule id", s.Rule.ID}, {"rule name", s.Rule.Name}, {"source", s.Source},
		{"host", s.Host}, {"user", s.User}, {"address", s.IP}, {"key", s.Key}, {"last key", s.LastKey}, {"direction", s.Direction}, {"link", s.Link},
		{"process", h.Process}, {"command line", h.CommandLine}, {"parent", h.Parent}, {"file", h.File}, {"from", h.From}, {"to", h.To}, {"action", h.Action},
	} {
		var from []string
		for i := range f.of {
			from = appendNew(from, f.of[i].said())
		}
		all = append(all, FilledField{f.name, from})
	}
	all = slices.Concat(all, s.observed(), s.attached())
	return slices.DeleteFunc(all, func(f FilledField) bool { return len(f.From) == 0 })
}

// observed are the observables by their type.
func (s *spec) observed() (all []FilledField) {
	byType := map[string][]string{}
	for i := range s.Observables {
		o := &s.Observables[i]
		of := cmp.Or(o.Type, "of the kind that is named")
		switch o.Reader {
		case "hashes":
			of = "hash"
		case "tuple":
			of = "ip"
		}
		for _, p := range o.places() {
			byType[of] = appendNew(byType[of], p)
		}
	}
	for _, of := range slices.Sorted(maps.Keys(byType)) {
		all = append(all, FilledField{"observable: " + of, byType[of]})
	}
	return all
}

// attached are tags, techniques and files.
func (s *spec) attached() []FilledField {
	var tags, techniques, files []string
	for _, t := range s.Tags {
		tags = appendNew(tags, t.Path.said())
	}
	for _, t := range s.Techniques {
		for _, p := range slices.Concat(t.Path, t.Else) {
			techniques = appendNew(techniques, p.under(t.Each).said())
		}
	}
	for _, f := range s.Files {
		files = appendNew(files, f.Each.said())
	}
	return []FilledField{{"tags", tags}, {"techniques", techniques}, {"files", files}}
}

// places are where observables are read.
func (o *ObservableRule) places() (all []string) {
	if len(o.Join) > 0 {
		return []string{joinedPaths(below(o.Join, o.Each), " + ")}
	}
	for _, p := range append(slices.Clone(o.Path), o.Value) {
		if p.IsSet() {
			all = append(all, p.under(o.Each).said())
		}
	}
	return all
}

// said is where the text of a field comes from, without its conditions.
func (f *Field) said() string {
	switch {
	case len(f.Join) > 0:
		return joinedPaths(below(f.Join, f.Each), " + ")
	case f.Path.IsSet():
		return f.Path.under(f.Each).said()
	default:
		return "the text " + inBackquotes(f.Text)
	}
}

// scaleSaid is what a severity says about its values.
func (f *Field) scaleSaid() string {
	var steps []string
	for _, from := range slices.Sorted(maps.Keys(f.Bands)) {
		steps = append(steps, "from "+strconv.FormatFloat(from, 'f', -1, 64)+" "+f.Bands[from])
	}
	for _, word := range slices.Sorted(maps.Keys(f.Words)) {
		steps = append(steps, inBackquotes(word)+" "+f.Words[word])
	}
	said := f.said()
	if len(f.When) > 0 {
		said += " (where " + saidAll(f.When) + ")"
	}
	if len(steps) == 0 {
		return said + ": as it is named"
	}
	return said + ": " + strings.Join(steps, ", ")
}

// saidAll says conditions that hold together.
func saidAll(when []Condition) string {
	var all []string
	for i := range when {
		all = append(all, when[i].said())
	}
	return strings.Join(all, ", and ")
}

// said says when a condition holds.
func (c *Condition) said() string {
	of, not := joinedPaths(c.Path, " or "), ""
	if c.Not {
		not = "not "
	}
	var tests []string
	if c.Type != "" {
		tests = append(tests, "is "+not+"of type "+c.Type)
	}
	for _, t := range []struct {
		verb string
		of   texts
	}{{"is", c.Is}, {"begins with", c.Prefix}, {"ends with", c.Suffix}, {"contains", c.Contains}} {
		if len(t.of) > 0 {
			tests = append(tests, denied(t.verb, c.Not)+" "+anyOf(t.of))
		}
	}
	if c.Matches.Regexp != nil {
		tests = append(tests, denied("matches", c.Not)+" "+inBackquotes(c.Matches.String()))
	}
	if len(tests) == 0 {
		return of + " is " + not + "there"
	}
	return of + " " + strings.Join(tests, " and ")
}

// denied is a verb, or what denies it.
func denied(verb string, not bool) string {
	switch {
	case !not:
		return verb
	case verb == "is":
		return "is not"
	default:
		return "nowhere " + verb
	}
}

// said is a path in backquotes.
func (p Path) said() string {
	if !p.IsSet() || p.Text == "" {
		return "the event"
	}
	return inBackquotes(p.Text)
}

func joinedPaths(paths []Path, sep string) string {
	var all []string
	for _, p := range paths {
		all = append(all, p.said())
	}
	return strings.Join(all, sep)
}

func anyOf(of texts) string {
	var all []string
	for _, t := range of {
		all = append(all, inBackquotes(t))
	}
	return strings.Join(all, " or ")
}

func inBackquotes(text string) string { return "`" + text + "`" }

func appendNew(all []string, text string) []string {
	if slices.Contains(all, text) {
		return all
	}
	return append(all, text)
}
