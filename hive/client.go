package hive

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"forager/hive/throttle"
	"forager/hive/wire"
)

// Client speaks to one TheHive as one account in one organisation. It is safe
// for concurrent use; make one and keep it.
type Client struct {
	options   Options
	base      *url.URL
	transport http.RoundTripper
	header    http.Header
	throttle  *throttle.Throttle
	last      atomic.Pointer[identity] // that the last attempt had
}

// New checks the options and makes a client; it does not connect. The error is
// an [*InvalidError], or names the certificate file that cannot be used.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	if err := o.ask(); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	transport := o.Transport
	if transport == nil {
		if transport, err = NewTransport(o); err != nil {
			return nil, err
		}
	}
	if o.Throttle == nil {
		o.Throttle = throttle.New(o.Concurrency)
	}
	c := &Client{
		options:   o,
		base:      base,
		transport: transport,
		header:    o.header(),
		throttle:  o.Throttle,
	}
	c.last.Store(o.identity())
	return c, nil
}

// String names the client without its secrets.
func (c *Client) String() string { return "hive.Client(" + redactURL(c.base.String()) + ")" }

// Format is String for every verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// CloseIdle closes the connections that are kept for later calls.
func (c *Client) CloseIdle() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// header is what every request carries beside its identity.
func (o Options) header() http.Header {
	h := http.Header{
		"Accept":     {"application/json"},
		"User-Agent": {o.UserAgent},
	}
	if o.Organisation != "" {
		h.Set("X-Organisation", o.Organisation)
	}
	return h
}

// identity is as whom an attempt speaks. Its errors are cleaned of the secret that it was sent
// with, whatever the secret has become since.
type identity struct {
	secret        string
	authorization string // value of the header
	redact        *strings.Replacer
	mark          string // differs where the credentials or the organisation do; no secret
}

// identity gives the account of the next attempt. A secret that cannot be sent is one in the middle
// of its exchange: the last good one stays.
func (c *Client) identity() *identity {
	last := c.last.Load()
	if c.options.Secret == nil {
		return last
	}
	secret := c.options.Secret()
	if secret == "" || secret == last.secret || checkHeaderText("Secret", secret) != nil {
		return last
	}
	next := c.options.with(secret).identity()
	c.last.Store(next)
	return next
}

// ask takes the first secret from the function, where there is one.
func (o *Options) ask() error {
	if o.Secret == nil {
		return nil
	}
	if o.APIKey != "" || o.Password != "" {
		return invalid("new client", "Secret", "and APIKey or Password exclude each other")
	}
	*o = o.with(o.Secret())
	return nil
}

// with puts a secret where it belongs.
func (o Options) with(secret string) Options {
	if o.User != "" {
		o.Password = secret
	} else {
		o.APIKey = secret
	}
	return o
}

// identity is the account that the options name.
func (o Options) identity() *identity {
	sum := sha256.Sum256([]byte(o.credentials() + "\n" + o.Organisation))
	return &identity{
		secret: o.APIKey + o.Password, authorization: o.credentials(), redact: o.redactor(), mark: string(sum[:]),
	}
}

// credentials is the value of the Authorization header.
func (o Options) credentials() string {
	if o.APIKey != "" {
		return "Bearer " + o.APIKey
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(o.User+":"+o.Password))
}

// redactor blots out secrets that a server or proxy echoes in an error.
func (o Options) redactor() *strings.Replacer {
	var pairs []string
	_, token, _ := strings.Cut(o.credentials(), " ")
	proxy, _ := url.Parse(o.Proxy)
	behind := ""
	if proxy != nil {
		behind, _ = proxy.User.Password()
	}
	for _, secret := range []string{o.APIKey, o.Password, token, behind} {
		if len(secret) >= 4 { // shorter ones would blot out ordinary words
			pairs = append(pairs, secret, redacted, url.QueryEscape(secret), redacted)
		}
	}
	return strings.NewReplacer(pairs...)
}

// WithGuard gives every write made with the returned context a check that runs
// right before the first byte of each attempt: after the wait for a free place
// and for a connection, and again before each attempt in place. When check
// fails the attempt is abandoned with nothing sent, and the call's [*Error]
// wraps what check returned. It runs more than once an attempt (before a
// connection is looked for, and when it is there), and must be quick and safe
// for concurrent use. On connections that are not of [NewTransport] only the
// first of the two is possible. A nil check removes an outer one.
func WithGuard(ctx context.Context, check func() error) context.Context {
	return wire.WithGuard(ctx, check)
}
