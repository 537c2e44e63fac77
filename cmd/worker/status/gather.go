package status

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/service"
	"forager/config"
	"forager/enrich/claim"
	"forager/hive"
	"forager/pipeline"
	"forager/pipeline/deadletter"
	"forager/pipeline/hold"
	"forager/pipeline/kvledger"
	"forager/pipeline/rollback"
	"forager/pipeline/stream"
)

// Bounds of an answer.
const (
	Within      = 15 * time.Second
	MostLetters = 10_000
	hiveCalls   = 3 // of which the median is told
)

// Status is how Forager does. The names of its JSON keys are a contract with scripts.
type Status struct {
	Stream   Stream    `json:"stream"`
	Letters  Letters   `json:"deadLetters"`
	Below    Below     `json:"belowThresholds"`
	Replicas []Replica `json:"replicas"` // the newest first
	Hive     Hive      `json:"hive"`
	// Problems are what hurts, in words, and parts that could not be reached.
	Problems []string `json:"problems"`
}

// Stream is how far behind the consumer is.
type Stream struct {
	Name           string `json:"name"`
	Consumer       string `json:"consumer"`
	Waiting        uint64 `json:"waiting"`        // messages that were never delivered
	Unacknowledged uint64 `json:"unacknowledged"` // delivered, not settled
	Limit          uint64 `json:"limit"`          // of these; 0 is none
	Known          bool   `json:"known"`          // false: it could not be asked
}

// Letters are the dead letters that wait for somebody.
type Letters struct {
	Waiting  uint64   `json:"waiting"`
	ByReason []Reason `json:"byReason"` // the most frequent first
	Known    bool     `json:"known"`
}

// Below are the detections that wait below a threshold of their route.
type Below struct {
	Waiting uint64 `json:"waiting"` // messages that are held, once for each key of a threshold
	Dropped uint64 `json:"dropped"` // detections, about, of which not enough came together, since the ledger was made
	Met     uint64 `json:"met"`     // thresholds, about, that were met
	Known   bool   `json:"known"`

	OldestSeconds float64 `json:"oldestSeconds"` // for how long the oldest is held; 0 where none is
	Full          float64 `json:"full"`          // how full their stream is, 0–1; 0 also where it has no limit
}

// Reason is why letters died.
type Reason struct {
	Reason string    `json:"reason"`
	Step   string    `json:"step"`   // what TheHive refused; or empty
	Status int       `json:"status"` // of TheHive; 0 is none
	Count  int       `json:"count"`
	Newest time.Time `json:"newest"`
}

// Replica is a process that carries detections, or did within a week.
type Replica struct {
	Pod         string             `json:"pod"`
	State       claim.SessionState `json:"state"`
	Started     time.Time          `json:"started"`
	SeenSeconds float64            `json:"seenSeconds"` // since its last sign of life
	Concurrency int                `json:"concurrency"`
	Says        string             `json:"says"` // why it consumes nothing; empty: it does
}

// Hive is how TheHive answers.
type Hive struct {
	URL          string  `json:"url"`
	Version      string  `json:"version"`
	User         string  `json:"user"`
	Milliseconds float64 `json:"milliseconds"` // the median of a few small calls
	Known        bool    `json:"known"`
}

// Gather asks NATS and TheHive at once.
func Gather(ctx context.Context, c *config.Config) Status {
	ctx, cancel := context.WithTimeout(ctx, Within)
	defer cancel()
	topology := service.PipelineOptions(c, zap.NewNop()).Streams()
	s := Status{Stream: Stream{Name: topology.Stream, Consumer: topology.Consumer}, Hive: Hive{URL: c.Hive.URL}, Replicas: []Replica{}, Problems: []string{}}
	var fromNATS, fromHive []string
	var both pipeline.Tasks
	both.Go("ask NATS", func() { fromNATS = s.askNATS(ctx, c, topology) })
	both.Go("ask TheHive", func() { fromHive = s.askHive(ctx, c) })
	_ = both.Wait() // a panic has ended the process
	s.Problems = append(append(s.Problems, fromNATS...), fromHive...)
	return s
}

// Whole tells whether every part could be asked.
func (s *Status) Whole() bool { return s.Stream.Known && s.Letters.Known && s.Hive.Known }

// askNATS fills in what NATS knows.
func (s *Status) askNATS(ctx context.Context, c *config.Config, topology stream.Topology) (problems []string) {
	how := service.Connection(c, zap.NewNop())
	how.Timeout = min(how.Timeout, Within/3)
	link, err := stream.Connect(ctx, how, nil)
	if err != nil {
		return []string{"NATS: " + stream.OneLine(err.Error())}
	}
	defer link.Close()
	lag, err := stream.NewMeter(link, topology).Measure(ctx)
	if err != nil {
		return []string{"NATS: " + stream.OneLine(cmp.Or(link.Reach(), err).Error())}
	}
	s.Stream.Waiting, s.Stream.Unacknowledged, s.Stream.Limit, s.Stream.Known = lag.Pending, lag.AckPending, lag.AckLimit, true
	if lag.AckLimit > 0 && lag.AckPending >= lag.AckLimit {
		problems = append(problems, "as many messages wait for an answer as may: nothing is delivered until some are settled")
	}
	if lag.Drift != "" {
		problems = append(problems, "stream and consumer differ from the configuration: "+lag.Drift)
	}
	s.Letters.Waiting = lag.Letters
	if err := s.readLetters(ctx, deadletter.Open(link, topology.DeadLetters)); err != nil {
		problems = append(problems, "dead letters: "+stream.OneLine(err.Error()))
	}
	ledger := kvledger.New(link, kvledger.Options{Bucket: topology.Bucket})
	if err := s.readBelow(ctx, link, topology); err != nil {
		problems = append(problems, "thresholds: "+stream.OneLine(err.Error()))
	}
	if err := s.readReplicas(ctx, ledger); err != nil {
		problems = append(problems, "ledger: "+stream.OneLine(err.Error()))
	}
	if known, _, err := rollback.Read(ctx, ledger, topology.Stream); err == nil { // the ledger's failure was told
		for _, i := range rollback.Recent(known.Incidents, time.Now()) {
			problems = append(problems, i.Noticed.UTC().Format(time.RFC3339)+": "+stream.OneLine(i.String()))
		}
	}
	return append(problems, s.troubles()...)
}

// readLetters groups the dead letters.
func (s *Status) readLetters(ctx context.Context, letters *deadletter.Queue) error {
	groups, _, err := letters.Groups(ctx, deadletter.Filter{}, MostLetters)
	if err != nil {
		return err
	}
	for _, g := range groups {
		s.Letters.ByReason = append(s.Letters.ByReason, Reason{Reason: g.Reason, Step: g.Step, Status: g.Status, Count: g.Count, Newest: g.Newest})
	}
	s.Letters.Known = true
	return nil
}

// readBelow counts what waits below thresholds.
func (s *Status) readBelow(ctx context.Context, link *stream.Link, topology stream.Topology) error {
	totals, err := hold.ReadTotals(ctx, kvledger.New(link, kvledger.Options{Bucket: topology.Bucket}))
	if err != nil {
		return err
	}
	s.Below.Dropped, s.Below.Met = totals.Below, totals.Met
	if totals == (hold.Totals{}) {
		s.Below.Known = true // nothing ever waited: the hold stream need not be there, nor be allowed
		return nil
	}
	fill, err := hold.Open(link, topology).Fill(ctx)
	if err != nil {
		return err
	}
	s.Below.Waiting, s.Below.Full, s.Below.Known = fill.Messages, fill.Ratio, true
	if fill.Messages > 0 {
		s.Below.OldestSeconds = max(time.Since(fill.Oldest).Seconds(), 0)
	}
	return nil
}

// readReplicas reads the sessions.
func (s *Status) readReplicas(ctx context.Context, ledger *kvledger.Ledger) error {
	for record, err := range ledger.Written(ctx, claim.SessionPrefix) {
		if err != nil {
			return err
		}
		if session, ok := claim.ReadSession(record.Value); ok {
			s.Replicas = append(s.Replicas, replicaOf(session, record.Age))
		}
	}
	slices.SortFunc(s.Replicas, func(a, b Replica) int {
		return cmp.Or(a.State.Compare(b.State), b.Started.Compare(a.Started), cmp.Compare(a.Pod, b.Pod))
	})
	return nil
}

func replicaOf(x claim.Session, age time.Duration) Replica {
	return Replica{Pod: x.Pod, State: x.State(age), Started: x.Started, SeenSeconds: age.Seconds(), Concurrency: x.Concurrency, Says: x.Says}
}

// troubles are what the replicas say, and that there is none.
func (s *Status) troubles() (all []string) {
	live := 0
	for _, r := range s.Replicas {
		if r.State != claim.SessionLive {
			continue
		}
		live++
		if r.Says != "" {
			all = append(all, "replica "+r.Pod+" consumes nothing: "+r.Says)
		}
	}
	if live == 0 {
		all = append(all, "no replica lives: nobody takes what waits; one that still waits for TheHive or NATS at its start is not seen here")
	}
	return all
}

// askHive fills in how TheHive answers.
func (s *Status) askHive(ctx context.Context, c *config.Config) []string {
	client, err := service.NewClient(c)
	if err != nil {
		return []string{"TheHive: " + err.Error()}
	}
	defer client.CloseIdle()
	var took []time.Duration
	for range hiveCalls {
		began := time.Now()
		user, err := client.CurrentUser(ctx)
		if err != nil {
			return []string{"TheHive: " + stream.OneLine(err.Error())}
		}
		took, s.Hive.User = append(took, time.Since(began)), user.Login
	}
	slices.Sort(took)
	s.Hive.Milliseconds, s.Hive.Known = float64(took[hiveCalls/2].Microseconds())/1000, true
	return s.askVersion(ctx, client)
}

func (s *Status) askVersion(ctx context.Context, client *hive.Client) []string {
	status, err := client.Status(ctx)
	if err != nil {
		return []string{"TheHive tells no version: " + stream.OneLine(err.Error())}
	}
	s.Hive.Version = strings.TrimSpace(status.Version)
	return nil
}
