package config

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// fill gives the values that follow from others.
func (l *loader) fill() {
	c := l.config
	if c.Hive.Settle == 0 {
		c.Hive.Settle = 2*c.Hive.Timeout + 5*time.Second
	}
	if c.Pipeline.MaxInFlight == 0 {
		c.Pipeline.MaxInFlight = 64 * c.Hive.Concurrency
	}
}

// together refuses values that are possible each for itself and not with one another.
func (l *loader) together() {
	l.times()
	l.sizes()
	l.archives()
	l.addresses()
	l.credentials()
	l.subjects()
	l.feedback()
	l.intake()
	l.rules()
}

// times: a holder stops its calls when two thirds of its lease are over, so that a call must fit
// in there. A message may come again while its claim is still good: then it waits for the claim.
func (l *loader) times() {
	c := l.config
	if 3*c.Hive.Timeout > 2*c.Ledger.Lease {
		l.refuse("hive.timeout", ErrValue, text(c.Hive.Timeout)+" must be at most two thirds of ledger.lease ("+text(c.Ledger.Lease)+"): a claim must outlive a call")
	}
	if c.Hive.Settle < c.Hive.Timeout {
		l.refuse("hive.settle", ErrValue, text(c.Hive.Settle)+" must not be shorter than hive.timeout ("+text(c.Hive.Timeout)+"): an answer that was lost may have taken that long")
	}
	if c.Case.Window > 0 && c.Ledger.Keep < c.Case.Window {
		l.refuse("ledger.keep", ErrValue, text(c.Ledger.Keep)+" must not be shorter than case.window ("+text(c.Case.Window)+"): the ledger would forget cases that still take events")
	}
}

func (l *loader) sizes() {
	c := l.config
	if c.Pipeline.MaxBytesHeld < 4*c.Pipeline.MaxMessageBytes {
		l.refuse("pipeline.maxBytesHeld", ErrValue, c.Pipeline.MaxBytesHeld.String()+" must be at least four times pipeline.maxMessageBytes ("+c.Pipeline.MaxMessageBytes.String()+"): one key may hold a quarter")
	}
	if c.Pipeline.MaxInFlight < c.Hive.Concurrency {
		l.refuse("pipeline.maxInFlight", ErrValue, "must not be below hive.concurrency: calls would stand idle")
	}
}

// maxZipped is the largest file that a ZIP holds which every program opens.
const maxZipped = 4<<30 - 1<<20

// archives: a password must be one that people can type, and programs agree on its bytes.
func (l *loader) archives() {
	f := l.config.Files
	if f.Zip != "never" && f.MaxBytes > maxZipped {
		l.refuse("files.maxBytes", ErrValue, f.MaxBytes.String()+" must be at most 4095MiB with files.zip "+f.Zip+": a ZIP holds no more")
	}
	word := f.ZipPassword.Reveal()
	if len(word) > 64 || strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r > '~' || r == '`' }) {
		key := "files.zipPassword"
		if f.ZipPasswordFile != "" {
			key = "files.zipPasswordFile"
		}
		l.refuse(key, ErrValue, "expected a password of 1 to 64 visible ASCII characters, no backtick")
	}
}

func (l *loader) addresses() {
	c := l.config
	for server := range strings.SplitSeq(c.NATS.URL, ",") {
		l.address("nats.url", strings.TrimSpace(server), "nats", "tls", "ws", "wss")
	}
	l.address("hive.url", c.Hive.URL, "http", "https")
	l.address("hive.proxy", c.Hive.Proxy, "http", "https", "socks5")
	for key, addr := range map[string]string{"ops.addr": c.Ops.Addr, "webhook.addr": c.Webhook.Addr, "intake.addr": c.Intake.Addr} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			l.refuse(key, ErrValue, "expected host:port or :port")
		}
	}
}

func (l *loader) address(key, address string, schemes ...string) {
	if address == "" {
		return
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme):
		l.hide(key, address)
		l.refuse(key, ErrValue, "expected an address that begins with "+strings.Join(schemes, "://, ")+"://")
	case u.User != nil:
		l.hide(key, address)
		l.refuse(key, ErrValue, "credentials do not belong into an address: it is logged; use the user, password and file keys")
	case u.RawQuery != "" || u.Fragment != "":
		l.hide(key, address)
		l.refuse(key, ErrValue, "an address has no ? and no #")
	}
}

// hide keeps the password of an address out of the message that refuses it.
func (l *loader) hide(key, address string) {
	at, ok := l.from[key]
	if ok && strings.Contains(address, "@") {
		at.text = redacted
		l.from[key] = at
	}
}

func (l *loader) credentials() {
	n, h := l.config.NATS, l.config.Hive
	ways := 0
	for _, given := range []bool{n.User != "", !n.Token.Empty() || n.TokenFile != "", n.CredsFile != "", n.NKeyFile != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		l.problems = append(l.problems, &Problem{Key: "nats", Err: ErrValue, Detail: "give one of user, token, credsFile and nkeyFile"})
	}
	l.both("nats.user", n.User != "", "nats.password", !n.Password.Empty() || n.PasswordFile != "")
	l.both("nats.certFile", n.CertFile != "", "nats.keyFile", n.KeyFile != "")
	l.both("hive.user", h.User != "", "hive.password", !h.Password.Empty() || h.PasswordFile != "")
	w := l.config.Webhook
	l.both("webhook.user", w.User != "", "webhook.password", !w.Password.Empty() || w.PasswordFile != "")
	o := l.config.Ops
	l.both("ops.user", o.User != "", "ops.password", !o.Password.Empty() || o.PasswordFile != "")
	l.both("hive.certFile", h.CertFile != "", "hive.keyFile", h.KeyFile != "")
	if h.User != "" && (!h.APIKey.Empty() || h.APIKeyFile != "") {
		l.refuse("hive.user", ErrValue, "give an API key or a user, not both")
	}
}

// both refuses one key of a pair without the other.
func (l *loader) both(a string, hasA bool, b string, hasB bool) {
	if hasA && !hasB {
		l.refuse(b, ErrMissing, "needed with "+a)
	}
	if hasB && !hasA {
		l.refuse(a, ErrMissing, "needed with "+b)
	}
}

func (l *loader) subjects() {
	c := l.config
	if len(c.NATS.Subjects) == 0 && c.NATS.Manage {
		l.refuse("nats.subjects", ErrMissing, "a new stream listens to something: needed with nats.manage")
	}
	for _, s := range c.NATS.Subjects {
		if !validSubject(s) {
			l.refuse("nats.subjects", ErrValue, s+" is no subject: words parted by dots, * for one word, > for the rest")
		}
	}
	for i, p := range c.Formats.Pins {
		if p.Subject != "" && !validSubject(p.Subject) {
			l.refuse(index("formats.pins", i)+".subject", ErrValue, "expected words parted by dots, * for one word, > for the rest")
		}
	}
	for i, r := range c.Files.Objects {
		if r.Subject != "" && !validSubject(r.Subject) {
			l.refuse(index("files.objects", i)+".subject", ErrValue, "expected words parted by dots, * for one word, > for the rest")
		}
		l.name(index("files.objects", i)+".bucket", r.Bucket)
	}
	l.jetStream()
	l.name("nats.stream", c.NATS.Stream)
	l.name("nats.consumer", c.NATS.Consumer)
	l.name("deadLetters.stream", c.DeadLetters.Stream)
	l.name("ledger.bucket", c.Ledger.Bucket)
	l.name("webhook.stream", c.Webhook.Stream)
}

// jetStream: a domain is one word, a prefix a subject; one of them says where JetStream is.
func (l *loader) jetStream() {
	n := l.config.NATS
	if n.Domain != "" && n.APIPrefix != "" {
		l.refuse("nats.apiPrefix", ErrValue, "give nats.domain or nats.apiPrefix, not both: a domain is a prefix, too ($JS.<domain>.API)")
	}
	l.name("nats.domain", n.Domain)
	if prefix := strings.TrimSuffix(n.APIPrefix, "."); n.APIPrefix != "" && (!validSubject(prefix) || strings.ContainsAny(prefix, "*>")) {
		l.refuse("nats.apiPrefix", ErrValue, "expected words parted by dots, no wildcards")
	}
}

// name refuses what NATS would not take as the name of a stream, a consumer or a bucket.
func (l *loader) name(key, name string) {
	if strings.ContainsAny(name, " \t\r\n.*>/\\") {
		l.refuse(key, ErrValue, "a name has no spaces, dots, wildcards or slashes")
	}
}

// validSubject tells whether NATS would take a text as a subject to listen to.
func validSubject(s string) bool {
	words := strings.Split(s, ".")
	for i, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\r\n") {
			return false
		}
		if strings.ContainsAny(w, "*>") && (len(w) > 1 || w == ">" && i < len(words)-1) {
			return false
		}
	}
	return true
}

func text(d time.Duration) string { return showDuration(d) }
