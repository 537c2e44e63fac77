package files

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// DefaultPassword is what analysts of malware try first.
const DefaultPassword = "infected"

// CheckPassword refuses a password that an archive cannot have, or that a comment cannot show: it is 1
// to 64 visible ASCII characters without a backtick.
func CheckPassword(password string) error {
	const most = 64
	if password == "" || len(password) > most || strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' || r == '`' }) {
		return fmt.Errorf("the password of archives must be 1 to %d visible ASCII characters without a backtick", most)
	}
	return nil
}

// MaxName is how long the name of a file may be, in bytes: no longer one is uploaded.
const MaxName = 255

// maxZipped is the largest content that an archive takes, in bytes: what a ZIP tells without
// extensions that some programs do not know.
const maxZipped = 1<<32 - 1<<20

// The header of an encrypted entry, and what every entry of an archive says.
const (
	saltSize    = 12              // bytes before the content; the last one checks the password
	flagSecret  = 1               // the entry is encrypted
	flagUnicode = 1 << 11         // the name is UTF-8
	zipVersion  = 20              // 2.0, the first that knows encryption
	madeOnUnix  = 3 << 8          // else unzip takes names for those of MS-DOS, whatever the flag says
	noProgram   = 0o100_644 << 16 // a file that nothing starts
	firstDay    = 1<<5 | 1        // 1 January 1980, the first that a ZIP can say
)

// Archive is a spooled file inside an encrypted ZIP, made anew whenever it is read: neither memory
// nor disk holds it. It depends on the content, its name and the password alone, byte for byte, so
// that it is known again by its digest. Therefore nothing in it is compressed, which may turn out
// otherwise with the next release of a compressor, and its one date is fixed.
type Archive struct {
	sha  string // SHA-256 in lower hex
	size int64  // in bytes

	content    *File
	key        keystream
	salt       []byte
	head, tail []byte // what stands around the encrypted entry
	body       io.Reader
	at         int64
}

// SHA256 is the digest of the archive, in lower hex.
func (a *Archive) SHA256() string { return a.sha }

// Bytes is how long the archive is.
func (a *Archive) Bytes() int64 { return a.size }

// NewArchive lays the archive of a spooled file out, reading it once. The file must not be released
// before the archive was read. Errors: [*BadFileError] for what no archive can hold; others are of
// the disk.
func NewArchive(s *File, name, password string) (*Archive, error) {
	switch {
	case s.size > maxZipped:
		return nil, &BadFileError{fmt.Sprintf("%d bytes, a ZIP takes %d", s.size, int64(maxZipped))}
	case !isFileName(name):
		return nil, &BadFileError{"a name that no ZIP should hold"}
	}
	a := &Archive{content: s, key: newKeystream(password), salt: saltOf(s)}
	if err := a.measure(name); err != nil {
		return nil, fmt.Errorf("pack file: %w", err)
	}
	_, err := a.Seek(0, io.SeekStart)
	return a, err
}

// saltOf makes the header of the encrypted entry, which ought to be random: the content's digest
// serves as well, and is the same every time.
func saltOf(s *File) []byte {
	sum := sha256.Sum256([]byte(s.sha))
	return append(sum[:saltSize-1], byte(s.crc>>24))
}

// isFileName tells a name from a path and from what can act. Detections have no other names; an
// archive that unpacks elsewhere must not be even if they had.
func isFileName(name string) bool {
	return name != "" && name != "." && name != ".." && utf8.ValidString(name) && len(name) <= MaxName &&
		!strings.ContainsAny(name, `/\`) && !strings.ContainsFunc(name, unicode.IsControl)
}

// ArchiveName is what the archive of a file is called: its name with .zip behind it, cut to MaxName.
func ArchiveName(name string) string {
	const ending = ".zip"
	cut := min(len(name), MaxName-len(ending))
	for cut > 0 && cut < len(name) && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + ending
}

// measure writes the archive to nowhere, for its digest, its size and what stands around the entry.
func (a *Archive) measure(name string) error {
	content, err := a.entry()
	if err != nil {
		return err
	}
	out := &frame{sum: sha256.New()}
	z := zip.NewWriter(out)
	w, err := z.CreateRaw(a.header(name))
	if err != nil {
		return err
	}
	steps := []func() error{
		z.Flush,
		func() error {
			a.head, out.around, out.inside = bytes.Clone(out.around), nil, true
			_, err := io.Copy(w, content)
			return err
		},
		z.Flush,
		func() error { out.inside = false; return z.Close() },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	a.tail, a.size, a.sha = out.around, out.size, hex.EncodeToString(out.sum.Sum(nil))
	return nil
}

func (a *Archive) header(name string) *zip.FileHeader {
	h := &zip.FileHeader{
		Name: name, Method: zip.Store, Flags: flagSecret, CreatorVersion: madeOnUnix | zipVersion, ReaderVersion: zipVersion, CRC32: a.content.crc,
		CompressedSize64: uint64(a.content.size + saltSize), UncompressedSize64: uint64(a.content.size),
		ExternalAttrs: noProgram,
		ModifiedDate:  firstDay, //nolint:staticcheck // of a raw entry nothing else is written
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
		h.Flags |= flagUnicode
	}
	return h
}

// entry is the encrypted content from its beginning.
func (a *Archive) entry() (io.Reader, error) {
	if _, err := a.content.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return &encrypted{plain: io.MultiReader(bytes.NewReader(a.salt), a.content), key: a.key}, nil
}

// Read gives the archive's bytes.
func (a *Archive) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	a.at += int64(n)
	return n, err
}

// errSeek says that an archive is read from its start.
var errSeek = errors.New("an archive can only be read from its start")

// Seek tells the place, or goes to the start: what a refused upload needs to be sent again.
func (a *Archive) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence == io.SeekEnd {
		return 0, errSeek
	}
	if whence == io.SeekCurrent {
		return a.at, nil
	}
	content, err := a.entry()
	if err != nil {
		return 0, err
	}
	a.body, a.at = io.MultiReader(bytes.NewReader(a.head), content, bytes.NewReader(a.tail)), 0
	return 0, nil
}

// frame counts and digests what is written, and keeps what is not inside the entry.
type frame struct {
	sum    hash.Hash
	size   int64
	inside bool
	around []byte
}

// Write never fails.
func (f *frame) Write(p []byte) (int, error) {
	f.size += int64(len(p))
	if !f.inside {
		f.around = append(f.around, p...)
	}
	return f.sum.Write(p)
}
