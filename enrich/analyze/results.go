package analyze

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"forager/hive"
	"forager/hive/connector"
)

// How long the end of a job is waited for: the first look is a minute after it was asked for, each later one after as long again as was
// waited until then, an hour at most.
const (
	FirstLook = time.Minute
	LongPause = time.Hour
	GiveUp    = 24 * time.Hour // by then nobody looks any more
	GiveUpOn  = time.Hour      // … for a job whose result changes nothing
)

// mostLooked is how many jobs of a case one look asks for by id.
const mostLooked = 20

// Levels of what an analyzer says (a taxonomy's level), of which a result may change something.
const (
	malicious  = "malicious"
	suspicious = "suspicious"
)

// Awaited is a job that was asked for, and whose end is looked for.
type Awaited struct {
	Job

	Report string `json:"p"`           // the analyzer's name, by which TheHive keeps what it says
	ID     string `json:"j,omitempty"` // the job's, where it is known
	Since  int64  `json:"s"`           // when it was asked for, ms
}

// Result is what an analyzer said of an observable of a case, or that its job is not waited for any more.
type Result struct {
	Awaited

	Observable hive.Observable
	Effect     bool   // it is as bad as what the route acts upon
	Failed     string // why the job failed, in Cortex's words; "": it did not
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

// Await says that a job was asked for, by its id where that is known.
func (s *State) Await(j Job, report, id string, now time.Time) {
	s.Awaited = append(s.Awaited, Awaited{Job: j, Report: report, ID: id, Since: now.UnixMilli()})
}

// Awaits tells whether the end of a job is waited for.
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

func (a Awaited) giveUp() time.Duration {
	if a.acts() {
		return GiveUp
	}
	return GiveUpOn
}

func (a Awaited) look(now time.Time) time.Time {
	since, waited, most := time.UnixMilli(a.Since), FirstLook, a.giveUp()
	for waited < most && !since.Add(waited).After(now) {
		waited += min(waited, LongPause)
	}
	if waited = min(waited, most); since.Add(waited).After(now) {
		return since.Add(waited)
	}
	return now
}

// gone is the status of a job that is not there any more.
const gone = "Deleted"

// Follow asks for jobs of which a case's observables do not say how they ended, so many at most; each look begins with others. Errors:
// those of package hive.
func (s *State) Follow(ctx context.Context, jobs Lists, there map[hive.ObservableName]hive.Observable, now time.Time) (map[string]connector.Job, error) {
	said, n, looked := map[string]connector.Job{}, len(s.Awaited), 0
	for i := range n {
		a := s.Awaited[(i+int(now.Unix()/60))%n]
		if _, reported := a.reported(there); reported || a.ID == "" {
			continue
		}
		if looked++; looked > mostLooked {
			break
		}
		j, err := jobs.Job(ctx, a.ID)
		switch {
		case err == nil:
		case hive.VerdictOf(err) == hive.NotFound:
			j.Status = gone
		case hive.VerdictOf(err) == hive.Failed, refused(err), hive.VerdictOf(err) == hive.Denied:
			continue // it says nothing of this one
		default:
			return nil, err
		}
		said[a.ID] = j
	}
	return said, nil
}

// reported is what an observable says of the job; what it said before counts only where no other job of the analyzer came before.
func (a Awaited) reported(there map[hive.ObservableName]hive.Observable) (report hive.Report, ok bool) {
	if a.Window > 0 && a.ID != "" {
		return report, false
	}
	report, ok = there[hive.ObservableName{DataType: a.DataType, Data: a.Data}].Reports[a.Report]
	return report, ok
}

// Results are those that are there, by a case's observables and what [State.Follow] found, and those that nobody waits for any more.
func (s *State) Results(there map[hive.ObservableName]hive.Observable, said map[string]connector.Job, now time.Time) (all []Result) {
	for _, a := range s.Awaited {
		r := Result{Awaited: a, Observable: there[hive.ObservableName{DataType: a.DataType, Data: a.Data}]}
		report, reported := a.reported(there)
		switch job := said[a.ID]; {
		case job.Status == "Failure":
			r.Failed = failure(job)
		case job.Status == "Success":
			r.Effect = r.Observable.ID != "" && a.bad(summary(job)) // an analyst may have removed it
		case reported:
			r.Effect = a.bad(report)
		case job.Status != gone && now.Sub(time.UnixMilli(a.Since)) < a.giveUp():
			continue
		}
		all = append(all, r)
	}
	return all
}

func (a Awaited) bad(r hive.Report) bool {
	return a.acts() && slices.ContainsFunc(r.Taxonomies, func(t hive.Taxonomy) bool {
		return t.Level == malicious || a.Suspicious && t.Level == suspicious
	})
}

// failure is why a job failed.
func failure(j connector.Job) string {
	var report struct {
		ErrorMessage string `json:"errorMessage"`
	}
	_ = json.Unmarshal(j.Report, &report) // no shape is promised
	return cmp.Or(strings.TrimSpace(report.ErrorMessage), "it does not say why")
}

// summary is what a job's own report says in short.
func summary(j connector.Job) hive.Report {
	var report struct {
		Summary hive.Report `json:"summary"`
	}
	_ = json.Unmarshal(j.Report, &report) // no shape is promised
	return report.Summary
}

// Used says that a result did what it may do, and never does again.
func (s *State) Used(r Result) {
	s.Awaited = slices.DeleteFunc(s.Awaited, func(a Awaited) bool { return a.Name() == r.Name() })
}
