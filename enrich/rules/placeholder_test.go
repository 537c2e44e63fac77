package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/rules"
)

func TestAPlaceholderEndsWhereItsExpressionDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                    nil,
		"no placeholder }} { }":               {"no placeholder }} { }"},
		"{{ detection.host }}":                {"=detection.host 1:4"},
		"a{{x}}{{y}}b":                        {"a", "=x 1:4", "=y 1:9", "b"},
		"é{{x}}":                              {"é", "=x 1:4"},
		"a\n b {{\n  x +\n y }}c":             {"a\n b ", "=x +\n y 3:3", "c"},
		`{{ "}}" }}`:                          {`="}}" 1:4`},
		`{{ '}}' + "'" }}`:                    {`='}}' + "'" 1:4`},
		`{{ "\"}}" }}`:                        {`="\"}}" 1:4`},
		`{{ r"\" + '}}' }}`:                   {`=r"\" + '}}' 1:4`},
		`{{ bR'\' }}'`:                        {`=bR'\' 1:4`, "'"},
		`{{ [r"\"][0] }}`:                     {`=[r"\"][0] 1:4`},
		"{{ \"\"\"}}\"\n}}\"\"\" }}":          {"=\"\"\"}}\"\n}}\"\"\" 1:4"},
		`{{ r'''\''' }}`:                      {`=r'''\''' 1:4`},
		`{{ '''\'''}}''' }}`:                  {`='''\'''}}''' 1:4`},
		`{{ "" + '' }}`:                       {`="" + '' 1:4`},
		`{{{"a": {"b": "c"}}["a"]["b"]}}`:     {`={"a": {"b": "c"}}["a"]["b"] 1:3`},
		`{{ {"a": "b"} }}}}`:                  {`={"a": "b"} 1:4`, "}}"},
		"{{ x // it's }} a comment\n }}":      {"=x // it's }} a comment 1:4"},
		`{{ "{{" }}{{ "//" }}`:                {`="{{" 1:4`, `="//" 1:14`},
		`{{ .5 > detection.severity ? 1:2 }}`: {`=.5 > detection.severity ? 1:2 1:4`},
	} {
		parts, err := rules.Split(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		var got []string
		for _, p := range parts {
			if p.Expression != "" {
				p.Literal = fmt.Sprintf("=%s %d:%d", p.Expression, p.Line, p.Column)
			}
			got = append(got, p.Literal)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", text, d)
		}
	}
}

func TestMistakesInTextsSayWhereTheyAreAndWhatToWrite(t *testing.T) {
	t.Parallel()
	sayable := "must give a text, a number, true or false, a time, a duration, or a list of texts"
	for text, want := range map[string]string{
		"a {{ detection.host":                  "1:3 {{ is not closed by }}",
		"a\né {{ {\"a\": 1 }}":                 "2:3 {{ is not closed by }}",
		"{{ detection.host // it }}":           "1:1 {{ is not closed by }}: // is a comment, to the end of its line",
		`x {{ detection.host + "y }}`:          "1:23 a quotation mark is not closed",
		"{{ 'a\n' }}":                          "1:4 a quotation mark is not closed",
		"x {{ }}":                              "1:3 placeholder is empty: write {{ detection.host }}",
		"x {{.Host}}":                          "1:3 a placeholder does not begin with a dot: write {{ detection.host }}",
		"{{ .Rule.Name }}":                     "1:1 a placeholder does not begin with a dot: write {{ detection.rule.name }}",
		`{{- .Time.Format "2006" -}}`:          "1:1 a placeholder does not begin with a dot: write {{ detection.time }}",
		"{{.}}":                                "1:1 a placeholder does not begin with a dot: write {{ detection.host }}",
		"{{- detection.host }}":                "1:1 {{- is no mark of its own: write {{ and }}",
		"{{if ge .Severity 3}}4{{end}}":        `1:1 "if" is no CEL: write something like {{ condition ? "this" : "that" }}`,
		"{{ index .Tags 0 }}":                  `1:1 "index" is no CEL: write something like {{ detection.tags[0] }}`,
		"a\n  {{ detection.hots }}":            "2:15 detection.hots: no such field; meant host? it is a string",
		"{{\n detection.host\n  + 1 }}":        "3:3 found no matching overload for '_+_' applied to '(string, int)': detection.host is a string",
		"é {{   1 + }}":                        "1:11 Syntax error: ",
		"{{ detection.host } }}":               "1:19 Syntax error: ",
		"{{ title }}":                          "1:4 undeclared reference to 'title': write detection.title",
		`{{ true ? "a" : 1 }}`:                 "1:9 found no matching overload for '_?_:_' applied to '(bool, string, int)': both results must be of one type, as with string(detection.severity)",
		"{{ detection }}":                      "1:4 gives detection, " + sayable,
		"a\n {{ detection.rule }}":             "2:5 gives rule, " + sayable,
		"{{ detection.observables }}":          "1:4 gives list(observable), " + sayable,
		`{{ {"a": 1} }}`:                       "1:4 gives map(string, int), " + sayable,
		"{{ [1, 2] }}":                         "1:4 gives list(int), " + sayable,
		`{{ b"x" }}`:                           "1:4 gives bytes, " + sayable,
		"{{ null }}":                           "1:4 gives null_type, " + sayable,
		"{{ nope }} {{ 1 + 1 }} {{ neither }}": "1:4 undeclared reference to 'nope' 1:27 undeclared reference to 'neither'",
		strings.Repeat("x", 64<<10) + "y":      "0:0 is longer than 65536 bytes",
	} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{Title: text}}}})
		if got := placesOf(err); !strings.HasPrefix(got, want) || !strings.HasSuffix(want, ": ") && got != want {
			t.Errorf("%.60s\n got %s\nwant %s", text, got, want)
		}
	}
}

// placesOf shows what is wrong with rules, and where.
func placesOf(err error) string {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Sprint(err)
	}
	var all []string
	for _, e := range many.Unwrap() {
		if r, ok := errors.AsType[*rules.RuleError](e); ok {
			all = append(all, fmt.Sprintf("%d:%d %v", r.Line, r.Column, r.Err))
		}
	}
	return strings.Join(all, " ")
}

// FuzzTexts: whatever somebody writes is refused with a place that exists, or means something;
// and what has no placeholder is literal.
func FuzzTexts(f *testing.F) {
	for _, s := range []string{
		"", "plain", "{{ detection.host }}", "{{", "}}", `{{ "}}" }}`, `{{ r'''\''' }}`, "{{ {\"a\":\"b\"}[\"a\"] }}", "{{ x // }}\n }}", "a\n\xff{{ \xff }}",
		"{{ detection.tags }}", `https://x/{{ detection.host }}`, `[a](https://x/{{ detection.host }})`, `\{{ 1 }}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parts, err := rules.Split(text)
		if !strings.Contains(text, "{{") && (err != nil || strings.Join(literals(parts), "") != text) {
			t.Errorf("literal text became %+v, %v", parts, err)
		}
		_, err = rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Case: rules.CaseFields{
			Description: text, Links: []rules.Link{{Name: text, URL: text}},
		}}}})
		many, _ := err.(interface{ Unwrap() []error })
		if many == nil {
			return
		}
		lines := strings.Split(text, "\n")
		for _, e := range many.Unwrap() {
			r, ok := errors.AsType[*rules.RuleError](e)
			if !ok || r.Line < 0 || r.Line > len(lines) || r.Line > 0 && (r.Column < 1 || r.Column > len([]rune(lines[r.Line-1]))+1) {
				t.Errorf("error %v at %+v", e, r)
			}
		}
	})
}

func literals(parts []rules.Part) (all []string) {
	for _, p := range parts {
		all = append(all, p.Literal)
	}
	return all
}
