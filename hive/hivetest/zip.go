package hivetest

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"strings"
)

var (
	errPassword = errors.New("wrong password")
	errZipSize  = errors.New("unpacked files are too large")
	errZipForm  = errors.New("malformed zip file")
)

// maxUnzipped bounds what a zip file may unfold to, in bytes.
const maxUnzipped = 256 << 20

// unzip returns the top-level files of a zip file, decrypted by the traditional method where they are encrypted.
func unzip(data []byte, password string) ([]filePart, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, errZipForm
	}
	var out []filePart
	var total int64
	for _, f := range archive.File {
		if strings.ContainsAny(f.Name, `/\`) {
			continue
		}
		content, err := unzipOne(f, password, maxUnzipped-total)
		if err != nil {
			return nil, err
		}
		total += int64(len(content))
		out = append(out, filePart{name: f.Name, mime: "application/octet-stream", data: content})
	}
	return out, nil
}

func unzipOne(f *zip.File, password string, limit int64) ([]byte, error) {
	raw, err := f.OpenRaw()
	if err != nil {
		return nil, errZipForm
	}
	packed, err := io.ReadAll(raw)
	if err != nil {
		return nil, errZipForm
	}
	if f.Flags&1 != 0 {
		if packed, err = decrypt(packed, password, f); err != nil {
			return nil, err
		}
	}
	content := packed
	switch f.Method {
	case zip.Store:
	case zip.Deflate:
		content, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), limit+1))
	default:
		return nil, errZipForm
	}
	switch {
	case int64(len(content)) > limit:
		return nil, errZipSize
	case err != nil, crc32.ChecksumIEEE(content) != f.CRC32:
		if f.Flags&1 != 0 {
			return nil, errPassword
		}
		return nil, errZipForm
	}
	return content, nil
}

// cipher is the traditional PKWARE encryption of zip files (APPNOTE.TXT, section 6.1).
type cipher [3]uint32

func newCipher(password string) *cipher {
	c := &cipher{0x12345678, 0x23456789, 0x34567890}
	for i := range len(password) {
		c.update(password[i])
	}
	return c
}

func (c *cipher) update(b byte) {
	c[0] = crc32.IEEETable[byte(c[0])^b] ^ c[0]>>8
	c[1] = (c[1]+c[0]&0xff)*134775813 + 1
	c[2] = crc32.IEEETable[byte(c[2])^byte(c[1]>>24)] ^ c[2]>>8
}

func (c *cipher) next() byte {
	t := c[2] | 2
	return byte(t * (t ^ 1) >> 8)
}

const cipherHead = 12 // bytes of noise before the encrypted data; the last one checks the password

func decrypt(packed []byte, password string, f *zip.File) ([]byte, error) {
	if len(packed) < cipherHead {
		return nil, errZipForm
	}
	c := newCipher(password)
	out := make([]byte, len(packed))
	for i, b := range packed {
		out[i] = b ^ c.next()
		c.update(out[i])
	}
	check := byte(f.CRC32 >> 24)
	if f.Flags&8 != 0 {
		check = byte(f.ModifiedTime >> 8)
	}
	if out[cipherHead-1] != check {
		return nil, errPassword
	}
	return out[cipherHead:], nil
}

// zipOne writes a zip file of one encrypted entry.
func zipOne(name string, data []byte, password string) ([]byte, error) {
	sum := crc32.ChecksumIEEE(data)
	c := newCipher(password)
	plain := make([]byte, cipherHead, cipherHead+len(data))
	binary.LittleEndian.PutUint32(plain, sum)
	plain[cipherHead-1] = byte(sum >> 24)
	plain = append(plain, data...)
	for i, b := range plain {
		plain[i] = b ^ c.next()
		c.update(b)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	entry, err := w.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, Flags: 1, CRC32: sum,
		CompressedSize64: uint64(len(plain)), UncompressedSize64: uint64(len(data)),
	})
	if err != nil {
		return nil, err
	}
	if _, err := entry.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
