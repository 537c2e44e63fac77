package analyze

import (
	"slices"
	"strings"
	"time"

	"forager/hive"
)

// How long what an analyzer says is waited for: the first look is a minute after a job was asked for, each later one after as long again
// as was waited until then, an hour at most.
const (
	FirstLook = time.Minute
	LongPause = time.Hour
	GiveUp    = 24 * time.Hour // by then nobody looks any more
)

// Levels of what an analyzer says (a taxonomy's level), of which a result may change something.
const (
	malicious  = "malicious"
	suspicious = "suspicious"
)

// Awaited is a job that was asked for, and whose result may change something.
type Awaited struct {
	Job

	Report string `json:"p"` // the analyzer's name, by which TheHive keeps what it says
	Since  int64  `json:"s"` // when it was asked for, ms
}

// Result is what an analyzer said of an observable of a case, or that it is not waited for any more.
type Result struct {
	Awaited

	Observable hive.Observable
	Effect     bool // it is as bad as what the route acts upon
}

// Tag says at a case who raised its severity. It is written with the severity in one call, so that it tells whether that arrived.
func (r Result) Tag() string {
	words := [...]string{"", "low", "medium", "high", "critical"}
	return "raised to " + words[r.Raise] + " by " + r.Report
}

const markBegins = "ioc by "

// MarkTag says at an observable who marked it; as Tag.
func (r Result) MarkTag() string { return markBegins + r.Report }

// Marked tells whether the observable is an indicator, or was marked as one for any result.
func (r Result) Marked() bool {
	return r.Observable.IOC || slices.ContainsFunc(r.Observable.Tags, func(tag string) bool { return strings.HasPrefix(tag, markBegins) })
}

// Await says that a job was asked for; one whose result changes nothing is not waited for.
func (s *State) Await(j Job, report string, now time.Time) {
	if j.Raise > 0 || j.Mark {
		s.Awaited = append(s.Awaited, Awaited{Job: j, Report: report, Since: now.UnixMilli()})
	}
}

// Awaits tells whether a result is waited for.
func (s *State) Awaits() bool { return s != nil && len(s.Awaited) > 0 }

// Look is when the next look at results is due. Whoever calculates it comes to the same moments.
func (s *State) Look(now time.Time) (next time.Time) {
	for _, a := range s.Awaited {
		if at := a.look(now); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

func (a Awaited) look(now time.Time) time.Time {
	since, waited := time.UnixMilli(a.Since), FirstLook
	for waited < GiveUp && !since.Add(waited).After(now) {
		waited += min(waited, LongPause)
	}
	if waited = min(waited, GiveUp); since.Add(waited).After(now) {
		return since.Add(waited)
	}
	return now
}

// Results are those that are there, by a case's observables, and those that nobody waits for any more.
func (s *State) Results(there map[hive.ObservableName]hive.Observable, now time.Time) (all []Result) {
	for _, a := range s.Awaited {
		o := there[hive.ObservableName{DataType: a.DataType, Data: a.Data}]
		report, said := o.Reports[a.Report]
		if !said && now.Sub(time.UnixMilli(a.Since)) < GiveUp {
			continue
		}
		bad := slices.ContainsFunc(report.Taxonomies, func(t hive.Taxonomy) bool {
			return t.Level == malicious || a.Suspicious && t.Level == suspicious
		})
		all = append(all, Result{Awaited: a, Observable: o, Effect: bad})
	}
	return all
}

// Used says that a result did what it may do, and never does again.
func (s *State) Used(r Result) {
	s.Awaited = slices.DeleteFunc(s.Awaited, func(a Awaited) bool { return a.Name() == r.Name() })
}
