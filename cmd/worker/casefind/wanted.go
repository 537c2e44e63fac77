package casefind

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/pipeline/history"
	"forager/pipeline/journal"
)

// Wanted is what somebody knows of an alert. Everything that is given must fit; texts are compared without case.
type Wanted struct {
	ID       string // the product's own
	Key      string // "host:web01", or its value alone
	Host     string
	Hash     string // of the key, as its tag says; of the message (SHA-256, or the journal's half); of a file or observable
	Sequence uint64 // in the stream

	FullHosts bool // hosts of one first label and different domains are different
}

var errNothing = errors.New("say what is known of the alert: --id, --key, --host, --hash or --sequence")

var isHash = regexp.MustCompile(`^[0-9a-f]{32,128}$`)

// check refuses a question that is none.
func (w *Wanted) check() error {
	w.Hash = strings.ToLower(strings.TrimPrefix(w.Hash, enrich.TagPrefix))
	switch {
	case w.ID == "" && w.Key == "" && w.Host == "" && w.Hash == "" && w.Sequence == 0:
		return errNothing
	case w.Hash != "" && !isHash.MatchString(w.Hash):
		return errors.New("--hash: impossible value: expected 32 to 128 hexadecimal digits, or a tag forager:…")
	default:
		return nil
	}
}

// fits tells whether a detection is wanted. The plan of one that was dropped may have no key.
func (w *Wanted) fits(m history.Message, d detection.Detection, p enrich.Plan) bool {
	return w.isSequence(m) &&
		(w.ID == "" || strings.EqualFold(d.ID, w.ID)) &&
		(w.Host == "" || w.isHost(d.Host)) &&
		(w.Key == "" || w.isKey(d, p)) &&
		(w.Hash == "" || w.isHash(m.Body, d, p))
}

// mentioned tells whether a message, of which no detection can be read, has in it what is wanted.
func (w *Wanted) mentioned(m history.Message) bool {
	text := bytes.ToLower(m.Body)
	_, value, parted := strings.Cut(w.Key, ":")
	if !parted {
		value = w.Key
	}
	for _, said := range []string{w.ID, w.Host, value} {
		if !bytes.Contains(text, []byte(strings.ToLower(said))) {
			return false
		}
	}
	return w.isSequence(m) && (w.Hash == "" || w.isDigest(m.Body) || bytes.Contains(text, []byte(w.Hash)))
}

func (w *Wanted) isSequence(m history.Message) bool {
	return w.Sequence == 0 || w.Sequence == m.Sequence
}

func (w *Wanted) isHost(host string) bool {
	folded := canon.FoldHost(w.Host, w.FullHosts)
	return strings.EqualFold(host, w.Host) || folded != "" && canon.FoldHost(host, w.FullHosts) == folded
}

func (w *Wanted) isKey(d detection.Detection, p enrich.Plan) bool {
	return slices.ContainsFunc([]string{p.Key.String(), p.Key.Value, d.Key, d.Host}, func(key string) bool {
		return key != "" && canon.FoldText(key) == canon.FoldText(w.Key)
	})
}

func (w *Wanted) isHash(body []byte, d detection.Detection, p enrich.Plan) bool {
	return w.Hash == p.Hash || w.isDigest(body) ||
		slices.ContainsFunc(d.Observables, func(o detection.Observable) bool { return strings.EqualFold(o.Data, w.Hash) }) ||
		slices.ContainsFunc(d.Files, func(f detection.File) bool { return f.SHA256 == w.Hash })
}

func (w *Wanted) isDigest(body []byte) bool {
	if len(w.Hash) == len(journal.Digest(nil)) {
		return journal.Digest(body) == w.Hash
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]) == w.Hash
}

// tags are those of the cases that have what is wanted as their key, in an organisation; none where that does not follow.
func (w *Wanted) tags(organisation string) (all []string) {
	if w.ID != "" || w.Sequence != 0 {
		return nil
	}
	if len(w.Hash) == len(journal.Digest(nil)) {
		all = append(all, enrich.TagPrefix+w.Hash)
	}
	if host := canon.FoldHost(w.Host, w.FullHosts); host != "" {
		all = append(all, enrich.Key{Kind: "host", Value: host}.Tag(organisation))
	}
	if kind, value, parted := strings.Cut(w.Key, ":"); parted {
		all = append(all, enrich.Key{Kind: kind, Value: value}.Tag(organisation))
	} else if w.Key != "" {
		for _, kind := range []string{"key", "host", "user", "ip"} {
			all = append(all, enrich.Key{Kind: kind, Value: w.Key}.Tag(organisation))
		}
	}
	return all
}
