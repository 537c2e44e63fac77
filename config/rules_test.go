package config

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// folder reads a configuration that stands in a directory of files.
func folder(files fstest.MapFS, env ...string) (*Config, error) {
	at := func(name string) string { return strings.TrimPrefix(name, "etc/") }
	return Load(Source{
		Name: "etc/forager.yaml", Text: files["forager.yaml"].Data, Env: env,
		ReadFile: func(name string) ([]byte, error) { return files.ReadFile(at(name)) },
		ReadDir:  func(name string) ([]fs.DirEntry, error) { return files.ReadDir(at(name)) },
	})
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestRulesComeFromTheFileAndThoseBesideIt(t *testing.T) {
	c, err := folder(fstest.MapFS{
		"forager.yaml": file(`
rules: {files: [rules.d, late.yaml]}
routes:
  - name: first
    when: detection.severity > 2
    window: 7d
    minimum: high
    closed: reopen
    filter: [{field: tags, op: like, value: "x {{ detection.host }}"}]
    case:
      tags: [a, "b,c"]
      fields: [{name: sla, type: date, value: "{{ detection.time }}"}]
      tasks: [{title: Call}]
allowLists:
  - {name: ours, file: lists/ours.json, action: ignoreSimilarity}
`),
		"rules.d/20-b.yaml":      file("routes: [{name: third}]\n"),
		"rules.d/10-a.yml":       file("routes: [{name: second}]\nsilences: [{name: s, when: 'true', owner: o, reason: r, expires: 2026-12-31, pierce: 4}]\n"),
		"rules.d/.hidden.yaml":   file("broken"),
		"rules.d/..data/10.yaml": file("broken"),
		"rules.d/README":         file("broken"),
		"late.yaml":              file("routes:\n- name: last\n  window: 0\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	week, none := 7*24*time.Hour, time.Duration(0)
	routes := []Route{
		{
			Name: "first", When: "detection.severity > 2", Window: &week, Minimum: 3, Closed: "reopen",
			Filter: []Term{{"tags", "like", "x {{ detection.host }}"}},
			Case:   RouteCase{Tags: []string{"a", "b,c"}, Fields: []Field{{"sla", "date", "{{ detection.time }}"}}, Tasks: []Task{{Title: "Call"}}},
		},
		{Name: "second"}, {Name: "third"}, {Name: "last", Window: &none},
	}
	if d := cmp.Diff(routes, c.Routes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Silence{{"s", "true", "o", "r", time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), 4}}, c.Silences); d != "" {
		t.Error(d)
	}
	if c.AllowLists[0].File != "etc/lists/ours.json" {
		t.Errorf("list at %q", c.AllowLists[0].File)
	}
}

func TestWrongRulesAreNamedWithFileAndLine(t *testing.T) {
	_, err := folder(fstest.MapFS{
		"forager.yaml": file(`
rules: {files: [nowhere.yaml, rules.yaml, broken.yaml]}
ledger: {keep: 2d}
routes:
  - name: twice
    whne: "true"
  - when: "true"
  - name: twice
    window: 3d
allowLists:
  - {name: a, action: drop}
  - {name: b, action: drop, file: x, kind: cidr, values: [10.0.0.0/8]}
  - {name: c, action: keep, values: [x]}
`),
		"rules.yaml": file(`routes:
- name: r
  minimum: urgent
  case:
    fields: [{name: f, type: money, value: "1"}]
    tasks: [{group: g}]
silences:
- {name: s, when: "true", owner: o, expires: soon}
`),
		"broken.yaml": file("routes: [\n"),
	})
	want := `configuration: etc/forager.yaml: line 2, column 17: rules.files[0]: "nowhere.yaml": impossible value: open nowhere.yaml: file does not exist
configuration: etc/forager.yaml: line 6, column 5: routes[0].whne: unknown: no such key, did you mean when?
configuration: etc/forager.yaml: line 7, column 5: routes[1].name: missing
configuration: etc/forager.yaml: line 8, column 11: routes[2].name: "twice": impossible value: is the name of routes[0], too
configuration: etc/forager.yaml: line 9, column 13: routes[2].window: "3d": impossible value: must not be longer than ledger.keep (2d): the ledger would forget cases that still take events
configuration: etc/forager.yaml: line 11, column 5: allowLists[0].file: missing: give a file, or kind and values
configuration: etc/forager.yaml: line 12, column 35: allowLists[1].file: "x": impossible value: give a file, or kind and values, not both
configuration: etc/forager.yaml: line 13, column 5: allowLists[2].kind: missing: needed with values
configuration: etc/forager.yaml: line 13, column 23: allowLists[2].action: "keep": impossible value: expected one of drop, ignoreSimilarity
configuration: etc/broken.yaml: line 1, column 9: not readable YAML: sequence end token ']' not found
configuration: etc/rules.yaml: line 3, column 12: routes[3].minimum: "urgent": impossible value: expected a severity: low, medium, high, critical, or 1 to 4
configuration: etc/rules.yaml: line 5, column 30: routes[3].case.fields[0].type: "money": impossible value: expected one of string, integer, float, boolean, date, url
configuration: etc/rules.yaml: line 6, column 13: routes[3].case.tasks[0].title: missing
configuration: etc/rules.yaml: line 8, column 46: silences[0].expires: "soon": impossible value: expected an instant such as 2026-12-31T18:00:00Z, or a day`
	if d := cmp.Diff(want, err.Error()); d != "" {
		t.Error(d)
	}
}

// What a compiler of conditions and templates says about a value is turned into a place of the file.
func TestMistakesInValuesAreFoundInTheFile(t *testing.T) {
	text := `routes:
  - name: plain
    when: detection.nope == 1
  - name: quoted
    when: "detection.host == 'é' + nope"
  - name: single
    when: 'nope'
  - name: escaped
    when: "detection.host == \"a\" && nope"
  - name: block
    when: |
      detection.host == "a" &&
        nope
  - name: blank
    when: |

      nope
  - name: folded
    when: >-
      detection.host == "a" &&
      nope
  - name: flow
    case: {tags: [x, "{{ nope }}"], title: '{{ nope }}'}
`
	c, err := folder(fstest.MapFS{"forager.yaml": file(text)})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		key          string
		line, column int
		want         string
	}{
		{"routes[0].when", 1, 11, "3:21"},
		{"routes[1].when", 1, 25, "5:36"},
		{"routes[2].when", 1, 1, "7:12"},
		{"routes[3].when", 1, 27, "9:11"}, // where the value begins: it is not written as it is read
		{"routes[4].when", 2, 3, "13:9"},
		{"routes[4].when", 1, 5, "12:11"},
		{"routes[5].when", 2, 1, "17:7"},
		{"routes[6].when", 1, 26, "19:11"},
		{"routes[7].case.tags[1]", 1, 3, "23:25"},
		{"routes[7].case.title", 1, 0, "23:45"},
		{"routes[7].case.pages[0].title", 1, 1, "22:5"}, // not there: the nearest that holds it
		{"routes[0].when", 7, 1, "3:11"},
	} {
		e := c.Wrong(Mistake{Key: x.key, Line: x.line, Column: x.column, Err: errors.New("bad")})
		want := "configuration: etc/forager.yaml: line " + strings.Replace(x.want, ":", ", column ", 1) + ": " + x.key + ": impossible value: bad"
		if e.Error() != want {
			t.Errorf("%d:%d\n got %s\nwant %s", x.line, x.column, e, want)
		}
	}
}

func TestTheEnvironmentReplacesTheRoutesOfTheFile(t *testing.T) {
	c, err := folder(fstest.MapFS{"forager.yaml": file("routes: [{name: a}, {name: b}]\n")}, "FORAGER_ROUTES=[{name: c, when: nope}]")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Routes) != 1 || c.Routes[0].Name != "c" {
		t.Errorf("routes %+v", c.Routes)
	}
	got := c.Wrong(Mistake{Key: "routes[0].when", Line: 1, Column: 1, Err: errors.New("bad")}).Error()
	if want := "configuration: routes[0].when (in FORAGER_ROUTES): impossible value: bad"; got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzPlacesLieInTheFile(f *testing.F) {
	f.Add("routes:\n- name: a\n  when: |\n    x\n    y\n", 2, 1)
	f.Add("routes: [{name: a, when: \"é\"}]", 1, 9)
	f.Fuzz(func(t *testing.T, text string, line, column int) {
		c, err := Load(Source{Name: "f", Text: []byte(text)})
		if err != nil {
			return
		}
		for key := range c.places {
			p := c.Wrong(Mistake{Key: key, Line: line, Column: column, Err: fs.ErrInvalid}).Problems[0]
			if lines := strings.Count(text, "\n") + 1; p.Line < 0 || p.Line > lines {
				t.Errorf("%s %d:%d is said to be in line %d of %d", key, line, column, p.Line, lines)
			}
		}
	})
}
