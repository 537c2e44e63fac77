package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"forager/filebound"
)

// Settings say how connections are made.
type Settings struct {
	// Timeout bounds the making of a connection, WriteTimeout each write to it.
	Timeout, WriteTimeout time.Duration
	// Concurrency is the number of connections that are kept.
	Concurrency int
	// CAFile holds PEM certificates that are trusted besides the system's.
	CAFile string
	// CertFile and KeyFile hold the PEM client certificate and its key.
	CertFile, KeyFile string
	// Proxy is the address of an HTTP, HTTPS or SOCKS5 proxy; empty means
	// what the environment says, "direct" means none.
	Proxy string
	// Dial makes the connections; nil means the system's, over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// SettingError is a setting that cannot work.
type SettingError struct {
	// Field is its name, Reason what is wrong with it, without its value.
	Field, Reason string
}

// Error is "field reason".
func (e *SettingError) Error() string { return e.Field + " " + e.Reason }

// NewTransport has kept connections, one call on each; TLS 1.2 at least, always
// verified; a bound on every write and on how long the kernel keeps trying to
// deliver it. The error is a [*SettingError], or names the file that cannot be used.
func NewTransport(o Settings) (*http.Transport, error) {
	tlsConfig, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	proxy, err := o.proxy()
	if err != nil {
		return nil, err
	}
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: o.Timeout, KeepAlive: 15 * time.Second, Control: UserTimeout(o.WriteTimeout)}).DialContext
	}
	// HTTP/1.1 only: with HTTP/2 all calls share one connection, whose loss
	// would make every one of them ambiguous at once, and the headers of a
	// write leave before its guard is asked.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols:              protocols,
		Proxy:                  proxy,
		DialContext:            Dial(dial, o.WriteTimeout),
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    o.Timeout,
		MaxIdleConns:           o.Concurrency,
		MaxIdleConnsPerHost:    o.Concurrency,
		IdleConnTimeout:        30 * time.Second, // below the 75 s after which TheHive hangs up
		ExpectContinueTimeout:  time.Second,      // for a server that does not know the question
		WriteBufferSize:        16 << 10,         // holds all headers, so that they leave with the body
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// tlsConfig verifies against the system's certificates and those of CAFile.
func (o Settings) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := readPEM(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CAFile: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, unusable("CAFile", "holds no PEM certificate")
		}
		config.RootCAs = pool
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, unusable("CertFile", "and KeyFile need each other")
	}
	if o.CertFile != "" {
		pair, err := keyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("load client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// proxy is the choice of a proxy for a request.
func (o Settings) proxy() (func(*http.Request) (*url.URL, error), error) {
	switch o.Proxy {
	case "":
		return http.ProxyFromEnvironment, nil
	case "direct":
		return nil, nil
	}
	u, err := url.Parse(o.Proxy)
	if err != nil || u.Hostname() == "" {
		return nil, unusable("Proxy", "is no address") // it may hold a password: never shown
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return http.ProxyURL(u), nil
	}
	return nil, unusable("Proxy", "must begin with http://, https:// or socks5://")
}

func unusable(field, reason string) error { return &SettingError{Field: field, Reason: reason} }

// maxPEM bounds a file of certificates or a key, in bytes.
const maxPEM = 4 << 20

func readPEM(name string) ([]byte, error) { return filebound.Read(name, maxPEM) }

func keyPair(cert, key string) (tls.Certificate, error) {
	certificate, err := readPEM(cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := readPEM(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, secret)
}
