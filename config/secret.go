package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Secret is a text that shows itself to nobody: printed, logged or encoded in any way it is
// "[redacted]", or empty when it is empty. The zero value is empty.
type Secret struct {
	// A pointer, so that even a dump of the memory's layout (%+v on an unexported field, which
	// cannot call methods) prints an address and not the text.
	text *string
}

const redacted = "[redacted]"

// NewSecret hides a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// errNoSecret says what a file that a …File key names should hold.
var errNoSecret = errors.New("expected a file with one line, the secret")

// ParseSecret reads what a file holds that a …File key names: one line, without the space around
// it. The error holds nothing of the text.
func ParseSecret(file []byte) (Secret, error) {
	text := strings.TrimSpace(string(file))
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return Secret{}, errNoSecret
	}
	return NewSecret(text), nil
}

// Reveal gives the text itself. Call it where the secret is used, and nowhere else.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty tells whether there is no secret.
func (s Secret) Empty() bool { return s.text == nil }

// String redacts.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return redacted
}

// Format redacts under every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String()) // fmt has nowhere to report a failed write
}

// MarshalText redacts for encoding/json, YAML and zap.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue redacts for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
