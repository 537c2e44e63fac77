package hive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"forager/hive/throttle"
	"forager/hive/wire"
)

// Defaults of the zero fields of [Options].
const (
	// DefaultConcurrency is the number of calls in flight.
	DefaultConcurrency = 32
	// DefaultTimeout bounds one attempt of a call.
	DefaultTimeout = 10 * time.Second
	// DefaultWriteTimeout bounds one write to the socket.
	DefaultWriteTimeout = 8 * time.Second
	// DefaultMaxResponseBytes is the weight of any answer, decompressed.
	DefaultMaxResponseBytes = weightLarge
)

// maxSecret bounds keys, names and passwords in bytes, so that the headers of
// a request always fit the transport's write buffer.
const maxSecret = 1024

// Options says which TheHive to speak to, as whom, and within which limits.
// Printed by any verb, logged by slog or encoded as JSON it shows no secret.
type Options struct {
	// URL is TheHive's address, http or https, with the path prefix that a
	// reverse proxy may add, without /api: "https://soc.example.org/thehive".
	URL string
	// APIKey is sent as a bearer token. Either it or User and Password.
	APIKey string
	// User and Password are sent as HTTP basic authentication.
	User, Password string
	// Secret, when set, is asked before each attempt for the API key, or for the
	// password where User is set, in place of APIKey and Password: a key may be
	// exchanged while the client lives. While it gives nothing, or what does not
	// fit a header, the last good one is sent; the first must be good. It is
	// called concurrently and must be quick.
	Secret func() string
	// Organisation, by name or id, is sent as X-Organisation; empty means the
	// account's default organisation.
	Organisation string

	// Concurrency bounds the calls in flight; default 32. Further calls wait
	// in the order in which they came, and their Timeout begins when they go.
	Concurrency int
	// Throttle bounds the calls of several clients together, stops them while
	// the server is down, and spares refused credentials; nil means one of its
	// own for Concurrency calls.
	Throttle *throttle.Throttle
	// Timeout bounds each attempt, from its first byte to the last of the
	// answer; default 10 s. An [Upload] may ask for more.
	Timeout time.Duration
	// WriteTimeout bounds one write to the socket, and how long the kernel
	// keeps trying to deliver what was written (TCP_USER_TIMEOUT, Linux);
	// default 8 s, at most Timeout. It must stay below the time after which
	// somebody else may act in place of a caller that fell silent.
	WriteTimeout time.Duration
	// MaxResponseBytes bounds any answer after decompression; default 8 MiB, as a
	// case or a page of a list may have. Other objects have 1 MiB and four times
	// what was sent, errors 64 KiB. All that are over 64 KiB, of all clients of one
	// Throttle, have throttle.RoomBytes together, and wait for it beside Timeout. A
	// page that is too large is asked for in halves.
	MaxResponseBytes int64

	// Transport carries the requests; nil means NewTransport(Options). A
	// wrapper, such as one that traces, must hand the request on with
	// its context, since httptrace tells what was sent.
	Transport http.RoundTripper
	// CAFile holds PEM certificates that are trusted besides the system's.
	CAFile string
	// CertFile and KeyFile hold the PEM client certificate and its key.
	CertFile, KeyFile string
	// Proxy is the address of an HTTP, HTTPS or SOCKS5 proxy; empty means
	// what the environment says (HTTPS_PROXY, NO_PROXY), "direct" means none.
	Proxy string
	// Dial makes the connections of NewTransport; nil means the system's, over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// UserAgent defaults to "forager".
	UserAgent string

	// Observe, when set, is called after each attempt, concurrently, and must
	// be quick.
	Observe func(Call)
}

// Call is one attempt of a call, as [Options.Observe] sees it.
type Call struct {
	// Op names the call as an [Error] does: "create case".
	Op string
	// Method is the HTTP method.
	Method string
	// Status is the HTTP status, 0 without an answer.
	Status int
	// Duration is the time of this attempt, without the wait for a free place.
	Duration time.Duration
	// Attempt counts from 1.
	Attempt int
	// Err is nil when the attempt succeeded.
	Err error
}

// redacted stands for a secret in every printed form.
const redacted = "***"

// String shows the options without secrets.
func (o Options) String() string {
	return fmt.Sprintf("hive.Options{URL:%q User:%q APIKey:%s Password:%s Organisation:%q Concurrency:%d Timeout:%s}",
		redactURL(o.URL), o.User, mask(o.APIKey), mask(o.Password), o.Organisation, o.Concurrency, o.Timeout)
}

// Format is String for every verb, %+v and %d too. Only an unexported field of
// this type, printed with the struct around it, is beyond its reach.
func (o Options) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.String()) }

// LogValue is String, for slog.
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }

// MarshalText is String, for encoders.
func (o Options) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// mask says whether a secret is set without saying what it is.
func mask(secret string) string {
	if secret == "" {
		return `""`
	}
	return redacted
}

// redactURL drops what may be secret from an address: user, query, fragment.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return redacted
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// NewTransport is the transport that New uses, for callers that wrap it: kept
// connections, one call on each; TLS 1.2 at least, always verified; a bound on
// every write and on how long the kernel keeps trying to deliver it. The error
// is an [*InvalidError], or names the certificate file that cannot be used.
func NewTransport(o Options) (*http.Transport, error) {
	o = o.withDefaults()
	t, err := wire.NewTransport(wire.Settings{
		Timeout: o.Timeout, WriteTimeout: o.WriteTimeout, Concurrency: o.Concurrency,
		CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile, Proxy: o.Proxy, Dial: o.Dial,
	})
	if e, ok := errors.AsType[*wire.SettingError](err); ok {
		return nil, invalid("new transport", e.Field, e.Reason)
	}
	if err != nil {
		return nil, fmt.Errorf("new transport: %w", err)
	}
	return t, nil
}

// withDefaults fills the zero fields.
func (o Options) withDefaults() Options {
	if o.Concurrency == 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = min(DefaultWriteTimeout, o.Timeout)
	}
	if o.MaxResponseBytes == 0 {
		o.MaxResponseBytes = DefaultMaxResponseBytes
	}
	if o.UserAgent == "" {
		o.UserAgent = "forager"
	}
	return o
}

// base is the address that paths are appended to, without a final slash.
func (o Options) base() (*url.URL, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, invalid("new client", "URL", "is no address")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid("new client", "URL", "must begin with http:// or https://")
	case u.Hostname() == "":
		return nil, invalid("new client", "URL", "names no host")
	case u.User != nil:
		return nil, invalid("new client", "URL", "must not hold credentials: use User and Password")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, invalid("new client", "URL", "must not hold a query or a fragment")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// check refuses what cannot work, before the first call finds out.
func (o Options) check() error {
	for _, f := range []struct{ name, value string }{
		{"APIKey", o.APIKey}, {"User", o.User}, {"Password", o.Password},
		{"Organisation", o.Organisation}, {"UserAgent", o.UserAgent},
	} {
		if err := checkHeaderText(f.name, f.value); err != nil {
			return err
		}
	}
	switch {
	case o.APIKey != "" && (o.User != "" || o.Password != ""):
		return invalid("new client", "APIKey", "and User with Password exclude each other")
	case o.APIKey == "" && o.User == "":
		return invalid("new client", "APIKey", "is missing, and so is User")
	case o.APIKey == "" && o.Password == "":
		return invalid("new client", "Password", "is missing")
	case strings.Contains(o.User, ":"):
		return invalid("new client", "User", "must not hold a colon")
	case o.Concurrency < 0:
		return invalid("new client", "Concurrency", "is negative")
	case o.Timeout < 0 || o.WriteTimeout < 0:
		return invalid("new client", "Timeout", "is negative")
	case o.WriteTimeout > o.Timeout:
		return invalid("new client", "WriteTimeout", "is longer than Timeout")
	case o.MaxResponseBytes < 0:
		return invalid("new client", "MaxResponseBytes", "is negative")
	}
	return nil
}

// checkHeaderText refuses what would break or smuggle a header. The value is
// never part of the error.
func checkHeaderText(field, value string) error {
	if len(value) > maxSecret {
		return invalid("new client", field, fmt.Sprintf("is longer than %d bytes", maxSecret))
	}
	if strings.ContainsFunc(value, isControl) {
		return invalid("new client", field, "holds a control character, perhaps a line end")
	}
	if strings.TrimSpace(value) != value {
		return invalid("new client", field, "begins or ends with a space")
	}
	return nil
}

// isControl reports an ASCII control character, a line end above all.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }
