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
	// Keep writes the state into the ledger at once. Where that fails nothing may be asked for.
	Keep(ctx context.Context) error
	// Tell has the case say what was not analysed.
	Tell(j Job, why string)
	// Happened is told of what is worth counting. It must not block.
	Happened(w What, detail string)
}

// What is something worth counting that happened while jobs were asked for.
type What int

// All that may happen.
const (
	Asked    What = iota // an observable was given to an analyzer; the detail is the analyzer
	Refused              // TheHive refused jobs, or a list of them; the detail is why
	Unclear              // whether jobs were taken is unknown
	Deferred             // so many jobs are outstanding that some are asked for later
)

// Asker asks for the jobs of cases. Safe for concurrent use; of one organisation one caller at a time, over all processes, who waits
// until what an earlier one may have asked for shows.
type Asker struct {
	Most   int           // jobs of an organisation that may be outstanding (default MostOutstanding)
	Settle time.Duration // in which a list shows what was asked for

	singly sync.Map // organisations in which jobs are asked for one by one
	full   sync.Map // organisation → until when no job more may be outstanding, a time
}

// Full tells whether nothing more may be asked for in an organisation for the moment.
func (a *Asker) Full(organisation string) bool {
	until, known := a.full.Load(organisation)
	return known && time.Now().Before(until.(time.Time))
}

// fullFor is how long nothing is asked for in an organisation where too many jobs are outstanding.
const fullFor = 30 * time.Second

// Claimed is a case whose jobs are asked for.
type Claimed struct {
	Organisation string
	Cortex       Cortex
	State        *State
	Room         *Room
	Holder       Holder
}

// asking asks for the jobs that are wanted of one case.
type asking struct {
	*Asker
	Claimed
}

// ready is a job that is about to be asked for.
type ready struct {
	job    Job
	report string // the analyzer's name
	new    connector.NewJob
}

// Ask looks at what is there of a claimed case, and asks for what is missing. unclear: it is unknown what was asked for, and nothing may
// be asked for in the organisation before that shows. What is still to be asked for stays wanted. Errors: those of package hive and of
// the holder.
func (a *Asker) Ask(ctx context.Context, c Claimed) (unclear bool, err error) {
	w := &asking{a, c}
	if time.Since(time.UnixMilli(c.State.Last)).Abs() < a.Settle {
		return false, nil // a list may lack what was asked for
	}
	all, err := w.ready(ctx)
	if err != nil || len(all) == 0 {
		return false, err
	}
	if all, err = w.bounded(ctx, all); err != nil {
		return false, err
	}
	for some := range slices.Chunk(all, Bulk) {
		if unclear, err := w.ask(ctx, some); unclear || err != nil {
			return unclear, err
		}
	}
	return false, nil
}

// ready are the jobs that can be asked for, and nobody has asked for; what is noted of them is in the ledger.
func (w *asking) ready(ctx context.Context) ([]ready, error) {
	there, err := w.Holder.Observables(ctx)
	if err != nil {
		return nil, err
	}
	workers, err := w.Cortex.Analyzers(ctx)
	if err != nil {
		return nil, w.silent(err)
	}
	f := finding{asking: w, listed: map[string][]connector.Job{}, chosen: map[[2]string]bool{}}
	for _, j := range slices.Clone(w.State.Wanted) {
		worker, server, known := j.Find(workers)
		o, seen := there[hive.ObservableName{DataType: j.DataType, Data: j.Data}]
		if !w.possible(j, worker, known, o, seen) {
			continue
		}
		lacks, err := f.lacks(ctx, &j, worker, o.ID)
		if err != nil {
			return nil, w.silent(err)
		}
		if lacks {
			f.all = append(f.all, ready{j, worker.Name, connector.NewJob{AnalyzerID: worker.ID, CortexID: server, ObservableID: o.ID}})
		}
	}
	if w.State.Mute >= MaxTries {
		w.giveUp(f.all)
		return nil, nil
	}
	if f.noted {
		err = w.Holder.Keep(ctx)
	}
	return f.all, err
}

// possible tells whether a job can be asked for; where it never can, it is over.
func (w *asking) possible(j Job, worker connector.Worker, known bool, o hive.Observable, seen bool) bool {
	switch {
	case !known:
		if !w.State.Again(j) {
			w.Holder.Tell(j, "Cortex has no such analyzer")
		}
	case !slices.Contains(worker.DataTypes, j.DataType):
		w.State.Over(j)
	case !seen: // not listed yet, refused, or removed by an analyst
		w.State.Again(j)
	case o.TLP > j.Most:
		w.State.Over(j)
		w.Holder.Tell(j, "the TLP of an observable is above what it may see")
	default:
		return true
	}
	return false
}

// finding finds which jobs of a case nobody has asked for.
type finding struct {
	*asking

	listed map[string][]connector.Job // of an observable
	chosen map[[2]string]bool         // observable and analyzer: routes may name one by id and by name
	all    []ready
	noted  bool
}

// lacks tells whether a job is to be asked for now.
func (f *finding) lacks(ctx context.Context, j *Job, worker connector.Worker, observableID string) (bool, error) {
	if _, looked := f.listed[observableID]; !looked {
		jobs, err := f.Cortex.Jobs(ctx, observableID)
		if err != nil {
			return false, err
		}
		f.listed[observableID] = jobs
	}
	newest, is := Newest(worker, f.listed[observableID])
	if is && j.is(newest) {
		f.State.Over(*j)
		f.State.Await(*j, worker.Name, newest.ID, time.Now())
		f.State.Mute = 0
		return false, nil
	}
	if j.Window > 0 && !j.Noted {
		j.Noted, j.Newest = true, newest.ID
		f.State.note(*j)
		f.noted = true
	}
	pair := [2]string{observableID, worker.ID}
	if f.chosen[pair] {
		return false, nil // the next pass finds the other's job, which is newer
	}
	f.chosen[pair] = true
	return true, nil
}

// is tells whether a job of its analyzer and observable, the newest, is this one, or as good: it began in the same window.
func (j Job) is(newest connector.Job) bool {
	switch {
	case j.Window == 0:
		return true
	case j.Noted && newest.ID != j.Newest:
		return true
	default:
		return !newest.StartDate.Before(j.begins())
	}
}

// note puts what is noted of a job into the state.
func (s *State) note(j Job) {
	for i := range s.Wanted {
		if s.Wanted[i].Name() == j.Name() {
			s.Wanted[i] = j
		}
	}
}

// bounded are as many of the jobs as may be outstanding.
func (w *asking) bounded(ctx context.Context, all []ready) ([]ready, error) {
	most := orMost(w.Most)
	shown, err := w.Cortex.Outstanding(ctx, most)
	switch {
	case err == nil:
	case refused(err), hive.VerdictOf(err) == hive.Denied: // it cannot be counted: no reason to ask for nothing
		w.Holder.Happened(Refused, err.Error())
	default:
		return nil, w.silent(err)
	}
	free := w.Room.Free(most, shown, w.Settle, time.Now())
	if free < len(all) {
		w.full.Store(w.Organisation, time.Now().Add(fullFor))
		w.Holder.Happened(Deferred, w.Organisation)
		all = all[:free]
	}
	return all, nil
}

// ask asks for jobs in one call; of a TheHive before 5.7, which has no such call, or where one is refused, in one each.
func (w *asking) ask(ctx context.Context, some []ready) (unclear bool, err error) {
	if _, single := w.singly.Load(w.Organisation); single {
		return w.askSingly(ctx, some)
	}
	var all []connector.NewJob
	for _, s := range some {
		all = append(all, s.new)
	}
	jobs, err := w.Cortex.RunAnalyzers(ctx, all...)
	switch {
	case err == nil:
		w.given(some, jobs)
		return false, nil
	case refused(err), noBulk(err): // which, and whether others were taken, the next pass sees
		w.singly.Store(w.Organisation, true)
		w.State.Last = time.Now().UnixMilli()
		return false, nil
	default:
		return w.failed(some, err)
	}
}

func (w *asking) askSingly(ctx context.Context, some []ready) (unclear bool, err error) {
	for _, s := range some {
		job, err := w.Cortex.RunAnalyzer(ctx, s.new)
		if err == nil {
			w.given([]ready{s}, []connector.Job{job})
			continue
		}
		if unclear, err := w.failed([]ready{s}, err); unclear || err != nil {
			return unclear, err
		}
	}
	return false, nil
}

// given notes that jobs were asked for.
func (w *asking) given(some []ready, jobs []connector.Job) {
	now := time.Now()
	w.State.Last, w.State.Mute = now.UnixMilli(), 0
	w.Room.note(jobs, now)
	for i, s := range some {
		id := ""
		if len(jobs) == len(some) {
			id = jobs[i].ID
		}
		w.State.Over(s.job)
		w.State.Await(s.job, s.report, id, now)
		w.Holder.Happened(Asked, s.job.Analyzer)
	}
}

// failed says what becomes of jobs that TheHive did not take.
func (w *asking) failed(some []ready, err error) (unclear bool, _ error) {
	denied := hive.VerdictOf(err) == hive.Denied
	switch {
	case denied || refused(err):
		for _, s := range some {
			w.State.Over(s.job)
			why := "TheHive refused it"
			if denied {
				why = "Forager's account has not the right manageAnalyse"
			}
			w.Holder.Tell(s.job, why)
		}
		w.Holder.Happened(Refused, err.Error())
		return false, nil
	case hive.Uncertain(err):
		w.State.Mute++
		w.State.Last = time.Now().UnixMilli()
		w.Holder.Happened(Unclear, "run analyzers")
		return true, nil
	default:
		return false, w.silent(err)
	}
}

// silent counts a pass in which TheHive answered and Cortex did not; what else failed is as it is.
func (w *asking) silent(err error) error {
	if v := hive.VerdictOf(err); v != hive.Failed && v != hive.NotFound && v != hive.Unacceptable && v != hive.Denied {
		return err
	}
	if w.State.Mute++; w.State.Mute < MaxTries {
		return nil
	}
	var all []ready
	for _, j := range w.State.Wanted {
		all = append(all, ready{job: j})
	}
	w.giveUp(all)
	return nil
}

// giveUp ends what Cortex did not answer for too long.
func (w *asking) giveUp(all []ready) {
	w.State.Mute = 0
	for _, r := range all {
		w.State.Over(r.job)
		w.Holder.Tell(r.job, "Cortex did not answer")
	}
}

// refused tells whether TheHive will never take what was sent.
func refused(err error) bool {
	if _, ok := errors.AsType[*hive.InvalidError](err); ok {
		return true
	}
	v := hive.VerdictOf(err)
	return v == hive.Unacceptable || v == hive.NotFound
}

// noBulk tells whether TheHive has no call for several jobs: it came with 5.7.
func noBulk(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Status == http.StatusNotFound && strings.HasSuffix(e.Message, "/job/_bulk")
}
