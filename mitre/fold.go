package mitre

import "unicode/utf8"

// maxName is the longest folded name, in bytes; ATT&CK's longest has 50.
const maxName = 120

// latin1 maps U+00C0…U+00FF to the base letter, "_" for none: "Doppelgänging".
const latin1 = "aaaaaaaceeeeiiiidnooooo_ouuuuy_saaaaaaaceeeeiiiidnooooo_ouuuuy_y"

// ascii maps a byte to what fold makes of it, "_" for nothing.
const ascii = "________________________________________________" +
	"0123456789_______" + "abcdefghijklmnopqrstuvwxyz______" + "abcdefghijklmnopqrstuvwxyz_____"

// fold keeps of a name what does not depend on the way of writing it: letters
// in lower case without accents, and digits.
func fold(s string) string {
	var buf [maxName]byte
	return string(foldTo(&buf, s))
}

// foldTo is fold without an allocation. A name too long for the buffer gives
// nothing, since nothing in the catalogue can be its like.
func foldTo(buf *[maxName]byte, s string) []byte {
	n := 0
	for i := 0; i < len(s); {
		b, size := s[i], 1
		if b < utf8.RuneSelf {
			b = ascii[b]
		} else {
			b, size = base(s[i:])
		}
		i += size
		if b == '_' {
			continue
		}
		if n == len(buf) {
			return nil
		}
		buf[n] = b
		n++
	}
	return buf[:n]
}

// base gives the base letter of the accented Latin letter that s starts with,
// or "_", and the bytes that it takes.
func base(s string) (letter byte, size int) {
	r, size := utf8.DecodeRuneInString(s)
	if r < 0xC0 || r > 0xFF {
		return '_', size
	}
	return latin1[r-0xC0], size
}
