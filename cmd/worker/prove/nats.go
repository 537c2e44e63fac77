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
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/filebound"
)

// streams reads JetStream, and writes nothing but consumers of its own that end with it.
type streams struct {
	progress *terminal.Progress

	conn   *nats.Conn
	js     jetstream.JetStream
	config *config.Config
}

// mostCredentials bounds a file of credentials.
const mostCredentials = 64 << 10

// connectWithin bounds the wait for NATS.
const connectWithin = 10 * time.Second

// connect connects. What the server does not allow is told to refused: such a request has no answer.
func connect(c *config.Config, refused func(error)) (*streams, error) {
	n := c.NATS
	options := []nats.Option{nats.Name("forager prove"), nats.Timeout(connectWithin), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			refused(err)
		}
	})}
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

// Bounds of a reading.
const (
	fetchBytes  = 8 << 20
	fetchWithin = 5 * time.Second
	mostEmpty   = 6 // fetches in a row that bring nothing
)

// errSilent says that messages are there and do not come.
var errSilent = errors.New("messages are there and none comes")

// each reads a stream up to a sequence; 0 is its end as it is now. A stream that is not there is empty. It reads by a consumer
// of its own that needs no answers; a batch comes while the one before is worked; what was lost on the way is read again.
func (s *streams) each(ctx context.Context, name string, filters []string, since time.Time, upTo uint64, do func(stored) error) error {
	config := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, FilterSubjects: filters,
		InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	}
	if !since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	one := func(m stored) error {
		s.progress.More()
		return do(m)
	}
	for empty := 0; ; {
		last, over, err := s.pass(ctx, name, config, upTo, one)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil
		}
		if err != nil || over {
			return err
		}
		if empty++; last > 0 {
			empty = 0
			config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = jetstream.DeliverByStartSequencePolicy, last+1, nil
		}
		if empty > mostEmpty {
			return fmt.Errorf("read stream %s: %w", name, errSilent)
		}
	}
}

// pass reads with one consumer, until the end or until something is lost on the way; last is what was given last, 0 is nothing.
func (s *streams) pass(ctx context.Context, name string, config jetstream.ConsumerConfig, upTo uint64, do func(stored) error) (last uint64, over bool, err error) {
	consumer, err := s.js.CreateConsumer(ctx, name, config)
	if err != nil {
		return 0, false, fmt.Errorf("read stream %s: %w", name, err)
	}
	info := consumer.CachedInfo()
	defer func() {
		_ = s.js.DeleteConsumer(context.WithoutCancel(ctx), name, info.Name) // else the server does, in a minute
	}()
	left, most := info.NumPending, max(fetchBytes, int(s.conn.MaxPayload())+64<<10)
	if left == 0 {
		return 0, true, nil
	}
	pull := func() (jetstream.MessageBatch, error) {
		return consumer.FetchBytes(most, jetstream.FetchMaxWait(fetchWithin))
	}
	next, err := pull()
	for given := uint64(0); err == nil; {
		all, how, received := receive(next, given, left)
		if received != nil {
			return last, false, fmt.Errorf("read stream %s: %w", name, received)
		}
		if how == more { // only now: of two pulls that wait, the server serves each in turn
			next, err = pull()
		}
		for _, m := range all {
			if upTo > 0 && m.sequence > upTo {
				return last, true, nil
			}
			if err := do(m); err != nil {
				return last, true, err
			}
			last = m.sequence
		}
		given += uint64(len(all))
		if canceled := ctx.Err(); canceled != nil || how != more || len(all) == 0 {
			return last, how == atEnd, canceled
		}
	}
	return last, false, fmt.Errorf("read stream %s: %w", name, err)
}

// ending says how a batch ended.
type ending int

const (
	more  ending = iota // there may be more
	atEnd               // it was the last
	gap                 // one was lost on the way
)

// receive takes a batch whole; so many were given before it, of so many in all.
func receive(batch jetstream.MessageBatch, given, in uint64) (all []stored, how ending, err error) {
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return all, gap, err
		}
		if given++; meta.Sequence.Consumer != given {
			return all, gap, nil
		}
		all = append(all, stored{sequence: meta.Sequence.Stream, subject: m.Subject(), at: meta.Timestamp, header: m.Headers(), body: m.Data()})
		if meta.NumPending == 0 || given == in {
			return all, atEnd, nil
		}
	}
	return all, more, nil
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
	Plans    int       `json:"plans"`
	Cases    []int     `json:"cases"`
	Digest   string    `json:"digest"`

	part bool // of the message, as other lines are of the rest
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

// removed is what analysts took away in one case of what Forager had added: kind and name of each.
type removed map[[2]string]bool

// removals are those of all cases and alerts, by TheHive's id, as the ledger has them: keys "marks." and the id, of which each byte that
// a key may not have is "=" and two hex digits.
func (s *streams) removals(ctx context.Context) (map[string]removed, error) {
	all := map[string]removed{}
	prefix := "$KV." + s.config.Ledger.Bucket + ".marks."
	err := s.each(ctx, "KV_"+s.config.Ledger.Bucket, []string{prefix + ">"}, time.Time{}, 0, func(m stored) error {
		id := unescaped(strings.TrimPrefix(m.subject, prefix))
		delete(all, id)
		if m.header.Get("KV-Operation") != "" {
			return nil
		}
		var body struct {
			Removed [][2]string `json:"removed"`
		}
		if err := json.Unmarshal(m.body, &body); err != nil {
			return fmt.Errorf("read ledger: %s: %w", m.subject, err)
		}
		taken := removed{}
		for _, item := range body.Removed {
			taken[item] = true
		}
		all[id] = taken
		return nil
	})
	return all, err
}

var escape = regexp.MustCompile(`=[0-9A-F]{2}`)

// unescaped is a key of the ledger as it was before it was spelled for the bucket.
func unescaped(key string) string {
	return escape.ReplaceAllStringFunc(key, func(e string) string {
		c, _ := hex.DecodeString(e[1:])
		return string(c)
	})
}

// digestOf is the first half of a body's SHA-256.
func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}
