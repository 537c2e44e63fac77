package service

import (
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline"
)

// reading is how messages are read and what is made of them: formats, allow-lists, routes and
// silences of one state of the operator's files. It never changes.
type reading struct {
	decoder *detection.Decoder
	planner *enrich.Planner
	asking  *asking  // nil: there are no tables, or nobody is shown what was asked of them
	faults  sync.Map // rules that failed at run time and were told
}

// asking is the planner with the same rules, of which it is noted what they ask of tables. It is used by one goroutine
// at a time.
type asking struct {
	mu      sync.Mutex
	planner *enrich.Planner
	notes   *rulefiles.Asked
}

// Live is the reading in force; a reload puts another in its place between two messages. A
// message that is decoded by one and planned by the next is in no danger: both are whole.
type Live struct {
	now    atomic.Pointer[reading]
	log    *zap.Logger
	notice func(what string)
}

// newLive begins with a reading; the observer may be nil.
func newLive(r *reading, log *zap.Logger, o pipeline.Observer) *Live {
	l := &Live{log: log, notice: func(string) {}}
	if o != nil {
		l.notice = o.Noticed
	}
	l.now.Store(r)
	return l
}

// Decode reads a message.
func (l *Live) Decode(m detection.Message) (detection.Result, error) {
	return l.now.Load().decoder.Decode(m)
}

// Plan decides what a detection asks for. Rules that failed on the way are counted each time, and
// told once for each reading.
func (l *Live) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	r := l.now.Load()
	plan, err := r.planner.Plan(d, from)
	for _, rule := range plan.Faults {
		l.notice(pipeline.NoticeRuleFault)
		if _, told := r.faults.LoadOrStore(rule, true); !told {
			l.log.Warn("rule failed on a detection and gave way to the default; further failures are only counted",
				zap.String("rule", rule), zap.String("stream", from.Stream), zap.Uint64("sequence", from.Sequence))
		}
	}
	return plan, err
}

var (
	_ pipeline.Decoder = (*Live)(nil)
	_ pipeline.Planner = (*Live)(nil)
)
