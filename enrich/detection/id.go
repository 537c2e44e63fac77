package detection

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/tree"
)

// maxID is how long, in bytes, an id may be to stay readable.
const maxID = 200

// id is the sender's, else a hash of what makes the event this one.
func (e *event) id() string {
	for _, rule := range e.format.ID {
		var texts []string
		for i := range rule {
			e.scalars(&rule[i], func(s string) bool { texts = append(texts, canon.Line(s, len(s))); return false })
			if i == 0 && len(texts) == 0 {
				break
			}
		}
		if len(texts) > 0 {
			id := strings.Join(texts, "/")
			e.note("id", rule[0].Text, id)
			if e.part.nth > 0 {
				id += "/" + e.part.host
			}
			if len(id) > maxID {
				return hashOf(id)
			}
			return strings.Clone(id)
		}
	}
	return e.hashID()
}

func (e *event) hashID() string {
	var texts []string
	for i := range e.format.Hash {
		p := &e.format.Hash[i]
		e.each(p, func(n int32) bool {
			if e.Nodes[n].Kind != tree.Object {
				texts = append(texts, p.Text, e.TextOf(n))
			}
			return true
		})
	}
	if len(texts) > 0 {
		if e.part.host != "" {
			texts = append(texts, e.part.host)
		}
		e.note("id", "hash", e.format.Hash[0].Text)
		return hashOf(texts...)
	}
	if e.part.outer.id != "" {
		e.note("id", e.part.outer.name, e.part.outer.id)
		return hashOf(e.part.outer.id)
	}
	e.note("id", "hash", "the whole event")
	return idOf(e.appendNode(nil, e.part.root))
}

// appendNode writes a value so that different values differ; members in the order of the document,
// which a sender that repeats itself repeats.
func (e *event) appendNode(b []byte, n int32) []byte {
	nd := &e.Nodes[n]
	b = appendText(b, nd.Key)
	b = append(b, byte(nd.Kind), ' ')
	b = strconv.AppendInt(b, int64(nd.Count), 10)
	b = appendText(b, nd.Text)
	for c := nd.First; c != 0; c = e.Nodes[c].Next {
		b = e.appendNode(b, c)
	}
	return b
}

// appendText writes a text behind its length, so that no two lists of texts are written alike.
func appendText(b []byte, s string) []byte {
	b = append(strconv.AppendInt(b, int64(len(s)), 10), ':')
	return append(b, s...)
}

// hashOf is an id from texts.
func hashOf(texts ...string) string {
	var b []byte
	for _, s := range texts {
		b = appendText(b, s)
	}
	return idOf(b)
}

// idOf is the first 16 bytes of SHA-256, in lower-case hexadecimal, marked as what it is.
func idOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hashed + hex.EncodeToString(sum[:16])
}

// hashed begins ids that are digests.
const hashed = "sha256:"
