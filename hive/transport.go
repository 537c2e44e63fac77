package hive

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"forager/filebound"
	"forager/hive/wire"
)

// NewTransport is the transport that New uses, for callers that wrap it: kept
// connections, one call on each; TLS 1.2 at least, always verified; a bound on
// every write and on how long the kernel keeps trying to deliver it.
func NewTransport(o Options) (*http.Transport, error) {
	o = o.withDefaults()
	tlsConfig, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	proxy, err := o.proxy()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{
		Timeout:   o.Timeout,
		KeepAlive: 15 * time.Second,
		Control:   wire.UserTimeout(o.WriteTimeout),
	}
	// HTTP/1.1 only: with HTTP/2 all calls share one connection, whose loss
	// would make every one of them ambiguous at once, and the headers of a
	// write leave before its guard is asked.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols:              protocols,
		Proxy:                  proxy,
		DialContext:            wire.Dial(dialer, o.WriteTimeout),
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
func (o Options) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := readPEM(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("new transport: read CAFile: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, invalid("new transport", "CAFile", "holds no PEM certificate")
		}
		config.RootCAs = pool
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, invalid("new transport", "CertFile", "and KeyFile need each other")
	}
	if o.CertFile != "" {
		pair, err := keyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("new transport: load client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// proxy is the choice of a proxy for a request.
func (o Options) proxy() (func(*http.Request) (*url.URL, error), error) {
	switch o.Proxy {
	case "":
		return http.ProxyFromEnvironment, nil
	case "direct":
		return nil, nil
	}
	u, err := url.Parse(o.Proxy)
	if err != nil || u.Hostname() == "" {
		return nil, invalid("new transport", "Proxy", "is no address") // it may hold a password: never shown
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return http.ProxyURL(u), nil
	}
	return nil, invalid("new transport", "Proxy", "must begin with http://, https:// or socks5://")
}

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
