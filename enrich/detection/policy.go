package detection

import (
	"net/netip"
	"slices"

	"forager/enrich/detection/canon"
)

// policy decides which observables are worth keeping.
type policy struct {
	types    []string // that the server has
	matchers []*matcher
	maxBytes int
}

func newPolicy(o Options, l Limits) (*policy, error) {
	p := &policy{types: append(slices.Clone(canon.BuiltinTypes), o.DataTypes...), maxBytes: l.Observable}
	for _, list := range o.Lists {
		m, err := newMatcher(list)
		if err != nil {
			return nil, err
		}
		p.matchers = append(p.matchers, m)
	}
	return p, nil
}

// judge applies the noise rules: addresses that are nobody's are left out, those of private
// networks kept without correlating on them, and lists do either.
func (p *policy) judge(v canon.Value, own []netip.Addr) canon.Verdict {
	found := canon.Keep
	if v.Addr.IsValid() {
		found = canon.JudgeAddr(v.Addr, own)
	}
	for _, m := range p.matchers {
		if found == canon.LeaveOut {
			return found
		}
		if m.matches(v) {
			if found = canon.LeaveOut; m.action == ActionIgnoreSimilarity {
				found = canon.KeepQuietly
			}
		}
	}
	return found
}

// typed gives a value a type that the server has: "other" with the type as a tag where it has not.
func (p *policy) typed(v canon.Value) canon.Value {
	if !slices.Contains(p.types, v.DataType) {
		v.Tag = v.DataType
		v.DataType = "other"
	}
	return v
}
