package pipeline

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"forager/enrich/claim"
	"forager/pipeline/deadletter"
	"forager/pipeline/kvledger"
	"forager/pipeline/stream"
)

// A requeued message says when it was stored first, and that it comes again. Anybody who may
// publish can write such headers, so they are believed only with the proof that the dead letter
// carried: a code over them, the stream, the subject and the bytes. Its key lies in the ledger,
// where senders reach nothing. Who requeues copies the proof and needs no key.

// requeueKeys has the key of the proofs, for all replicas that share a ledger.
type requeueKeys struct {
	ledger claim.Store
	now    func() time.Time

	mu    sync.Mutex
	key   []byte    // nil: none was there when it was read last, or it was not read yet
	err   error     // of the last reading
	asked time.Time // when the key was read last
}

const (
	requeueKey      = "requeue"        // entry of the ledger with the key
	requeueKeyFresh = 30 * time.Second // how long a key is not read again: another ledger has another
	requeueKeyAgain = time.Second      // the same after a failure
	requeueKeyBytes = sha256.Size
)

// sealed is the entry with the key.
type sealed struct {
	V   int    `json:"v"`
	Key []byte `json:"key"`
}

func newRequeueKeys(link *stream.Link, o Options) *requeueKeys {
	return &requeueKeys{ledger: kvledger.New(link, kvledger.Options{Bucket: o.Bucket, Timeout: o.Confirm}), now: time.Now}
}

// load returns the key, or nil where there is none. Without create it only reads.
func (k *requeueKeys) load(ctx context.Context, create bool) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := k.now().Sub(k.asked)
	switch {
	case k.err != nil && age < requeueKeyAgain:
		return nil, k.err
	case k.err == nil && age < requeueKeyFresh && k.key != nil:
		return k.key, nil
	}
	key, err := k.read(ctx)
	if create && key == nil && err == nil {
		key, err = k.create(ctx)
	}
	k.key, k.err, k.asked = key, err, k.now()
	return key, err
}

func (k *requeueKeys) read(ctx context.Context) ([]byte, error) {
	value, _, err := k.ledger.Get(ctx, requeueKey)
	if errors.Is(err, claim.ErrNoEntry) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of requeues: %w", err)
	}
	var s sealed
	if err := json.Unmarshal(value, &s); err != nil || len(s.Key) != requeueKeyBytes {
		return nil, nil //nolint:nilerr // whoever wrote it: it proves nothing
	}
	return s.Key, nil
}

// create makes the key, once: where another replica was faster, its key is taken.
func (k *requeueKeys) create(ctx context.Context) ([]byte, error) {
	key := make([]byte, requeueKeyBytes)
	_, _ = rand.Read(key) // never fails
	value, err := json.Marshal(sealed{V: 1, Key: key})
	if err != nil {
		return nil, fmt.Errorf("make the key of requeues: %w", err)
	}
	_, err = k.ledger.Put(ctx, requeueKey, value, 0)
	if errors.Is(err, claim.ErrConflict) {
		return k.read(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("make the key of requeues: %w", err)
	}
	return key, nil
}

// proofOf is the code over what a message says of its requeue, the stream, the subject and the bytes: every part
// with its length before it.
func proofOf(key []byte, stream, subject string, says deadletter.Requeue, body []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(stream), []byte(subject), []byte(says.Time), []byte(says.Requeued), body} {
		fmt.Fprintf(mac, "%d:", len(part))
		mac.Write(part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// prove gives a dead letter the proof for its next requeue. Without a ledger there is none: the requeued
// message then counts as a new one.
func (w *Worker) prove(ctx context.Context, dead *deadletter.Message) {
	key, err := w.requeues.load(ctx, true)
	if err != nil || key == nil {
		w.options.Observer.Noticed(NoticeUnproven)
		return
	}
	dead.Proof = proofOf(key, dead.Stream, dead.Subject, dead.Next(), dead.Body)
}

// believe takes over what a requeued message proves of itself, and ignores what nothing proves. It
// fails only while the key cannot be read: then the message waits, as all do.
func (w *Worker) believe(ctx context.Context, m *message) error {
	says := deadletter.RequeueOf(m.msg.Headers())
	if says.Time == "" && says.Requeued == "" {
		return nil
	}
	proven, err := w.proven(ctx, m, says)
	if err != nil {
		return err
	}
	if !proven {
		w.options.Observer.Noticed(NoticeUnproven)
		return nil
	}
	m.first, m.requeued = says.First()
	return nil
}

func (w *Worker) proven(ctx context.Context, m *message, says deadletter.Requeue) (bool, error) {
	if len(says.Proof) != hex.EncodedLen(requeueKeyBytes) {
		return false, nil
	}
	key, err := w.requeues.load(ctx, false)
	if err != nil || key == nil {
		return false, err
	}
	return hmac.Equal([]byte(says.Proof), []byte(proofOf(key, m.stream, m.msg.Subject(), says, m.msg.Data()))), nil
}
