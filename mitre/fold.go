package mitre

import "unicode/utf8"

// maxName is the longest folded name, in bytes; ATT&CK's longest has 50.
const maxName = 120

// latin1 maps U+00C0…U+00FF to the base letter, for "Doppelgänging".
const latin1 = "aaaaaaaceeeeiiiidnooooo_ouuuuy_saaaaaaaceeeeiiiidnooooo_ouuuuy_y"

// folded maps a byte of ASCII to what fold makes of it, 0 for nothing.
var folded = func() (table [utf8.RuneSelf]byte) {
	for b := range table {
		switch {
		case 'A' <= b && b <= 'Z':
			table[b] = byte(b) + 'a' - 'A'
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9':
			table[b] = byte(b)
		}
	}
	return table
}()

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
			b = folded[b]
		} else {
			b, size = base(s[i:])
		}
		i += size
		if b == 0 {
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
// or 0, and the bytes that it takes.
func base(s string) (letter byte, size int) {
	r, size := utf8.DecodeRuneInString(s)
	if r < 0xC0 || r > 0xFF {
		return 0, size
	}
	if b := latin1[r-0xC0]; b != '_' {
		return b, size
	}
	return 0, size
}
