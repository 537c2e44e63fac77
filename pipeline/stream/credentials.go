package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"
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
	if len(c.RootCAs) > 0 {
		options = append(options, nats.RootCAs(c.RootCAs...))
	}
	if c.ClientCertificate != "" {
		options = append(options, nats.ClientCert(c.ClientCertificate, c.ClientKey))
	}
	if c.HandshakeFirst {
		options = append(options, nats.TLSHandshakeFirst())
	}
	return options, nil
}

func (c Connection) userOption(*Link) (nats.Option, error) {
	if c.User == "" {
		return nil, nil
	}
	return nats.UserInfoHandler(func() (user, pass string) { return c.User, c.secret(c.Password) }), nil
}

func (c Connection) tokenOption(*Link) (nats.Option, error) {
	if c.Token == "" {
		return nil, nil
	}
	return nats.TokenHandler(func() string { return c.secret(c.Token) }), nil
}

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
	return nats.UserCredentials(c.Credentials), nil
}

// maxSecret bounds a file of credentials, in bytes.
const maxSecret = 1 << 20

// readSecret reads a file to its bound.
func readSecret(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(text) > maxSecret {
		err = fmt.Errorf("%s has more than %d KiB", name, maxSecret>>10)
	}
	return text, err
}

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
