package metrics

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/pipeline"
	"forager/pipeline/stream"
)

// Metrics counts what happens, for Prometheus. It is an [pipeline.Observer] and an [apply.Events]; what
// neither tells it learns by [Metrics.Planning], [Metrics.Applying], [Metrics.Called] and
// [Metrics.Measured]. Safe for concurrent use. No label holds anything of an event.
type Metrics struct {
	*table
	*Intake
	*Feedback

	reasons, formats, operations *words

	settled, deadLetters, dropped, detections, mappings, gateClosed, noticed            *prometheus.CounterVec
	redeliveries, gone, waits                                                           prometheus.Counter
	events                                                                              map[apply.EventKind]prometheus.Counter
	settle, store, apply, group                                                         prometheus.Observer
	calls                                                                               *prometheus.HistogramVec
	gateOpen, pending, ackPending, ackLimit, drift, letters, lettersBytes, lettersLimit prometheus.Gauge
	below, belowFill, belowOldest                                                       prometheus.Gauge
	goneBefore                                                                          uint64 // of the last measurement
	spansLost, documents, learnt                                                        *prometheus.CounterVec
	documentsPending                                                                    prometheus.Gauge
}

// Classic buckets, for Prometheus servers that do not read native histograms: seconds of a call
// or an apply, seconds of a wait, and sizes of groups.
var (
	callBuckets  = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	waitBuckets  = []float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 1800, 7200, 86400}
	groupBuckets = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
)

// eventMetrics names the counter of each kind of event, and says what it counts.
var eventMetrics = map[apply.EventKind][2]string{
	apply.EventWaited:     {"forager_claims_waited_total", "claims that another replica held, and that were waited for"},
	apply.EventTakenOver:  {"forager_claims_taken_over_total", "claims of replicas that fell silent, taken over"},
	apply.EventUnreleased: {"forager_claims_unreleased_total", "claims that could not be released, and end with their lease"},
	apply.EventRebuilt:    {"forager_cases_rebuilt_total", "cases whose entry was rebuilt by listing TheHive"},
	apply.EventNewCase:    {"forager_cases_opened_total", "cases opened"},
	apply.EventUnseen:     {"forager_cases_unseen_total", "cases that TheHive does not show any more, though nothing said that they were deleted; a new one follows each"},
	apply.EventDoubled:    {"forager_doubled_cases_total", "times that two cases of one key had one start date"},
	apply.EventOverLimit:  {"forager_over_limit_total", "times that a case was at a limit and an item was left out"},
	apply.EventBarred:     {"forager_objects_refused_total", "files left out since files.objects does not let their sender name the object"},
	apply.EventOverflow:   {"forager_route_overflow_total", "detections collected in one case since their route opened too many"},
	apply.EventCrowded:    {"forager_key_overflow_total", "detections collected in one case since their key opened too many"},
	apply.EventAmbiguous:  {"forager_ambiguous_answers_total", "writes of which it was unknown whether they took place"},
	apply.EventLate:       {"forager_late_answers_total", "writes confirmed after the claim on their case was lost"},
	apply.EventDegraded:   {"forager_degraded_total", "cases made without a value of the configuration that TheHive refuses"},
	apply.EventNewAlert:   {"forager_alerts_opened_total", "alerts opened for the analysts' queue, by routes that want it (as: alert)"},
	apply.EventImported:   {"forager_alerts_imported_total", "alerts imported into cases, by routes that want it (via: alert)"},
	apply.EventNoAlert:    {"forager_alerts_bypassed_total", "times that the direct way was gone though a route wants it by alert (via: alert)"},
	apply.EventAnalysed:   {"forager_analyses_total", "observables that were given to an analyzer of Cortex (routes[].analyze)"},
	apply.EventUnanalysed: {"forager_analyses_failed_total", "jobs of Cortex that failed (routes[].analyze); the page of detections says why"},
	apply.EventDeferred:   {"forager_analyses_deferred_total", "times that jobs of Cortex were left for later since as many as limits.analysesOutstanding waited or ran"},
	apply.EventResult:     {"forager_analysis_results_total", "severities that were raised, and observables marked, for what an analyzer said (routes[].analyze)"},
	apply.EventRelated:    {"forager_cases_linked_total", "links of new cases with open ones that have the same indicator"},
	apply.EventTechnique:  {"forager_techniques_refused_total", "techniques that TheHive refused as procedures"},
}

// Words of closed lists that are shown as 0 from the start, so that the first of them is an increase.
var (
	noticeWords = []string{
		pipeline.NoticeUnconfirmed, pipeline.NoticeRebound, pipeline.NoticeStalled, pipeline.NoticePermission, pipeline.NoticePanic, pipeline.NoticeOverflow, pipeline.NoticeKeyHot, pipeline.NoticeLetterLost,
		pipeline.NoticeDisagreement, pipeline.NoticeUnproven, pipeline.NoticeAbandoned, pipeline.NoticeReloaded, pipeline.NoticeReloadFailed, pipeline.NoticeRuleFault,
		pipeline.NoticeHoldFull, pipeline.NoticeRefused, pipeline.NoticeCrowded, pipeline.NoticeSenderHeld,
	}
	mappingWords = []string{"none", "same", "lineage", "parent"}
)

// New registers all metrics, among them the version as build info. Its error is the registry's.
func New(r prometheus.Registerer, version string) (*Metrics, error) {
	m := &Metrics{table: &table{registry: r}, reasons: newWords(), formats: newWords(), operations: newWords(), events: map[apply.EventKind]prometheus.Counter{}}
	m.build(version)
	m.Intake, m.Feedback = newIntake(m.table), newFeedback(m.table)
	m.makeSettlements()
	m.makeCalls()
	m.makeState()
	m.makeDocuments()
	for kind, of := range eventMetrics {
		m.events[kind] = m.counter(of[0], of[1]).WithLabelValues()
	}
	return m, m.failed
}

func (m *Metrics) makeSettlements() {
	m.settled = m.counter("forager_settled_total", "verdicts on messages, by what was done: ack, dropped (an ack that asked for nothing), waits (an ack of a message that is held below a threshold, and counts again when it goes on), dead letter, nak", "outcome", "reason")
	m.deadLetters = m.counter("forager_dead_letters_total", "messages that became dead letters", "reason")
	m.dropped = m.counter("forager_dropped_total", "detections that asked for nothing, in messages that ended", "reason")
	m.detections = m.counter("forager_detections_total", "detections in messages that ended and asked for something", "format")
	m.redeliveries = m.counter("forager_redeliveries_total", "verdicts on messages that the server had delivered before").WithLabelValues()
	m.waits = m.counter("forager_threshold_waits_total", "detections that were held below a threshold; each goes on later, and is counted by what becomes of it then").WithLabelValues()
	m.settle = m.histogram("forager_settle_seconds", "from the stream's storing a message to its end", waitBuckets).WithLabelValues()
	m.store = m.histogram("forager_store_seconds", "from the event's own time to the stream's storing it, of each plan", waitBuckets).WithLabelValues()
	m.mappings = m.counter("forager_attack_mappings_total", "techniques of plans, by how they came to what TheHive holds", "kind")
	m.gateClosed = m.counter("forager_gate_closed_total", "times that the gate closed", "reason")
	m.noticed = m.counter("forager_noticed_total", "things that should not happen often", "what")
	zero(m.noticed, noticeWords)
	zero(m.gateClosed, pipeline.GateReasons())
	zero(m.mappings, mappingWords)
}

func (m *Metrics) makeCalls() {
	m.calls = m.histogram("forager_call_seconds", "attempts of calls at TheHive; status 0 is no answer", callBuckets, "operation", "status")
	m.apply = m.histogram("forager_apply_seconds", "applies of groups, waiting for claims included", callBuckets).WithLabelValues()
	m.group = m.histogram("forager_group_size", "detections that share an apply", groupBuckets).WithLabelValues()
}

func (m *Metrics) makeState() {
	m.gateOpen = m.gauge("forager_gate_open", "1 while messages are pulled, 0 while the gate is closed").WithLabelValues()
	m.gateOpen.Set(1)
	m.pending = m.gauge("forager_lag_pending", "messages that were never delivered; every replica says the same").WithLabelValues()
	m.ackPending = m.gauge("forager_lag_ack_pending", "messages delivered and not answered; every replica says the same").WithLabelValues()
	m.ackLimit = m.gauge("forager_lag_ack_pending_limit", "messages that may be delivered and not answered; at so many nothing is delivered; 0 is no limit").WithLabelValues()
	m.gone = m.counter("forager_messages_gone_total", "messages that left the stream before they were delivered, at least; every replica counts them").WithLabelValues()
	m.drift = m.gauge("forager_configuration_drift", "1 while stream or consumer differ from the configuration (nats.subjects, nats.ackWait); the log says where").WithLabelValues()
	m.letters = m.gauge("forager_dead_letters_stored", "messages in the dead-letter stream").WithLabelValues()
	m.lettersBytes = m.gauge("forager_dead_letters_stored_bytes", "bytes in the dead-letter stream").WithLabelValues()
	m.below = m.gauge("forager_hold_messages", "messages that are held below thresholds; every replica says the same").WithLabelValues()
	m.belowFill = m.gauge("forager_hold_fill_ratio", "how full the hold stream is, by messages or bytes; 1 is full, 0 also where it has no limit").WithLabelValues()
	m.belowOldest = m.gauge("forager_hold_oldest_seconds", "for how long the oldest message is held below a threshold; 0 where none is").WithLabelValues()
	m.lettersLimit = m.gauge("forager_dead_letters_limit_bytes", "bytes that the dead-letter stream takes; 0 is no limit").WithLabelValues()
}

func (m *Metrics) makeDocuments() {
	m.documents = m.counter("forager_webhook_documents_total", "requests of TheHive's webhook, by what became of them: stored, or why not", "result")
	m.learnt = m.counter("forager_webhook_learnt_total", "readings of stored documents, by what the ledger learnt; failed ones are read again", "lesson")
	m.documentsPending = m.gauge("forager_webhook_pending", "documents that are stored and not yet learnt; every replica says the same").WithLabelValues()
	m.spansLost = m.counter("forager_spans_lost_total", "spans that did not reach the collector of traces, by what stood in the way", "reason")
	zero(m.documents, documentWords)
	zero(m.learnt, learntWords)
	zero(m.spansLost, []string{LostQueue, LostCollector})
}

// Watch adds gauges that are read at each scrape: what is held, the calls in flight that TheHive
// is trusted with, whether work gets done, and how it stands with each of several organisations.
// It is called once.
func (m *Metrics) Watch(held func() (messages, bytes int), concurrency func() int, ready func() bool, organisations func() []pipeline.Organisation, replicas func() (n int, known bool)) error {
	m.watch("forager_held_messages", "messages in hand", func() float64 { n, _ := held(); return float64(n) })
	m.watch("forager_held_bytes", "bytes of the bodies of messages in hand", func() float64 { _, n := held(); return float64(n) })
	m.watch("forager_concurrency_limit", "calls in flight that TheHive is trusted with at the moment", func() float64 { return float64(concurrency()) })
	m.watch("forager_ready", "1 while work gets done, as /readyz says", func() float64 { return oneIf(ready()) })
	m.watch("forager_replicas", "workers that renew their session in the ledger, as this one sees it; 0 while it cannot tell", func() float64 {
		n, known := replicas()
		return float64(n) * oneIf(known)
	})
	m.watchOrganisations(organisations)
	return m.failed
}

// WatchThresholds adds gauges that are read at each scrape: the keys of thresholds of which something waits, as this replica
// sees them, and how many thresholds it saw being met. It is called once.
func (m *Metrics) WatchThresholds(read func() (keys int, met uint64)) error {
	m.watch("forager_threshold_keys", "keys of thresholds that have something held, or had a case lately; every replica says about the same", func() float64 {
		keys, _ := read()
		return float64(keys)
	})
	m.watch("forager_thresholds_met", "thresholds that were met here since the start", func() float64 {
		_, met := read()
		return float64(met)
	})
	return m.failed
}

// Settled counts a verdict.
func (m *Metrics) Settled(s pipeline.Settlement) {
	m.settled.WithLabelValues(outcome(s), m.reasons.fold(s.Reason)).Inc()
	if s.Deliveries > 1 {
		m.redeliveries.Inc()
	}
	if s.Action == pipeline.ActionNak {
		return
	}
	if s.Action == pipeline.ActionDeadLetter {
		m.deadLetters.WithLabelValues(m.reasons.fold(s.Reason)).Inc()
	}
	for _, reason := range s.Dropped {
		m.dropped.WithLabelValues(m.reasons.fold(reason)).Inc()
	}
	if s.Plans > 0 {
		m.detections.WithLabelValues(m.formats.fold(s.Format)).Add(float64(s.Plans))
	}
	m.waits.Add(float64(s.Waits))
	m.settle.Observe(max(s.Age, 0).Seconds())
}

func outcome(s pipeline.Settlement) string {
	if s.Action == pipeline.ActionAck && s.Class == enrich.Dropped {
		return enrich.Dropped.String()
	}
	if s.Action == pipeline.ActionAck && s.Plans == 0 && s.Waits > 0 {
		return "waits"
	}
	return s.Action.String()
}

// Gate notes whether the gate is open, and counts why it closed.
func (m *Metrics) Gate(open bool, reason string) {
	if open {
		m.gateOpen.Set(1)
		return
	}
	m.gateOpen.Set(0)
	m.gateClosed.WithLabelValues(m.reasons.fold(reason)).Inc()
}

// Noticed counts what should not happen often.
func (m *Metrics) Noticed(what string) { m.noticed.WithLabelValues(m.reasons.fold(what)).Inc() }

// Happened counts what an apply met on its way.
func (m *Metrics) Happened(e apply.Event) {
	if c := m.events[e.Kind]; c != nil {
		c.Inc()
	}
}

// Called counts an attempt of a call at TheHive. operation is one of the client's names for its
// calls, status the HTTP status, 0 without an answer.
func (m *Metrics) Called(operation string, status int, took time.Duration) {
	if status < 0 || status > 599 {
		status = 599
	}
	m.calls.WithLabelValues(m.operations.fold(operation), strconv.Itoa(status)).Observe(took.Seconds())
}

// Measured shows a measurement of one [stream.Meter]. It is for one goroutine.
func (m *Metrics) Measured(l stream.Lag) {
	m.pending.Set(float64(l.Pending))
	m.ackPending.Set(float64(l.AckPending))
	m.ackLimit.Set(float64(l.AckLimit))
	m.drift.Set(oneIf(l.Drift != ""))
	if l.Gone > m.goneBefore {
		m.gone.Add(float64(l.Gone - m.goneBefore))
		m.goneBefore = l.Gone
	}
	m.letters.Set(float64(l.Letters))
	m.lettersBytes.Set(float64(l.LettersBytes))
	m.lettersLimit.Set(float64(l.LettersLimit))
}

// Held shows how many messages are held below thresholds, how full their stream is (0–1) and for how long the oldest is held. It is for
// one goroutine.
func (m *Metrics) Held(messages uint64, full float64, oldest time.Duration) {
	m.below.Set(float64(messages))
	m.belowFill.Set(full)
	m.belowOldest.Set(oldest.Seconds())
}

// Planning is a planner that counts what plans ask for. A message that is redelivered is planned anew.
func (m *Metrics) Planning(p pipeline.Planner) pipeline.Planner { return countedPlanner{p, m} }

// Applying is an applier whose groups are counted.
func (m *Metrics) Applying(a pipeline.Applier) pipeline.Applier { return countedApplier{a, m} }

type countedPlanner struct {
	pipeline.Planner
	metrics *Metrics
}

func (c countedPlanner) Plan(d detection.Detection, from enrich.Origin) (enrich.Plan, error) {
	p, err := c.Planner.Plan(d, from)
	if err != nil {
		return p, err
	}
	c.metrics.store.Observe(max(from.Time.Sub(p.At), 0).Seconds())
	for _, t := range p.Techniques {
		c.metrics.mappings.WithLabelValues(t.Kind.String()).Inc()
	}
	return p, nil
}

type countedApplier struct {
	pipeline.Applier
	metrics *Metrics
}

func (c countedApplier) Apply(ctx context.Context, b enrich.Batch) []error {
	began := time.Now()
	results := c.Applier.Apply(ctx, b)
	c.metrics.apply.Observe(time.Since(began).Seconds())
	c.metrics.group.Observe(float64(len(results)))
	return results
}

var (
	_ pipeline.Observer = (*Metrics)(nil)
	_ apply.Events      = (*Metrics)(nil)
)
