package prove

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/config"
	"forager/filebound"
)

// streams reads JetStream, and writes nothing but consumers of its own that end with it.
type streams struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	config *config.Config
}

// mostCredentials bounds a file of credentials.
const mostCredentials = 64 << 10

// connectWithin bounds the wait for NATS.
const connectWithin = 10 * time.Second

func connect(c *config.Config) (*streams, error) {
	n := c.NATS
	options := []nats.Option{nats.Name("forager prove"), nats.Timeout(connectWithin)}
	for _, o := range []struct {
		has    bool
		option nats.Option
	}{
		{n.User != "", nats.UserInfo(n.User, n.Password.Reveal())},
		{!n.Token.Empty(), nats.Token(n.Token.Reveal())},
		{n.TLSFirst, nats.TLSHandshakeFirst()},
		{n.InboxPrefix != "", nats.CustomInboxPrefix(strings.TrimSuffix(cmp.Or(n.InboxPrefix, "_INBOX"), "."))},
	} {
		if o.has {
			options = append(options, o.option)
		}
	}
	if n.CredsFile != "" {
		raw, err := filebound.Read(n.CredsFile, mostCredentials)
		if err != nil {
			return nil, fmt.Errorf("nats.credsFile: %w", err)
		}
		options = append(options, nats.UserCredentialBytes(raw))
	}
	if n.NKeyFile != "" {
		key, err := nats.NkeyOptionFromSeed(n.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats.nkeyFile: %w", err)
		}
		options = append(options, key)
	}
	if n.CAFile != "" || n.CertFile != "" {
		secured := &tls.Config{MinVersion: tls.VersionTLS12}
		if err := trust(secured, n.CAFile, n.CertFile, n.KeyFile); err != nil {
			return nil, err
		}
		options = append(options, nats.Secure(secured))
	}
	conn, err := nats.Connect(n.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := jetStream(conn, n)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return &streams{conn: conn, js: js, config: c}, nil
}

func jetStream(conn *nats.Conn, n config.NATS) (jetstream.JetStream, error) {
	switch {
	case n.Domain != "":
		return jetstream.NewWithDomain(conn, n.Domain)
	case n.APIPrefix != "":
		return jetstream.NewWithAPIPrefix(conn, strings.TrimSuffix(n.APIPrefix, "."))
	default:
		return jetstream.New(conn)
	}
}

// place is where stream and consumer are when the proof begins.
type place struct {
	first, last uint64
	floor       uint64 // everything up to here was answered
	delivered   uint64
	filters     []string
}

func (s *streams) place(ctx context.Context) (p place, err error) {
	consumer, err := s.js.Consumer(ctx, s.config.NATS.Stream, s.config.NATS.Consumer)
	if err != nil {
		return p, fmt.Errorf("look at consumer %s: %w", s.config.NATS.Consumer, err)
	}
	of, err := s.js.Stream(ctx, s.config.NATS.Stream)
	if err != nil {
		return p, fmt.Errorf("look at stream %s: %w", s.config.NATS.Stream, err)
	}
	c, i := consumer.CachedInfo(), of.CachedInfo()
	p = place{first: i.State.FirstSeq, last: i.State.LastSeq, floor: c.AckFloor.Stream, delivered: c.Delivered.Stream, filters: c.Config.FilterSubjects}
	if c.Config.FilterSubject != "" {
		p.filters = []string{c.Config.FilterSubject}
	}
	if c.NumAckPending == 0 { // nothing is in hand: all that was delivered was answered
		p.floor = max(p.floor, p.delivered)
	}
	return p, nil
}

// stored is a message of a stream.
type stored struct {
	sequence uint64
	subject  string
	at       time.Time
	header   nats.Header
	body     []byte
}

// errEnough ends a reading.
var errEnough = errors.New("enough")

// each reads a stream up to a sequence; 0 is its end as it is now. A stream that is not there is empty.
func (s *streams) each(ctx context.Context, name string, filters []string, since time.Time, upTo uint64, do func(stored) error) error {
	of, err := s.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	config := jetstream.OrderedConsumerConfig{FilterSubjects: filters, DeliverPolicy: jetstream.DeliverAllPolicy}
	if !since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	consumer, err := of.OrderedConsumer(ctx, config)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	if i := consumer.CachedInfo(); i != nil && i.NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2000))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", name, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", name, err)
		}
		if upTo > 0 && meta.Sequence.Stream > upTo {
			return nil
		}
		err = do(stored{sequence: meta.Sequence.Stream, subject: m.Subject(), at: meta.Timestamp, header: m.Headers(), body: m.Data()})
		if errors.Is(err, errEnough) || err == nil && meta.NumPending == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// letter is a dead letter, read by its headers.
type letter struct {
	number   uint64
	sequence uint64
	stored   time.Time
	reason   string
	digest   string
}

func (s *streams) letters(ctx context.Context) (all []letter, err error) {
	prefix := "forager.dlq." + s.config.NATS.Stream + "."
	err = s.each(ctx, s.config.DeadLetters.Stream, nil, time.Time{}, 0, func(m stored) error {
		if m.header.Get("Forager-Stream") != s.config.NATS.Stream && !strings.HasPrefix(m.subject, prefix) {
			return nil
		}
		l := letter{number: m.sequence, reason: m.header.Get("Forager-Reason"), digest: digestOf(m.body)}
		l.sequence, _ = strconv.ParseUint(m.header.Get("Forager-Sequence"), 10, 64)
		l.stored, _ = time.Parse(time.RFC3339Nano, m.header.Get("Forager-Stored"))
		all = append(all, l)
		return nil
	})
	return all, err
}

// line is a settlement, as the journal has it.
type line struct {
	Sequence uint64    `json:"sequence"`
	Stored   time.Time `json:"stored"`
	Outcome  string    `json:"outcome"`
	Reason   string    `json:"reason"`
	Cases    []int     `json:"cases"`
	Digest   string    `json:"digest"`
}

func (s *streams) journal(ctx context.Context) (all map[uint64][]line, err error) {
	if s.config.Journal.Stream == "" {
		return nil, nil
	}
	all = map[uint64][]line{}
	err = s.each(ctx, s.config.Journal.Stream, []string{"forager.journal." + s.config.NATS.Stream + ".>"}, time.Time{}, 0, func(m stored) error {
		var l line
		if err := json.Unmarshal(m.body, &l); err != nil {
			return fmt.Errorf("journal %d: %w", m.sequence, err)
		}
		for _, before := range all[l.Sequence] {
			if before.Outcome == l.Outcome && before.Stored.Equal(l.Stored) && before.Digest == l.Digest {
				return nil // written again
			}
		}
		all[l.Sequence] = append(all[l.Sequence], l)
		return nil
	})
	return all, err
}

// digestOf is the first half of a body's SHA-256.
func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}
