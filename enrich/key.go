package enrich

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
)

// Key is what detections of one case have in common: by default the event's own key, else the
// host, else the user, else the source address.
type Key struct {
	Kind  string // "key", "host", "user", "ip"
	Value string // a host, user or address folded; a sender's or a route's own as it says; compared folded
}

// String gives the key for people: "host:web01".
func (k Key) String() string { return k.Kind + ":" + k.Value }

// Hash identifies the key of an organisation for ever: the first 16 bytes, in lower hex, of
// SHA-256 over organisation, 0, kind, 0, the value folded (canon.FoldText: lower case, without
// what nobody sees; design section 4). It names the ledger entry and the tag on the case.
func (k Key) Hash(organisation string) string {
	return ShortHash(organisation, k.Kind, canon.FoldText(k.Value))
}

// Tag is the tag that a case of this key carries in TheHive: "forager:<hash>".
func (k Key) Tag(organisation string) string { return TagPrefix + k.Hash(organisation) }

// TagPrefix begins the tags that Forager gives itself.
const TagPrefix = "forager:"

// keyOf is the default correlation key: the event's own, else host, else user, else address; the
// account of a machine is the machine. Values that name nobody (localhost, SYSTEM, "-") are none.
// With full, hosts of one first label and different domains are different.
func keyOf(d detection.Detection, full bool) (Key, bool) {
	user, machine := canon.FoldUser(d.User)
	own := ""
	if canon.FoldKey(d.Key) != "" {
		own = strings.TrimSpace(d.Key)
	}
	for _, k := range []Key{
		{"key", own}, {"host", canon.FoldHost(d.Host, full)},
		{"host", machine}, {"user", user}, {"ip", canon.FoldIP(d.IP)},
	} {
		if k.Value != "" {
			return k, true
		}
	}
	return Key{}, false
}

// ShortHash is the first 16 bytes of SHA-256 over the parts, 0 between them, in lower hex.
func ShortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
