package hive

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/sync/semaphore"
)

// Client speaks to one TheHive as one account in one organisation. It is safe
// for concurrent use; make one and keep it.
type Client struct {
	options   Options
	base      *url.URL
	transport http.RoundTripper
	header    http.Header
	places    *semaphore.Weighted
	redact    *strings.Replacer
}

// New checks the options and makes a client; it does not connect. The error is
// an [*InvalidError], or names the certificate file that cannot be used.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
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
	return &Client{
		options:   o,
		base:      base,
		transport: transport,
		header:    o.header(),
		places:    semaphore.NewWeighted(int64(o.Concurrency)),
		redact:    o.redactor(),
	}, nil
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

// credentials is the value of the Authorization header.
func (o Options) credentials() string {
	if o.APIKey != "" {
		return "Bearer " + o.APIKey
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(o.User+":"+o.Password))
}

// header is what every request carries.
func (o Options) header() http.Header {
	h := http.Header{
		"Accept":        {"application/json"},
		"Authorization": {o.credentials()},
		"User-Agent":    {o.UserAgent},
	}
	if o.Organisation != "" {
		h.Set("X-Organisation", o.Organisation)
	}
	return h
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
