// Package analyze says which observables of a case Cortex is to look at, and asks for the jobs.
//
// # Promise
//
// An analyzer looks at an observable of a case once, or once in each window ([rules.Analysis]): what was asked for, or is not to be
// asked for, is in [State], which the ledger keeps with the case. Before a job is asked for, the observable's jobs are listed, so that
// one that an analyst asked for, or that a worker asked for before it died, is not doubled. In a window the older jobs of an analyzer
// stay: so its newest is written into the ledger first, and whoever comes later asks only where there is none that is newer. Who asks
// waits until lists show what was asked for before ([Asker]).
//
// What is still to be asked for is in the ledger until it was asked for, or the case says why it was not.
//
// # Limits
//
// So many jobs of a case, and so many outstanding in an organisation, as a caller says. MaxTries looks for an observable or an analyzer
// that is not there, and for a Cortex that does not answer.
//
// # Results
//
// What an analyzer says comes back by looks at the case's observables and, where that does not show it, at the job: each result once. A
// result that may change something is looked for for a day, about thirty looks a case; one that may not, for an hour, so that the case
// says which job failed.
package analyze

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"forager/enrich/due"

	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive/connector"
)

// Cortex asks for jobs by TheHive's connector. *connector.Connector satisfies it.
//
// Error contract: that of package hive.
type Cortex interface {
	Analyzers(ctx context.Context) ([]connector.Worker, error)
	Lists
	RunAnalyzer(ctx context.Context, n connector.NewJob) (connector.Job, error)
	RunAnalyzers(ctx context.Context, jobs ...connector.NewJob) ([]connector.Job, error)
}

// Lists shows jobs.
type Lists interface {
	Job(ctx context.Context, id string) (connector.Job, error)
	Jobs(ctx context.Context, observableID string) ([]connector.Job, error)
	Outstanding(ctx context.Context, most int) ([]connector.Job, error)
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

	Awaited []Awaited `json:"o,omitempty"` // jobs whose end is looked for

	Last int64 `json:"t,omitempty"` // when a job was last asked for, ms
	Mute int   `json:"f,omitempty"` // passes in a row in which Cortex did not answer
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

	Window int64 `json:"x,omitempty"` // how long one look holds, ms; 0: for ever
	Nth    int64 `json:"k,omitempty"` // which window since 1970 it is wanted in

	Noted  bool   `json:"b,omitempty"` // Newest is in the ledger: a job that is newer is this one
	Newest string `json:"l,omitempty"` // id of the analyzer's newest job before this one; "": there was none
}

// Name is what makes a job the same: analyzer, observable and window.
func (j Job) Name() string {
	text := j.Analyzer + "\x00" + j.DataType + "\x00" + j.Data
	if j.Window > 0 {
		text += "\x00" + strconv.FormatInt(j.Window, 10) + "\x00" + strconv.FormatInt(j.Nth, 10)
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// begins is when the job's window begins.
func (j Job) begins() time.Time { return time.UnixMilli(j.Window * j.Nth) }

// acts tells whether a result may change something.
func (j Job) acts() bool { return j.Raise > 0 || j.Mark }

// Want notes what a route wants to have looked at of the observables of a detection that comes now. It gives back how many of these found
// no room.
func (s *State) Want(all []rules.Analysis, observables []detection.Observable, most int, now time.Time) (leftOut int) {
	for _, a := range all {
		for _, o := range observables {
			if a.IOC && !o.IOC || len(a.Types) > 0 && !slices.Contains(a.Types, o.DataType) {
				continue
			}
			j := jobOf(a, o, now)
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

func jobOf(a rules.Analysis, o detection.Observable, now time.Time) Job {
	j := Job{
		Analyzer: a.Analyzer, Cortex: a.Cortex, DataType: o.DataType, Data: o.Data, Most: a.Most(),
		Raise: a.RaiseTo(), Mark: a.MarkIOC && !o.IOC, Suspicious: a.Level == suspicious, // an indicator that is none any more was unmarked
	}
	if a.Once == rules.OnceWindow {
		j.Window = max(a.Window, time.Minute).Milliseconds()
		j.Nth = now.UnixMilli() / j.Window
	}
	return j
}

func (s *State) knows(j Job) bool {
	return slices.Contains(s.Done, j.Name()) || slices.ContainsFunc(s.Wanted, func(w Job) bool { return w.Name() == j.Name() })
}

// Waits tells whether something is still to be asked for.
func (s *State) Waits() bool { return s != nil && len(s.Wanted) > 0 }

// Pause is how long until the next pass: it grows while Cortex does not answer, up to an hour.
func (s *State) Pause() time.Duration {
	if s == nil {
		return time.Minute
	}
	return min(time.Minute<<min(s.Mute, 6), time.Hour)
}

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

// Absorb takes over what another case had that became part of this one.
func (s *State) Absorb(old *State) *State {
	if old == nil {
		return s
	}
	if s == nil {
		s = &State{}
	}
	for _, a := range old.Awaited {
		if !slices.Contains(s.Done, a.Name()) { // else it was taken over before
			s.Awaited = append(s.Awaited, a)
		}
	}
	for _, name := range old.Done {
		if !slices.Contains(s.Done, name) {
			s.Wanted = slices.DeleteFunc(s.Wanted, func(w Job) bool { return w.Name() == name })
			s.Done = append(s.Done, name)
		}
	}
	for _, j := range old.Wanted {
		if !s.knows(j) {
			j.Noted, j.Newest = false, "" // of another observable
			s.Wanted = append(s.Wanted, j)
		}
	}
	s.Last = max(s.Last, old.Last)
	return s
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

// Newest is the newest of an observable's jobs that is of an analyzer, whoever asked for it; false: there is none.
func Newest(w connector.Worker, there []connector.Job) (newest connector.Job, ok bool) {
	for _, j := range slices.Backward(there) {
		if j.AnalyzerID == w.ID || j.AnalyzerName == w.Name {
			return j, true
		}
	}
	return newest, false
}

// Room is what the ledger keeps of an organisation: the jobs that were asked for so lately that no search may show them.
type Room struct {
	Lately []Given `json:"lately,omitempty"`
}

// Given is a job that was asked for.
type Given struct {
	ID string `json:"i"`
	At int64  `json:"t"` // ms
}

// Free is how many jobs more may be outstanding, by those that a search shows, and those that it may not show yet.
func (r *Room) Free(most int, shown []connector.Job, settle time.Duration, now time.Time) int {
	r.Lately = slices.DeleteFunc(r.Lately, func(g Given) bool { return now.Sub(time.UnixMilli(g.At)).Abs() >= settle })
	all := map[string]bool{}
	for _, g := range r.Lately {
		all[g.ID] = true
	}
	for _, j := range shown {
		if now.Sub(j.StartDate.Time) < forsaken {
			all[j.ID] = true
		}
	}
	return max(most-len(all), 0)
}

// forsaken is how old a job is that nobody takes up any more, as of a Cortex that is gone: it keeps no other from being asked for.
const forsaken = 6 * time.Hour

// note notes jobs that were asked for.
func (r *Room) note(jobs []connector.Job, now time.Time) {
	for _, j := range jobs {
		r.Lately = append(r.Lately, Given{ID: j.ID, At: now.UnixMilli()})
	}
}

// Case is one of which something is to be analysed.
type Case struct {
	ID, Organisation string
}

// Queue holds the cases of which something is to be analysed, in bounded memory. Safe for concurrent use.
type Queue = due.Queue[Case]

// NewQueue makes an empty one.
func NewQueue() *Queue { return due.New(func(c Case) string { return c.ID }) }

// MostOutstanding is how many jobs of an organisation may be outstanding where nothing is said.
const MostOutstanding = 100

func orMost(most int) int { return cmp.Or(most, MostOutstanding) }
