package journal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/stream"
)

// Entry is what became of one message.
type Entry struct {
	V        int       `json:"v"`
	Stream   string    `json:"stream"`
	Sequence uint64    `json:"sequence"`
	Stored   time.Time `json:"stored"`            // when the stream stored the message: sequences may be used again
	Outcome  Outcome   `json:"outcome"`           // what was done
	Reason   string    `json:"reason,omitempty"`  // why it was dropped or given up
	Dropped  []string  `json:"dropped,omitempty"` // reasons of detections in it that asked for nothing
	Plans    int       `json:"plans,omitempty"`   // detections in it that asked for something
	Waits    int       `json:"waits,omitempty"`   // detections in it that were held below a threshold
	Cases    []int     `json:"cases,omitempty"`   // numbers of the cases that they are in, as far as this worker knows
	Digest   string    `json:"digest"`            // of the body: see [Digest]
	Worker   string    `json:"worker,omitempty"`  // the host's or pod's name
	Time     time.Time `json:"time"`              // by the worker's clock
}

// Outcome is what was done with a message.
type Outcome string

// The outcomes.
const (
	Acknowledged Outcome = "acknowledged"
	Dropped      Outcome = "dropped"     // acknowledged, and asked for nothing
	DeadLetter   Outcome = "dead letter" // stored in the dead-letter stream
	Waits        Outcome = "waits"       // acknowledged, and held below a threshold, for some detections at least: another entry tells what became of these
)

// version is that of an [Entry].
const version = 1

// SubjectPrefix begins the subject of every entry.
const SubjectPrefix = "forager.journal."

// PerSubject is how many messages share a subject.
const PerSubject = 1000

// Subject is where the entry of a message is stored.
func Subject(of string, sequence uint64) string {
	return SubjectPrefix + of + "." + strconv.FormatUint(sequence/PerSubject, 10)
}

// Digest is the first half of a body's SHA-256, in lower hex.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16])
}

// Options says where the journal is. Zero values are replaced by the defaults named with each field.
type Options struct {
	Stream   string        // has no default
	Of       string        // the stream with the detections
	Manage   bool          // create the stream where it is missing
	Keep     time.Duration // age of entries in the stream that Manage creates, 30 days
	Replicas int           // copies of what Manage creates, 1
}

// knownAgain is how long an entry that is written again is known.
const knownAgain = 10 * time.Minute

// Journal writes entries. Safe for concurrent use.
type Journal struct {
	link    *stream.Link
	options Options
}

// New makes a journal. It makes no call; an error wraps [stream.ErrTopology].
func New(link *stream.Link, o Options) (*Journal, error) {
	if !stream.ValidName(o.Stream) {
		return nil, fmt.Errorf("%w: journal %q: a JetStream name is not empty and has no dot, star, > or space", stream.ErrTopology, o.Stream)
	}
	o.Keep, o.Replicas = cmp.Or(o.Keep, 30*24*time.Hour), cmp.Or(o.Replicas, 1)
	return &Journal{link: link, options: o}, nil
}

// Ensure creates the stream where it is missing and Manage is set.
func (j *Journal) Ensure(ctx context.Context) error {
	if !j.options.Manage {
		return nil
	}
	return j.link.Explain(stream.EnsureStream(ctx, j.link, jetstream.StreamConfig{
		Name: j.options.Stream, Subjects: []string{SubjectPrefix + j.options.Of + ".>"}, Storage: jetstream.FileStorage, Replicas: j.options.Replicas,
		MaxAge: j.options.Keep, Discard: jetstream.DiscardOld, Duplicates: knownAgain, AllowDirect: true,
		Description: "what became of detections",
	}))
}

// Write stores an entry: nil means that the stream has it, now or from before.
func (j *Journal) Write(ctx context.Context, e Entry) error {
	e.V = version
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	_, err = j.link.JetStream().Publish(ctx, Subject(e.Stream, e.Sequence), raw,
		jetstream.WithMsgID(id(e)), jetstream.WithExpectStream(j.options.Stream))
	if err != nil {
		return fmt.Errorf("write journal: %w", j.link.Explain(err))
	}
	return nil
}

// id is the same for the same settlement.
func id(e Entry) string {
	return fmt.Sprintf("%s.%d.%d.%s", e.Stream, e.Sequence, e.Stored.UnixNano(), e.Outcome)
}
