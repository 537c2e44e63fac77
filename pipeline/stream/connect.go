package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Connection says how to reach NATS. Only URLs is needed.
type Connection struct {
	URLs []string // "nats://host:4222", "tls://host"; several are one cluster
	Name string   // shown in the server's connection list, "forager"

	User, Password string        // user and password
	Token          string        // or a token
	Secret         func() string // the password or token as it is at each connect, when it may change; nil: what stands above
	Credentials    string        // or a file with JWT and seed, read again at each reconnect
	NKeySeed       string        // or a file with an nkey seed, read again at each reconnect

	RootCAs           []string // files of the certificate authorities, read again at each reconnect
	ClientCertificate string   // file, with ClientKey, for servers that ask for one; read again, too
	ClientKey         string   // file
	HandshakeFirst    bool     // TLS before the server's greeting; both sides must agree

	InboxPrefix string // "_INBOX" is the default; with an own one, replies of others cannot be read
	Domain      string // JetStream domain, empty for the server's own: of a leaf node it may be another
	APIPrefix   string // prefix of JetStream's API where it is imported from another account, instead of Domain; empty is "$JS.API"

	Timeout time.Duration // of one attempt at one server, 5 s; the first attempts are made within Connect

	Pause time.Duration // between attempts, and half of it by chance; 1 s

	Dial func(network, address string) (net.Conn, error) // makes the connections; nil: the system's
}

// Timings of a connection, from measurement: the client's defaults notice a dead peer only
// after four minutes.
const (
	pingInterval  = 20 * time.Second
	writeTimeout  = 10 * time.Second
	reconnectWait = time.Second
)

// APITimeout is how long a request to JetStream may take unless its context says otherwise.
const APITimeout = 5 * time.Second

// Link is a connection to NATS that never gives up.
type Link struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	log *zap.Logger

	prefix string // of JetStream's API where it is not the server's own, with its dot; empty is the own
	seed   *seed  // nil: other credentials
	shown  shown

	mu         sync.Mutex
	violations []string // what the server refused, each once
	tolerated  []string // subjects whose refusal keeps nobody from work
	missed     []string // of these, those that were refused
	failed     error    // of the last attempt to connect; nil once it succeeded
	closed     chan struct{}
}

// maxViolations bounds what is remembered of refused subjects.
const maxViolations = 20

// ErrConnection says that a [Connection] cannot work: its text or its files are wrong. That a
// server does not answer is no error of [Connect].
var ErrConnection = errors.New("impossible connection")

// ErrNotConnected says that there is no connection at this moment. The client would keep what is
// published until there is one again.
var ErrNotConnected = errors.New("not connected")

// Connect begins to connect and returns after one attempt at each server. A server that is down, or
// refuses the credentials for now, is tried again for ever ([Link.Connected] tells). It fails with
// [ErrConnection] on what no waiting cures. ctx bounds nothing but this call.
func Connect(ctx context.Context, c Connection, log *zap.Logger) (*Link, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if log == nil {
		log = zap.NewNop()
	}
	l := &Link{log: log, closed: make(chan struct{})}
	options, err := c.options(l)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(strings.Join(c.URLs, ","), options...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w: %w", ErrConnection, l.shown.blot(err))
	}
	l.nc = nc
	l.seed.of(nc)
	l.prefix = c.prefix()
	l.js, err = jetStream(nc, l.prefix)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect: %w: %w", ErrConnection, err)
	}
	return l, nil
}

func jetStream(nc *nats.Conn, prefix string) (jetstream.JetStream, error) {
	timeout := jetstream.WithDefaultTimeout(APITimeout)
	if prefix != "" {
		return jetstream.NewWithAPIPrefix(nc, prefix, timeout)
	}
	return jetstream.New(nc, timeout)
}

// prefix is that of JetStream's API where it is another than the server's own.
func (c Connection) prefix() string {
	switch {
	case c.Domain != "":
		return "$JS." + c.Domain + ".API."
	case c.APIPrefix != "":
		return strings.TrimSuffix(c.APIPrefix, ".") + "."
	default:
		return ""
	}
}

// Prefix is that of JetStream's API where it is not the server's own, with its dot; empty is the own.
func (l *Link) Prefix() string { return l.prefix }

// API is the subject of a request to JetStream's API.
func (l *Link) API(request string) string {
	return cmp.Or(l.prefix, jetstream.DefaultAPIPrefix) + request
}

func (c Connection) options(l *Link) ([]nats.Option, error) {
	if len(c.URLs) == 0 {
		return nil, fmt.Errorf("%w: no url", ErrConnection)
	}
	if c.Domain != "" && c.APIPrefix != "" {
		return nil, fmt.Errorf("%w: a JetStream domain and an API prefix, of which one says it all", ErrConnection)
	}
	if !ValidName(cmp.Or(c.Domain, "x")) || strings.ContainsAny(c.APIPrefix, "*> \t\r\n") {
		return nil, fmt.Errorf("%w: JetStream domain %q, API prefix %q", ErrConnection, c.Domain, c.APIPrefix)
	}
	pause := cmp.Or(c.Pause, reconnectWait)
	options := []nats.Option{
		nats.Name(cmp.Or(c.Name, "forager")),
		nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(pause), nats.ReconnectJitter(pause/2, pause),
		nats.PingInterval(pingInterval), nats.Timeout(cmp.Or(c.Timeout, APITimeout)),
		// A write that is stuck, into a partition with the kernel's buffer full, holds the lock that
		// the pings need: without this, nobody notices for many minutes that the server is gone.
		nats.FlusherTimeout(writeTimeout), nats.ReconnectOnFlusherError(),
		nats.ErrorHandler(l.onError), nats.DisconnectErrHandler(l.onDisconnect),
		nats.ReconnectHandler(l.onReconnect), nats.ConnectHandler(l.onConnect), nats.ReconnectErrHandler(l.onFailure),
		nats.ClosedHandler(func(*nats.Conn) { close(l.closed) }),
	}
	if c.Dial != nil {
		options = append(options, nats.SetCustomDialer(dialing(c.Dial)))
	}
	if c.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	secured, err := c.security(l)
	return append(options, secured...), err
}

// dialing is a function as nats.go wants it.
type dialing func(network, address string) (net.Conn, error)

// Dial calls the function.
func (d dialing) Dial(network, address string) (net.Conn, error) { return d(network, address) }

// JetStream is the client of the streams, under the connection's domain or prefix. Its requests end
// after [APITimeout] unless their context says otherwise.
func (l *Link) JetStream() jetstream.JetStream { return l.js }

// Conn is the connection itself, for what JetStream's client does not do.
func (l *Link) Conn() *nats.Conn { return l.nc }

// Connected tells whether the server answers at this moment.
func (l *Link) Connected() bool { return l.nc.IsConnected() }

// Reach fails while there is no connection, and says why as far as that is known. It asks nobody.
func (l *Link) Reach() error {
	if l.nc.IsConnected() {
		return nil
	}
	if last := l.Failure(); last != nil {
		return fmt.Errorf("nats is %w: %w%s", ErrNotConnected, last, Hint(last))
	}
	return fmt.Errorf("nats is %w", ErrNotConnected)
}

// Violations lists what the server's permissions refused, each once: "publish to x". A refused
// publish is silent for the call that made it, which ends in a time-out; here is why.
func (l *Link) Violations() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.violations)
}

// Tolerate says that a subject may be refused: what it is for is left out then, and [Link.Violations] does not name it.
func (l *Link) Tolerate(subject string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tolerated = append(l.tolerated, subject)
}

// Refused tells whether the server refused a subject that is tolerated.
func (l *Link) Refused(subject string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.missed, subject)
}

// Closed is closed when the connection is, for good: by [Link.Close] alone, in practice.
func (l *Link) Closed() <-chan struct{} { return l.closed }

// ClosedForGood is why the connection will never be there again; nil while it may be.
func (l *Link) ClosedForGood() error {
	if !l.nc.IsClosed() {
		return nil
	}
	if last := l.nc.LastError(); last != nil {
		return fmt.Errorf("%w: %w", errClosed, l.shown.blot(last))
	}
	return errClosed
}

// errClosed says that the connection is gone for good.
var errClosed = errors.New("nats connection is closed")

// Close sends what is buffered and closes the connection.
func (l *Link) Close() {
	if l.nc.IsConnected() {
		_ = l.nc.FlushTimeout(time.Second) // what is lost by this comes again after AckWait
	}
	l.nc.Close()
	<-l.closed
}

// Drop deletes an ordered consumer that is read no more: the client leaves it to the server, which
// forgets it after minutes.
func (l *Link) Drop(ctx context.Context, consumer jetstream.Consumer) {
	info := consumer.CachedInfo()
	if info == nil {
		return
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), APITimeout)
	defer cancel()
	_ = l.js.DeleteConsumer(short, info.Stream, info.Name) // else the server does, later
}

// Explain adds to an error what the server refused: a denied request has no other answer than a
// time-out.
func (l *Link) Explain(err error) error {
	if err == nil {
		return nil
	}
	if refused := l.Violations(); len(refused) > 0 && IsTimeout(err) {
		return fmt.Errorf("%w (the server refused: %s)", err, strings.Join(refused, "; "))
	}
	if last := l.Failure(); last != nil {
		return fmt.Errorf("%w (not connected: %w%s)", err, last, Hint(last))
	}
	return err
}

// Failure is why there is no connection; nil while there is one, or before the first attempt failed.
func (l *Link) Failure() error {
	if l.nc.IsConnected() {
		return nil
	}
	if last := l.nc.LastError(); last != nil {
		return l.shown.blot(last)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown.blot(l.failed) // what failed before a server answered, which the client forgets
}

// Hint explains two failures whose texts mislead.
func Hint(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "first record does not look like a TLS handshake"):
		return "; the server does not expect TLS first, or speaks none"
	case strings.Contains(text, "i/o timeout"):
		return "; a server with handshake_first waits silently for a client without it"
	default:
		return ""
	}
}

func (l *Link) onError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if refused, ok := Violation(err); ok {
		if l.remember(refused) {
			l.log.Error("nats refused a subject", zap.String("refused", refused))
		}
		return
	}
	fields := []zap.Field{zap.Error(l.shown.blot(err))}
	if sub != nil {
		fields = append(fields, zap.String("subject", sub.Subject))
	}
	l.log.Warn("nats", fields...)
}

// remember notes a violation and tells whether it is new.
func (l *Link) remember(refused string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := slices.IndexFunc(l.tolerated, func(s string) bool { return strings.HasSuffix(refused, " to "+s) }); n >= 0 {
		if !slices.Contains(l.missed, l.tolerated[n]) {
			l.missed = append(l.missed, l.tolerated[n])
		}
		return false
	}
	if slices.Contains(l.violations, refused) || len(l.violations) >= maxViolations {
		return false
	}
	l.violations = append(l.violations, refused)
	return true
}

func (l *Link) onDisconnect(_ *nats.Conn, err error) {
	if err != nil { // nil is our own Close
		l.log.Warn("nats disconnected", zap.Error(l.shown.blot(err)))
	}
}

func (l *Link) onFailure(_ *nats.Conn, err error) {
	l.mu.Lock()
	l.failed = err
	l.mu.Unlock()
	l.log.Debug("nats: no connection yet", zap.Error(l.shown.blot(err)))
}

// onConnect is called once, instead of onReconnect.
func (l *Link) onConnect(*nats.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = nil
}

// onReconnect forgets what was refused: permissions may have been mended meanwhile.
func (l *Link) onReconnect(nc *nats.Conn) {
	l.mu.Lock()
	l.violations, l.missed, l.failed = nil, nil, nil
	l.mu.Unlock()
	l.log.Info("nats connected", zap.String("server", nc.ConnectedUrlRedacted()))
}
