package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
)

// Source is a sender: what it is known by, and where its events go. Secrets are functions, since
// they may be exchanged while the intake runs; nil is none. It has one of token, password and key.
type Source struct {
	Name    string // for logs, metrics and the header Forager-Source
	Subject string // its events go there, or to a subject below it

	Token    func() string // bearer token
	User     string        // of Basic
	Password func() string
	Key      func() string // of the signature (HMAC, SHA-256) of the body

	// SignatureHeader has the signature; "X-Hub-Signature-256" when empty. "Webhook-Signature" is read as Standard
	// Webhooks has it, with Webhook-Id and Webhook-Timestamp.
	SignatureHeader string

	Rate int // requests a second, 0 is no limit
}

// signs tells whether the source is known by a signature.
func (s *Source) signs() bool { return s.Key != nil }

// accepts tells whether the source is who shows an Authorization header of this scheme. It takes as
// long whatever is shown, and tells nothing of a secret, not even its length.
func (s *Source) accepts(scheme string, shown [sha256.Size]byte) bool {
	var secret string
	switch {
	case s.Token != nil && (strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, collectorScheme)):
		secret = s.Token()
	case s.Password != nil && strings.EqualFold(scheme, "Basic"):
		if password := s.Password(); password != "" {
			secret = base64.StdEncoding.EncodeToString([]byte(s.User + ":" + password))
		}
	}
	digest := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(shown[:], digest[:]) == 1 && secret != ""
}

// authorization is what a request shows of whom it is from: its header or, of a service that can set none, access_token in the address
// (RFC 6750, section 2.3; CloudEvents' webhooks have it, too), which is a bearer token.
func authorization(r *http.Request) string {
	shown := r.Header.Get("Authorization")
	if shown != "" || !strings.Contains(r.URL.RawQuery, "access_token=") {
		return shown
	}
	return "Bearer " + r.URL.Query().Get("access_token")
}

// known is the source that an Authorization header names; nil is none.
func (h *Handler) known(authorization string) (found *sender) {
	scheme, secret, _ := strings.Cut(authorization, " ")
	shown := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	for _, s := range h.senders {
		if s.accepts(scheme, shown) {
			found = s
		}
	}
	return found
}

// signed is the source whose key has signed a body; nil is none.
func (h *Handler) signed(header http.Header, body []byte) (found *sender) {
	for _, s := range h.senders {
		if s.signs() && h.verify(s.Source, header, body) {
			found = s
		}
	}
	return found
}

// claimsSignature tells whether a request has the header of a source that signs.
func (h *Handler) claimsSignature(header http.Header) bool {
	for _, s := range h.senders {
		if s.signs() && header.Get(s.SignatureHeader) != "" {
			return true
		}
	}
	return false
}
