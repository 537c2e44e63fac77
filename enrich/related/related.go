// Package related says which open cases a new case has to do with, and remembers which new cases have not been
// looked at yet.
//
// # Promise
//
// What is decided here is decided purely: by which values of a new case others are looked for ([Of]), and which of those
// found it is linked with ([Choose], [Missing]). A case is looked at when what it has is in TheHive, so that of two that are new
// at a time the one that is looked at last finds the other; whoever links sees to it that the other does not. [State] is what the ledger keeps of it; [Due] holds, in bounded memory, what a worker has still to do.
//
// # Limits
//
// MaxIndicators values of a case, MaxLinks links. A case whose look failed for a day is left alone.
package related

import (
	"net/netip"
	"slices"
	"time"

	"forager/enrich/due"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"forager/enrich/detection"
	"forager/hive"
)

// Bounds of what is done for one case.
const (
	MaxIndicators = 5
	MaxLinks      = 10
)

// Kind is how linked cases are said to belong together.
const Kind = "same indicator"

// GiveUp is how long after a case was opened a look that did not succeed is tried.
const GiveUp = 24 * time.Hour

// State is what the ledger keeps of a new case, until it was looked at and after.
type State struct {
	Pending    bool                  `json:"p,omitempty"`
	Ready      bool                  `json:"r,omitempty"` // what it has is in TheHive
	Number     int                   `json:"n,omitempty"`
	Since      int64                 `json:"t,omitempty"` // when it was opened, ms
	Indicators []hive.ObservableName `json:"i,omitempty"`
	Linked     []string              `json:"l,omitempty"` // ids of the cases that it was linked with
}

// New is the state of a new case; nil where nothing of it is worth a look.
func New(number int, now time.Time, observables []detection.Observable) *State {
	of := Of(observables)
	if len(of) == 0 {
		return nil
	}
	return &State{Pending: true, Number: number, Since: now.UnixMilli(), Indicators: of}
}

// Over tells whether nothing is to be done any more.
func (s *State) Over(now time.Time) bool {
	return s == nil || !s.Pending || now.Sub(time.UnixMilli(s.Since)) > GiveUp
}

// Waits tells whether a case can be looked at by whoever finds this: what it has is in TheHive, or will hardly come any more.
func (s *State) Waits(now time.Time) bool {
	return !s.Over(now) && (s.Ready || now.Sub(time.UnixMilli(s.Since)) > unready)
}

// unready is how long a case that did not get what it should have is not looked at.
const unready = 2 * time.Hour

// Done forgets all but that the case was looked at, and what it was linked with.
func (s *State) Done() { *s = State{Linked: s.Linked} }

// Of gives the values by which other cases are looked for, those first that say most: what the sender calls an indicator,
// hashes, external addresses. What is too common to correlate on (private, on an allow-list) is none of them.
func Of(observables []detection.Observable) []hive.ObservableName {
	var byRank [3][]hive.ObservableName
	for _, o := range observables {
		rank, ok := rankOf(o)
		name := hive.ObservableName{DataType: o.DataType, Data: o.Data}
		if ok && !slices.ContainsFunc(byRank[:], func(l []hive.ObservableName) bool { return slices.Contains(l, name) }) {
			byRank[rank] = append(byRank[rank], name)
		}
	}
	all := slices.Concat(byRank[0], byRank[1], byRank[2])
	return all[:min(len(all), MaxIndicators)]
}

// LeftOut is a value by which other cases are not looked for, though its kind is one of those.
type LeftOut struct {
	hive.ObservableName

	Why string // in words
}

// Left gives the indicators, hashes and addresses that [Of] leaves out, and why.
func Left(observables []detection.Observable) []LeftOut {
	var all []LeftOut
	of := Of(observables)
	for _, o := range observables {
		left := LeftOut{ObservableName: hive.ObservableName{DataType: o.DataType, Data: o.Data}}
		_, counts := rankOf(o)
		switch {
		case slices.Contains(of, left.ObservableName), !o.IOC && o.DataType != "hash" && o.DataType != "ip":
			continue
		case o.IgnoreSimilarity:
			left.Why = "too common: private, or on an allow-list"
		case !counts:
			left.Why = "no external address"
		default:
			left.Why = "at most five are looked for"
		}
		if !slices.Contains(all, left) {
			all = append(all, left)
		}
	}
	return all
}

func rankOf(o detection.Observable) (rank int, ok bool) {
	switch {
	case o.IgnoreSimilarity:
		return 0, false
	case o.IOC:
		return 0, true
	case o.DataType == "hash":
		return 1, true
	case o.DataType == "ip":
		a, err := netip.ParseAddr(o.Data)
		return 2, err == nil && a.IsGlobalUnicast() && !a.IsPrivate()
	}
	return 0, false
}

// Choose gives the cases that a case is linked with, of those found: the newest first.
func Choose(id string, found []hive.Case) []hive.Case {
	others := slices.DeleteFunc(slices.Clone(found), func(c hive.Case) bool { return c.ID == id || c.ID == "" })
	slices.SortFunc(others, func(a, b hive.Case) int { return b.Number - a.Number })
	return others[:min(len(others), MaxLinks)]
}

// Missing gives those that a case is not linked with yet, whoever linked it, and how.
func Missing(chosen []hive.Case, there []hive.Linked) []hive.Case {
	return slices.DeleteFunc(slices.Clone(chosen), func(c hive.Case) bool {
		return slices.ContainsFunc(there, func(l hive.Linked) bool { return l.CaseID == c.ID })
	})
}

// Case is one that a worker has to look at.
type Case struct {
	ID, Organisation string
	State            State
}

// Due holds the new cases that a worker has to look at. Safe for concurrent use.
type Due struct {
	*due.Queue[Case]

	alone *expirable.LRU[string, struct{}] // cases that have no such others, as far as there is room
}

// NewDue makes an empty one.
func NewDue() *Due {
	return &Due{Queue: due.New(func(c Case) string { return c.ID }), alone: expirable.NewLRU[string, struct{}](due.Most, nil, 0)}
}

// Later lets a case be looked at from a time on. A case that was looked at, and had no others, is not looked at again.
func (d *Due) Later(c Case, at time.Time) {
	if !d.alone.Contains(c.ID) {
		d.Queue.Later(c, at)
	}
}

// Alone notes that a case has no such others, so that its entry need not be written for that alone.
func (d *Due) Alone(id string) { d.alone.Add(id, struct{}{}) }

// WasAlone tells whether a case was looked at, and had no others.
func (d *Due) WasAlone(id string) bool { return d.alone.Contains(id) }
