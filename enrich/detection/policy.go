package detection

import (
	"net/netip"
	"slices"
)

// policy decides which observables are worth keeping.
type policy struct {
	types    []string // that the server has
	matchers []*matcher
	maxBytes int
}

func newPolicy(o Options, l Limits) (*policy, error) {
	p := &policy{types: append(slices.Clone(builtinTypes), o.DataTypes...), maxBytes: l.Observable}
	for _, list := range o.Lists {
		m, err := newMatcher(list)
		if err != nil {
			return nil, err
		}
		p.matchers = append(p.matchers, m)
	}
	return p, nil
}

// verdict is what a policy says of a value.
type verdict int

const (
	keep verdict = iota
	keepQuietly
	leaveOut
)

// judge applies the noise rules: addresses that are nobody's are left out, those of private
// networks kept without correlating on them, and lists do either.
func (p *policy) judge(v value, own []netip.Addr) verdict {
	found := keep
	if v.addr.IsValid() {
		found = judgeAddr(v.addr, own)
	}
	for _, m := range p.matchers {
		if found == leaveOut {
			return found
		}
		if m.matches(v) {
			if found = leaveOut; m.action == ActionIgnoreSimilarity {
				found = keepQuietly
			}
		}
	}
	return found
}

func judgeAddr(a netip.Addr, own []netip.Addr) verdict {
	switch {
	case a.IsUnspecified(), a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsInterfaceLocalMulticast(),
		a == broadcast(), slices.Contains(own, a):
		return leaveOut
	case a.IsPrivate(), a.IsMulticast(), shared().Contains(a):
		return keepQuietly
	}
	return keep
}

func broadcast() netip.Addr { return netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// shared is the address space of carriers' translators (RFC 6598).
func shared() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10) }

// typed gives a value a type that the server has: "other" with the type as a tag where it has not.
func (p *policy) typed(v value) value {
	if !slices.Contains(p.types, v.dataType) {
		v.tag = v.dataType
		v.dataType = "other"
	}
	return v
}
