package apply_test

import (
	"testing"
	"testing/synctest"
	"time"

	"forager/enrich/apply"
)

// TestTheSweeperAsksInTheOrganisationOfTheEntry: two cases that are over, one of each customer.
func TestTheSweeperAsksInTheOrganisationOfTheEntry(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old    bool // entries do not say their organisation
		served []string
		want   apply.SweepResult // of four entries: a key and a case of each
	}{
		"both are served":                        {served: []string{acme, initech}, want: apply.SweepResult{Purged: 4}},
		"one is not served any more":             {served: []string{acme}, want: apply.SweepResult{Purged: 2, Kept: 2}},
		"the worker's own is another":            {served: []string{initech, acme}, want: apply.SweepResult{Purged: 4}},
		"of the first versions, several served":  {old: true, served: []string{acme, initech}, want: apply.SweepResult{Purged: 2, Kept: 2}},
		"of the first versions, one ever served": {old: true, served: []string{acme}, want: apply.SweepResult{Purged: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPractice(t)
				e := p.worker()
				p.open(e, acme, "web01")
				p.open(e, initech, "web01")
				if c.old {
					p.forget()
				}
				if got := p.sweep(e, c.served...); got.Purged != 0 {
					t.Errorf("what is over for a moment: %+v", got)
				}
				<-time.After(keepFor + 24*time.Hour)
				if got := p.sweep(e, c.served...); got != c.want {
					t.Errorf("%+v, want %+v; left %v", got, c.want, p.kinds())
				}
			})
		})
	}
}

// TestTheSweeperGoesOnWhereAnOrganisationRefusesIt: the entries of the other are purged all the same.
func TestTheSweeperGoesOnWhereAnOrganisationRefusesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPractice(t)
		e := p.worker()
		p.open(e, acme, "web01")
		p.open(e, initech, "web01")
		<-time.After(keepFor + 24*time.Hour)
		p.admit(acme)
		if got := p.sweep(e, acme, initech); got != (apply.SweepResult{Purged: 2, Kept: 2}) {
			t.Errorf("%+v", got)
		}
	})
}
