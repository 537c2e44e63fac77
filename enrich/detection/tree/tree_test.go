package tree

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/detection/malformed"
)

var small = Limits{Depth: 3, Keys: 4, Array: 4, Values: 20, Number: 6}

// texts are what a path leads to in a document, in its order.
func texts(t *testing.T, document, path string, prefix bool) (found []string) {
	t.Helper()
	tr := New(Limits{Depth: 64, Keys: 1000, Array: 1000, Values: 10_000, Number: 100})
	root, err := tr.Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	tr.Under(root, steps, prefix, func(n int32) bool {
		return tr.Leaves(n, func(n int32) bool {
			found = append(found, tr.TextOf(n))
			return true
		})
	})
	return found
}

func TestAPathLeadsToWhatItsNamesSay(t *testing.T) {
	for _, c := range []struct {
		document, path string
		want           []string
	}{
		{`{"a":{"b":"1"}}`, "a.b", []string{"1"}},
		{`{"a.b":"1"}`, "a.b", []string{"1"}},
		{`{"a":{"b.c":"1"},"a.b":{"c":"2"},"a.b.c":"3"}`, "a.b.c", []string{"1", "2", "3"}},
		{`{"incident_number":"1","IncidentNumber":"2","incident-number":"3","incidentnumber":"4"}`, "incidentNumber", []string{"1", "2", "3", "4"}},
		{`{"_id":"1","id":"2"}`, "id", []string{"2"}},
		{`{"_id":"1","id":"2"}`, "_id", []string{"1"}},
		{`{"a":[{"b":"1"},{"c":"x"},{"b":["2","3"]}]}`, "a.b", []string{"1", "2", "3"}},
		{`[[{"a":"1"}],{"a":"2"}]`, "a", []string{"1", "2"}},
		{`{"l":[{"key":"Severity","value":"1"},{"key":"other","value":"2"}]}`, "l[key=severity].value", []string{"1"}},
		{`{"l":{"key":"severity","value":"1"}}`, "l[key=severity].value", []string{"1"}},
		{`{"l":"severity"}`, "l[key=severity].value", nil},
		{`{"l.m":[{"key":"severity","value":"1"}]}`, "l[key=severity].value", nil},
		{`{"h":{"md5":"1","sha1":"2"}}`, "h.*", []string{"1", "2"}},
		{`{"x":{"h":"1"},"y":{"h":"2"}}`, "*.h", []string{"1", "2"}},
		{`{"a":{"b":"1"}}`, "a.b.c", nil},
		{`{"ab":"1"}`, "a", nil},
		{`{"a":"1"}`, "a.b", nil},
	} {
		if diff := cmp.Diff(c.want, texts(t, c.document, c.path, false)); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", c.path, c.document, diff)
		}
	}
}

// TestAFlatNameThatGoesOnSaysThatAnObjectIsThere in all but form.
func TestAFlatNameThatGoesOnSaysThatAnObjectIsThere(t *testing.T) {
	for document, want := range map[string][]string{
		`{"a.b.c":"1"}`: {"1"}, `{"a":{"b.c":"1"}}`: {"1"}, `{"a.b":"1"}`: nil, `{"a":{"b":{"c":"1"}}}`: nil, `{"a.x.c":"1"}`: nil,
	} {
		if diff := cmp.Diff(want, texts(t, document, "a.b", true)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", document, diff)
		}
	}
}

func TestAPathThatIsNoneIsRefused(t *testing.T) {
	for _, path := range []string{"a..b", ".a", "a.", "a[b].c", "a[b=c", "a[=c]", "[a=b]"} {
		if steps, err := ParsePath(path); err == nil {
			t.Errorf("%q is read as %v", path, steps)
		}
	}
	if steps, err := ParsePath(""); err != nil || len(steps) != 0 {
		t.Errorf("the path of the event: %v, %v", steps, err)
	}
}

// TestTheLastOfOneNameCountsInTheFirstsPlace, in small objects and in those that are looked up by a table.
func TestTheLastOfOneNameCountsInTheFirstsPlace(t *testing.T) {
	for _, members := range []int{3, smallObject, smallObject + 1, 200} {
		var document strings.Builder
		document.WriteString(`{"twice":"old"`)
		want := []string{"new"}
		for i := range members - 2 {
			fmt.Fprintf(&document, `,"m%d":"%d"`, i, i)
			want = append(want, fmt.Sprint(i))
		}
		document.WriteString(`,"twice":"new"}`)
		if diff := cmp.Diff(want, texts(t, document.String(), "*", false)); diff != "" {
			t.Errorf("%d members (-want +got):\n%s", members, diff)
		}
	}
}

// TestWhatExceedsALimitIsMalformed, and what just meets it is not.
func TestWhatExceedsALimitIsMalformed(t *testing.T) {
	for name, c := range map[string]struct{ meets, exceeds, reason string }{
		"depth":   {`[[[1]]]`, `[[[[1]]]]`, malformed.TooDeep},
		"objects": {`{"a":{"b":{}}}`, `{"a":{"b":{"c":{}}}}`, malformed.TooDeep},
		"members": {`{"a":1,"b":2,"c":3,"d":4}`, `{"a":1,"b":2,"c":3,"d":4,"e":5}`, malformed.TooManyKeys},
		"array":   {`[1,2,3,4]`, `[1,2,3,4,5]`, malformed.TooManyKeys},
		"number":  {`123456`, `1234567`, malformed.InvalidJSON},
		"rows":    {"{} {} {} {}", "{} {} {} {} {}", malformed.TooManyKeys},
		"values":  {`[[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2,3]]`, `[[1,2,3,4],[1,2,3,4],[1,2,3,4],[1,2,3,4]]`, malformed.TooManyKeys},
	} {
		if _, err := New(small).ParseAll(c.meets); err != nil {
			t.Errorf("%s: %s: %v", name, c.meets, err)
		}
		if _, err := New(small).ParseAll(c.exceeds); !malformed.Is(err, c.reason) {
			t.Errorf("%s: %s: %v, want %q", name, c.exceeds, err, c.reason)
		}
	}
}

func TestPairsAreReadAsSplunkWritesThem(t *testing.T) {
	for src, want := range map[string]any{
		`a="b", c=d`:              map[string]any{"a": "b", "c": "d"},
		`1772, a="x \"y\" z" b=2`: map[string]any{"a": `x "y" z`, "b": "2"},
		`a="no end`:               map[string]any{"a": "no end"},
		`=x, a=1`:                 map[string]any{"a": "1"},
		`a=`:                      map[string]any{"a": ""},
	} {
		tr := New(small)
		root, err := tr.ParsePairs(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if diff := cmp.Diff(want, tr.Any(root)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", src, diff)
		}
	}
	if _, err := New(small).ParsePairs("no pairs here"); !malformed.Is(err, malformed.InvalidJSON) {
		t.Errorf("no pairs: %v", err)
	}
	if _, err := New(small).ParsePairs("a=1 b=2 c=3 d=4 e=5"); !malformed.Is(err, malformed.TooManyKeys) {
		t.Errorf("five pairs where four may be: %v", err)
	}
}

// TestATreeForgets what it held, and takes the next message.
func TestATreeForgets(t *testing.T) {
	tr := New(small)
	for range 3 {
		if _, err := tr.Parse(`[[1,2,3,4],[1,2,3,4],[1,2,3,4]]`); err != nil {
			t.Fatal(err)
		}
		tr.Reset()
	}
	if len(tr.Nodes) != 1 || tr.Nodes[0] != (Node{}) {
		t.Errorf("%d values are left", len(tr.Nodes)-1)
	}
}

func TestNamesFold(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "a": "a", "AZ": "az", "@[`{": "@[`{", "incidentNumber": "incidentnumber", "Incident_Number": "incidentnumber", "incident-number": "incidentnumber",
		"incident number": "incidentnumber", "_id": "_id", "-x": "-x", " x": " x", "__id_": "_id", "é_É": "éÉ",
	} {
		if got, to := Fold(name), string(FoldTo([]byte("x"), name)); got != want || to != "x"+want {
			t.Errorf("%q folds to %q and %q, want %q", name, got, to, want)
		}
	}
}

// TestAMemberIsFoundByItsNameAsItIsWritten: objects alone have some.
func TestAMemberIsFoundByItsNameAsItIsWritten(t *testing.T) {
	tr := New(Limits{Depth: 64, Keys: 1000, Array: 1000, Values: 10_000, Number: 100})
	root, err := tr.Parse(`{"a":"1","A":"2","list":[{"a":"3"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if a, capital := tr.TextOf(tr.Child(root, "a")), tr.TextOf(tr.Child(root, "A")); a != "1" || capital != "2" {
		t.Errorf("a is %q, A is %q", a, capital)
	}
	if tr.Child(root, "b") != 0 || tr.Child(tr.Child(root, "list"), "a") != 0 {
		t.Error("what is not there is found")
	}
}
