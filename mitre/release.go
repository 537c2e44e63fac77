package mitre

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// A state is what one release says of one technique.
type state struct {
	name                string
	tactics             []string // short names in matrix order
	parent              string   // id, or empty
	successor           string   // id, or empty
	revoked, deprecated bool
}

func (s *state) active() bool { return !s.revoked && !s.deprecated }

// A tactic is a column of the matrix.
type tactic struct{ id, name, short string }

// A release is one domain in one version.
type release struct {
	domain, version string
	tactics         []tactic // in matrix order
	techniques      map[string]*state
}

func (r *release) count() Release {
	out := Release{Domain: r.domain, Version: r.version}
	for id, s := range r.techniques {
		switch {
		case s.revoked:
			out.Revoked++
		case s.deprecated:
			out.Deprecated++
		case strings.Contains(id, "."):
			out.SubTechniques++
		default:
			out.Techniques++
		}
	}
	return out
}

// rank is the place of a tactic in the matrix; unknown ones come last.
func (r *release) rank(short string) int {
	for i, t := range r.tactics {
		if t.short == short {
			return i
		}
	}
	return len(r.tactics)
}

// matrixOrder sorts tactics as the matrix shows them and drops repetitions.
func (r *release) matrixOrder(tactics []string) []string {
	slices.SortFunc(tactics, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.rank(a), r.rank(b)), strings.Compare(a, b))
	})
	return slices.Compact(tactics)
}

// compareReleases orders by domain, the well-known ones first, then version.
func compareReleases(a, b *release) int {
	return cmp.Or(
		cmp.Compare(domainRank(a.domain), domainRank(b.domain)),
		strings.Compare(a.domain, b.domain),
		compareVersions(a.version, b.version),
	)
}

func domainRank(domain string) int {
	if i := slices.Index([]string{Enterprise, Mobile, ICS}, domain); i >= 0 {
		return i
	}
	return 3
}

// compareVersions compares dotted numbers; "19" and "19.0" are equal.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		m, _ := strconv.Atoi(cmp.Or(x, "0")) // versions are checked where they are read; what is none counts as 0
		n, _ := strconv.Atoi(cmp.Or(y, "0"))
		if c := cmp.Compare(m, n); c != 0 {
			return c
		}
	}
	return 0
}

// validVersion accepts dotted numbers of up to three parts.
func validVersion(v string) bool {
	parts := strings.Split(v, ".")
	return len(parts) <= 3 && !slices.ContainsFunc(parts, func(p string) bool {
		return p == "" || len(p) > 4 || strings.Trim(p, "0123456789") != ""
	})
}

// validID accepts the canonical spelling of a technique's id.
func validID(id string) bool {
	n := len(id)
	return (n == 5 || n == 9 && id[5] == '.' && digits(id[6:])) && id[0] == 'T' && digits(id[1:5])
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// parentOf is the technique that a sub-technique's id names, or empty.
func parentOf(id string) string {
	parent, _, sub := strings.Cut(id, ".")
	if !sub {
		return ""
	}
	return parent
}
