package enrich

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // senders name files by it; nothing is secured by it
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"forager/enrich/detection"
)

// ZipPolicy says which files go to TheHive inside a ZIP with a password.
type ZipPolicy string

// The policies.
const (
	ZipNever ZipPolicy = "never" // files stay what they are (default)
	// ZipMalicious: those that the detection itself calls malicious, by an observable that it marks
	// as an indicator and that is the file's name or one of its digests.
	ZipMalicious ZipPolicy = "malicious"
	ZipAlways    ZipPolicy = "always"
)

// checkZip refuses a policy for archives that cannot work.
func (p FilePolicy) checkZip() error {
	const most = 64
	if p.ZipPassword == "" || len(p.ZipPassword) > most || strings.ContainsFunc(p.ZipPassword, func(r rune) bool { return r <= ' ' || r > '~' || r == '`' }) {
		return fmt.Errorf("enrich: the password of archives must be 1 to %d visible ASCII characters without a backtick", most)
	}
	return nil
}

// archives tells whether the plan may want a file in an archive.
func (p Plan) archives() bool { return p.Zip == ZipAlways || p.Zip == ZipMalicious }

// indicators are what a plan marks as such and what can name a file.
func (p Plan) indicators() (names, digests []string) {
	for _, o := range p.Observables {
		switch {
		case !o.IOC:
		case o.DataType == "hash":
			digests = append(digests, strings.ToLower(o.Data))
		case o.DataType == "filename":
			names = append(names, o.Data[strings.LastIndexAny(o.Data, `/\`)+1:])
		}
	}
	return names, digests
}

// zips tells whether a file of the plan goes into an archive; has reports whether the file has
// one of some digests, and is asked only when that decides.
func (p Plan) zips(name string, has func(digests []string) (bool, error)) (bool, error) {
	if p.Zip != ZipMalicious {
		return p.Zip == ZipAlways, nil
	}
	names, digests := p.indicators()
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true, nil
		}
	}
	if len(digests) == 0 {
		return false, nil
	}
	return has(digests)
}

// digesters are the digests by which senders name files, by their length in hexadecimal.
var digesters = map[int]func() hash.Hash{
	2 * md5.Size: md5.New, 2 * sha1.Size: sha1.New, 2 * sha256.Size: sha256.New, 2 * sha512.Size: sha512.New,
}

// hasDigest tells whether a content has one of some digests. It reads it at most once.
func hasDigest(content io.Reader, digests []string) (bool, error) {
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

// errUnread says that the content decides, and is not at hand.
var errUnread = errors.New("the content decides")

// fileStep says what becomes of a file, as far as that is known without reading it.
func (p Plan) fileStep(f detection.File) string {
	zipped, err := p.zips(f.Name, func(digests []string) (bool, error) {
		if f.Object == "" {
			return hasDigest(bytes.NewReader(f.Data), digests)
		}
		if slices.Contains(digests, f.SHA256) {
			return true, nil
		}
		return false, errUnread
	})
	step := "file " + f.Name
	switch {
	case err != nil:
		return step + ", in a ZIP with a password if an indicator is its digest"
	case zipped:
		return step + ", in a ZIP with a password"
	default:
		return step
	}
}
