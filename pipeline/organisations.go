package pipeline

import (
	"errors"
	"slices"
	"sync"
	"time"

	"forager/enrich"
	"forager/retry"
)

// organisations are the breakers of the organisations that are served, where these are several: one
// that refuses the worker holds up its own detections and no others'.
type organisations struct {
	served func() []string // nil: there is one
	build  func(b *breaker) *gate
	now    func() time.Time

	mu       sync.Mutex
	breakers map[string]*breaker // by name: as many as the configuration has named
}

// breaker is of one organisation. Its gate closes when TheHive refuses the worker there; closed,
// it lets one apply pass at a time, after pauses that grow, and the first that succeeds opens it.
// Everything else goes back with a long delay.
type breaker struct {
	name string
	gate *gate

	mu      sync.Mutex
	why     string    // what closed it last
	probing bool      // an apply is under way through the closed gate
	next    time.Time // when another may
	waiting returning // messages that went back for it
	crowded time.Time // when it was told last that they are many
}

// pass is leave to apply plans of one organisation.
type pass struct {
	breaker *breaker // nil: there are no breakers
	epoch   uint64   // of the breaker's gate
	probe   bool
}

func newOrganisations(o Options, now func() time.Time, tell func(b *breaker, open bool, err error)) *organisations {
	return &organisations{
		served: o.Organisations, now: now, breakers: map[string]*breaker{},
		build: func(b *breaker) *gate {
			o.Check = nil // it would say nothing about this organisation
			g := newGate(o, now, func(open bool, _ string, err error) { tell(b, open, err) })
			g.relapse = o.Policy.Probe.Last
			return g
		},
	}
}

// several are the names of the organisations that are served; nil where there are no breakers.
func (o *organisations) several() []string {
	if o.served == nil {
		return nil
	}
	names := o.served()
	if len(names) < 2 {
		return nil
	}
	return names
}

func (o *organisations) breaker(name string) *breaker {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.breakers[name]
	if b == nil {
		b = &breaker{name: name, waiting: returning{width: time.Second}}
		b.gate = o.build(b)
		o.breakers[name] = b
	}
	return b
}

// enter asks for leave to apply plans of an organisation. The probe of the worker's own gate
// always has it: what it proves is worth a call.
func (o *organisations) enter(name string, probe bool) (pass, bool) {
	if o.several() == nil {
		return pass{}, true
	}
	b := o.breaker(name)
	open, _, epoch, _ := b.gate.state()
	if open {
		return pass{breaker: b, epoch: epoch}, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !probe && (b.probing || o.now().Before(b.next)) {
		return pass{}, false
	}
	b.probing = true
	return pass{breaker: b, epoch: epoch, probe: true}, true
}

// leave tells the breaker how the apply ended: refused there, or with effects that prove the right to
// them. What is neither says nothing about the organisation.
func (o *organisations) leave(p pass, results []error, refusal error) {
	if p.breaker == nil {
		return
	}
	if refusal != nil {
		p.breaker.gate.applied(p.epoch, "", refusal)
	} else if slices.ContainsFunc(results, answered) {
		p.breaker.gate.applied(p.epoch, "", nil)
	}
	p.breaker.rest(o.now(), p.probe)
}

// answered tells whether a result says that TheHive let the worker in. What the ledger alone
// dropped does not.
func answered(err error) bool {
	c := enrich.ClassOf(err)
	return c == enrich.None || c == enrich.Rejected
}

// rest sets when the next apply may pass the closed gate.
func (b *breaker) rest(now time.Time, probed bool) {
	next := now.Add(retry.Jitter(b.gate.wait()))
	b.mu.Lock()
	defer b.mu.Unlock()
	if probed {
		b.probing = false
	}
	if probed || b.next.Before(now) {
		b.next = next
	}
}

// errOrganisationClosed is why plans of a refused organisation go back without an apply.
var errOrganisationClosed = errors.New("its gate is closed")

// closedTo is what becomes of plans that meet a closed gate.
func closedTo(name string) error {
	return &enrich.OrganisationError{Organisation: name, Err: errOrganisationClosed}
}

// putBack notes that a message went back for its organisation; it tells when so many wait for the
// same one that the others may starve, at most once a minute.
func (o *organisations) putBack(err error, delay time.Duration, most int) (name string, crowded bool) {
	refusal, ok := errors.AsType[*enrich.OrganisationError](err)
	if !ok || o.several() == nil {
		return "", false
	}
	b, now := o.breaker(refusal.Organisation), o.now()
	b.waiting.add(now, delay)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting.count(now) < most/2 || now.Sub(b.crowded) < time.Minute {
		return "", false
	}
	b.crowded = now
	return b.name, true
}

// Organisation is how the worker stands with one of several organisations.
type Organisation struct {
	Name    string // as the configuration has it; "(own)" where it names none
	Open    bool   // false while TheHive refuses the worker there
	Why     string // it is closed: TheHive's answer
	Waiting int    // messages that went back from here for it and have not returned, about
}

// Organisations is how the worker stands with each organisation that is served; nil where there
// is one, for which the worker's gate speaks.
func (w *Worker) Organisations() []Organisation { return w.organisations.all() }

func (o *organisations) all() []Organisation {
	names := o.several()
	all := make([]Organisation, 0, len(names))
	for _, name := range names {
		b := o.breaker(name)
		open, _, _, _ := b.gate.state()
		b.mu.Lock()
		one := Organisation{Name: enrich.OrganisationName(name), Open: open, Waiting: b.waiting.count(o.now())}
		if !open {
			one.Why = b.why
		}
		b.mu.Unlock()
		all = append(all, one)
	}
	return all
}
