package hive_test

import (
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"forager/hive"
)

// tlsServer is a server with its own certificate, which it writes to a file.
func tlsServer(t *testing.T, handler http.Handler, change func(*tls.Config)) (*httptest.Server, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if change != nil {
		change(server.TLS)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return server, file
}

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	server, ca := tlsServer(t, answer(200, caseJSON), nil)
	trusting := newClient(t, hive.Options{URL: server.URL, APIKey: testKey, CAFile: ca, Proxy: "direct"})
	if _, err := trusting.Case(t.Context(), "1"); err != nil {
		t.Errorf("with the CA file: %v", err)
	}
	wary := newClient(t, hive.Options{URL: server.URL, APIKey: testKey, Proxy: "direct"})
	_, err := wary.CreateCase(t.Context(), hive.NewCase{Title: "T"})
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("without the CA file: %v", err)
	}
	if e, ok := errors.AsType[*hive.Error](err); !ok || e.Sent || !e.Refused() {
		t.Errorf("an unknown certificate stops the call before its first byte: %v", err)
	}
	other := newClient(t, hive.Options{URL: strings.Replace(server.URL, "127.0.0.1", "localhost", 1), APIKey: testKey, CAFile: ca, Proxy: "direct"})
	if _, err := other.Case(t.Context(), "1"); err == nil {
		t.Error("a certificate for another name passes")
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	server, ca := tlsServer(t, answer(200, caseJSON), func(c *tls.Config) {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	})
	c := newClient(t, hive.Options{URL: server.URL, APIKey: testKey, CAFile: ca, Proxy: "direct"})
	if _, err := c.Case(t.Context(), "1"); err == nil {
		t.Error("TLS 1.1 passes")
	}
}

func TestClientCertificateIsPresented(t *testing.T) {
	t.Parallel()
	var names atomic.Value
	server, ca := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		names.Store(r.TLS.PeerCertificates[0].Subject.CommonName)
		answer(200, caseJSON)(w, r)
	}), func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert })
	certFile, keyFile := certificate(t, "forager")
	c := newClient(t, hive.Options{URL: server.URL, APIKey: testKey, CAFile: ca, CertFile: certFile, KeyFile: keyFile, Proxy: "direct"})
	if _, err := c.Case(t.Context(), "1"); err != nil || names.Load() != "forager" {
		t.Errorf("%v, certificate of %v", err, names.Load())
	}
}

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	template.Subject.CommonName = name
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile, keyFile = filepath.Join(t.TempDir(), "c.pem"), filepath.Join(t.TempDir(), "k.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return certFile, keyFile
}

func TestGuardHoldsOverTLSToo(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server, ca := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		answer(201, caseJSON)(w, r)
	}), nil)
	c := newClient(t, hive.Options{URL: server.URL, APIKey: testKey, CAFile: ca, Proxy: "direct"})
	lost := errors.New("claim lost")
	asked := 0
	guarded := hive.WithGuard(t.Context(), func() error {
		if asked++; asked > 1 { // the first is before the connection
			return lost
		}
		return nil
	})
	_, err := c.CreateCase(guarded, hive.NewCase{Title: "T"})
	if e, ok := errors.AsType[*hive.Error](err); !ok || !errors.Is(err, lost) || e.Sent || !e.Refused() {
		t.Errorf("error %v", err)
	}
	if _, err := c.CreateCase(t.Context(), hive.NewCase{Title: "T"}); err != nil || requests.Load() != 1 {
		t.Errorf("%d requests, %v", requests.Load(), err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	_, elsewhere := rawServer(t, func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		c, server := rawServer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL+"/secret-path")
			w.WriteHeader(status)
		})
		for _, err := range []error{second(c.Case(t.Context(), "1")), create(t.Context(), c)} {
			if e, ok := errors.AsType[*hive.Error](err); !ok || e.Status != status || !e.Ambiguous() || !e.Foreign() || !strings.Contains(e.Message, elsewhere.URL) || strings.Contains(e.Message, "secret-path") {
				t.Errorf("%d from %s: %v", status, server.URL, err)
			}
		}
	}
	if followed.Load() != 0 {
		t.Error("the key was carried to another host")
	}
}

func TestAnswersAreBoundedAfterDecompression(t *testing.T) {
	t.Parallel()
	bomb := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		_, _ = io.WriteString(z, `[{"title":"`)
		block := make([]byte, 1<<16)
		for i := range block {
			block[i] = 'a'
		}
		for range 1 << 10 { // 64 MiB
			if _, err := z.Write(block); err != nil {
				return
			}
		}
	}
	c, _ := rawServer(t, bomb, func(o *hive.Options) { o.MaxResponseBytes, o.Timeout = 1<<20, time.Minute })
	var attempts int
	for _, err := range c.FindCases(t.Context(), hive.Query{PageSize: 1}) {
		attempts++
		if !errors.Is(err, hive.ErrTooLarge) {
			t.Errorf("error %v", err)
		}
	}
	err := create(t.Context(), c)
	if e, ok := errors.AsType[*hive.Error](err); !ok || !errors.Is(err, hive.ErrTooLarge) || !e.Ambiguous() || attempts != 1 {
		t.Errorf("a write whose answer is too large may have happened: %v", err)
	}
}

func TestCompressedAnswerIsRead(t *testing.T) {
	t.Parallel()
	c, _ := rawServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		z := gzip.NewWriter(w)
		defer z.Close()
		_, _ = io.WriteString(z, caseJSON)
	})
	if got, err := c.Case(t.Context(), "1"); err != nil || got.ID != "~41" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestConnectionsAreKeptWhateverTheAnswer(t *testing.T) {
	t.Parallel()
	var connections, n atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 4 {
		case 0:
			answer(201, caseJSON)(w, r)
		case 1:
			w.Header().Set("Retry-After", "60")
			answer(429, strings.Repeat("x", 1<<16))(w, r)
		case 2:
			answer(404, `{"type":"NotFoundError","message":"x"}`)(w, r)
		case 3:
			answer(502, strings.Repeat("<html>", 1<<12))(w, r)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := newClient(t, hive.Options{URL: server.URL, APIKey: testKey, Proxy: "direct"})
	for range 20 {
		_ = create(t.Context(), c) // every kind of answer, five times
	}
	if got := connections.Load(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

func TestProxyCarriesTheCalls(t *testing.T) {
	t.Parallel()
	var seenHost atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seenHost.Store(r.URL.Host + " " + r.Header.Get("Proxy-Authorization"))
		answer(200, caseJSON)(w, r)
	}))
	t.Cleanup(proxy.Close)
	c := newClient(t, hive.Options{URL: "http://hive.test:9000", APIKey: testKey, Proxy: strings.Replace(proxy.URL, "http://", "http://u:p@", 1)})
	if _, err := c.Case(t.Context(), "1"); err != nil || seenHost.Load() != "hive.test:9000 Basic dTpw" {
		t.Errorf("%v, proxy saw %v", err, seenHost.Load())
	}
}

func TestDownloadsAreStreamedAndGiveTheirPlaceBack(t *testing.T) {
	t.Parallel()
	silent := make(chan struct{})
	patient, server := rawServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "~404"):
			answer(404, `{"type":"NotFoundError","message":"x"}`)(w, r)
		case strings.Contains(r.URL.Path, "~7"):
			_, _ = io.WriteString(w, "beginning")
			_ = http.NewResponseController(w).Flush()
			<-silent
		default:
			_, _ = io.WriteString(w, strings.Repeat("content", 1<<20)) // more than MaxResponseBytes
		}
	}, func(o *hive.Options) { o.Concurrency, o.MaxResponseBytes, o.Timeout = 1, 1<<10, time.Minute })
	defer close(silent)
	for range 2 {
		if _, err := patient.Download(t.Context(), "~1", "~404"); err == nil {
			t.Error("404 passes")
		} else {
			wantStatus(t, err, 404, "NotFoundError")
		}
		body, err := patient.Download(t.Context(), "~1", strings.Repeat("ab", 32))
		must(t, err)
		n, err := io.Copy(io.Discard, body)
		if must(t, err); n != 7<<20 {
			t.Errorf("%d bytes", n)
		}
		must(t, body.Close())
		must(t, body.Close()) // twice is once
	}
	c := newClient(t, hive.Options{URL: server.URL, APIKey: testKey, Proxy: "direct", Concurrency: 1, Timeout: 2 * time.Second}) // its answer begins at once
	body, err := c.Download(t.Context(), "~1", "~7")
	must(t, err)
	_, err = io.ReadAll(body)
	if e, ok := errors.AsType[*hive.Error](err); !ok || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		t.Errorf("a silent server: %v (%v)", err, e)
	}
	must(t, body.Close())
	if _, err := c.Download(t.Context(), "~1", "~404"); err == nil {
		t.Error("404 passes")
	}
}
