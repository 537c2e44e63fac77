package intake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"forager/enrich/detection"
	"forager/pipeline/intake"
)

// Path is where events are posted to.
const Path = "/v1/detections"

// Store is where events go: [intake.Store].
type Store interface {
	// Put returns once the event is stored; its error is an *[intake.Refusal]. It keeps nothing of the event's body.
	Put(ctx context.Context, e intake.Event) (intake.Receipt, error)
}

// Options says who may send, and how much. Zero values are replaced by the defaults named with each field.
type Options struct {
	Sources      []Source
	MaxBody      int64 // bytes of a body, decompressed; 1 MiB
	MaxInFlight  int   // requests of a source at a time, 256
	MaxBytesHeld int64 // bytes of all bodies in hand, 32 MiB; a source has half of them

	ReadWithin time.Duration // how long a request may take to arrive, 15 s
	Told       func(source, result string, bytes int, took time.Duration)
	Now        func() time.Time
	Log        *zap.Logger // nil is silence
}

func (o Options) withDefaults() Options {
	o.MaxBody = cmp.Or(o.MaxBody, 1<<20)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 256)
	o.MaxBytesHeld = cmp.Or(o.MaxBytesHeld, 32<<20)
	o.ReadWithin = cmp.Or(o.ReadWithin, 15*time.Second)
	if o.Told == nil {
		o.Told = func(string, string, int, time.Duration) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

// Handler answers the requests of senders. Safe for concurrent use.
type Handler struct {
	options   Options
	store     Store
	senders   []*sender
	strangers share // of who signs, until the signature is looked at
	bytes     *semaphore.Weighted
	syntax    *detection.Syntax
	rooms     rooms
	keys      *keys
	journal   *journal
}

// NewHandler makes one.
func NewHandler(options Options, store Store) (*Handler, error) {
	o := options.withDefaults()
	known, err := newKeys(o.Now)
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	h := &Handler{
		options: o, store: store, strangers: newShare(o, 0), bytes: semaphore.NewWeighted(o.MaxBytesHeld),
		syntax: detection.NewSyntax(detection.Limits{Unpacked: int(o.MaxBody)}), keys: known, journal: newJournal(o.Log),
	}
	for _, s := range o.Sources {
		s.SignatureHeader = cmp.Or(s.SignatureHeader, defaultSignatureHeader)
		h.senders = append(h.senders, &sender{Source: &s, share: newShare(o, s.Rate)})
	}
	return h, nil
}

// ServeHTTP takes one event in.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := h.options.Now()
	t := taking{Handler: h, w: w, r: r}
	defer t.release()
	result, refused := Failed, (*problem)(nil)
	defer func() {
		if p := recover(); p != nil { // one request's, and told at once
			refused = &problem{status: http.StatusInternalServerError, why: Failed, detail: "a fault of the intake", err: fmt.Errorf("panic: %v", p)}
		}
		if refused != nil {
			result = refused.why
			h.journal.refused(t.name(), r, refused)
			refused.write(w)
		}
		h.options.Told(t.name(), result, len(t.body), h.options.Now().Sub(began))
	}()
	var at intake.Receipt
	if at, refused = t.take(r.Context()); refused != nil {
		return
	}
	switch {
	case t.answer != nil:
		result = Asked
		h.journal.asked(t.name(), t.answer)
		t.answer.write(w)
		return
	case at.Duplicate:
		result = Duplicate
	default:
		result = Stored
	}
	if t.collector {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, collected) // 200
		return
	}
	stored(w, at)
}

// taking is one request on its way.
type taking struct {
	*Handler
	w         http.ResponseWriter
	r         *http.Request
	sender    *sender // nil: not known yet
	body      []byte
	answer    *reply        // nil: the request is an event
	collector bool          // it speaks as to Splunk's collector
	room      *bytes.Buffer // the body as it came lies in it; nil: none was read
	releases  []func()
}

func (t *taking) name() string {
	if t.sender == nil {
		return ""
	}
	return t.sender.Name
}

// release gives back what was taken for the request.
func (t *taking) release() {
	for _, r := range t.releases {
		r()
	}
	t.rooms.giveBack(t.room)
}

// take does all that is done before an answer.
func (t *taking) take(ctx context.Context) (intake.Receipt, *problem) {
	path, ours := strings.CutPrefix(t.r.URL.Path, Path)
	if t.collector = isCollector(t.r.URL.Path); t.collector {
		path, ours = "", true
	}
	if !ours || path != "" && path[0] != '/' {
		return intake.Receipt{}, &problem{status: http.StatusNotFound, why: NoSuchPath, detail: "expected " + Path}
	}
	if t.r.Method != http.MethodPost && !mayAsk(t.r) {
		return intake.Receipt{}, &problem{status: http.StatusMethodNotAllowed, why: NoSuchPath, detail: "expected POST"}
	}
	for _, step := range []func() *problem{t.identify, t.asked, t.read, t.inflated, t.askedByBody} {
		if refused := step(); refused != nil || t.answer != nil {
			return intake.Receipt{}, refused
		}
	}
	to, refused := subject(t.sender.Subject, path)
	if refused == nil {
		refused = t.check(t.body)
	}
	if refused != nil {
		return intake.Receipt{}, refused
	}
	return t.put(ctx, to)
}

// identify knows the sender by its Authorization, or leaves that to the signature of the body.
func (t *taking) identify() *problem {
	if shown := authorization(t.r); shown != "" {
		t.sender = t.known(shown)
	} else if t.claimsSignature(t.r.Header) {
		return nil
	}
	if t.sender == nil {
		return stranger()
	}
	return t.enter()
}

func stranger() *problem {
	return &problem{status: http.StatusUnauthorized, why: Stranger, detail: "credentials are missing or wrong"}
}

func (t *taking) enter() *problem {
	leave, refused := t.sender.admit()
	if refused == nil {
		t.releases = append(t.releases, leave)
	}
	return refused
}

// read reads the body, and knows by it who signs it.
func (t *taking) read() *problem {
	if refused := checkType(t.r.Header); refused != nil && !t.collector {
		return refused
	}
	share := &t.strangers
	if t.sender != nil {
		share = &t.sender.share
	}
	room := t.r.ContentLength
	if room < 0 {
		room = t.options.MaxBody
	}
	if room > t.options.MaxBody {
		return tooLarge(t.options.MaxBody)
	}
	release, refused := t.reserve(share, room)
	if refused != nil {
		return refused
	}
	t.releases = append(t.releases, release)
	t.room = t.rooms.take()
	if t.body, refused = readBody(t.w, t.r, t.options.MaxBody, t.room); refused != nil || t.sender != nil {
		return refused
	}
	if t.sender = t.signed(t.r.Header, t.body); t.sender == nil {
		return stranger()
	}
	return t.enter()
}

// inflated decompresses the body where it is compressed.
func (t *taking) inflated() *problem {
	zipped, refused := checkEncoding(t.r.Header)
	if refused != nil || !zipped {
		return refused
	}
	release, refused := t.reserve(&t.sender.share, t.options.MaxBody)
	if refused != nil {
		return refused
	}
	t.releases = append(t.releases, release)
	t.body, refused = inflate(t.body, t.options.MaxBody)
	return refused
}

// put stores the event.
func (t *taking) put(ctx context.Context, to string) (intake.Receipt, *problem) {
	header, refused := attributes(t.r.Header, t.sender.Name)
	if refused != nil {
		return intake.Receipt{}, refused
	}
	key := t.r.Header.Get("Idempotency-Key")
	if len(key) > longestKey {
		return intake.Receipt{}, unreadable("the Idempotency-Key is longer than 256 bytes")
	}
	event := digest(to, header, t.body)
	name := id(t.sender.Name, to, key, event)
	if key != "" && !t.keys.take(name, event) {
		return intake.Receipt{}, &problem{status: http.StatusUnprocessableEntity, why: KeyReused, detail: "the Idempotency-Key was used for another body"}
	}
	at, err := t.store.Put(ctx, intake.Event{Subject: to, ID: name, Header: header, Body: t.body})
	if err == nil {
		return at, nil
	}
	r, ok := errors.AsType[*intake.Refusal](err)
	if !ok {
		r = &intake.Refusal{Why: intake.Unknown, Err: err}
	}
	if r.Why != intake.Unknown {
		t.keys.forget(name)
	}
	return intake.Receipt{}, unstored(r, t.options.MaxBody)
}
