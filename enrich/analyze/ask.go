package analyze

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"forager/hive"
	"forager/hive/connector"
)

// Holder has a case claimed while jobs of it are asked for.
//
// Error contract: that of package hive.
type Holder interface {
	// Observables are those of the case, by type and value.
	Observables(ctx context.Context) (map[hive.ObservableName]hive.Observable, error)
	// Tell has the case say what was not analysed.
	Tell(j Job, why string)
	// Happened is told of what is worth counting. It must not block.
	Happened(w What, detail string)
}

// What is something worth counting that happened while jobs were asked for.
type What int

// All that may happen.
const (
	Given   What = iota // an observable was given to an analyzer; the detail is the analyzer
	Refused             // TheHive refused jobs; the detail is why
	Unclear             // whether jobs were taken is unknown
)

// Asker asks for the jobs of cases. Safe for concurrent use; of one organisation one caller at a time, over all processes.
type Asker struct {
	singly sync.Map // organisations in which jobs are asked for one by one
}

// asking asks for the jobs that are wanted of one case.
type asking struct {
	*Asker

	organisation string
	cortex       Cortex
	jobs         *State
	holder       Holder
}

// asked is a job that is about to be asked for.
type asked struct {
	job    Job
	report string // the analyzer's name
	new    connector.NewJob
}

// Ask looks at what is there of a claimed case, and asks for what is missing. unclear: it is unknown what was asked for, and nothing may be
// asked for in the organisation before that shows. What is still to be asked for stays wanted. Errors: those of package hive.
func (a *Asker) Ask(ctx context.Context, organisation string, c Cortex, s *State, h Holder) (unclear bool, err error) {
	w := &asking{Asker: a, organisation: organisation, cortex: c, jobs: s, holder: h}
	ready, err := w.ready(ctx)
	if err != nil {
		return false, err
	}
	for some := range slices.Chunk(ready, Bulk) {
		if unclear, err := w.ask(ctx, some); unclear || err != nil {
			return unclear, err
		}
	}
	return false, nil
}

// ready are the jobs that can be asked for, and nobody has asked for.
func (w *asking) ready(ctx context.Context) (ready []asked, err error) {
	workers, err := w.cortex.Analyzers(ctx)
	if err != nil {
		return nil, err
	}
	there, err := w.holder.Observables(ctx)
	if err != nil {
		return nil, err
	}
	listed := map[string][]connector.Job{}
	for _, j := range slices.Clone(w.jobs.Wanted) {
		worker, server, known := j.Find(workers)
		o, seen := there[hive.ObservableName{DataType: j.DataType, Data: j.Data}]
		if !w.possible(j, worker, known, o, seen) {
			continue
		}
		if _, looked := listed[o.ID]; !looked {
			if listed[o.ID], err = w.cortex.Jobs(ctx, o.ID); err != nil {
				return nil, err
			}
		}
		if Asked(worker, listed[o.ID]) {
			w.jobs.Over(j)
			w.jobs.Await(j, worker.Name, time.Now())
			continue
		}
		ready = append(ready, asked{j, worker.Name, connector.NewJob{AnalyzerID: worker.ID, CortexID: server, ObservableID: o.ID}})
	}
	return ready, nil
}

// possible tells whether a job can be asked for; where it never can, it is over.
func (w *asking) possible(j Job, worker connector.Worker, known bool, o hive.Observable, seen bool) bool {
	switch {
	case !known:
		if !w.jobs.Again(j) {
			w.holder.Tell(j, "Cortex has no such analyzer")
		}
	case !slices.Contains(worker.DataTypes, j.DataType):
		w.jobs.Over(j)
	case !seen: // not listed yet, refused, or removed by an analyst
		w.jobs.Again(j)
	case o.TLP > j.Most:
		w.jobs.Over(j)
		w.holder.Tell(j, "the TLP of an observable is above what it may see")
	default:
		return true
	}
	return false
}

// ask asks for jobs in one call; of a TheHive before 5.7, which has no such call, or where one is refused, in one each.
func (w *asking) ask(ctx context.Context, some []asked) (unclear bool, err error) {
	if _, single := w.singly.Load(w.organisation); single {
		return w.askSingly(ctx, some)
	}
	var all []connector.NewJob
	for _, s := range some {
		all = append(all, s.new)
	}
	_, err = w.cortex.RunAnalyzers(ctx, all...)
	switch {
	case err == nil:
		for _, s := range some {
			w.given(s)
		}
		return false, nil
	case refused(err), noBulk(err): // which, and whether others were taken, the next pass sees
		w.singly.Store(w.organisation, true)
		return false, nil
	default:
		return w.failed(some, err)
	}
}

func (w *asking) askSingly(ctx context.Context, some []asked) (unclear bool, err error) {
	for _, s := range some {
		if _, err := w.cortex.RunAnalyzer(ctx, s.new); err != nil {
			if unclear, err := w.failed([]asked{s}, err); unclear || err != nil {
				return unclear, err
			}
			continue
		}
		w.given(s)
	}
	return false, nil
}

// given notes that a job was asked for.
func (w *asking) given(s asked) {
	w.jobs.Over(s.job)
	w.jobs.Await(s.job, s.report, time.Now())
	w.holder.Happened(Given, s.job.Analyzer)
}

// failed says what becomes of jobs that TheHive did not take.
func (w *asking) failed(some []asked, err error) (unclear bool, _ error) {
	denied := verdictOf(err) == hive.Denied
	switch {
	case denied || refused(err):
		for _, s := range some {
			w.jobs.Over(s.job)
			why := "TheHive refused it"
			if denied {
				why = "Forager's account has not the right manageAnalyse"
			}
			w.holder.Tell(s.job, why)
		}
		w.holder.Happened(Refused, err.Error())
		return false, nil
	case uncertain(err):
		w.holder.Happened(Unclear, "run analyzers")
		return true, nil
	default:
		return false, err
	}
}

func verdictOf(err error) hive.Verdict {
	if e, ok := errors.AsType[*hive.Error](err); ok {
		return e.Verdict()
	}
	return hive.Unanswered
}

// refused tells whether TheHive will never take what was sent.
func refused(err error) bool {
	if _, ok := errors.AsType[*hive.InvalidError](err); ok {
		return true
	}
	v := verdictOf(err)
	return v == hive.Unacceptable || v == hive.NotFound
}

// uncertain tells whether an error leaves open if jobs were taken.
func uncertain(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && !e.Refused()
}

// noBulk tells whether TheHive has no call for several jobs: it came with 5.7.
func noBulk(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Status == http.StatusNotFound && strings.HasSuffix(e.Message, "/job/_bulk")
}
