package intake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of signatures: GitHub's, and those of Standard Webhooks (standardwebhooks.com).
const (
	defaultSignatureHeader  = "X-Hub-Signature-256"
	standardSignatureHeader = "Webhook-Signature"
	standardID              = "Webhook-Id"
	standardTimestamp       = "Webhook-Timestamp"
)

// staleAfter is how far the time of a Standard Webhook may be away: a signed request that somebody
// listened in on is of no use later.
const staleAfter = 5 * time.Minute

// verify tells whether a source's key has signed a body.
func (h *Handler) verify(s *Source, header http.Header, body []byte) bool {
	shown, key := header.Get(s.SignatureHeader), s.Key()
	if shown == "" || key == "" {
		return false
	}
	if http.CanonicalHeaderKey(s.SignatureHeader) == standardSignatureHeader {
		return h.verifyStandard(key, shown, header, body)
	}
	return equal(mac([]byte(key), body), shown)
}

// verifyStandard reads "v1,<base64> v1,<base64>", of id, time and body; a key that begins with whsec_ is base64.
func (h *Handler) verifyStandard(key, shown string, header http.Header, body []byte) bool {
	id, at := header.Get(standardID), header.Get(standardTimestamp)
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || h.options.Now().Sub(time.Unix(seconds, 0)).Abs() > staleAfter {
		return false
	}
	raw := []byte(key)
	if text, is := strings.CutPrefix(key, "whsec_"); is {
		if raw, err = base64.StdEncoding.DecodeString(text); err != nil {
			return false
		}
	}
	sum := mac(raw, []byte(id+"."+at+"."), body)
	for one := range strings.FieldsSeq(shown) {
		if version, text, _ := strings.Cut(one, ","); version == "v1" && equal(sum, text) {
			return true
		}
	}
	return false
}

func mac(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// equal compares a signature with a text of it: hexadecimal, or base64, sha256= before it or not.
func equal(sum []byte, text string) bool {
	text = strings.TrimPrefix(strings.TrimSpace(text), "sha256=")
	if shown, err := hex.DecodeString(text); err == nil {
		return hmac.Equal(shown, sum)
	}
	shown, err := base64.StdEncoding.DecodeString(text)
	return err == nil && hmac.Equal(shown, sum)
}
