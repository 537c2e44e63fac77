package config

import (
	"slices"
	"strings"
)

// Intake is where senders that cannot publish to NATS post events. It is off without a source.
type Intake struct {
	Addr         string   `key:"addr" doc:"address where events are taken in (POST /v1/detections); off when empty, or without a source"`
	Sources      []Sender `key:"sources" doc:"list of {name, subject, and token, user or key}: who may send, and where it goes"`
	MaxInFlight  int      `key:"maxInFlight" min:"1" max:"65536" doc:"requests of a source at a time, at most; more are answered with 429"`
	MaxBytesHeld Size     `key:"maxBytesHeld" min:"1MiB" max:"16GiB" doc:"bytes of requests that are held at a time, at most; a source has half of them"`
}

// Sender is one who may post events. A body has at most pipeline.maxMessageBytes.
type Sender struct {
	Name            string `key:"name" need:"always" doc:"name, for logs, metrics and the header Forager-Source of its messages; no two sources share one"`
	Subject         string `key:"subject" need:"always" doc:"subject of its messages; POST /v1/detections/a/b goes to <subject>.a.b"`
	Token           Secret `key:"token" doc:"bearer token that it sends"`
	TokenFile       string `key:"tokenFile" doc:"file that holds the token; read again when it changes"`
	User            string `key:"user" doc:"user that it sends (Basic), with password"`
	Password        Secret `key:"password" doc:"password of user"`
	PasswordFile    string `key:"passwordFile" doc:"file that holds the password; read again when it changes"`
	Key             Secret `key:"key" doc:"key by which it signs the body (HMAC with SHA-256)"`
	KeyFile         string `key:"keyFile" doc:"file that holds the key; read again when it changes"`
	SignatureHeader string `key:"signatureHeader" doc:"header with the signature, in hexadecimal or base64, sha256= before it or not; X-Hub-Signature-256, which is GitHub's, when empty; Webhook-Signature is read as Standard Webhooks has it"`
	Rate            int    `key:"rate" max:"1000000" doc:"requests a second, at most; 0 is no limit"`
}

// secretOf is one of the secrets of a source.
type secretOf struct {
	key    string // within the source
	secret *Secret
	file   *string
}

func (s *Sender) secrets() []secretOf {
	return []secretOf{{"token", &s.Token, &s.TokenFile}, {"password", &s.Password, &s.PasswordFile}, {"key", &s.Key, &s.KeyFile}}
}

// senders reads the files of the sources' secrets.
func (l *loader) senders() {
	for i := range l.config.Intake.Sources {
		s, at := &l.config.Intake.Sources[i], index("intake.sources", i)
		for _, one := range s.secrets() {
			if *one.file == "" {
				continue
			}
			if l.from[at].env == "" {
				*one.file = l.beside(*one.file)
			}
			switch {
			case !one.secret.Empty():
				l.refuse(at+"."+one.key+"File", ErrValue, "give "+one.key+" or "+one.key+"File, not both")
			case slices.Contains(l.source.Connects, ToIntake) && l.source.ReadFile != nil:
				l.readSecretFile(at+"."+one.key+"File", *one.file, one.secret)
			}
		}
	}
}

// intake refuses sources that cannot be told apart, that nothing proves, or whose subject is none.
func (l *loader) intake() {
	c := l.config.Intake
	if len(c.Sources) > 0 && c.MaxBytesHeld < 2*l.config.Pipeline.MaxMessageBytes {
		l.refuse("intake.maxBytesHeld", ErrValue, c.MaxBytesHeld.String()+" must be at least twice pipeline.maxMessageBytes ("+l.config.Pipeline.MaxMessageBytes.String()+"): a source has half of it")
	}
	names, proofs := map[string]string{}, map[string]string{}
	for i := range c.Sources {
		s, at := c.Sources[i], index("intake.sources", i)
		if other, twice := names[s.Name]; twice {
			l.refuse(at+".name", ErrValue, "is the name of "+other+", too")
		}
		names[s.Name] = at
		if len(s.Name) > 64 || strings.ContainsFunc(s.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
			l.refuse(at+".name", ErrValue, "expected at most 64 visible ASCII characters")
		}
		if s.Subject != "" && (!validSubject(s.Subject) || strings.ContainsAny(s.Subject, "*>")) {
			l.refuse(at+".subject", ErrValue, "expected words parted by dots, no wildcards")
		}
		l.proof(at, &s)
		for _, one := range s.secrets() {
			if one.secret.Empty() {
				continue
			}
			shown := strings.Join([]string{one.key, s.User, strings.ToLower(s.SignatureHeader), one.secret.Reveal()}, "\x00")
			if other, twice := proofs[shown]; twice {
				l.refuse(at+".name", ErrValue, "has the secret of "+other+", too: they cannot be told apart")
			}
			proofs[shown] = at
		}
	}
}

// proof: a source is known by one thing.
func (l *loader) proof(at string, s *Sender) {
	ways := 0
	for _, one := range s.secrets() {
		if !one.secret.Empty() || *one.file != "" {
			ways++
		}
	}
	switch {
	case ways == 0:
		l.refuse(at+".token", ErrMissing, "give one of tokenFile, user with passwordFile, and keyFile")
	case ways > 1:
		l.refuse(at, ErrValue, "give one of token, user and key: two senders are two sources")
	}
	l.both(at+".user", s.User != "", at+".password", !s.Password.Empty() || s.PasswordFile != "")
	if s.SignatureHeader != "" && s.Key.Empty() && s.KeyFile == "" {
		l.refuse(at+".signatureHeader", ErrValue, "goes with key")
	}
	if strings.ContainsFunc(s.SignatureHeader, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		l.refuse(at+".signatureHeader", ErrValue, "expected the name of an HTTP header")
	}
}

// turnSenders takes over the secrets of files, of sources that are otherwise as they were.
func (c *Config) turnSenders(newer *Config) {
	if len(c.Intake.Sources) != len(newer.Intake.Sources) {
		return
	}
	c.Intake.Sources = slices.Clone(c.Intake.Sources)
	for i := range c.Intake.Sources {
		old, now := c.Intake.Sources[i].secrets(), newer.Intake.Sources[i].secrets()
		for k := range old {
			if *old[k].file != "" && *old[k].file == *now[k].file {
				*old[k].secret = *now[k].secret
			}
		}
	}
}
