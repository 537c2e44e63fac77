package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/pipeline"
	"forager/pipeline/deadletter"
	"forager/pipeline/stream"
	"forager/retry"
)

// ReplaySite is what a replay needs, and who waits for what becomes of a message.
type ReplaySite struct {
	Link    *stream.Link
	Parts   *Parts
	Rules   *Live
	Config  *config.Config
	Options pipeline.Options
	Applier *apply.Applier
}

// NewReplaySite wires it as a worker is wired.
func NewReplaySite(ctx context.Context, c *config.Config, w *rulefiles.Witness, log *zap.Logger) (*ReplaySite, error) {
	return Network{}.ReplaySite(ctx, c, w, log)
}

// ReplaySite is [NewReplaySite] over this network.
func (n Network) ReplaySite(ctx context.Context, c *config.Config, w *rulefiles.Witness, log *zap.Logger) (*ReplaySite, error) {
	if err := beforeFiles(c, log); err != nil {
		return nil, err
	}
	options := PipelineOptions(c, log)
	parts, err := n.parts(c, w, options)
	if err != nil {
		return nil, err
	}
	link, err := stream.Connect(ctx, n.connection(c, log), log)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	s := &ReplaySite{Link: link, Parts: parts, Config: c, Options: options}
	s.Options.Slots = parts.slots
	s.Options.Check, s.Options.Organisations = parts.knowledge.check, parts.clients.served
	s.Rules = newLive(parts.reading, log, nil)
	if s.Applier, err = NewApplier(c, parts, link, log); err != nil {
		link.Close()
		return nil, err
	}
	s.Options.Opened = s.Applier.Opened
	return s, nil
}

// Start waits until TheHive has said what it holds, and makes what is missing where that is wanted.
func (s *ReplaySite) Start(ctx context.Context) error {
	begin := newStart(s.Options.Log)
	begin.need("TheHive", s.Parts.knowledge.check)
	if s.Options.Manage {
		begin.need("NATS", func(ctx context.Context) error { return stream.Ensure(ctx, s.Link, s.Options.Streams()) })
	}
	if err := begin.wait(ctx); err != nil {
		return fmt.Errorf("replay: interrupted before it began: %w", err)
	}
	return nil
}

// Close drops the connections.
func (s *ReplaySite) Close() {
	s.Link.Close()
	s.Parts.clients.own.CloseIdle()
}

// Became is what became of a message.
type Became struct {
	Letter  *deadletter.Message // nil: it is no dead letter
	Cases   []BecameCase        // one for each detection that asked for something
	Dropped []string            // reasons, of parts that asked for nothing
}

// BecameCase is where a detection is.
type BecameCase struct {
	Key   string    // what it is correlated by
	Found hive.Case // zero: no case carries the tag of the key, at least TheHive shows none yet; or it is an alert
	// Alert is the alert that the detection became; zero where it became none, or that is part of the case by now.
	Alert hive.Alert
	Waits string // what it waits for, held below a threshold; empty: it does not
}

// ErrUnsettled says that a message is still in the stream.
var ErrUnsettled = errors.New("not settled in time: is a worker running, and ready?")

// Became waits until a worker is done with a message, and tells what became of it. Which cases it went to is
// what the rules of this configuration say, and the tag of the key, which the case carries.
func (s *ReplaySite) Became(ctx context.Context, subject string, sequence uint64, body []byte) (Became, error) {
	pauses := retry.Backoff{First: 50 * time.Millisecond, Last: time.Second}.Pauses()
	for {
		settled, err := stream.Settled(ctx, s.Link, s.Options.Streams(), sequence)
		if settled {
			break
		}
		if ctx.Err() != nil {
			return Became{}, ErrUnsettled
		}
		if err != nil {
			return Became{}, err
		}
		pauses.Wait(ctx)
	}
	letter, err := deadletter.Open(s.Link, s.Config.DeadLetters.Stream).Of(ctx, s.Config.NATS.Stream, sequence)
	if err == nil {
		return Became{Letter: &letter}, nil
	}
	if !errors.Is(err, deadletter.ErrNotFound) {
		return Became{}, err
	}
	return s.acknowledged(ctx, subject, body)
}

// acknowledged tells what a message that was acknowledged asked for, and where that is.
func (s *ReplaySite) acknowledged(ctx context.Context, subject string, body []byte) (Became, error) {
	var b Became
	now := time.Now()
	read, err := s.Rules.Decode(detection.Message{Subject: subject, Body: body, Time: now})
	if err != nil {
		return b, fmt.Errorf("acknowledged by a worker, and not to be read here: is its configuration another? %w", err)
	}
	for _, d := range read.Dropped {
		b.Dropped = append(b.Dropped, d.Reason)
	}
	for i, d := range read.Detections {
		plan, err := s.Rules.Plan(d, enrich.Origin{Part: i, Time: now, Subject: subject})
		if err != nil {
			b.Dropped = append(b.Dropped, enrich.ReasonOf(err))
			continue
		}
		one, err := s.place(ctx, plan, s.caseOf)
		if err != nil {
			return b, err
		}
		b.Cases = append(b.Cases, one)
	}
	return b, nil
}

// Place tells where a plan is, as far as TheHive and the ledger show it now. A list of TheHive's that lags may lack the case.
func (s *ReplaySite) Place(ctx context.Context, plan enrich.Plan) (BecameCase, error) {
	return s.place(ctx, plan, s.lastCase)
}

func (s *ReplaySite) place(ctx context.Context, plan enrich.Plan, find func(context.Context, enrich.Plan) (hive.Case, error)) (one BecameCase, err error) {
	one.Key = plan.Key.String()
	if one.Waits, err = s.waits(ctx, plan); one.Waits != "" || err != nil {
		return one, err
	}
	if plan.AsAlert {
		one.Found, one.Alert, err = s.alertOf(ctx, plan)
	} else {
		one.Found, err = find(ctx, plan)
	}
	return one, err
}

// Case is a case of an organisation that the rules name, by its id or number; the error is TheHive's.
func (s *ReplaySite) Case(ctx context.Context, organisation, idOrNumber string) (hive.Case, error) {
	return s.Parts.clients.of(organisation).Case(ctx, idOrNumber)
}

// CasesOf are the cases with a tag, in an organisation that the rules name: the newest ones, so many at most.
func (s *ReplaySite) CasesOf(ctx context.Context, organisation, tag string, most int) (all []hive.Case, err error) {
	newest := []hive.Sort{{Field: "startDate", Desc: true}, {Field: "number"}}
	for c, err := range s.Parts.clients.of(organisation).FindCases(ctx, hive.Query{Filter: hive.Eq("tags", tag), Sort: newest, Limit: most}) {
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// waits is what a plan waits for that has a threshold and no open case; empty where it waits for nothing.
func (s *ReplaySite) waits(ctx context.Context, plan enrich.Plan) (string, error) {
	if plan.Threshold == nil {
		return "", nil
	}
	opened, err := s.Applier.Opened(ctx, []enrich.Plan{plan})
	if err != nil || opened[0] {
		return "", err
	}
	return plan.Threshold.Words, nil
}

// caseOf is the case of a plan: the last of its key that began before the event. A search that lags is
// asked again, as long as ctx lets it.
func (s *ReplaySite) caseOf(ctx context.Context, plan enrich.Plan) (hive.Case, error) {
	pauses := retry.Backoff{First: 100 * time.Millisecond, Last: time.Second}.Pauses()
	for {
		c, err := s.lastCase(ctx, plan)
		if c.ID != "" || err != nil && ctx.Err() == nil {
			return c, err
		}
		if !pauses.Wait(ctx) {
			return hive.Case{}, nil
		}
	}
}

// lastCase is the last case of a plan's key that began before the event, else the last one; zero where there is none.
func (s *ReplaySite) lastCase(ctx context.Context, plan enrich.Plan) (hive.Case, error) {
	client := s.Parts.clients.of(plan.Organisation)
	tagged, newest := hive.Eq("tags", plan.Tag()), []hive.Sort{{Field: "startDate", Desc: true}, {Field: "number"}}
	for _, f := range []hive.Filter{hive.And(tagged, hive.Lte("startDate", plan.At)), tagged} {
		for c, err := range client.FindCases(ctx, hive.Query{Filter: f, Sort: newest, Limit: 1}) {
			return c, err
		}
	}
	return hive.Case{}, nil
}

// alertOf is the alert of a plan, the newest of its group that began before the event, or the case that it is part of.
func (s *ReplaySite) alertOf(ctx context.Context, plan enrich.Plan) (c hive.Case, a hive.Alert, err error) {
	client := s.Parts.clients.of(plan.Organisation)
	for n := range mostAlerts {
		name := plan.AlertName(n)
		next, found, err := client.AlertOf(ctx, name.Type, name.Source, name.Ref)
		if err != nil {
			return c, a, err
		}
		if found && (a.ID == "" || next.Date.Time().Before(plan.At.Add(time.Millisecond))) {
			a = next
		}
		if !found || plan.ByEvent {
			break
		}
	}
	if a.CaseID == "" {
		return c, a, nil
	}
	c, err = client.Case(ctx, a.CaseID)
	return c, hive.Alert{}, err
}

// mostAlerts bounds how many alerts of a group are asked for.
const mostAlerts = 100
