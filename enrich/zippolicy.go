package enrich

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"forager/enrich/detection"
	"forager/enrich/files"
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

// Archives tells whether the plan may want a file in an archive.
func (p Plan) Archives() bool { return p.Zip == ZipAlways || p.Zip == ZipMalicious }

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

// Zips tells whether a file of the plan goes into an archive; has reports whether the file has
// one of some digests, and is asked only when that decides.
func (p Plan) Zips(name string, has func(digests []string) (bool, error)) (bool, error) {
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

// errUnread says that the content decides, and is not at hand.
var errUnread = errors.New("the content decides")

// fileStep says what becomes of a file, as far as that is known without reading it.
func (p Plan) fileStep(f detection.File) string {
	zipped, err := p.Zips(f.Name, func(digests []string) (bool, error) {
		if f.Object == "" {
			return files.HasDigest(bytes.NewReader(f.Data), digests)
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
