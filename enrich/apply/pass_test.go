package apply_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/claim/claimtest"
	"forager/hive"
	"forager/hive/hivetest"
)

// broken is TheHive where some cases cannot be read.
type broken struct {
	apply.Hive
	bad map[string]bool
}

func (b broken) Case(ctx context.Context, id string) (hive.Case, error) {
	if b.bad[id] || b.bad["*"] {
		return hive.Case{}, &hive.Error{Op: "get case", Status: http.StatusInternalServerError, Sent: true}
	}
	return b.Hive.Case(ctx, id)
}

// TestOneUnreadableCaseDoesNotStopTheSweep, of TheHive or of the ledger; where all are, it ends soon.
func TestOneUnreadableCaseDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hive, ledger string // what cannot be read
		purged       int    // of 40 entries
		failed       int
	}{
		"all can be read":              {purged: 40},
		"a case cannot":                {hive: "3", purged: 38, failed: 2}, // its entry and its key's
		"an entry cannot":              {ledger: "case.", purged: 39, failed: 1},
		"no case can, so that it ends": {hive: "*", purged: 0, failed: 8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				b := broken{d.client(t), map[string]bool{}}
				e := d.worker(t, func(o *apply.Options) { o.Hive = func(string) apply.Hive { return b } })
				for i := range 20 {
					host := fmt.Sprint("host", i)
					mustApply(t, e, plan(t, uint64(i+1), seen(host, host, time.Now())))
					closed := "TruePositive"
					d.must(d.analyst.UpdateCase(t.Context(), fmt.Sprint(i+1), hive.CaseUpdate{Status: &closed}))
				}
				<-time.After(100 * 24 * time.Hour)
				switch c.hive {
				case "":
				case "*":
					b.bad["*"] = true
				default:
					b.bad[d.theCase(c.hive).ID] = true
				}
				if c.ledger != "" {
					bad := c.ledger + d.theCase("5").ID
					d.ledger.SetBefore(func(op claimtest.Op) error {
						if op.Name == "get" && op.Key == bad {
							return errors.New("unreadable")
						}
						return nil
					})
				}
				swept, err := e.Sweep(t.Context(), keysOf(d.ledger.Keys()), apply.SweepOptions{
					Organisations: []string{hivetest.DefaultOrganisation}, Keep: 90 * 24 * time.Hour,
				})
				if swept.Purged != c.purged || swept.Failed != c.failed || (err != nil) != (c.failed > 0) {
					t.Errorf("%+v, error %v", swept, err)
				}
			})
		})
	}
}

// undigested lets a worker keep its numbers in comments.
func undigested(o *apply.Options) { o.Digest = apply.DigestNone }

// TestOneFailingCaseDoesNotStopTheOthersNumbers: and it gets its own, once it can be written.
func TestOneFailingCaseDoesNotStopTheOthersNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		e := d.worker(t, undigested)
		const hosts = 6
		send := func(minute int, rule string) {
			for i := range hosts {
				one := seen(fmt.Sprint("host", i), fmt.Sprint(i, "-", minute), day(9).Add(time.Duration(minute)*time.Minute))
				one.Rule.ID = rule
				mustApply(t, e, plan(t, uint64(1+i+100*minute), one))
			}
		}
		send(0, "r1")
		send(1, "r2") // a comment of its own
		send(2, "r2") // its numbers are due after a quiet minute
		current := func() (n int) {
			for _, c := range d.hive.Snapshot().Cases {
				for _, text := range c.Comments {
					if strings.Contains(text, "09:02:00") {
						n++
					}
				}
			}
			return n
		}
		wait(t.Context(), 2*time.Minute)
		bad := "case." + d.theCase("2").ID
		d.ledger.SetBefore(func(op claimtest.Op) error {
			if op.Key == bad {
				return errors.New("unreachable")
			}
			return nil
		})
		if err := e.FlushComments(t.Context()); err == nil || current() != hosts-1 {
			t.Errorf("error %v, %d comments are current", err, current())
		}
		d.ledger.SetBefore(nil)
		wait(t.Context(), 2*time.Minute)
		if err := e.FlushComments(t.Context()); err != nil || current() != hosts {
			t.Errorf("error %v, %d comments are current at last", err, current())
		}
	})
}

// TestWhatIsRememberedOfCasesIsBounded: also where all of it is of the last minute.
func TestWhatIsRememberedOfCasesIsBounded(t *testing.T) {
	t.Parallel()
	e, err := apply.New(apply.Options{Hive: func(string) apply.Hive { return nil }, Ledger: claimtest.New()})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 * apply.MaxPaced {
		e.Comment(fmt.Sprint(i))
	}
	if cases := e.Remembered(); cases > apply.MaxPaced {
		t.Errorf("%d cases", cases)
	}
}

// TestACommentCountsADetectionOnce, whatever stream and sequence it comes under.
func TestACommentCountsADetectionOnce(t *testing.T) {
	t.Parallel()
	from := func(stream string, requeued bool, first uint64, ids ...string) (plans []enrich.Plan) {
		p := enrich.NewPlanner(enrich.PlannerOptions{})
		for i, id := range ids {
			one, err := p.Plan(seen("web01", id, day(9)), enrich.Origin{Stream: stream, Sequence: first + uint64(i), Requeued: requeued})
			if err != nil {
				t.Fatal(err)
			}
			plans = append(plans, one)
		}
		return plans
	}
	many := func(prefix string, n int) (ids []string) {
		for i := range n {
			ids = append(ids, fmt.Sprint(prefix, i))
		}
		return ids
	}
	for name, c := range map[string]struct {
		batches [][]enrich.Plan
		want    int
	}{
		"delivered twice":              {[][]enrich.Plan{from("A", false, 5, "x"), from("A", false, 5, "x")}, 1},
		"twice in one apply":           {[][]enrich.Plan{from("A", false, 5, "x", "x", "y")}, 2},
		"published twice":              {[][]enrich.Plan{from("A", false, 5, "x"), from("A", false, 9, "x")}, 1},
		"requeued":                     {[][]enrich.Plan{from("A", false, 5, "x"), from("A", true, 90, "x")}, 1},
		"of another stream":            {[][]enrich.Plan{from("A", false, 500, "x"), from("B", false, 5, "y")}, 2},
		"older, by a replay":           {[][]enrich.Plan{from("A", false, 500, "x"), from("A", false, 5, "y")}, 2},
		"many":                         {[][]enrich.Plan{from("A", false, 1, many("x", 50)...)}, 50},
		"many, delivered twice":        {[][]enrich.Plan{from("A", false, 1, many("x", 50)...), from("A", false, 1, many("x", 50)...)}, 50},
		"many, requeued":               {[][]enrich.Plan{from("A", false, 1, many("x", 50)...), from("A", true, 100, many("x", 50)...)}, 50},
		"many of two streams":          {[][]enrich.Plan{from("A", false, 1000, many("x", 50)...), from("B", false, 1, many("y", 50)...)}, 100},
		"many of two streams, twice":   {[][]enrich.Plan{from("A", false, 1000, many("x", 50)...), from("B", false, 1, many("y", 50)...), from("B", false, 1, many("y", 50)...)}, 100},
		"a message of many detections": {[][]enrich.Plan{sameMessage(from("A", false, 7, many("x", 50)...))}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			if n, ids := apply.Count(c.batches...); n != c.want || len(ids) > 20 {
				t.Errorf("counted %d with %d ids, want %d", n, len(ids), c.want)
			}
		})
	}
}

func sameMessage(plans []enrich.Plan) []enrich.Plan {
	for i := range plans {
		plans[i].Origin.Sequence, plans[i].Origin.Part = plans[0].Origin.Sequence, i
	}
	return plans
}
