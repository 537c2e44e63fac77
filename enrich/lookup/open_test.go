package lookup_test

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"forager/enrich/lookup"
)

// database is one of the two kinds of MaxMind databases that there are: nested, as GeoLite2 is.
func database(t *testing.T) []byte {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range map[string]mmdbtype.Map{
		"198.51.100.0/24": {"country": mmdbtype.Map{"iso_code": mmdbtype.String("NL"), "names": mmdbtype.Map{"en": mmdbtype.String("Netherlands")}}, "autonomous_system_number": mmdbtype.Uint32(64500), "autonomous_system_organization": mmdbtype.String("Example B.V.")},
		"203.0.113.0/25":  {"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("SE")}, "city": mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Kiruna")}}},
		"2001:db8::/32":   {"country": mmdbtype.String("FI"), "asn": mmdbtype.String("AS64501"), "as_name": mmdbtype.String("Example Oy"), "continent": mmdbtype.String("EU")},
	} {
		_, ipnet, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(ipnet, record); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if _, err := w.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestADatabaseKnowsTheNetworkOfAnAddress(t *testing.T) {
	t.Parallel()
	rows, err := lookup.ReadAddresses(database(t))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"198.51.100.23":        {"NL", "Netherlands", "", "", "64500", "Example B.V.", "198.51.100.0/24"},
		"::ffff:198.51.100.23": {"NL", "Netherlands", "", "", "64500", "Example B.V.", "198.51.100.0/24"},
		"203.0.113.1":          {"SE", "", "", "Kiruna", "", "", "203.0.113.0/25"},
		"2001:db8::1":          {"FI", "", "EU", "", "AS64501", "Example Oy", "2001:db8::/32"},
	}
	got := asked(rows, "198.51.100.23", "::ffff:198.51.100.23", "203.0.113.1", "203.0.113.200", "2001:db8::1", "web01", "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"country", "countryName", "continent", "city", "asn", "organisation", "network"}, rows.Columns()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestATableIsReadAgainWhenItsFileChangedAndOnlyThen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, at int64) lookup.Source {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
		return lookup.Source{File: file, Key: "host"}
	}
	hosts, people := write("hosts.csv", "host,owner\nweb01,ann\n", 1), write("people.json", `[{"host":"x","mail":"m"}]`, 1)
	var c lookup.Cache
	first, errs := c.Open([]lookup.Source{hosts, people})
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	write("hosts.csv", "host,owner\nweb01,bob\n", 2)
	second, errs := c.Open([]lookup.Source{hosts, people})
	if row := rowOf(second[0], "web01"); errs[0] != nil || row[1] != "bob" || second[1] != first[1] {
		t.Errorf("%v, row %v, and the file that did not change was read again: %v", errs, row, second[1] != first[1])
	}
	write("hosts.csv", "host,owner\nweb01\n", 3)
	if _, errs := c.Open([]lookup.Source{hosts, people}); errs[0] == nil || !strings.Contains(errs[0].Error(), "hosts.csv") || errs[1] != nil {
		t.Errorf("a broken file: %v", errs)
	}
	if row := rowOf(second[0], "web01"); row == nil || row[1] != "bob" {
		t.Errorf("a table that is in use changed: %v", row)
	}
}

func TestWhatCannotBeOpenedIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "host\n", "b.mmdb": "no database", "c.csv": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"a.txt": "its name must end in .csv, .json, .ndjson, .jsonl or .mmdb", "b.mmdb": "is no table for a lookup", "c.csv": "is no table for a lookup",
		"d.csv": "no such file", "": "is a directory",
	} {
		_, errs := new(lookup.Cache).Open([]lookup.Source{{File: filepath.Join(dir, name), Key: "host"}})
		if errs[0] == nil || !strings.Contains(errs[0].Error(), want) || !strings.Contains(errs[0].Error(), dir) {
			t.Errorf("%s: %v, want %q", name, errs[0], want)
		}
	}
}
