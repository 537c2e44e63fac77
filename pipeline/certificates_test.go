package pipeline

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"forager/pipeline/stream"
)

// certificateRotation: each generation of clients has an authority of its own.
func certificateRotation(t *testing.T, first bool) rotation {
	t.Helper()
	var authorities []authority
	for range generations {
		authorities = append(authorities, newAuthority(t))
	}
	own := newAuthority(t) // the server's does not change
	return rotation{
		restart: true,
		server: func(t *testing.T, o *server.Options, n int) {
			o.TLS, o.TLSVerify, o.TLSTimeout, o.TLSHandshakeFirst = true, true, 2, first
			o.TLSConfig = &tls.Config{
				MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own.issue(t).pair},
				ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities[n].pool(),
			}
		},
		worker: func(t *testing.T, folder string, n int) stream.Connection {
			c := authorities[n].issue(t)
			return stream.Connection{
				RootCAs:           []string{inFile(t, folder, "ca.pem", own.certificate)},
				ClientCertificate: inFile(t, folder, "client.pem", c.certificate), ClientKey: inFile(t, folder, "client.key", c.key),
				HandshakeFirst: first,
			}
		},
	}
}

// authorityRotation: the server's certificate is signed by another authority.
func authorityRotation(t *testing.T) rotation {
	t.Helper()
	var authorities []authority
	for range generations {
		authorities = append(authorities, newAuthority(t))
	}
	return rotation{
		restart: true,
		server: func(t *testing.T, o *server.Options, n int) {
			o.TLS, o.TLSTimeout = true, 2
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{authorities[n].issue(t).pair}}
		},
		worker: func(t *testing.T, folder string, n int) stream.Connection {
			return stream.Connection{RootCAs: []string{inFile(t, folder, "ca.pem", authorities[n].certificate)}}
		},
	}
}

// authority signs certificates for a test.
type authority struct {
	parsed      *x509.Certificate
	key         *ecdsa.PrivateKey
	certificate []byte // PEM
}

type issued struct {
	certificate, key []byte // PEM
	pair             tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, key := certify(t, template, nil, nil)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{parsed, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.parsed)
	return pool
}

// issue signs a certificate for server and client on loopback.
func (a authority) issue(t *testing.T) issued {
	t.Helper()
	der, key := certify(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "forager"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.parsed, a.key)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := issued{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}
	if out.pair, err = tls.X509KeyPair(out.certificate, out.key); err != nil {
		t.Fatal(err)
	}
	return out
}

// certify signs with the parent's key, or with its own.
func certify(t *testing.T, template, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}
