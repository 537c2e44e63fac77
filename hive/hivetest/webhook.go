package hivetest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
)

// Webhook is where audit documents are posted, one a request, after their change was committed: in no certain order,
// and never twice. As with TheHive, a receiver that refuses or does not answer has missed the document.
type Webhook struct {
	URL     string
	Version int // of the documents: 0 or 1
	// Bearer, or User and Password, authenticate; empty: neither.
	Bearer, User, Password string
	// Organisation whose changes are told; empty: of all.
	Organisation string
	// Transport carries the posts. nil: one of its own, without a proxy.
	Transport http.RoundTripper
}

const (
	webhookPosters = 4 // posts at a time, to each webhook
	webhookQueue   = 100_000
	webhookTimeout = 10 * time.Second
)

// webhooks posts documents beside the calls that cause them. Who waits for them waits for idle, not for posting: calls may
// go on meanwhile.
type webhooks struct {
	all     []*poster
	posting conc.WaitGroup

	mu   sync.Mutex
	idle *sync.Cond
	busy int // goroutines that post
}

// poster posts to one webhook. Its goroutines live as long as there is something to post.
type poster struct {
	to     Webhook
	client *http.Client

	mu        sync.Mutex
	queue     []audit
	running   int
	told      int // accepted with a status below 400
	forgotten int // refused, unanswered, or beyond the queue
}

func (w *webhooks) open(all []Webhook) {
	w.idle = sync.NewCond(&w.mu)
	for _, one := range all {
		if one.Transport == nil {
			one.Transport = &http.Transport{MaxIdleConnsPerHost: webhookPosters, IdleConnTimeout: time.Second}
		}
		w.all = append(w.all, &poster{to: one, client: &http.Client{Transport: one.Transport, Timeout: webhookTimeout}})
	}
}

// post queues a document. It waits for nothing: the caller holds the lock of the whole server.
func (w *webhooks) post(a audit) {
	for _, p := range w.all {
		if p.to.Organisation != "" && p.to.Organisation != a.org {
			continue
		}
		if p.add(a) {
			w.start(p)
		}
	}
}

func (w *webhooks) start(p *poster) {
	w.mu.Lock()
	w.busy++
	w.mu.Unlock()
	w.posting.Go(loud(func() {
		defer w.ended()
		p.run()
	}))
}

func (w *webhooks) ended() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.idle.Broadcast()
}

// add queues and tells whether another goroutine is needed.
func (p *poster) add(a audit) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= webhookQueue {
		p.forgotten++
		return false
	}
	p.queue = append(p.queue, a)
	if p.running >= webhookPosters {
		return false
	}
	p.running++
	return true
}

func (p *poster) run() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.running--
			last := p.running == 0
			p.mu.Unlock()
			if last {
				p.client.CloseIdleConnections()
			}
			return
		}
		a := p.queue[0]
		p.queue = slices.Delete(p.queue, 0, 1)
		p.mu.Unlock()
		ok := p.send(a.document(p.to.Version))
		p.mu.Lock()
		if ok {
			p.told++
		} else {
			p.forgotten++
		}
		p.mu.Unlock()
	}
}

func (p *poster) send(document []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), webhookTimeout) //nolint:forbidigo // no caller waits for a webhook
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to.URL, bytes.NewReader(document))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/json")
	switch {
	case p.to.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+p.to.Bearer)
	case p.to.User != "":
		r.SetBasicAuth(p.to.User, p.to.Password)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return answer.StatusCode < http.StatusBadRequest
}

// Delivered waits until no document is on its way to a webhook.
func (h *Hive) Delivered() {
	h.hooked.mu.Lock()
	defer h.hooked.mu.Unlock()
	for h.hooked.busy > 0 {
		h.hooked.idle.Wait()
	}
}

// WebhookStats tells of each webhook how many documents it accepted, and how many it missed.
func (h *Hive) WebhookStats() (told, missed []int) {
	for _, p := range h.hooked.all {
		p.mu.Lock()
		told, missed = append(told, p.told), append(missed, p.forgotten)
		p.mu.Unlock()
	}
	return told, missed
}
