package lookup

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Addresses is a MaxMind database (.mmdb): what is known of the network of an address.
type Addresses struct{ db *maxminddb.Reader }

// fact is a column of [Addresses], and where databases have it: GeoLite2 and GeoIP2 of MaxMind, and the
// flat ones of IPinfo.
type fact struct {
	column string
	paths  [][]any
}

// facts are the columns beside network.
var facts = []fact{
	{"country", [][]any{{"country", "iso_code"}, {"registered_country", "iso_code"}, {"country_code"}, {"country"}}},
	{"countryName", [][]any{{"country", "names", "en"}, {"registered_country", "names", "en"}, {"country_name"}}},
	{"continent", [][]any{{"continent", "code"}, {"continent_code"}, {"continent"}}},
	{"city", [][]any{{"city", "names", "en"}, {"city"}}},
	{"asn", [][]any{{"autonomous_system_number"}, {"traits", "autonomous_system_number"}, {"asn"}}},
	{"organisation", [][]any{{"autonomous_system_organization"}, {"traits", "autonomous_system_organization"}, {"as_name"}, {"name"}}},
}

// ReadAddresses reads a database whose bytes are whole. They are kept: a file that is mapped into memory
// ends the process when somebody writes over it. Errors wrap [ErrTable].
func ReadAddresses(whole []byte) (*Addresses, error) {
	db, err := maxminddb.OpenBytes(whole)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTable, err)
	}
	return &Addresses{db}, nil
}

// Columns are country (ISO 3166, two letters), countryName, continent, city, asn, organisation, network.
func (*Addresses) Columns() []string {
	var all []string
	for _, f := range facts {
		all = append(all, f.column)
	}
	return append(all, "network")
}

// Find gives what reads a column of an address; what the database does not have is empty. Only what is asked for is
// decoded.
func (a *Addresses) Find(key string) (cell func(column int) string, found bool) {
	addr, err := netip.ParseAddr(key)
	if err != nil {
		return nil, false
	}
	r := a.db.Lookup(addr.Unmap().WithZone(""))
	if !r.Found() {
		return nil, false
	}
	return func(column int) string {
		switch {
		case column == len(facts):
			return r.Prefix().String()
		case column < 0 || column > len(facts):
			return ""
		}
		return firstOf(r, facts[column].paths)
	}, true
}

// firstOf is the first of some paths that leads to a text or a number.
func firstOf(r maxminddb.Result, paths [][]any) string {
	for _, p := range paths {
		var text string
		if err := r.DecodePath(&text, p...); err == nil && text != "" {
			return text
		}
		var n uint64
		if err := r.DecodePath(&n, p...); err == nil && n != 0 {
			return strconv.FormatUint(n, 10)
		}
	}
	return ""
}
