package silences

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Verdict is what analysts made of a case.
type Verdict int

// The verdicts.
const (
	Unclear Verdict = iota // Indeterminate, Other, or a status that nobody named
	False
	True
	Nothing // Duplicated: it says nothing of its detections
)

// Case is a closed case.
type Case struct {
	Number  int
	Verdict Verdict
	Closed  time.Time
	Host    string // that all its detections are of, folded as in keys; empty where the key is another
	Rules   []Seen
}

// Seen are the detections of one rule in one case.
type Seen struct {
	Rule       string // its hash
	Detections int
	Severity   int      // the highest
	Users      []string // of the detections, as sent
	AllUsers   bool     // there are no others
}

// Options say how much is wanted of a proposal.
type Options struct {
	Least int // false cases of a rule and host, or user
	Wide  int // false cases of a rule alone
	Hosts int // on so many different hosts
}

// Scope is what a proposal silences: a rule, on a host or of a user where they are named.
type Scope struct{ Rule, Host, User string }

// Proposal is a silence that cases speak for.
type Proposal struct {
	Scope

	False      []int // numbers of the cases that were false positives, in order
	Unclear    []int // and of those that were nothing certain
	Severity   int   // the highest that was seen
	Detections int   // that it would have hidden
	First      time.Time
	Last       time.Time // when the first and the last of these cases were closed
}

// matches tells whether a scope takes in all detections of a rule in a case.
func (s Scope) matches(c Case, r Seen) bool {
	return s.Rule == r.Rule && (s.Host == "" || s.Host == c.Host) &&
		(s.User == "" || r.AllUsers && len(r.Users) == 1 && r.Users[0] == s.User)
}

// touches tells whether it may take in one of them. What is not known may be.
func (s Scope) touches(c Case, r Seen) bool {
	return s.Rule == r.Rule && (s.Host == "" || c.Host == "" || s.Host == c.Host) &&
		(s.User == "" || !r.AllUsers || slices.Contains(r.Users, s.User))
}

// Propose says which silences cases speak for: never true, and false often enough. The narrowest that take in a rule's
// cases are taken; a rule alone is proposed only where it was false very often, on many hosts. They come by what they
// would have hidden, most first.
func Propose(cases []Case, o Options) []Proposal {
	byRule := map[string][]int{}
	for i, c := range cases {
		for _, r := range c.Rules {
			byRule[r.Rule] = append(byRule[r.Rule], i)
		}
	}
	var all []Proposal
	for _, rule := range slices.Sorted(maps.Keys(byRule)) {
		of := make([]Case, 0, len(byRule[rule]))
		for _, i := range byRule[rule] {
			of = append(of, cases[i])
		}
		all = append(all, proposeFor(rule, of, o)...)
	}
	slices.SortStableFunc(all, func(a, b Proposal) int { return cmp.Compare(len(b.False), len(a.False)) })
	return all
}

// proposeFor proposes silences of one rule.
func proposeFor(rule string, cases []Case, o Options) (all []Proposal) {
	if p, never := weigh(Scope{Rule: rule}, cases); never && len(p.False) >= o.Wide && hostsOf(p, cases) >= o.Hosts {
		return []Proposal{p}
	}
	rest := cases
	take := func(scopes []Scope) {
		for _, s := range scopes {
			p, never := weigh(s, rest)
			if _, ever := weigh(s, cases); !never || !ever || len(p.False) < o.Least {
				continue
			}
			all = append(all, p)
			rest = slices.DeleteFunc(slices.Clone(rest), func(c Case) bool {
				return slices.ContainsFunc(c.Rules, func(r Seen) bool { return s.matches(c, r) })
			})
		}
	}
	take(scopesOf(cases, func(c Case, _ Seen) []Scope { return []Scope{{Rule: rule, Host: c.Host}} }, rule))
	take(scopesOf(cases, func(_ Case, r Seen) (users []Scope) {
		for _, u := range r.Users {
			users = append(users, Scope{Rule: rule, User: u})
		}
		return users
	}, rule))
	take(scopesOf(cases, func(c Case, r Seen) (both []Scope) {
		for _, u := range r.Users {
			if c.Host != "" {
				both = append(both, Scope{Rule: rule, Host: c.Host, User: u})
			}
		}
		return both
	}, rule))
	return all
}

// scopesOf are the scopes of a rule's detections, each once, in order.
func scopesOf(cases []Case, of func(Case, Seen) []Scope, rule string) []Scope {
	found := map[Scope]bool{}
	for _, c := range cases {
		for _, r := range c.Rules {
			if r.Rule != rule {
				continue
			}
			for _, s := range of(c, r) {
				if s.Host != "" || s.User != "" {
					found[s] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b Scope) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.User, b.User)) })
}

// weigh gathers what speaks for a scope; never tells that no case speaks against it.
func weigh(s Scope, cases []Case) (p Proposal, never bool) {
	p.Scope = s
	never = true
	for _, c := range cases {
		for _, r := range c.Rules {
			if c.Verdict == True && s.touches(c, r) {
				never = false
			}
			if c.Verdict != True && c.Verdict != Nothing && s.matches(c, r) {
				p.add(c, r)
			}
		}
	}
	slices.Sort(p.False)
	slices.Sort(p.Unclear)
	return p, never
}

// add takes a case in as evidence.
func (p *Proposal) add(c Case, r Seen) {
	if c.Verdict == False {
		p.False = append(p.False, c.Number)
	} else {
		p.Unclear = append(p.Unclear, c.Number)
	}
	p.Severity, p.Detections = max(p.Severity, r.Severity), p.Detections+r.Detections
	if p.First.IsZero() || c.Closed.Before(p.First) {
		p.First = c.Closed
	}
	if c.Closed.After(p.Last) {
		p.Last = c.Closed
	}
}

// hostsOf is on how many hosts the false cases of a proposal were.
func hostsOf(p Proposal, cases []Case) int {
	hosts := map[string]bool{}
	for _, c := range cases {
		if _, found := slices.BinarySearch(p.False, c.Number); found && c.Host != "" {
			hosts[c.Host] = true
		}
	}
	return len(hosts)
}

// Hidden is what proposals would have hidden, had they been in force.
type Hidden struct {
	Detections int
	Cases      map[Verdict]int // of which nothing would have been left
	Numbers    []int           // of those that were true; there are none
}

// WouldHide says what proposals would have hidden of cases. Of a proposal that lets severe detections pass, those of a
// higher severity are not.
func WouldHide(all []Proposal, cases []Case) Hidden {
	h := Hidden{Cases: map[Verdict]int{}}
	for _, c := range cases {
		left := len(c.Rules) == 0
		for _, r := range c.Rules {
			if slices.ContainsFunc(all, func(p Proposal) bool { return p.matches(c, r) && r.Severity <= p.Severity }) {
				h.Detections += r.Detections
			} else {
				left = true
			}
		}
		if !left {
			h.Cases[c.Verdict]++
			if c.Verdict == True {
				h.Numbers = append(h.Numbers, c.Number)
			}
		}
	}
	return h
}
