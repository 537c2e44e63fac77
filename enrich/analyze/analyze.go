// Package analyze says which observables of a case Cortex is to look at, and which jobs of that are still to be asked for.
//
// # Promise
//
// An analyzer looks at an observable of a case once: what was asked for, or is not to be asked for, is in [State], which the ledger
// keeps with the case. Before a job is asked for, the observable's jobs are listed ([Asked]), so that one that an analyst asked
// for, or that a worker asked for before it died, is not doubled. Everything here but the calls of [Cortex] is pure.
//
// # Limits
//
// So many jobs of a case as a caller says, MaxTries looks for an observable or an analyzer that is not there.
//
// # Results
//
// What an analyzer says comes back by looks at the case's observables: each result once, for a day at most, about thirty looks a case.
package analyze

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"forager/enrich/due"

	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive/connector"
)

// Cortex is TheHive's connector. *connector.Connector satisfies it.
//
// Error contract: that of package hive.
type Cortex interface {
	Analyzers(ctx context.Context) ([]connector.Worker, error)
	Jobs(ctx context.Context, observableID string) ([]connector.Job, error)
	RunAnalyzer(ctx context.Context, n connector.NewJob) (connector.Job, error)
	RunAnalyzers(ctx context.Context, jobs ...connector.NewJob) ([]connector.Job, error)
}

var _ Cortex = (*connector.Connector)(nil)

// Bounds of one case and one call.
const (
	MaxTries = 10 // passes that look for what is not there, a minute apart
	Bulk     = 20 // jobs in one call
)

// State is what the ledger keeps of a case.
type State struct {
	Wanted []Job    `json:"w,omitempty"`
	Done   []string `json:"d,omitempty"` // names of jobs that are not to be asked for any more

	Awaited []Awaited `json:"o,omitempty"` // jobs whose results may change something
}

// Job is one analyzer's look at one observable.
type Job struct {
	Analyzer string `json:"a"`
	Cortex   string `json:"c,omitempty"`
	DataType string `json:"t"`
	Data     string `json:"v"`
	Most     int    `json:"m"`           // TLP
	Tries    int    `json:"n,omitempty"` // passes that did not find what it needs

	Raise      int  `json:"r,omitempty"` // the severity that a bad result raises the case to; 0: to none
	Mark       bool `json:"i,omitempty"` // a bad result marks the observable as an indicator
	Suspicious bool `json:"u,omitempty"` // suspicious is bad, too, and not malicious alone
}

// Name is what makes a job the same: analyzer and observable.
func (j Job) Name() string {
	sum := sha256.Sum256([]byte(j.Analyzer + "\x00" + j.DataType + "\x00" + j.Data))
	return hex.EncodeToString(sum[:8])
}

// Want notes what a route wants to have looked at of the observables of a detection. It gives back how many of these found no room.
func (s *State) Want(all []rules.Analysis, observables []detection.Observable, most int) (leftOut int) {
	for _, a := range all {
		for _, o := range observables {
			if a.IOC && !o.IOC || len(a.Types) > 0 && !slices.Contains(a.Types, o.DataType) {
				continue
			}
			j := Job{
				Analyzer: a.Analyzer, Cortex: a.Cortex, DataType: o.DataType, Data: o.Data, Most: a.Most(),
				Raise: a.RaiseTo(), Mark: a.MarkIOC && !o.IOC, Suspicious: a.Level == suspicious, // an indicator that is none any more was unmarked
			}
			if s.knows(j) {
				continue
			}
			if len(s.Wanted)+len(s.Done) >= most {
				leftOut++
				continue
			}
			s.Wanted = append(s.Wanted, j)
		}
	}
	return leftOut
}

func (s *State) knows(j Job) bool {
	return slices.Contains(s.Done, j.Name()) || slices.ContainsFunc(s.Wanted, func(w Job) bool { return w.Name() == j.Name() })
}

// Waits tells whether something is still to be asked for.
func (s *State) Waits() bool { return s != nil && len(s.Wanted) > 0 }

// Over says that a job is not to be asked for any more.
func (s *State) Over(j Job) {
	s.Wanted = slices.DeleteFunc(s.Wanted, func(w Job) bool { return w.Name() == j.Name() })
	s.Done = append(s.Done, j.Name())
}

// Again says that a job could not be asked for; false: it was tried often enough, and is over.
func (s *State) Again(j Job) bool {
	for i := range s.Wanted {
		if s.Wanted[i].Name() == j.Name() {
			if s.Wanted[i].Tries++; s.Wanted[i].Tries < MaxTries {
				return true
			}
		}
	}
	s.Over(j)
	return false
}

// Find gives the analyzer that a job means, by id or name, and the server that has it.
func (j Job) Find(all []connector.Worker) (w connector.Worker, server string, ok bool) {
	for _, w := range all {
		if w.ID != j.Analyzer && w.Name != j.Analyzer || len(w.CortexIDs) == 0 {
			continue
		}
		if j.Cortex == "" {
			return w, w.CortexIDs[0], true
		}
		if slices.Contains(w.CortexIDs, j.Cortex) {
			return w, j.Cortex, true
		}
	}
	return w, "", false
}

// Asked tells whether one of an observable's jobs is that of an analyzer, whoever asked for it.
func Asked(w connector.Worker, there []connector.Job) bool {
	return slices.ContainsFunc(there, func(j connector.Job) bool { return j.AnalyzerID == w.ID || j.AnalyzerName == w.Name })
}

// Case is one of which something is to be analysed.
type Case struct {
	ID, Organisation string
}

// Queue holds the cases of which something is to be analysed, in bounded memory. Safe for concurrent use.
type Queue = due.Queue[Case]

// NewQueue makes an empty one.
func NewQueue() *Queue { return due.New(func(c Case) string { return c.ID }) }
