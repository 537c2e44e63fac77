package view

import (
	"context"
	"iter"
	"sync"
	"time"

	"forager/cmd/worker/explanation"
	"forager/cmd/worker/page"
	"forager/cmd/worker/recent"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/mitre"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// Worker is what carries messages.
type Worker interface {
	Ready() (bool, []string)
	Notes() []string
	// Held is how many messages are in hand.
	Held() (messages, bytes int)
}

// Options say where the page's facts come from.
type Options struct {
	History    *recent.History
	Worker     Worker
	InFlight   func() int // calls at TheHive
	Limit      func() int // that may be
	Most       int        // that the configuration allows
	Connect    func(ctx context.Context) (*stream.Link, error)
	Topology   stream.Topology
	Procedures func(ctx context.Context, q hive.Query) iter.Seq2[hive.Procedure, error]
	Explain    func(name string, m detection.Message, from enrich.Origin) []explanation.Line
	Catalogue  *mitre.Catalogue
	CaseURL    func(enrich.Landing) string
	Rollbacks  func() int // of stream and ledger, that stand
	Replica    string
	Version    string
}

// View is the page's source. Safe for concurrent use.
type View struct {
	options  Options
	beside   pipeline.Tasks
	replicas cached[replicas]
	letters  cached[page.Letters]
	counts   cached[counts]
	matrices matrices

	mu   sync.Mutex
	link *stream.Link
}

// How often servers are asked while somebody looks.
const (
	replicasEvery = 5 * time.Second
	lettersEvery  = 10 * time.Second
	countsEvery   = 5 * time.Minute
)

// New makes a view. It makes no call.
func New(o Options) *View {
	v := &View{options: o, matrices: matrices{made: map[page.Choice]page.Matrix{}}}
	v.replicas.every, v.replicas.ask = replicasEvery, v.askReplicas
	v.letters.every, v.letters.ask = lettersEvery, v.askLetters
	v.counts.every, v.counts.ask = countsEvery, v.askCounts
	return v
}

// Close ends what is under way. Nobody may look any more.
func (v *View) Close() {
	v.mu.Lock()
	if v.link != nil {
		v.link.Close()
	}
	v.mu.Unlock()
	_ = v.beside.Wait() // a panic has ended the process
}

// connected is the view's own connection; one that was dropped comes back by itself.
func (v *View) connected(ctx context.Context) (*stream.Link, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link == nil {
		link, err := v.options.Connect(ctx)
		if err != nil {
			return nil, err
		}
		v.link = link
	}
	return v.link, nil
}

// Snapshot is how the replica does now.
func (v *View) Snapshot(ctx context.Context) page.Snapshot {
	ready, reasons := v.options.Worker.Ready()
	v.options.History.Ready(ready)
	seen := v.options.History.Look()
	s := page.Snapshot{At: time.Now(), Replica: v.options.Replica, Version: v.options.Version, Flow: v.flow(seen), Promises: promises(seen, v.options.Rollbacks())}
	s.Flow.Ready = ready
	for _, m := range seen.Messages {
		s.Recent = append(s.Recent, v.row(m))
	}
	of, _ := v.replicas.get(ctx, &v.beside)
	s.Flow.Replicas, s.Flow.Trouble = of.all, of.trouble
	s.Flow.Replicas = marked(s.Flow.Replicas, v.options.Replica, seen.Since)
	s.Letters, _ = v.letters.get(ctx, &v.beside)
	s.Concerns = concerns(s, reasons, v.options.Worker.Notes(), seen.Stuck)
	return s
}

// flow is what the replica itself knows.
func (v *View) flow(seen recent.Seen) page.Flow {
	f := page.Flow{Since: seen.Since, Calls: page.Calls{InFlight: v.options.InFlight(), Limit: v.options.Limit(), Most: v.options.Most}}
	f.InHand, _ = v.options.Worker.Held()
	for i, o := range recent.Outcomes() {
		f.Ended = append(f.Ended, page.Count{Name: string(o), N: seen.Ended[i]})
	}
	for _, m := range seen.Minutes {
		f.Minutes = append(f.Minutes, page.Minute{Begin: m.Begin, Settled: m.Settled(), Dead: m.Ended[2], Again: m.Ended[3], Lag: m.Lag, Known: m.Measured})
	}
	f.Behind = page.Behind{Known: seen.Measured, Waiting: seen.Lag.Pending, Unanswered: seen.Lag.AckPending, Limit: seen.Lag.AckLimit}
	return f
}

func (v *View) row(m recent.Message) page.Row {
	r := page.Row{
		Sequence: m.Sequence, At: m.At, Format: m.Format, Title: m.Title, Host: m.Host, Severity: m.Severity, Techniques: m.Techniques, More: m.More,
		Detections: m.Detections, Outcome: string(m.Outcome), Reason: m.Reason, Detail: m.Detail, Took: m.Took,
	}
	for _, c := range m.Cases {
		r.Cases = append(r.Cases, page.Case{Number: c.Number, URL: v.options.CaseURL(c)})
	}
	return r
}

// promises are what should stay 0, as this replica saw it since its start.
func promises(seen recent.Seen, rollbacks int) []page.Promise {
	event := func(kinds ...apply.EventKind) (n int) {
		for _, k := range kinds {
			n += seen.Events[k]
		}
		return n
	}
	return []page.Promise{
		{Grave: true, Name: "doubled", Says: "two cases of one key with one start date", N: event(apply.EventDoubled), Do: "Look for cases with the same forager: tag and merge them in TheHive; then see hive.settle and \"worker check --connect --measure-lag\"."},
		{Grave: true, Name: "lost", Says: "messages that left the stream before anybody had them, and cases that TheHive does not show any more", N: int(seen.Lag.Gone) + event(apply.EventUnseen),
			Do: "See the limits of the stream (max age, bytes, messages) with \"worker check --connect\", and TheHive's index."},
		{Grave: true, Name: "not stored as dead letters", Says: "messages that were given up and fit nowhere; they stay in the stream", N: seen.Noticed[pipeline.NoticeLetterLost], Do: "Make room in the dead-letter stream: \"worker dlq ls\", then \"worker dlq requeue\" or \"worker dlq purge\"."},
		{Name: "unclear answers", Says: "writes of which TheHive did not say whether they took place; each was looked for before it was repeated", N: event(apply.EventAmbiguous), Do: "Nothing is lost by it. Many of them mean a proxy or TheHive that cuts connections: see hive.timeout."},
		{Name: "rollbacks", Says: "times within a day that the stream or the ledger was found older than it had been, as after a restore", N: rollbacks, Do: "The notes above say what is gone; docs/how-to/operate.md says what to do after a restore."},
		{Name: "degraded", Says: "cases made without a value of the configuration that TheHive refuses", N: event(apply.EventDegraded), Do: "\"worker check --connect\" names the template, field or status that TheHive does not know."},
		{Name: "left out", Says: "items over a limit of their case, and techniques that TheHive refused", N: event(apply.EventOverLimit, apply.EventTechnique, apply.EventBarred), Do: "Each case says what it lacks. See limits.* and, for files, files.objects."},
	}
}

var _ page.Source = (*View)(nil)
