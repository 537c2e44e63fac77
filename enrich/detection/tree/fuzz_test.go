package tree

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"forager/enrich/detection/malformed"
)

// FuzzScan: within the limits, the scanner takes what encoding/json takes, and reads the same.
func FuzzScan(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e+3,"x\u00e9\ud83d\ude00\ud800",true,false,null,{}]}`, `{"a":1,"a":2}`, `[1,]`, `{"a":1,}`, `"\x"`, "01", "1.", "-", `{"":{"":[]}}`} {
		f.Add(s)
	}
	limits := Limits{Depth: 1000, Keys: 10_000, Array: 10_000, Values: 250_000, Number: 1 << 20}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) || len(s) > 1<<16 {
			return
		}
		tr := New(limits)
		root, err := tr.Parse(s)
		if err != nil && !malformed.Is(err, malformed.InvalidJSON) {
			return // a limit
		}
		if valid := json.Valid([]byte(s)); valid != (err == nil) {
			t.Fatalf("%q: valid %v, but %v", s, valid, err)
		}
		if err != nil {
			return
		}
		if got, want := tr.Any(root), standard(t, s); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, want %#v", s, got, want)
		}
	})
}

// FuzzPairs: Splunk's pairs never panic, and give no more text than there was.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{`a="b", c=d`, `a="\"x\"`, `=,=`, `1, k="v" k="w"`, `a=`} {
		f.Add(s)
	}
	limits := Limits{Depth: 64, Keys: 10_000, Array: 10_000, Values: 250_000, Number: 100}
	f.Fuzz(func(t *testing.T, s string) {
		tr := New(limits)
		root, err := tr.ParsePairs(s)
		if err != nil {
			return
		}
		total := 0
		for c := tr.Nodes[root].First; c != 0; c = tr.Nodes[c].Next {
			total += len(tr.Nodes[c].Key) + len(tr.Nodes[c].Text)
		}
		if total > len(s) {
			t.Fatalf("%d bytes of %d", total, len(s))
		}
	})
}

// FuzzFoldsTo: it says of any two texts what folding the first says.
func FuzzFoldsTo(f *testing.F) {
	f.Add("Incident_Number", "incidentnumber")
	f.Add("_id", "id")
	f.Add("a- B", "ab")
	f.Add("ab", "abc")
	f.Fuzz(func(t *testing.T, name, other string) {
		for _, folded := range []string{Fold(name), other, Fold(other)} {
			if got, want := FoldsTo(name, folded), Fold(name) == folded; got != want {
				t.Fatalf("%q, %q: %v, want %v", name, folded, got, want)
			}
		}
	})
}
