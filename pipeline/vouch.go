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
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"forager/enrich/claim"
	"forager/pipeline/kvledger"
	"forager/pipeline/stream"
)

// A requeued message says when it was stored first, and that it comes again. Anybody who may
// publish can write such headers, so they are believed only with the proof that the dead letter
// carried: a code over them, the stream, the subject and the bytes. Its key lies in the ledger,
// where senders reach nothing. Who requeues copies the proof and needs no key.

// voucher makes and checks proofs of requeues, for all replicas that share a ledger.
type voucher struct {
	ledger *kvledger.Ledger
	now    func() time.Time

	mu    sync.Mutex
	key   []byte    // nil: none was there when it was read last, or it was not read yet
	err   error     // of the last reading
	asked time.Time // when the key was read last
}

const (
	voucherKey   = "requeue"        // entry of the ledger with the key
	voucherFresh = 30 * time.Second // how long a key is not read again: another ledger has another
	voucherAgain = time.Second      // the same after a failure
	voucherBytes = sha256.Size
)

// sealed is the entry with the key.
type sealed struct {
	V   int    `json:"v"`
	Key []byte `json:"key"`
}

func newVoucher(link *stream.Link, o Options) *voucher {
	return &voucher{ledger: kvledger.New(link, kvledger.Options{Bucket: o.Bucket, Timeout: o.Confirm}), now: time.Now}
}

// load returns the key, or nil where there is none. Without create it only reads.
func (v *voucher) load(ctx context.Context, create bool) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	age := v.now().Sub(v.asked)
	switch {
	case v.err != nil && age < voucherAgain:
		return nil, v.err
	case v.err == nil && age < voucherFresh && v.key != nil:
		return v.key, nil
	}
	key, err := v.read(ctx)
	if create && key == nil && err == nil {
		key, err = v.create(ctx)
	}
	v.key, v.err, v.asked = key, err, v.now()
	return key, err
}

func (v *voucher) read(ctx context.Context) ([]byte, error) {
	value, _, err := v.ledger.Get(ctx, voucherKey)
	if errors.Is(err, claim.ErrNoEntry) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of requeues: %w", err)
	}
	var s sealed
	if err := json.Unmarshal(value, &s); err != nil || len(s.Key) != voucherBytes {
		return nil, nil //nolint:nilerr // whoever wrote it: it proves nothing
	}
	return s.Key, nil
}

// create makes the key, once: where another replica was faster, its key is taken.
func (v *voucher) create(ctx context.Context) ([]byte, error) {
	key := make([]byte, voucherBytes)
	_, _ = rand.Read(key) // never fails
	value, err := json.Marshal(sealed{V: 1, Key: key})
	if err != nil {
		return nil, fmt.Errorf("make the key of requeues: %w", err)
	}
	_, err = v.ledger.Put(ctx, voucherKey, value, 0)
	if errors.Is(err, claim.ErrConflict) {
		return v.read(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("make the key of requeues: %w", err)
	}
	return key, nil
}

// claimed is what a requeued message says of itself.
type claimed struct {
	stream, subject string
	time, requeued  string // as the headers have it
	body            []byte
}

// code is the proof of a claim: every part with its length before it.
func (c claimed) code(key []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(c.stream), []byte(c.subject), []byte(c.time), []byte(c.requeued), c.body} {
		fmt.Fprintf(mac, "%d:", len(part))
		mac.Write(part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// vouch is the proof that the dead letter of a message carries, for its next requeue. Without a
// ledger there is none: the requeued message then counts as a new one.
func (w *Worker) vouch(ctx context.Context, m *message) string {
	key, err := w.voucher.load(ctx, true)
	if err != nil || key == nil {
		w.options.Observer.Noticed(NoticeUnproven)
		return ""
	}
	return claimed{
		stream: m.stream, subject: m.msg.Subject(), body: m.msg.Data(),
		time: instant(m.original()), requeued: strconv.Itoa(m.requeued + 1),
	}.code(key)
}

// believe takes over what a requeued message proves of itself, and ignores what nothing proves. It
// fails only while the key cannot be read: then the message waits, as all do.
func (w *Worker) believe(ctx context.Context, m *message) error {
	h := m.msg.Headers()
	if h.Get(headerTime) == "" && h.Get(headerRequeued) == "" {
		return nil
	}
	proven, err := w.proven(ctx, m, h)
	if err != nil {
		return err
	}
	if !proven {
		w.options.Observer.Noticed(NoticeUnproven)
		return nil
	}
	m.requeued, m.first = number(h, headerRequeued), moment(h, headerTime)
	return nil
}

func (w *Worker) proven(ctx context.Context, m *message, h nats.Header) (bool, error) {
	proof := h.Get(headerProof)
	if len(proof) != hex.EncodedLen(voucherBytes) {
		return false, nil
	}
	key, err := w.voucher.load(ctx, false)
	if err != nil || key == nil {
		return false, err
	}
	said := claimed{stream: m.stream, subject: m.msg.Subject(), body: m.msg.Data(), time: h.Get(headerTime), requeued: h.Get(headerRequeued)}
	return hmac.Equal([]byte(proof), []byte(said.code(key))), nil
}

// instant is a time as headers have it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
