package inspect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"forager/pipeline/deadletter"
	"forager/pipeline/stream"
)

const reachWithin = 6 * time.Second

// connection waits for the link, and says why it does not come.
func (i *inspection) connection(ctx context.Context, within time.Duration) bool {
	const about = "NATS"
	begun := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !i.link.Connected() {
		waited := time.Since(begun)
		if ctx.Err() != nil || waited > within || waited > within/2 && i.link.Failure() != nil {
			what, remedy := unreachable(i.link.Failure())
			i.add(LevelBroken, about, what, "a worker waits for it and carries nothing", remedy)
			return false
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return true
}

// unreachable tells apart what an operator mends in different places.
func unreachable(err error) (what, remedy string) {
	if err == nil {
		return "no answer", "look whether nats.url names the server, and whether the network lets through to it; a server with handshake_first waits silently: nats.tlsFirst"
	}
	text := stream.OneLine(err.Error())
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "its name has no address: " + text, "look at the host in nats.url"
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "nobody listens there: " + text, "look whether the server runs, and at the port in nats.url"
	}
	if what, remedy, ok := unsecured(err); ok {
		return what + ": " + text, remedy
	}
	switch {
	case errors.Is(err, nats.ErrAuthExpired):
		return "the credentials have expired: " + text, "write a new file: it is read at the next attempt"
	case errors.Is(err, nats.ErrAuthRevoked):
		return "the credentials were revoked: " + text, "write a new file: it is read at the next attempt"
	case errors.Is(err, nats.ErrAuthorization), strings.Contains(text, "authorization violation"), errors.Is(err, nats.ErrNkeysNotSupported):
		return "the server refuses the credentials: " + text, "look at nats.user and nats.passwordFile, nats.tokenFile, nats.credsFile or nats.nkeyFile, and at what the server knows"
	case stream.IsTimeout(err), strings.Contains(text, "i/o timeout"):
		return "no answer: " + text, "look whether the network lets through to it" + stream.Hint(err)
	}
	return "not connected: " + text, "look at the server's log"
}

// unsecured tells failures of TLS apart.
func unsecured(err error) (what, remedy string, ok bool) {
	text := err.Error()
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return "nobody we trust signed the server's certificate", "name the authority's file in nats.caFile", true
	}
	if _, host := errors.AsType[x509.HostnameError](err); host {
		return "the server's certificate is for another name", "use a name of the certificate in nats.url", true
	}
	if _, invalid := errors.AsType[x509.CertificateInvalidError](err); invalid {
		return "the server's certificate is not valid", "renew it", true
	}
	if _, header := errors.AsType[tls.RecordHeaderError](err); header || strings.Contains(text, "first record does not look like a TLS handshake") {
		return "the server does not begin with TLS", "turn nats.tlsFirst off, or write nats:// for a server without TLS", true
	}
	switch {
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server speaks no TLS", "give the server a certificate, or take nats.caFile, nats.certFile and tls:// away", true
	case errors.Is(err, nats.ErrSecureConnRequired), strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"),
		strings.Contains(text, "remote error: tls"), strings.Contains(text, "after TLS handshake"):
		return "the server does not take our certificate, or misses one", "look at nats.certFile and nats.keyFile: signed by whom the server trusts, and not expired", true
	case errors.Is(err, nats.ErrTLS):
		return "TLS fails", "look at nats.caFile, nats.certFile and nats.tlsFirst", true
	}
	return "", "", false
}

// oldestServer is the first release that has all that a worker uses.
var oldestServer = [2]int{2, 10}

// server looks at what the server said of itself.
func (i *inspection) server(ctx context.Context) bool {
	nc := i.link.Conn()
	version, payload := nc.ConnectedServerVersion(), nc.MaxPayload()
	old := olderThan(version, oldestServer)
	letter := int64(i.expected.MaxMessageBytes + deadletter.MaxHeader)
	i.judge("NATS", "connected to "+version+" at "+nc.ConnectedUrlRedacted(),
		when(old, LevelBroken, "the server is "+version, "2.10 is the oldest that has what the worker uses", "run 2.10 or newer"),
		when(payload < letter, LevelNote, fmt.Sprintf("max_payload is %s: a message above %s cannot become a dead letter, whose headers need room", bytesOf(uint64(payload)), bytesOf(uint64(max(payload-deadletter.MaxHeader, 0)))),
			"such a message stays in the stream, is tried at the longest delay, and is alerted", "raise max_payload to "+bytesOf(uint64(letter))+", or lower max_msg_size of the stream"),
	)
	bounded, cancel := i.bounded(ctx)
	defer cancel()
	if err := i.subscribes(bounded); err != nil {
		line := i.inbox() + ".>"
		i.found = append(i.found, Finding{
			Server: ServerNATS, Level: LevelBroken, About: "permissions", What: "not allowed to subscribe to " + line, Why: "no answer of the server arrives: " + stream.OneLine(err.Error()), Line: line,
			Remedy: "allow the user to subscribe to " + line + " (deploy/nats/permissions.conf), or set nats.inboxPrefix to what it may subscribe to",
		})
		return false
	}
	return !old
}

func (i *inspection) inbox() string {
	if prefix := i.link.Conn().Opts.InboxPrefix; prefix != "" {
		return strings.TrimSuffix(prefix, ".")
	}
	return strings.TrimSuffix(nats.InboxPrefix, ".")
}

// subscribes tries whether answers can be received.
func (i *inspection) subscribes(ctx context.Context) error {
	inbox := i.link.Conn().NewInbox()
	subscription, err := i.link.Conn().SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = subscription.Unsubscribe() }() // the connection is closed soon
	return i.refused(ctx, inbox)
}

// publishes tries whether something may be published: nil is yes. A refusal comes back before the
// answer to the ping that follows the message, so that silence means consent.
func (i *inspection) publishes(ctx context.Context, subject, body string, header nats.Header) error {
	if err := i.link.Conn().PublishMsg(&nats.Msg{Subject: subject, Data: []byte(body), Header: header}); err != nil {
		return err
	}
	return i.refused(ctx, subject)
}

// refused tells whether the server refused a subject since.
func (i *inspection) refused(ctx context.Context, subject string) error {
	if err := i.link.Conn().FlushWithContext(ctx); err != nil {
		return err
	}
	last := i.link.Conn().LastError()
	if refused, ok := stream.Violation(last); ok && strings.HasSuffix(refused, " to "+subject) {
		return last
	}
	return nil
}

// olderThan compares a version of the form 2.10.4-beta.
func olderThan(version string, least [2]int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false // nobody knows
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return major < least[0] || major == least[0] && minor < least[1]
}
