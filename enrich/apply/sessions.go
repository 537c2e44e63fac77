package apply

import (
	"context"
	"time"

	"forager/enrich/claim"
	"forager/retry"
)

// Pauses between two tries to follow the sessions of other workers.
const (
	firstFollow = 250 * time.Millisecond
	lastFollow  = 10 * time.Second
)

// sessionsKept is how long the entry of a session that is over stays: what it claimed is taken over without
// a wait for as long.
const sessionsKept = 7 * 24 * time.Hour

// Follow joins the other workers of the ledger, and follows their sessions until the context ends: the
// claims of one that died are then taken over without a wait, and [Applier.Replicas] counts them. What fails
// is tried again; until it succeeds a death is noticed a lease after its claim was met.
func (a *Applier) Follow(ctx context.Context, w claim.Watcher) {
	pauses := retry.Backoff{First: firstFollow, Last: lastFollow}.Pauses()
	for ctx.Err() == nil {
		began := time.Now()
		_ = a.claims.Watch(ctx, w) // it ends with an error alone, and is tried again
		if time.Since(began) > time.Minute {
			pauses.Reset()
		}
		pauses.Wait(ctx)
	}
}

// Replicas is how many workers renew their sessions, this one among them. It is known while they are
// followed.
func (a *Applier) Replicas() (n int, known bool) { return a.claims.Live() }

// Close ends this worker's session, when its last apply has ended: nobody waits for its lease. Error: of
// the ledger.
func (a *Applier) Close(ctx context.Context) error { return a.claims.Close(ctx) }
