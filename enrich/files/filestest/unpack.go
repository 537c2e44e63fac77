// Package filestest opens the archives of package files for tests, without any code of their writer:
// APPNOTE 6.1, read the other way round.
package filestest

import (
	"archive/zip"
	"bytes"
	"errors"
	"hash/crc32"
	"io"
)

// Unpack opens the one entry of an archive. Errors: it is no archive of one encrypted, stored entry;
// the password is wrong; the content is not what the archive says.
func Unpack(archive []byte, password string) (name string, content []byte, err error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return "", nil, err
	}
	if len(r.File) != 1 || r.File[0].Flags&1 == 0 || r.File[0].Method != zip.Store {
		return "", nil, errors.New("not one encrypted, stored entry")
	}
	raw, err := r.File[0].OpenRaw()
	if err != nil {
		return "", nil, err
	}
	data, err := io.ReadAll(raw)
	if err != nil {
		return "", nil, err
	}
	key := [3]uint32{0x12345678, 0x23456789, 0x34567890}
	update := func(b byte) {
		key[0] = crc32.IEEETable[byte(key[0])^b] ^ key[0]>>8
		key[1] = (key[1]+uint32(byte(key[0])))*0x08088405 + 1
		key[2] = crc32.IEEETable[byte(key[2])^byte(key[1]>>24)] ^ key[2]>>8
	}
	for _, b := range []byte(password) {
		update(b)
	}
	for i := range data {
		temp := uint16(key[2]) | 2
		data[i] ^= byte((uint32(temp) * uint32(temp^1)) >> 8)
		update(data[i])
	}
	if len(data) < 12 || data[11] != byte(r.File[0].CRC32>>24) {
		return "", nil, errors.New("wrong password")
	}
	if content = data[12:]; crc32.ChecksumIEEE(content) != r.File[0].CRC32 || uint64(len(content)) != r.File[0].UncompressedSize64 {
		return "", nil, errors.New("wrong content")
	}
	return r.File[0].Name, content, nil
}
