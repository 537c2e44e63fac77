package kvledger

import (
	"fmt"
	"strconv"
	"strings"
)

// encodeKey spells a ledger key with the characters that a KV key may have: everything else, an
// equals sign included, becomes = and two hex digits; so does a dot where KV allows none. Keys
// of letters, digits, -, _, / and single dots stay as they are: "key.0123abcd" is "key.0123abcd",
// "case.~42" is "case.=7E42".
func encodeKey(key string) string {
	if plainKey(key) {
		return key
	}
	var b strings.Builder
	for i := range len(key) {
		if kept(key, i) {
			b.WriteByte(key[i])
			continue
		}
		fmt.Fprintf(&b, "=%02X", key[i])
	}
	return b.String()
}

// decodeKey undoes encodeKey. What encodeKey did not write comes back as it is.
func decodeKey(encoded string) string {
	if !strings.Contains(encoded, "=") {
		return encoded
	}
	var b strings.Builder
	for i := 0; i < len(encoded); i++ {
		if encoded[i] == '=' && i+2 < len(encoded) {
			if c, err := strconv.ParseUint(encoded[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(encoded[i])
	}
	return b.String()
}

func plainKey(key string) bool {
	for i := range len(key) {
		if !kept(key, i) {
			return false
		}
	}
	return true
}

// kept tells whether the byte at i stays as it is.
func kept(key string, i int) bool {
	return plainByte(key[i]) && (key[i] != '.' || innerDot(key, i))
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '/' || c == '.'
}

// innerDot tells whether the dot at i separates two tokens that are not empty. Of several dots
// in a row only the first does.
func innerDot(key string, i int) bool {
	return i > 0 && i < len(key)-1 && key[i-1] != '.' && key[i+1] != '.'
}
