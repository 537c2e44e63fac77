package canon

import (
	"net/netip"
	"slices"
)

// Verdict is what becomes of a value.
type Verdict int

// A value is kept, kept without correlating on it, or left out.
const (
	Keep Verdict = iota
	KeepQuietly
	LeaveOut
)

// JudgeAddr says whose an address is: those of nobody, and the reporter's own, are left out, those of private
// networks are kept without correlating on them.
func JudgeAddr(a netip.Addr, own []netip.Addr) Verdict {
	switch {
	case a.IsUnspecified(), a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsInterfaceLocalMulticast(),
		a == broadcast(), slices.Contains(own, a):
		return LeaveOut
	case a.IsPrivate(), a.IsMulticast(), shared().Contains(a):
		return KeepQuietly
	}
	return Keep
}

func broadcast() netip.Addr { return netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// shared is the address space of carriers' translators (RFC 6598).
func shared() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10) }
