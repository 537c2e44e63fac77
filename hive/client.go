package hive

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"forager/hive/throttle"
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
