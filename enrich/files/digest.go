package files

import (
	"crypto/md5"  //nolint:gosec // senders name files by it; nothing is secured by it
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
)

// digesters are the digests by which senders name files, by their length in hexadecimal.
var digesters = map[int]func() hash.Hash{
	2 * md5.Size: md5.New, 2 * sha1.Size: sha1.New, 2 * sha256.Size: sha256.New, 2 * sha512.Size: sha512.New,
}

// HasDigest tells whether a content has one of some digests: MD5, SHA-1, SHA-256 or SHA-512, in lower
// hex; what is none of them is passed over. It reads the content at most once. Error: of the reading.
func HasDigest(content io.Reader, digests []string) (bool, error) {
	sums := map[int]hash.Hash{}
	var all []io.Writer
	for _, d := range digests {
		if begin, ok := digesters[len(d)]; ok && sums[len(d)] == nil {
			sums[len(d)] = begin()
			all = append(all, sums[len(d)])
		}
	}
	if len(all) == 0 {
		return false, nil
	}
	if _, err := io.Copy(io.MultiWriter(all...), content); err != nil {
		return false, err
	}
	for _, d := range digests {
		if sum, ok := sums[len(d)]; ok && hex.EncodeToString(sum.Sum(nil)) == d {
			return true, nil
		}
	}
	return false, nil
}
