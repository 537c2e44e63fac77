package claim_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"forager/enrich/claim"
)

// version1 takes claims as workers of version 1 do, which may run beside ours during an upgrade: a token
// of its own renews each claim, and an entry of a higher version is left alone. It is written anew from
// the protocol's rules, so that ours is tried against something that shares no code with it.
type version1 struct {
	store  claim.Store
	lease  time.Duration
	settle time.Duration
}

// head1 is the head of an entry of version 1, with the body of the model.
type head1 struct {
	V      int             `json:"v"`
	Token  string          `json:"token,omitempty"`
	Epoch  uint64          `json:"epoch"`
	Dirty  bool            `json:"dirty,omitempty"`
	Lease  int64           `json:"lease,omitempty"`
	Settle int64           `json:"settle,omitempty"`
	Done   map[string]bool `json:"done,omitempty"`
}

// claim1 is one claim of version 1.
type claim1 struct {
	own  version1
	name string
	owed time.Duration

	lock      chan struct{} // holds one token; waiting for it is waiting in virtual time
	entry     head1
	revision  uint64
	confirmed time.Time
	over      bool
}

// acquire waits for the entry. An entry of a newer version is waited for, too, as its message would be.
func (v version1) acquire(ctx context.Context, name string) (*claim1, error) {
	token := rand.Text()
	var seen uint64
	var since, sent time.Time
	for ctx.Err() == nil {
		raw, revision, err := v.store.Get(ctx, name)
		absent := errors.Is(err, claim.ErrNoEntry)
		var e head1
		if err == nil {
			err = json.Unmarshal(raw, &e)
		}
		if revision != seen || since.IsZero() {
			seen, since = revision, time.Now()
		}
		switch {
		case err != nil && !absent, e.V > 1:
		case e.Token == token:
			return v.claimed(ctx, &claim1{own: v, lock: make(chan struct{}, 1), name: name, entry: e, revision: revision, confirmed: sent, owed: v.owes(e, e.Dirty)}, true)
		case e.Token == "" || time.Since(since) >= time.Duration(e.Lease)*time.Millisecond:
			dirty := e.Token != "" || e.Dirty
			mine := head1{V: 1, Token: token, Epoch: e.Epoch + 1, Dirty: dirty, Lease: v.lease.Milliseconds(), Settle: max(v.settle.Milliseconds(), e.Settle), Done: e.Done}
			if sent.IsZero() {
				sent = time.Now()
			}
			at := time.Now()
			next, err := v.put(ctx, name, mine, revision)
			if err == nil {
				return v.claimed(ctx, &claim1{own: v, lock: make(chan struct{}, 1), name: name, entry: mine, revision: next, confirmed: at, owed: v.owes(mine, dirty)}, absent)
			}
		}
		wait(ctx, 500*time.Millisecond)
	}
	return nil, ctx.Err()
}

func (v version1) owes(e head1, dirty bool) time.Duration {
	if !dirty {
		return 0
	}
	return max(v.settle, time.Duration(e.Settle)*time.Millisecond)
}

func (v version1) claimed(ctx context.Context, cl *claim1, absent bool) (*claim1, error) {
	if absent {
		trusted, err := v.store.Trusted(ctx)
		if err != nil {
			return nil, err
		}
		if !trusted {
			cl.owed = v.lease + v.settle
			cl.entry.Dirty, cl.entry.Settle = true, cl.owed.Milliseconds()
		}
	}
	time.AfterFunc(v.lease/3, func() { cl.renew(context.WithoutCancel(ctx)) })
	return cl, nil
}

func (v version1) put(ctx context.Context, name string, e head1, revision uint64) (uint64, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	return v.store.Put(ctx, name, raw, revision)
}

// renew moves the revision each third of the lease.
func (cl *claim1) renew(ctx context.Context) {
	cl.lock <- struct{}{}
	defer func() { <-cl.lock }()
	if cl.over || time.Since(cl.confirmed) >= cl.own.lease*2/3 {
		cl.over = true
		return
	}
	bounded, cancel := context.WithTimeout(ctx, cl.own.lease/3)
	defer cancel()
	sent, next := time.Now(), cl.own.lease/24
	if cl.write(bounded, cl.entry) == nil {
		cl.confirmed, next = sent, cl.own.lease/3
	}
	time.AfterFunc(next, func() { cl.renew(ctx) })
}

// write puts the entry, once more where an earlier write of ours arrived without an answer.
func (cl *claim1) write(ctx context.Context, e head1) error {
	for range 2 {
		next, err := cl.own.put(ctx, cl.name, e, cl.revision)
		if err == nil {
			cl.revision = next
			return nil
		}
		raw, revision, gone := cl.own.store.Get(ctx, cl.name)
		var now head1
		if !errors.Is(err, claim.ErrConflict) || gone != nil || json.Unmarshal(raw, &now) != nil || now.Token != cl.entry.Token {
			return err
		}
		cl.revision = revision
	}
	return claim.ErrConflict
}

func (cl *claim1) Check() error {
	cl.lock <- struct{}{}
	defer func() { <-cl.lock }()
	if cl.over || time.Since(cl.confirmed) >= cl.own.lease*2/3 {
		return claim.ErrLost
	}
	return nil
}

// Bind gives a context that ends where certainty does.
func (cl *claim1) Bind(ctx context.Context) (context.Context, func()) {
	held, cancel := context.WithCancelCause(ctx)
	stop := make(chan struct{})
	var tick func()
	tick = func() {
		select {
		case <-stop:
		default:
			if cl.Check() != nil {
				cancel(claim.ErrLost)
				return
			}
			time.AfterFunc(50*time.Millisecond, tick)
		}
	}
	tick()
	return held, func() { close(stop); cancel(nil) }
}

func (cl *claim1) settled() {
	cl.lock <- struct{}{}
	defer func() { <-cl.lock }()
	cl.owed, cl.entry.Dirty, cl.entry.Settle = 0, false, cl.own.settle.Milliseconds()
}

func (cl *claim1) release(ctx context.Context, done map[string]bool, dirty bool) error {
	cl.lock <- struct{}{}
	defer func() { <-cl.lock }()
	if cl.over {
		return claim.ErrLost
	}
	cl.over = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cl.own.lease/3)
	defer cancel()
	last := cl.entry
	last.Token, last.Dirty, last.Done = "", dirty || last.Dirty, done
	return cl.write(ctx, last)
}
