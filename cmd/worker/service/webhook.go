package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/hive"
	"forager/pipeline/audit"
	"forager/pipeline/metrics"
	"forager/pipeline/stream"
)

// hookPath is where TheHive's endpoint posts to.
const hookPath = "POST /hooks/thehive"

// hooks is the way of what analysts do: from TheHive's webhook into a stream, and from there into
// the ledger.
type hooks struct {
	audits  *audit.Queue
	applier *apply.Applier
	back    *back
	server  *operations
	metrics *metrics.Metrics
	log     *zap.Logger
}

// openHooks listens where the configuration says; nil, and a word in the log, when it is off. What
// comes before the stream is there is refused.
func (n Network) openHooks(ctx context.Context, c *config.Config, link *stream.Link, applier *apply.Applier, back *back, metrics *metrics.Metrics, log *zap.Logger) (*hooks, error) {
	w := c.Webhook
	token := newRotating("webhook.tokenFile", w.TokenFile, w.Token, log)
	password := newRotating("webhook.passwordFile", w.PasswordFile, w.Password, log)
	keys := func() credentials { return newCredentials(token.text(), w.User, password.text()) }
	if w.Addr == "" || len(keys()) == 0 {
		log.Info("TheHive's webhook is not taken in: it needs webhook.addr, and webhook.token or webhook.user; what analysts remove is noticed at the next look")
		return nil, nil //nolint:nilnil // off is no error
	}
	audits, err := audit.New(link, AuditOptions(c, log))
	if err != nil {
		return nil, shell.Misuse(err)
	}
	h := &hooks{audits: audits, applier: applier, back: back, metrics: metrics, log: log}
	h.server, err = n.serveHooks(ctx, w.Addr, newHookHandler(keys, audits, metrics.Received, log))
	if err != nil {
		return nil, err
	}
	log.Info("takes in TheHive's webhook", zap.String("addr", h.server.addr))
	return h, nil
}

// run teaches the ledger until ctx ends.
func (h *hooks) run(ctx context.Context) {
	if h == nil {
		return
	}
	if err := h.audits.Run(ctx, h); err != nil {
		h.log.Error("audit documents are consumed no more", zap.Error(err))
	}
}

// Close stops listening.
func (h *hooks) Close() {
	if h != nil {
		_ = h.server.Close() // nothing is lost by a listener that does not close well
	}
}

// Learn reads one document, merges it, and counts what was learnt.
func (h *hooks) Learn(ctx context.Context, document []byte) error {
	a, err := hive.ParseAudit(document)
	if err != nil {
		h.metrics.Learnt(metrics.LearntMalformed)
		return &enrich.MalformedError{Reason: "no audit document", Detail: err.Error()}
	}
	effect, err := h.applier.NoteAudit(ctx, a)
	if err == nil {
		err = h.back.noted(ctx, a)
	}
	if err != nil {
		h.metrics.Learnt(metrics.LearntNot)
		return err
	}
	h.metrics.Learnt(string(effect))
	return nil
}

// measure shows how many documents wait; what cannot be asked now is asked the next time.
func (h *hooks) measure(ctx context.Context) {
	if h == nil {
		return
	}
	if n, err := h.audits.Pending(ctx); err == nil {
		h.metrics.DocumentsPending(n)
	}
}

func (n Network) serveHooks(ctx context.Context, addr string, handler http.Handler) (*operations, error) {
	l, err := n.listen(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("webhook.addr: %w", err)
	}
	o := &operations{addr: l.Addr().String(), http: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}}
	o.done.Go("serve", func() { _ = o.http.Serve(l) }) // it ends when Close is called, and not before
	return o, nil
}

// documents is where the webhook puts what it took in: [audit.Queue].
type documents interface {
	// Store keeps a document, once for each key, or says at once that it cannot; ErrAuditTooLarge
	// when it never can.
	Store(ctx context.Context, key string, document []byte) error
}

// hookHandler answers TheHive's webhook: 204 when a document is stored, 401 without the credentials,
// 400 for what is no document, 413 for what is too large, 503 when the stream does not accept.
type hookHandler struct {
	accepted func() credentials // as it is now
	store    documents
	told     func(result string) // of every request, by pipeline's Document words
	log      *zap.Logger
}

func newHookHandler(keys func() credentials, store documents, told func(string), log *zap.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(hookPath, &hookHandler{accepted: keys, store: store, told: told, log: log})
	return mux
}

// ServeHTTP takes one document in.
func (i *hookHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !i.accepted().accept(r.Header.Get("Authorization")) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="forager", Basic realm="forager"`)
		i.refuse(w, http.StatusUnauthorized, metrics.DocumentStranger, "credentials are missing or wrong")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, audit.MaxBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		i.refuse(w, http.StatusRequestEntityTooLarge, metrics.DocumentTooLarge, "too large")
		return
	}
	if err != nil {
		i.refuse(w, http.StatusBadRequest, metrics.DocumentBroken, "the request breaks off")
		return
	}
	a, err := hive.ParseAudit(body)
	if err != nil {
		i.refuse(w, http.StatusBadRequest, metrics.DocumentUnreadable, hive.ErrAudit.Error())
		return
	}
	switch err := i.store.Store(r.Context(), a.Key(), body); {
	case err == nil:
		i.told(metrics.DocumentStored)
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, audit.ErrTooLarge):
		i.refuse(w, http.StatusRequestEntityTooLarge, metrics.DocumentTooLarge, "too large")
	default:
		i.log.Warn("audit document not stored: what it says is noticed at the next look", zap.Error(err))
		i.refuse(w, http.StatusServiceUnavailable, metrics.DocumentUnstored, "not stored")
	}
}

// refuse counts why a request is refused, and answers.
func (i *hookHandler) refuse(w http.ResponseWriter, status int, why, text string) {
	i.told(why)
	tell(w, status, text)
}

// credentials holds digests of what is accepted, so that a comparison tells nothing of them,
// not even their length.
type credentials []credential

type credential struct {
	scheme string
	digest [sha256.Size]byte
}

// newCredentials has one for a token and one for a user, where they are given; without any nothing is accepted.
func newCredentials(token, user, password string) credentials {
	var all credentials
	if token != "" {
		all = append(all, credential{"Bearer", sha256.Sum256([]byte(token))})
	}
	if user != "" && password != "" {
		pair := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		all = append(all, credential{"Basic", sha256.Sum256([]byte(pair))})
	}
	return all
}

// accept tells whether an Authorization header holds one of them.
func (c credentials) accept(authorization string) bool {
	scheme, secret, _ := strings.Cut(authorization, " ")
	shown := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	same := 0
	for _, one := range c {
		if equal := subtle.ConstantTimeCompare(shown[:], one.digest[:]); strings.EqualFold(scheme, one.scheme) {
			same |= equal
		}
	}
	return same == 1
}
