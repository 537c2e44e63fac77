package tree

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"forager/enrich/detection/malformed"
)

// documents are JSON, and texts that nearly are: each is taken, and read, as encoding/json does.
var documents = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `True`, `tru`, `"a"`, `"a`, `a"`, `"`, `{}`, `[]`, `{`, `}`, `[`, `]`, `{]`, `[}`, `{} x`, `[] ,`,
	`{"a":1}`, `{"a":1,}`, `{"a":}`, `{"a"}`, `{"a" 1}`, `{"a":1 "b":2}`, `{"a":1,"b":2}`, `{,"a":1}`, `{a:1}`, `{1:1}`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{ "a" : 1 , "b" : [ ] }`,
	`[1]`, `[1,]`, `[,1]`, `[1 2]`, `[1,2`, `[1,`, `[[],[[]],{}]`, "[1,\t2,\r\n3 ]", "[1,\f2]", "\ufeff[]",
	`0`, `-0`, `-`, `01`, `-01`, `10`, `1.`, `.5`, `1.5`, `-1.50`, `1e5`, `1E5`, `1e+5`, `1e-5`, `1e`, `1e+`, `1.e5`, `1.5e05`, `+1`, `0x1`, `1_000`, `--1`, `NaN`, `1 `, ` 1`, `1,`, `[0,1]`, `[-1]`,
	`"\""`, `"\\"`, `"\/"`, `"\b\f\n\r\t"`, `"\a"`, `"\`, `"\"`, `"x\ny"`, "\"a\nb\"", "\"\x00\"", "\"x\\n\x01\"", "\"x\\n\x1f\"", "\"\x20\x7f\"", `"x\n`, `"x\ny`,
	`"\u0041"`, `"\u00e9"`, `"\u00E9"`, `"\u004"`, `"\u00g1"`, `"\u00:1"`, `"\u00@1"`, `"\u/000"`, `"\u"`, `"\u12`, `"\u1234`, `"\u`, `"\U0041"`,
	`"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83dx"`, `"\ud83d\n"`, `"\ud83d\u0041"`, `"\ud83d\ud83d\ude00"`, `"\ud83d\u00"`, `"\ud83d\ude0`, `"\ud800\udfff"`, `"\udfff\ud800"`,
	`"é€😀"`, `{"é":"é"}`, `{"a\u0041":1}`, `{"a":{"b":[1,{"c":null}]}}`, `{"a":1,"a":2,"b":3,"a":{}}`, `[true,false,null,"x",1.0,{}]`, `[nulls]`, `[truefalse]`,
}

func TestJSONIsReadAsTheStandardLibraryDoes(t *testing.T) {
	for _, s := range documents {
		tr := New(Limits{Depth: 64, Keys: 1000, Array: 1000, Values: 10_000, Number: 100})
		root, err := tr.Parse(s)
		if valid := json.Valid([]byte(s)) && utf8.ValidString(s); valid != (err == nil) || err != nil && !malformed.Is(err, malformed.InvalidJSON) {
			t.Errorf("%q: %v, valid: %v", s, err, valid)
			continue
		}
		if err != nil {
			continue
		}
		if got, want := tr.Any(root), standard(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, want %#v", s, got, want)
		}
	}
}

// standard is what the standard library reads of a document.
func standard(t *testing.T, s string) (all any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSeveralValuesInARowAreAnArray, of objects and arrays; what else follows a value is an error.
func TestSeveralValuesInARowAreAnArray(t *testing.T) {
	for s, want := range map[string]string{
		`{"a":1}{"b":2}`: `[{"a":1},{"b":2}]`, "{}\n\n[1]\n{}\n": `[{},[1],{}]`, `[1] 2`: `[[1],2]`, ` {"a":1} `: `{"a":1}`, `7`: `7`, `"x" `: `"x"`,
		`1 2`: ``, `"x" {}`: ``, `null null`: ``, `{} x`: ``, `{"a":1},{"b":2}`: ``, `{}{`: ``, ``: ``,
	} {
		tr := New(Limits{Depth: 64, Keys: 1000, Array: 1000, Values: 10_000, Number: 100})
		root, err := tr.ParseAll(s)
		if (err == nil) != (want != "") || err != nil && !malformed.Is(err, malformed.InvalidJSON) {
			t.Errorf("%q: %v, want %s", s, err, want)
			continue
		}
		if err == nil {
			if got, _ := json.Marshal(tr.Any(root)); string(got) != want {
				t.Errorf("%q: %s, want %s", s, got, want)
			}
		}
	}
}
