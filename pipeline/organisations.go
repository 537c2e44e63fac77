package pipeline

import (
	"errors"
	"slices"
	"sync"
	"time"

	"forager/enrich"
	"forager/retry"
)

// organisations are the doors to the organisations that are served, where these are several: one
// that refuses the worker holds up its own detections and no others'.
type organisations struct {
	served func() []string // nil: there is one
	build  func(d *door) *gate
	now    func() time.Time

	mu    sync.Mutex
	doors map[string]*door // by name: as many as the configuration has named
}

// door leads to one organisation. Its gate closes when TheHive refuses the worker there; closed,
// it lets one apply pass at a time, after pauses that grow, and the first that succeeds opens it.
// Everything else goes back with a long delay.
type door struct {
	name string
	gate *gate

	mu      sync.Mutex
	why     string    // what closed it last
	probing bool      // an apply is under way through the closed door
	next    time.Time // when another may
	waiting returning // messages that went back for it
	crowded time.Time // when it was told last that they are many
}

// pass is leave to apply plans of one organisation.
type pass struct {
	door  *door  // nil: there are no doors
	epoch uint64 // of the door's gate
	probe bool
}

func newOrganisations(o Options, now func() time.Time, tell func(d *door, open bool, err error)) *organisations {
	return &organisations{
		served: o.Organisations, now: now, doors: map[string]*door{},
		build: func(d *door) *gate {
			o.Check = nil // it would say nothing about this organisation
			g := newGate(o, now, func(open bool, _ string, err error) { tell(d, open, err) })
			g.relapse = o.Policy.Probe.Last
			return g
		},
	}
}

// several are the names of the organisations that are served; nil where there are no doors.
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

func (o *organisations) door(name string) *door {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.doors[name]
	if d == nil {
		d = &door{name: name, waiting: returning{width: time.Second}}
		d.gate = o.build(d)
		o.doors[name] = d
	}
	return d
}

// enter asks for leave to apply plans of an organisation. The probe of the worker's own gate
// always has it: what it proves is worth a call.
func (o *organisations) enter(name string, probe bool) (pass, bool) {
	if o.several() == nil {
		return pass{}, true
	}
	d := o.door(name)
	open, _, epoch, _ := d.gate.state()
	if open {
		return pass{door: d, epoch: epoch}, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !probe && (d.probing || o.now().Before(d.next)) {
		return pass{}, false
	}
	d.probing = true
	return pass{door: d, epoch: epoch, probe: true}, true
}

// leave tells the door how the apply ended: refused there, or with effects that prove the right to
// them. What is neither says nothing about the organisation.
func (o *organisations) leave(p pass, results []error, refusal error) {
	if p.door == nil {
		return
	}
	if refusal != nil {
		p.door.gate.applied(p.epoch, "", refusal)
	} else if slices.ContainsFunc(results, answered) {
		p.door.gate.applied(p.epoch, "", nil)
	}
	p.door.rest(o.now(), p.probe)
}

// answered tells whether a result says that TheHive let the worker in. What the ledger alone
// dropped does not.
func answered(err error) bool {
	c := enrich.ClassOf(err)
	return c == enrich.None || c == enrich.Rejected
}

// rest sets when the next apply may pass the closed door.
func (d *door) rest(now time.Time, probed bool) {
	next := now.Add(retry.Jitter(d.gate.wait()))
	d.mu.Lock()
	defer d.mu.Unlock()
	if probed {
		d.probing = false
	}
	if probed || d.next.Before(now) {
		d.next = next
	}
}

// errDoorClosed is why plans of a refused organisation go back without an apply.
var errDoorClosed = errors.New("its gate is closed")

// closedTo is what becomes of plans that meet a closed door.
func closedTo(name string) error {
	return &enrich.OrganisationError{Organisation: name, Err: errDoorClosed}
}

// putBack notes that a message went back for its organisation; it tells when so many wait for the
// same one that the others may starve, at most once a minute.
func (o *organisations) putBack(err error, delay time.Duration, most int) (name string, crowded bool) {
	refusal, ok := errors.AsType[*enrich.OrganisationError](err)
	if !ok || o.several() == nil {
		return "", false
	}
	d, now := o.door(refusal.Organisation), o.now()
	d.waiting.add(now, delay)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting.count(now) < most/2 || now.Sub(d.crowded) < time.Minute {
		return "", false
	}
	d.crowded = now
	return d.name, true
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
		d := o.door(name)
		open, _, _, _ := d.gate.state()
		d.mu.Lock()
		one := Organisation{Name: enrich.OrganisationName(name), Open: open, Waiting: d.waiting.count(o.now())}
		if !open {
			one.Why = d.why
		}
		d.mu.Unlock()
		all = append(all, one)
	}
	return all
}
