package enrich

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Key is what detections of one case have in common: by default the event's own key, else the
// host, else the user, else the source address.
type Key struct {
	Kind  string // "key", "host", "user", "ip"
	Value string // as the event says it; compared without regard to case
}

// String gives the key for people: "host:web01".
func (k Key) String() string { return k.Kind + ":" + k.Value }

// Hash identifies the key of an organisation for ever: the first 16 bytes, in lower hex, of
// SHA-256 over organisation, 0, kind, 0, the value in lower case (design section 4).
// It names the ledger entry and the tag on the case.
func (k Key) Hash(organisation string) string {
	return shortHash(organisation, k.Kind, strings.ToLower(k.Value))
}

// Tag is the tag that a case of this key carries in TheHive: "forager:<hash>".
func (k Key) Tag(organisation string) string { return tagPrefix + k.Hash(organisation) }

const tagPrefix = "forager:"

// shortHash is the first 16 bytes of SHA-256 over the parts, 0 between them, in lower hex.
func shortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
