package stream

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"forager/filebound"
)

// grow makes a file too large for anything, without room on the disk.
func grow(t *testing.T, name string) {
	t.Helper()
	if err := os.Truncate(name, 512<<20); err != nil {
		t.Skipf("no file with a hole of 512 MiB can be made here: %v", err)
	}
}

// certified is a certificate that vouches for itself, and its key, in PEM.
func certified(t *testing.T) (certificate, key []byte) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	pair := s.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func inFile(t *testing.T, folder, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// refusesGrown lets a file grow beyond its bound: a check and the next connect refuse it, unread.
func refusesGrown(t *testing.T, name, file string, c Connection, again func() error) {
	t.Helper()
	grow(t, file)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wrong := []error{c.Check(), again()}
	runtime.ReadMemStats(&after)
	for i, err := range wrong {
		if err == nil || !strings.Contains(err.Error(), file+" "+filebound.ErrTooLarge.Error()) {
			t.Errorf("%s, reading %d: %v", name, i, err)
		}
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 64 {
		t.Errorf("%s: took %d MiB", name, used)
	}
}

// TestFilesOfAConnectionHaveABound: at the start, and when they are read again at a connect.
func TestFilesOfAConnectionHaveABound(t *testing.T) {
	certificate, key := certified(t)
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	creds := "-----BEGIN NATS USER JWT-----\neyJ0eXAi.eyJqdGki.c2ln\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n"
	for name, of := range map[string]struct {
		text  []byte
		with  func(*Connection, string)
		again func(nats.Options) error // reads the file as a connect does; nil: it was tried at the start
	}{
		"credentials": {[]byte(creds), func(c *Connection, file string) { c.Credentials = file }, func(o nats.Options) error { _, err := o.UserJWT(); return err }},
		"signature":   {[]byte(creds), func(c *Connection, file string) { c.Credentials = file }, func(o nats.Options) error { _, err := o.SignatureCB([]byte("n")); return err }},
		"nkey":        {seed, func(c *Connection, file string) { c.NKeySeed = file }, nil},
		"authority":   {certificate, func(c *Connection, file string) { c.RootCAs = []string{file} }, func(o nats.Options) error { _, err := o.RootCAsCB(); return err }},
		"certificate": {certificate, func(c *Connection, file string) {
			c.ClientCertificate, c.ClientKey = file, inFile(t, filepath.Dir(file), "other.key", key)
		}, func(o nats.Options) error { _, err := o.TLSCertCB(); return err }},
		"key": {key, func(c *Connection, file string) {
			c.ClientCertificate, c.ClientKey = inFile(t, filepath.Dir(file), "other.pem", certificate), file
		}, func(o nats.Options) error { _, err := o.TLSCertCB(); return err }},
	} {
		file := inFile(t, t.TempDir(), "secret", of.text)
		c := Connection{URLs: []string{"nats://127.0.0.1:1"}}
		of.with(&c, file)
		if err := c.Check(); err != nil {
			t.Errorf("%s: as it should be: %v", name, err)
			continue
		}
		options, err := c.options(&Link{log: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		all := nats.GetDefaultOptions()
		for _, set := range options {
			if err := set(&all); err != nil {
				t.Fatal(err)
			}
		}
		refusesGrown(t, name, file, c, func() error {
			if of.again == nil {
				return c.Check()
			}
			return of.again(all)
		})
	}
}
