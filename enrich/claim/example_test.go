package claim_test

import (
	"context"
	"fmt"
	"time"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

// report is what the entry of a report remembers between its holders.
type report struct {
	Sent bool `json:"sent"`
}

// Two processes want one report to be sent. Whoever has the claim looks at what was done, does what is
// missing, and releases the claim with what it did.
func Example() {
	store := claimtest.New() // in earnest, the ledger on JetStream KV
	for _, process := range []string{"first", "second"} {
		claims := claim.New(store, claim.Options{Lease: 15 * time.Second, Settle: 25 * time.Second, Fields: []string{"sent"}})
		if err := send(context.Background(), claims, process); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// first sends the report
	// second finds that it was sent
}

func send(ctx context.Context, claims *claim.Claims, process string) error {
	cl, err := claims.Acquire(ctx, "key.report", []string{claim.AnyKind}, func() {})
	if err != nil {
		return err
	}
	held, free := cl.Bind(ctx) // ends when the claim is lost
	defer free()
	var r report
	if err := cl.Read(&r); err != nil {
		return err
	}
	if cl.Owed() > 0 { // the last holder left without saying what it did
		if err := claim.Wait(held, cl.Owed()); err != nil {
			return err
		}
		// Here it would look whether the report is there.
		cl.Settled()
	}
	if r.Sent {
		fmt.Println(process, "finds that it was sent")
		return cl.Release(ctx, nil, false)
	}
	if err := cl.Check(); err != nil { // right before the write
		return err
	}
	fmt.Println(process, "sends the report")
	return cl.Release(ctx, report{Sent: true}, false)
}
