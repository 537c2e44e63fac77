package lookup_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/lookup"
	"forager/racedetector"
)

// asked is what a table says of keys; a key without a row is not in it.
func asked(rows lookup.Rows, keys ...string) map[string][]string {
	all := map[string][]string{}
	for _, k := range keys {
		if row := rowOf(rows, k); row != nil {
			all[k] = row
		}
	}
	return all
}

// rowOf are all cells of a row; nil where there is none.
func rowOf(rows lookup.Rows, key string) (row []string) {
	cell, found := rows.Find(key)
	if !found {
		return nil
	}
	for i := range rows.Columns() {
		row = append(row, cell(i))
	}
	return row
}

// wide is a table of one row, web01, with a column host and so many more.
func wide(t testing.TB, more int) *lookup.Table {
	t.Helper()
	head, row := []string{"host"}, []string{"web01"}
	for i := range more {
		head, row = append(head, fmt.Sprintf("c%d", i)), append(row, fmt.Sprintf("what the column %d says", i))
	}
	table, err := lookup.ReadCSV(strings.NewReader(strings.Join(head, ",")+"\n"+strings.Join(row, ",")+"\n"), "host", lookup.MatchText)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestALookupCopiesWhatIsAskedForAlone: a row is found and a cell is read at the cost of that cell, however many columns the row has.
func TestALookupCopiesWhatIsAskedForAlone(t *testing.T) {
	if racedetector.On {
		t.Skip("the race detector allocates, too")
	}
	cost := func(more int) float64 {
		table, said := wide(t, more), ""
		allocated := testing.AllocsPerRun(100, func() {
			cell, found := table.Find("web01")
			if said = cell(1); !found {
				t.Fatal("no row")
			}
		})
		if said != "what the column 0 says" {
			t.Fatalf("column 1 says %q", said)
		}
		return allocated
	}
	if narrow, broad := cost(1), cost(lookup.MaxColumns-1); broad > narrow || broad > 2 {
		t.Errorf("%v allocations of a row of %d columns, %v of one of 2", broad, lookup.MaxColumns, narrow)
	}
}

// TestNoColumnHasNoText: a place that no column has gives an empty text, and not what stands behind the row.
func TestNoColumnHasNoText(t *testing.T) {
	t.Parallel()
	cell, _ := wide(t, 1).Find("web01")
	if before, behind := cell(-1), cell(2); before != "" || behind != "" {
		t.Errorf("%q, %q", before, behind)
	}
}

// BenchmarkFind is one lookup of one cell in rows of ten columns.
func BenchmarkFind(b *testing.B) {
	table := wide(b, 9)
	b.ReportAllocs()
	for b.Loop() {
		if cell, found := table.Find("web01"); !found || cell(4) == "" {
			b.Fatal("no row")
		}
	}
}

func TestCSVIsFoundByKey(t *testing.T) {
	t.Parallel()
	type table = map[string][]string
	for name, c := range map[string]struct {
		text, key string
		match     lookup.Match
		columns   []string
		ask       []string
		want      table
	}{
		"commas":               {"host,owner\nweb01,ann\ndb07,bob\n", "host", "", []string{"host", "owner"}, []string{"web01", "db07", "x", ""}, table{"web01": {"web01", "ann"}, "db07": {"db07", "bob"}}},
		"semicolons":           {"host;owner\nweb01;ann, and bob\n", "host", "", []string{"host", "owner"}, []string{"web01"}, table{"web01": {"web01", "ann, and bob"}}},
		"tabs":                 {"host\towner\nweb01\tann\n", "owner", "", []string{"host", "owner"}, []string{"ann"}, table{"ann": {"web01", "ann"}}},
		"windows":              {"\xef\xbb\xbfhost,owner\r\nweb01,ann\r\n", "host", "", []string{"host", "owner"}, []string{"web01"}, table{"web01": {"web01", "ann"}}},
		"quoted":               {"host,note\nweb01,\"two\nlines, \"\"quoted\"\"\"\n", "host", "", []string{"host", "note"}, []string{"web01"}, table{"web01": {"web01", "two\nlines, \"quoted\""}}},
		"no case":              {"host,owner\nWEB01,ann\n", "host", "", []string{"host", "owner"}, []string{" web01 ", "Web01"}, table{" web01 ": {"WEB01", "ann"}, "Web01": {"WEB01", "ann"}}},
		"text is no host":      {"host,owner\nweb01,ann\n", "host", lookup.MatchText, []string{"host", "owner"}, []string{"web01.corp.example"}, table{}},
		"hosts":                {"host,owner\nweb01.corp.example,ann\n", "host", lookup.MatchHost, []string{"host", "owner"}, []string{"WEB01", `CORP\web01$`, "web01.other.example"}, table{"WEB01": {"web01.corp.example", "ann"}, `CORP\web01$`: {"web01.corp.example", "ann"}, "web01.other.example": {"web01.corp.example", "ann"}}},
		"the first of several": {"host,owner\nweb01,ann\nWEB01,bob\n", "host", "", []string{"host", "owner"}, []string{"web01"}, table{"web01": {"web01", "ann"}}},
		"no key":               {"host,owner\n,ann\n", "host", "", []string{"host", "owner"}, []string{""}, table{}},
		"names of CEL":         {"Asset Tag,2nd owner,größe\nA1,ann,3\n", "asset tag", "", nil, nil, nil},
		"named as in the file": {"Asset Tag,2nd owner,größe\nA1,ann,3\n", "Asset Tag", "", []string{"Asset_Tag", "_2nd_owner", "gr__e"}, []string{"a1"}, table{"a1": {"A1", "ann", "3"}}},
		"only names":           {"host,owner\n", "host", "", []string{"host", "owner"}, []string{"web01"}, table{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := lookup.ReadCSV(strings.NewReader(c.text), c.key, c.match)
			if c.columns == nil {
				if err == nil || !strings.Contains(err.Error(), "its columns are Asset_Tag, _2nd_owner, gr__e") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.columns, rows.Columns()); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.want, asked(rows, c.ask...)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJSONIsFoundByKey(t *testing.T) {
	t.Parallel()
	const rows = `{"host":"web01","tier":1,"owner":{"mail":"ann@example.test"}}, {"host":"db07","tier":null,"prod":true}`
	want := map[string][]string{"web01": {"web01", `{"mail":"ann@example.test"}`, "", "1"}, "DB07": {"db07", "", "true", ""}}
	for name, text := range map[string]string{"a list": "\n [" + rows + "]", "one after the other": strings.ReplaceAll(rows, ", {", "\n{")} {
		table, err := lookup.ReadJSON(strings.NewReader(text), "host", "")
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff([]string{"host", "owner", "prod", "tier"}, table.Columns()); diff != "" {
			t.Errorf("%s: columns (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(want, asked(table, "web01", "DB07", "x")); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
	}
}

func TestAFileThatIsNoTableIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", lookup.MaxCell+1)
	many := strings.TrimSuffix(strings.Repeat("c,", lookup.MaxColumns+1), ",")
	for name, c := range map[string]struct{ csv, json, want string }{
		"empty":            {csv: " ", want: "has no column"},
		"nothing":          {csv: "", want: "first line"},
		"a line too short": {csv: "host,owner\nweb01,ann\ndb07\n", want: "line 3"},
		"an open quote":    {csv: "host,owner\nweb01,\"ann\n", want: "line 2"},
		"no such column":   {csv: "name,owner\n", want: `has no column "host"; its columns are name, owner`},
		"one name twice":   {csv: "host,a b,a_b\n", want: `columns "a b" and "a_b" have one name`},
		"a long text":      {csv: "host,owner\nweb01,ann\ndb07," + long + "\n", want: "line 3"},
		"many columns":     {csv: many + "\n", want: "has 65 columns"},
		"no JSON":          {json: "nothing", want: "row 1"},
		"empty JSON":       {json: "  ", want: "is empty"},
		"a list of texts":  {json: `[{"host":"a"},"b"]`, want: "row 2"},
		"half a list":      {json: `[{"host":"a"},`, want: "is no table"},
		"an open list":     {json: `[{"host":"a"}`, want: "is no table"},
		"no key":           {json: `[{"name":"a"}]`, want: `has no column "host"`},
		"an empty list":    {json: `[]`, want: `has no column "host"`},
	} {
		var err error
		if c.json != "" {
			_, err = lookup.ReadJSON(strings.NewReader(c.json), "host", "")
		} else {
			_, err = lookup.ReadCSV(strings.NewReader(c.csv), "host", "")
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), lookup.ErrTable.Error()) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// million is a table of rows that are made while they are read.
type million struct {
	rest  int
	begun bool
	text  bytes.Buffer
}

func (m *million) Read(p []byte) (int, error) {
	if !m.begun {
		m.begun = true
		m.text.WriteString("host,owner,tier,site\n")
	}
	for ; m.text.Len() < len(p) && m.rest > 0; m.rest-- {
		fmt.Fprintf(&m.text, "host%07d.corp.example,owner%d@example.test,%d,site %d\n", m.rest, m.rest%5000, m.rest%4, m.rest%300)
	}
	return m.text.Read(p)
}

// TestAMillionRowsTakeLittleMoreThanTheirTexts: 62 bytes of text a row, and its key once more, folded.
func TestAMillionRowsTakeLittleMoreThanTheirTexts(t *testing.T) {
	if racedetector.On {
		t.Skip("the race detector's memory is not the program's")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 1_000_000
	table, err := lookup.ReadCSV(&million{rest: n}, "host", lookup.MatchHost)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if row := rowOf(table, "HOST0000007"); row == nil || row[1] != "owner7@example.test" || table.Len() != n {
		t.Errorf("%v of %d", row, table.Len())
	}
	held := (after.HeapAlloc - before.HeapAlloc) >> 20
	t.Logf("%d MiB", held)
	if held > 120 {
		t.Errorf("a million rows of 62 bytes take %d MiB", held)
	}
	runtime.KeepAlive(table)
}

func FuzzTable(f *testing.F) {
	f.Add("host,owner\nweb01,ann\n", "web01")
	f.Add(`[{"host":"a","b":{"c":[1]}}]`, "a")
	f.Add("host;x\n\"a\";\"b\"\n", "a")
	f.Fuzz(func(t *testing.T, text, key string) {
		for _, match := range []lookup.Match{lookup.MatchText, lookup.MatchHost} {
			for _, read := range []func() (*lookup.Table, error){
				func() (*lookup.Table, error) { return lookup.ReadCSV(strings.NewReader(text), "host", match) },
				func() (*lookup.Table, error) { return lookup.ReadJSON(strings.NewReader(text), "host", match) },
			} {
				table, err := read()
				if err != nil {
					continue
				}
				if row := rowOf(table, key); row != nil && len(row) != len(table.Columns()) {
					t.Errorf("%d cells of %d columns", len(row), len(table.Columns()))
				}
			}
		}
	})
}
