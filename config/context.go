package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// natsContext is a context of the command "nats" (natscli 0.5.1, jsm.go/natscontext): a JSON file below
// $XDG_CONFIG_HOME/nats/context, else ~/.config/nats/context.
type natsContext struct {
	URL         string `json:"url"`
	Token       string `json:"token"`
	User        string `json:"user"`
	Password    string `json:"password"`
	Creds       string `json:"creds"`
	NKey        string `json:"nkey"`
	Cert        string `json:"cert"`
	Key         string `json:"key"`
	CA          string `json:"ca"`
	Domain      string `json:"jetstream_domain"`
	APIPrefix   string `json:"jetstream_api_prefix"`
	InboxPrefix string `json:"inbox_prefix"`
	TLSFirst    bool   `json:"tls_first"`

	// What the command knows and a worker does not.
	NSC        string `json:"nsc"`
	JWT        string `json:"user_jwt"`
	Seed       string `json:"user_seed"`
	SocksProxy string `json:"socks_proxy"`
	WinStore   string `json:"windows_cert_store"`
}

// context gives the keys of NATS that nobody wrote the values of the context that nats.context names.
// A way to show oneself that somebody wrote takes the place of all that the context has.
func (l *loader) context() {
	name := l.config.NATS.Context
	if name == "" || !slices.Contains(l.source.Connects, ToNATS) || l.source.ReadFile == nil {
		return
	}
	if name != filepath.Base(name) || strings.ContainsAny(name, `/\`) || name == "." || name == ".." {
		l.refuse("nats.context", ErrValue, "expected the name of a context of the nats command, without a path")
		return
	}
	c, err := l.readContext(name)
	if err != nil {
		l.refuse("nats.context", ErrValue, err.Error())
		return
	}
	if lacks := c.unknown(); lacks != "" {
		l.refuse("nats.context", ErrValue, "the context has "+lacks+", which a worker does not know: set the keys of nats instead")
		return
	}
	for f := range l.leaves() {
		text, has := l.fromContext(c)[f.key]
		if _, given := l.from[f.key]; !has || given || text == "" {
			continue
		}
		l.set(f, text, place{})
		if f.secret() {
			delete(l.from, f.key) // nobody wrote it: a …File key of the configuration is no second one
		}
	}
}

// fromContext are the keys that a context has a value for. An empty text is none.
func (l *loader) fromContext(c natsContext) map[string]string {
	keys := map[string]string{
		"nats.url": c.URL, "nats.caFile": l.expanded(c.CA), "nats.certFile": l.expanded(c.Cert), "nats.keyFile": l.expanded(c.Key),
		"nats.domain": c.Domain, "nats.apiPrefix": c.APIPrefix, "nats.inboxPrefix": c.InboxPrefix,
	}
	if c.TLSFirst {
		keys["nats.tlsFirst"] = "true"
	}
	for _, own := range []string{"nats.user", "nats.password", "nats.passwordFile", "nats.token", "nats.tokenFile", "nats.credsFile", "nats.nkeyFile"} {
		if at, given := l.from[own]; given && (at.env != "" || at.line > 0) {
			return keys
		}
	}
	keys["nats.user"], keys["nats.password"], keys["nats.token"] = c.User, c.Password, c.Token
	keys["nats.credsFile"], keys["nats.nkeyFile"] = l.expanded(c.Creds), l.expanded(c.NKey)
	return keys
}

// unknown names what of a context cannot be used.
func (c natsContext) unknown() string {
	for _, u := range []struct{ name, value string }{
		{"nsc", c.NSC}, {"user_jwt", c.JWT}, {"user_seed", c.Seed}, {"socks_proxy", c.SocksProxy}, {"windows_cert_store", c.WinStore},
	} {
		if u.value != "" {
			return u.name
		}
	}
	for _, value := range []string{c.Creds, c.NKey, c.Token, c.Password, c.Cert, c.Key, c.CA} {
		if scheme, _, is := strings.Cut(value, "://"); is {
			return "a value by " + scheme + "://"
		}
	}
	return ""
}

// readContext reads the file of a context.
func (l *loader) readContext(name string) (c natsContext, err error) {
	home := l.variable("XDG_CONFIG_HOME")
	if home == "" {
		if l.variable("HOME") == "" {
			return c, errors.New("neither XDG_CONFIG_HOME nor HOME says where contexts are")
		}
		home = filepath.Join(l.variable("HOME"), ".config")
	}
	file := filepath.Join(home, "nats", "context", name+".json")
	read := l.source.ReadFile
	if l.source.ReadSecret != nil {
		read = l.source.ReadSecret // it may hold a password
	}
	text, err := read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, errors.New("there is no " + file + ": nats context ls shows those that are there")
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, errors.New(file + " is no JSON of a context") // the text of the error may quote a secret
	}
	return c, nil
}

// variable gives a variable of the environment.
func (l *loader) variable(name string) (value string) {
	for _, v := range l.source.Env {
		if n, text, _ := strings.Cut(v, "="); n == name {
			value = text
		}
	}
	return value
}

// expanded is a path of a context as the nats command reads it: with variables, and ~ at its beginning.
func (l *loader) expanded(path string) string {
	path = os.Expand(path, l.variable)
	if rest, home := strings.CutPrefix(path, "~"); home {
		return l.variable("HOME") + rest
	}
	return path
}
