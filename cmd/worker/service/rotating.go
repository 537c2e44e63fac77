package service

import (
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/config"
	"forager/filebound"
	"forager/hive"
)

// lookEvery is how often the file of a secret is looked at, at most.
const lookEvery = time.Second

// rotating is a secret that somebody may exchange while the worker runs. While its file cannot be
// read, as in the middle of the exchange, it is what it held last.
type rotating struct {
	key  string // that names the file
	file string // empty: it never changes
	log  *zap.Logger
	last atomic.Pointer[config.Secret]

	looking sync.Mutex // held by who looks: the others do not wait for a slow disk
	looked  time.Time
	trouble string // why the file could not be read the last time
}

// newRotating is a secret, and the file that it was read from, if there is one.
func newRotating(key, file string, secret config.Secret, log *zap.Logger) *rotating {
	r := &rotating{key: key, file: file, log: log}
	r.last.Store(&secret)
	return r
}

// text is the secret as it is now, give or take lookEvery.
func (r *rotating) text() string {
	if r.file != "" && r.looking.TryLock() {
		defer r.looking.Unlock()
		if now := time.Now(); now.Sub(r.looked) >= lookEvery {
			r.looked = now
			r.look()
		}
	}
	return r.last.Load().Reveal()
}

// look reads the file, and says once what is new.
func (r *rotating) look() {
	text, err := filebound.Read(r.file, rulefiles.MostSecret)
	var secret config.Secret
	if err == nil {
		secret, err = config.ParseSecret(text)
	}
	if err != nil {
		if r.trouble != err.Error() {
			r.log.Warn(r.key+" cannot be read again: the last secret is used", zap.String("file", r.file), zap.Error(err))
		}
		r.trouble = err.Error()
		return
	}
	r.trouble = ""
	if secret.Reveal() != r.last.Load().Reveal() {
		r.last.Store(&secret)
		r.log.Info(r.key+" holds a new secret: it is used from now on", zap.String("file", r.file))
	}
}

// hiveSecret is the key or password of the worker's account.
func hiveSecret(c *config.Config, log *zap.Logger) *rotating {
	if c.Hive.User != "" {
		return newRotating("hive.passwordFile", c.Hive.PasswordFile, c.Hive.Password, log)
	}
	return newRotating("hive.apiKeyFile", c.Hive.APIKeyFile, c.Hive.APIKey, log)
}

// natsSecret is the password or token of the worker's user.
func natsSecret(c *config.Config, log *zap.Logger) *rotating {
	if c.NATS.User != "" {
		return newRotating("nats.passwordFile", c.NATS.PasswordFile, c.NATS.Password, log)
	}
	return newRotating("nats.tokenFile", c.NATS.TokenFile, c.NATS.Token, log)
}

// sends makes a client ask for the secret before each attempt.
func (r *rotating) sends(o hive.Options) hive.Options {
	o.APIKey, o.Password, o.Secret = "", "", r.text
	return o
}
