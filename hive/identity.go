package hive

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
)

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
