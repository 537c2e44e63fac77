package stream

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"forager/filebound"
)

// security adds credentials and TLS. At most one kind of credentials makes sense. Whatever lies in
// a file is read again at each connect, so that nothing needs a restart when it is rotated.
func (c Connection) security(l *Link) ([]nats.Option, error) {
	var options []nats.Option
	for _, kind := range []func(*Link) (nats.Option, error){c.userOption, c.tokenOption, c.credentialsOption, c.nkeyOption} {
		option, err := kind(l)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConnection, err)
		}
		if option != nil {
			options = append(options, option)
		}
	}
	if len(options) > 1 {
		return nil, fmt.Errorf("%w: user, token, credentials and nkey exclude each other", ErrConnection)
	}
	if encrypted := c.certificates(); encrypted != nil {
		options = append(options, encrypted)
	}
	if c.HandshakeFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	return options, nil
}

func (c Connection) userOption(l *Link) (nats.Option, error) {
	if c.User == "" {
		return nil, nil
	}
	return nats.UserInfoHandler(func() (user, pass string) { return c.User, l.shown.note(c.secret(c.Password)) }), nil
}

func (c Connection) tokenOption(l *Link) (nats.Option, error) {
	if c.Token == "" {
		return nil, nil
	}
	return nats.TokenHandler(func() string { return l.shown.note(c.secret(c.Token)) }), nil
}

// shown are the secrets that the server was shown last: what refuses a connection may say what it was shown, in a text
// that people read. Of a secret that was exchanged the one before is among them.
type shown struct {
	mu   sync.Mutex
	last []string
}

// mostShown and leastBlotted bound them: shorter ones would blot out ordinary words.
const (
	mostShown    = 2
	leastBlotted = 4
)

// note keeps a secret, and gives it back.
func (s *shown) note(secret string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(secret) >= leastBlotted && !slices.Contains(s.last, secret) {
		s.last = append(s.last[max(0, len(s.last)-mostShown+1):], secret)
	}
	return secret
}

// blot is an error in whose text none of the secrets stands.
func (s *shown) blot(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := err.Error()
	for _, secret := range s.last {
		inJSON, _ := json.Marshal(secret) // a text
		for _, form := range []string{secret, string(inJSON[1 : len(inJSON)-1])} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	if text == err.Error() {
		return err
	}
	return &blottedError{err, text}
}

// blottedError is an error that says less than it is.
type blottedError struct {
	error

	text string
}

func (e *blottedError) Error() string { return e.text }

// Unwrap is the error as it was: for what it is, and not for what it says.
func (e *blottedError) Unwrap() error { return e.error }

// secret is what a secret is now that was given at the start.
func (c Connection) secret(given string) string {
	if c.Secret == nil {
		return given
	}
	return c.Secret()
}

func (c Connection) credentialsOption(*Link) (nats.Option, error) {
	if c.Credentials == "" {
		return nil, nil
	}
	text, err := readSecret(c.Credentials) // the client would say so only when it connects, and try for ever
	if err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	if _, err := nkeys.ParseDecoratedJWT(text); err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	if _, err := nkeys.ParseDecoratedNKey(text); err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	return nats.UserJWT(c.userJWT, c.signature), nil
}

// userJWT reads the credentials file again for a connect. The client's own reader has no bound.
func (c Connection) userJWT() (string, error) {
	text, err := readSecret(c.Credentials)
	if err != nil {
		return "", fmt.Errorf("credentials file: %w", err)
	}
	return nkeys.ParseDecoratedJWT(text)
}

// signature signs the server's nonce by the credentials file.
func (c Connection) signature(nonce []byte) ([]byte, error) {
	text, err := readSecret(c.Credentials)
	if err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	pair, err := nkeys.ParseDecoratedNKey(text)
	if err != nil {
		return nil, fmt.Errorf("credentials file: %w", err)
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// certificates are those of the authorities and of this client, read again at each connect; nil are
// none. The client's own readers have no bound.
func (c Connection) certificates() nats.Option {
	var own nats.TLSCertHandler
	var authorities nats.RootCAsHandler
	if c.ClientCertificate != "" {
		own = c.clientCertificate
	}
	if len(c.RootCAs) > 0 {
		authorities = c.authorities
	}
	if own == nil && authorities == nil {
		return nil
	}
	return nats.ClientTLSConfig(own, authorities)
}

func (c Connection) authorities() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, file := range c.RootCAs {
		text, err := readSecret(file)
		if err != nil {
			return nil, fmt.Errorf("authority's certificates: %w", err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("authority's certificates: %s holds no PEM certificate", file)
		}
	}
	return pool, nil
}

func (c Connection) clientCertificate() (none tls.Certificate, err error) {
	certificate, err := readSecret(c.ClientCertificate)
	if err != nil {
		return none, fmt.Errorf("client certificate: %w", err)
	}
	key, err := readSecret(c.ClientKey)
	if err != nil {
		return none, fmt.Errorf("client certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return none, fmt.Errorf("client certificate: %w", err)
	}
	return pair, nil
}

// maxSecret bounds a file of credentials or certificates, in bytes.
const maxSecret = 1 << 20

func readSecret(name string) ([]byte, error) { return filebound.Read(name, maxSecret) }

func (c Connection) nkeyOption(l *Link) (nats.Option, error) {
	if c.NKeySeed == "" {
		return nil, nil
	}
	l.seed = &seed{file: c.NKeySeed, log: l.log}
	if err := l.seed.read(); err != nil {
		return nil, fmt.Errorf("nkey seed file: %w", err)
	}
	before := nats.ReconnectToServer(func([]nats.Server, nats.ServerInfo) (*nats.Server, time.Duration) {
		l.seed.renew()
		return nil, 0 // whichever server the client would have taken
	})
	return func(o *nats.Options) error {
		return errors.Join(before(o), nats.Nkey(l.seed.public, l.seed.sign)(o))
	}, nil
}

// seed is an nkey. The client reads a seed again when it signs, but names the public key that it
// was first given: with another seed no signature would fit.
type seed struct {
	file string
	log  *zap.Logger

	mu     sync.Mutex
	nc     *nats.Conn // nil: not connected for the first time yet
	pair   nkeys.KeyPair
	public string
}

func (s *seed) read() error {
	text, err := readSecret(s.file)
	if err != nil {
		return err
	}
	pair, err := nkeys.ParseDecoratedNKey(bytes.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	if !nkeys.IsValidPublicUserKey(public) {
		return fmt.Errorf("%s: %w", s.file, errNoUserSeed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pair, s.public = pair, public
	return nil
}

var errNoUserSeed = errors.New("not the seed of a user: it begins with SU")

// renew reads the seed again before an attempt to connect. The client calls it with its own lock
// held, under which it reads the public key as well: that is why it may be changed here.
func (s *seed) renew() {
	s.mu.Lock()
	nc := s.nc
	s.mu.Unlock()
	if nc == nil {
		return // the attempts of nats.Connect itself: the next one is not
	}
	if err := s.read(); err != nil {
		s.log.Warn("nats: the nkey seed cannot be read again: the last one is used", zap.Error(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	nc.Opts.Nkey = s.public
}

func (s *seed) sign(nonce []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pair.Sign(nonce)
}

// of tells whose public key is to be changed.
func (s *seed) of(nc *nats.Conn) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nc = nc
}

// Check fails with [ErrConnection] on what [Connect] would refuse: the text of the connection, or
// its files. It asks no server.
func (c Connection) Check() error {
	options, err := c.options(&Link{log: zap.NewNop()})
	if err != nil {
		return err
	}
	all := nats.GetDefaultOptions()
	for _, set := range options {
		if err := set(&all); err != nil {
			return fmt.Errorf("%w: %w", ErrConnection, err)
		}
	}
	return nil
}
