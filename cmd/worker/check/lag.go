package check

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/hive"
	"forager/pipeline/inspect"
)

// searching is what findings about the lag are about.
const searching = "TheHive's search"

// Lag opens a case in the worker's own organisation, looks how long a search by its tag does not
// show it, and removes it again, also when ctx ends. It takes hive.settle and a few calls, at most.
// Where something is broken that keeps the worker from writing, it does not try.
func Lag(ctx context.Context, c *config.Config, found []inspect.Finding) ([]inspect.Finding, error) {
	if broken := func(f inspect.Finding) bool {
		return f.Level == inspect.LevelBroken && f.Server == inspect.ServerHive
	}; slices.ContainsFunc(found, broken) {
		return []inspect.Finding{{
			Level: inspect.LevelNote, Server: inspect.ServerHive, About: searching, What: "its lag was not measured", Why: "no case can be opened as things are", Remedy: "mend what is broken at TheHive, then measure again",
		}}, nil
	}
	o := service.HiveOptions(c)
	o.Timeout = min(o.Timeout, askWithin)
	client, err := hive.New(o)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	defer client.CloseIdle()
	m := &lagMeasure{hive: client, settle: c.Hive.Settle}
	m.run(ctx)
	return m.found, nil
}

// lagMeasure is one case on its way through TheHive's index. No answer to its opening is waited for
// longer than a call takes, and none is given up before: nobody else would remove the case.
type lagMeasure struct {
	hive   *hive.Client
	settle time.Duration
	found  []inspect.Finding

	tag      string
	opened   hive.Case     // no ID: not known yet
	lost     error         // the answer to its opening; nil: it came
	creating time.Duration // that the opening took
	shown    bool
	lag      time.Duration // when the search was sent that showed it, since the answer to the opening
	searches int
	slowest  time.Duration // of the searches
}

func (m *lagMeasure) run(ctx context.Context) {
	if !m.open(context.WithoutCancel(ctx)) {
		return
	}
	err := m.watch(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	m.clear(context.WithoutCancel(ctx))
	m.judge(err)
}

func (m *lagMeasure) add(level inspect.Level, what, why, remedy string) {
	m.found = append(m.found, inspect.Finding{Level: level, Server: inspect.ServerHive, About: searching, What: what, Why: why, Remedy: remedy})
}

// open makes the case. It is false when there is none for sure.
func (m *lagMeasure) open(ctx context.Context) bool {
	m.tag = "forager:check-" + strings.ToLower(rand.Text())
	begun := time.Now()
	var err error
	m.opened, err = m.hive.CreateCase(ctx, hive.NewCase{
		Title: "Forager measures how long a search lags (may be deleted)",
		Description: "`worker check --connect --measure-lag` opened this case on " + begun.UTC().Format(time.RFC3339) +
			" to see how soon a search shows it. It removes the case itself. If it is still here a few minutes later, that failed: nothing needs it, delete it.",
		Severity: new(1),
		Tags:     []string{m.tag},
	})
	m.creating = time.Since(begun)
	failed, _ := errors.AsType[*hive.Error](err)
	switch {
	case err == nil:
		return true
	case failed != nil && !failed.Refused():
		m.lost = err
		return true
	case failed != nil && failed.Own() && failed.Refused() && failed.Verdict() != hive.Throttled && failed.Verdict() != hive.Failed:
		m.add(inspect.LevelBroken, "TheHive refuses to open a case: "+oneLine(err.Error()), "the worker could open none either", "look at the account's profile and at TheHive's log")
	default:
		m.add(inspect.LevelNote, "its lag was not measured, TheHive did not open a case: "+oneLine(err.Error()), "whether hive.settle is long enough is not known", "measure again when TheHive is well")
	}
	return false
}

// watch searches as the worker does, until the case is shown or settle has passed. The pauses grow, so
// that the lag is known to a third of itself.
func (m *lagMeasure) watch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.settle+askWithin)
	defer cancel()
	pauses := &backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, MaxInterval: time.Second, Multiplier: 1.3}
	pauses.Reset()
	for since := time.Now(); ; {
		m.lag = time.Since(since)
		if err := m.search(ctx); err != nil || m.shown || m.lag >= m.settle {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(pauses.NextBackOff(), max(m.settle-time.Since(since), time.Millisecond))):
		}
	}
}

// search looks for the tag once.
func (m *lagMeasure) search(ctx context.Context) error {
	sent := time.Now()
	m.searches++
	for c, err := range m.hive.FindCases(ctx, hive.Query{Filter: hive.Eq("tags", m.tag)}) {
		if err != nil {
			return err
		}
		m.opened, m.shown = c, true
	}
	m.slowest = max(m.slowest, time.Since(sent))
	return nil
}

// clear deletes the case, or closes it where the account may not delete, and says what is left.
func (m *lagMeasure) clear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*askWithin)
	defer cancel()
	if m.opened.ID == "" {
		m.add(inspect.LevelNote, "a case with the tag "+m.tag+" may be left: the answer to its opening was lost, and no search showed it", "nothing needs it", "look for the tag later, and delete the case")
		return
	}
	refusal := m.hive.DeleteCase(ctx, m.opened.ID)
	if refusal == nil || notFound(refusal) {
		return
	}
	err := m.hive.UpdateCase(ctx, m.opened.ID, hive.CaseUpdate{
		Status: new("Other"), Summary: new("Opened and closed by worker check: the account may not delete it."), Clear: []hive.Clearable{hive.ClearAssignee},
	})
	switch left := fmt.Sprintf("case %d, opened to measure, ", m.opened.Number); {
	case err == nil:
		m.add(inspect.LevelNote, left+"is left, closed: "+oneLine(refusal.Error()), "the worker itself never deletes a case, and needs no right to", "delete it by hand, if it is in the way")
	case !notFound(err):
		m.add(inspect.LevelNote, left+"may be left, open: "+oneLine(errors.Join(refusal, err).Error()), "nothing needs it", "delete it by hand")
	}
}

func notFound(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Verdict() == hive.NotFound
}

// judge says what the lag means for hive.settle.
func (m *lagMeasure) judge(err error) {
	took := fmt.Sprintf(" (hive.settle is %s; to open it took %s, a search %s at most)", m.settle, brief(m.creating), brief(m.slowest))
	const why, last = "after an answer that was lost a case is searched for in vain: a second one is opened for its key (promise 2)", "; this was one look, and a busy TheHive lags more"
	switch enough := (2*m.lag + time.Second - 1).Truncate(time.Second); {
	case err != nil:
		m.add(inspect.LevelNote, "its lag is not known: "+oneLine(err.Error()), "whether hive.settle is long enough is not known", "measure again")
	case m.lost != nil:
		m.add(inspect.LevelNote, "its lag is not known: the answer to the opening of a case was lost: "+oneLine(m.lost.Error()), "whether hive.settle is long enough is not known", "measure again")
	case !m.shown:
		m.add(inspect.LevelHurts, "no search by tag showed a new case within hive.settle"+took, why, "look at the index in TheHive's platform management, and measure again with a longer hive.settle")
	case 2*m.lag > m.settle:
		m.add(inspect.LevelHurts, "a search by tag showed a new case only after "+brief(m.lag)+took, why+last, "set hive.settle to "+enough.String()+" or more")
	case m.searches == 1:
		m.add(inspect.LevelOK, "a search by tag showed a new case at once"+took, "", "")
	default:
		m.add(inspect.LevelOK, "a search by tag showed a new case after "+brief(m.lag)+took, "", "")
	}
}

// brief rounds what was measured.
func brief(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
