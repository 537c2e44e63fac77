package files

import (
	"hash/crc32"
	"io"
)

// keystream is the traditional encryption of ZIP files (APPNOTE.TXT 6.3, section 6.1). It is no
// secrecy: whoever knows a few bytes of the content finds the key. It keeps scanners from reading a
// file and hands from starting it, and every program opens it, which cannot be said of the others.
type keystream struct{ a, b, c uint32 }

// newKeystream is the state after the password.
func newKeystream(password string) keystream {
	k := keystream{0x12345678, 0x23456789, 0x34567890}
	for i := range len(password) {
		k.turn(password[i])
	}
	return k
}

// turn takes a byte of plain text in.
func (k *keystream) turn(plain byte) {
	k.a = crc32.IEEETable[byte(k.a)^plain] ^ k.a>>8
	k.b = (k.b+k.a&0xff)*134775813 + 1
	k.c = crc32.IEEETable[byte(k.c)^byte(k.b>>24)] ^ k.c>>8
}

// encrypt replaces plain bytes by those of the archive.
func (k *keystream) encrypt(p []byte) {
	for i, plain := range p {
		t := k.c&0xffff | 2
		p[i] = plain ^ byte(t*(t^1)>>8)
		k.turn(plain)
	}
}

// encrypted is a stream as it stands in an archive.
type encrypted struct {
	plain io.Reader
	key   keystream
}

// Read encrypts in place.
func (e *encrypted) Read(p []byte) (int, error) {
	n, err := e.plain.Read(p)
	e.key.encrypt(p[:n])
	return n, err
}
