package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sourcegraph/conc/pool"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection/canon"
	"forager/enrich/dryrun"
	"forager/enrich/threshold"
	"forager/pipeline"
)

// wouldLine is what one detection would change, as JSON. The names of its keys are a contract
// with scripts.
type wouldLine struct {
	Sequence    uint64    `json:"sequence"`
	Subject     string    `json:"subject"`
	Format      string    `json:"format"`
	ID          string    `json:"id,omitempty"`
	Title       string    `json:"title,omitempty"`
	Host        string    `json:"host,omitempty"`
	Time        time.Time `json:"time"`              // of the event; of the message where there is none
	CaseKey     string    `json:"caseKey,omitempty"` // what its case is found by
	Case        string    `json:"case,omitempty"`    // "#12", or "new-1" for one that would be opened
	Alert       string    `json:"alert,omitempty"`   // reference of the alert that it becomes, or by which it comes into the case
	OpensAlert  bool      `json:"opensAlert,omitempty"`
	Opens       bool      `json:"opens"`
	Reopens     bool      `json:"reopens"`
	Observables []string  `json:"observables"` // those that are missing: "ip 203.0.113.7"
	Procedures  []string  `json:"procedures"`  // those that are missing: "T1059/execution"
	Comments    int       `json:"comments"`
	Files       []string  `json:"files"`
	Fields      []string  `json:"fields"`
	Dropped     string    `json:"dropped,omitempty"` // why nothing is asked for
	Fails       string    `json:"fails,omitempty"`   // why it would become a dead letter, or be tried again
}

// would counts over all lines.
type would struct {
	messages, detections, unchanged, opened, alerts, observables, procedures, dropped, failing int
}

// dryRun says what a replay would change, by looking at TheHive. The apply is the real one, on a
// TheHive and a ledger that keep every write to themselves.
func (c *replayCmd) dryRun(ctx context.Context, sh *shell.Shell, site *service.ReplaySite, show *progress) error {
	o := service.ApplierOptions(site.Config, site.Parts, site.Link, site.Options.Log)
	r := dryrun.New(o.Hive, o.Ledger)
	o.Hive, o.Ledger = r.Hive, r
	o.Settle = time.Millisecond // nothing is sent that could come late, and what others sent may be missed
	applier, err := apply.New(o)
	if err != nil {
		return err
	}
	what := c.what(nil)
	what.Again = true // whether it was begun before means nothing here
	replay, err := c.open(ctx, sh, site, what, applier)
	if err != nil {
		return err
	}
	run := &dryRun{applier: applier, effects: r, below: newDryThresholds(), abreast: site.Config.Hive.Concurrency, out: json.NewEncoder(sh.Out), names: map[string]string{}}
	run.out.SetEscapeHTML(false)
	if out := show.out(sh); out.Terminal() && !c.JSON {
		run.people = out
	}
	for p, err := range replay.Plans(ctx) {
		if err != nil {
			return err
		}
		if err := run.message(ctx, p); err != nil {
			return err
		}
		show.looked(replay.Span(), p.Sequence)
	}
	if err := run.flush(ctx); err != nil {
		return err
	}
	for _, w := range run.below.rest() {
		line := w.line()
		line.Dropped = enrich.ReasonBelow
		if err := run.write(line); err != nil {
			return err
		}
	}
	show.end()
	all := run.all
	alerts := ""
	if all.alerts > 0 {
		alerts = fmt.Sprintf(" and %d alerts", all.alerts)
	}
	sh.Say("%d messages, %d detections: would open %d cases%s, add %d observables and %d procedures; %d change nothing, %d are dropped, %d fail; nothing was changed",
		all.messages, all.detections, all.opened, alerts, all.observables, all.procedures, all.unchanged, all.dropped, all.failing)
	return nil
}

// lineOf is the line of a message that changes nothing.
func lineOf(p pipeline.Planned) wouldLine {
	return wouldLine{
		Sequence: p.Sequence, Subject: p.Subject, Format: p.Format, Time: p.Stored.UTC(),
		Observables: []string{}, Procedures: []string{}, Files: []string{}, Fields: []string{},
	}
}

func (l *wouldLine) name(n pipeline.Named) { l.ID, l.Title, l.Host = n.ID, n.Title, n.Host }

// dryRun works messages, several keys abreast and those of one key in their order, and writes lines in the order of the stream.
type dryRun struct {
	applier *apply.Applier
	effects *dryrun.Recorder
	below   *dryThresholds
	abreast int // plans that look at TheHive at a time
	out     *json.Encoder
	people  *terminal.Screen // instead of out; nil: scripts read it
	all     would

	lines []*wouldLine             // of what waits, in order
	plans map[string][]waitingPlan // by their queue
	count int                      // of these
	names map[string]string        // of cases that would be opened: as they were made, as they are told
}

// waitingPlan is a plan that waits for the next wave, and its line.
type waitingPlan struct {
	plan enrich.Plan
	line *wouldLine
}

// wave is how many plans each place of those abreast has in a wave, on average.
const wave = 16

// message takes a message in. What a threshold, or the limit of a route, makes of a plan depends on all that went before.
func (d *dryRun) message(ctx context.Context, p pipeline.Planned) error {
	d.all.messages++
	alone := slices.ContainsFunc(p.Plans, func(plan enrich.Plan) bool { return plan.Threshold != nil || plan.NewCap > 0 || plan.Find != nil })
	if alone {
		if err := d.flush(ctx); err != nil {
			return err
		}
	}
	for _, part := range p.Plans {
		one := p
		one.Plans = []enrich.Plan{part}
		for _, w := range d.below.admit(ctx, one, d.applier) {
			line := w.line()
			d.take(w.plan, &line)
			if !alone {
				continue
			}
			if err := d.flush(ctx); err != nil {
				return err
			}
		}
	}
	d.aside(p)
	if d.count >= wave*d.abreast || len(d.lines) >= 4*wave*d.abreast {
		return d.flush(ctx)
	}
	return nil
}

func (d *dryRun) take(plan enrich.Plan, line *wouldLine) {
	if d.plans == nil {
		d.plans = map[string][]waitingPlan{}
	}
	d.plans[plan.Queue()] = append(d.plans[plan.Queue()], waitingPlan{plan, line})
	d.lines, d.count = append(d.lines, line), d.count+1
}

// aside adds a line for each part of a message that asks for nothing, and one for what fails.
func (d *dryRun) aside(p pipeline.Planned) {
	for _, part := range p.Dropped {
		line := lineOf(p)
		line.name(part.Named)
		line.Dropped = part.Reason
		d.lines = append(d.lines, &line)
	}
	if p.Err != nil {
		line := lineOf(p)
		line.name(p.Failed)
		line.Fails = p.Err.Error()
		d.lines = append(d.lines, &line)
	}
}

// flush works what waits, and writes its lines.
func (d *dryRun) flush(ctx context.Context) error {
	working := pool.New().WithMaxGoroutines(max(d.abreast, 1))
	for _, queue := range d.plans {
		working.Go(func() {
			for _, w := range queue {
				d.apply(ctx, w)
			}
		})
	}
	working.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("replay: interrupted after %d messages: %w", d.all.messages-1, ctx.Err())
	}
	for _, line := range d.lines {
		if err := d.write(*line); err != nil {
			return err
		}
	}
	d.lines, d.plans, d.count = nil, nil, 0
	return nil
}

// apply fills in what a plan would change.
func (d *dryRun) apply(ctx context.Context, w waitingPlan) {
	watched, effects := d.effects.Watch(ctx)
	err := d.applier.Apply(watched, enrich.BatchOf(w.plan))[0]
	for _, e := range effects() {
		w.line.add(e)
	}
	if enrich.ClassOf(err) == enrich.Dropped {
		w.line.Dropped = enrich.ReasonOf(err)
	} else if err != nil {
		w.line.Fails = err.Error()
	}
}

// write writes a line. Cases that would be opened are counted in the order of the lines.
func (d *dryRun) write(line wouldLine) error {
	if made := line.Case; strings.HasPrefix(made, newCase) {
		if d.names[made] == "" {
			d.names[made] = newCase + strconv.Itoa(len(d.names)+1)
		}
		line.Case = d.names[made]
	}
	d.all.add(line)
	if d.people != nil {
		line.show(d.people)
		return d.people.Failed()
	}
	if err := d.out.Encode(line); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// show writes a line for people.
func (l wouldLine) show(to *terminal.Screen) {
	in := cmp.Or(l.Case, l.Alert)
	if in != "" {
		in = canon.Line(in, 60) + " "
	}
	about := canon.Line(l.Title, 120)
	if l.Host != "" {
		about += " on " + canon.Line(l.Host, 60)
	}
	meaning, word, more := l.verdict()
	to.Line(10, terminal.Faint.Of(fmt.Sprintf("%8d  ", l.Sequence)), terminal.Heading.Of(in), terminal.Plain.Of(cmp.Or(about, canon.Line(l.Subject, 120))+": "), meaning.Of(word), terminal.Plain.Of(more))
}

// verdict says in words what would be changed.
func (l wouldLine) verdict() (of terminal.Meaning, word, more string) {
	switch {
	case l.Fails != "":
		return terminal.Bad, "fails", ", " + canon.Line(l.Fails, 300)
	case l.Dropped != "":
		return terminal.Warning, "dropped", ", " + canon.Line(l.Dropped, 120)
	}
	var all []string
	for _, one := range []struct {
		is   bool
		text string
	}{
		{l.Opens, "opens the case"}, {l.OpensAlert, "opens the alert"}, {l.Reopens, "reopens the case"},
		{len(l.Observables) > 0, fmt.Sprintf("observables %d", len(l.Observables))}, {len(l.Procedures) > 0, fmt.Sprintf("procedures %d", len(l.Procedures))},
		{l.Comments > 0, fmt.Sprintf("comments %d", l.Comments)}, {len(l.Files) > 0, fmt.Sprintf("files %d", len(l.Files))}, {len(l.Fields) > 0, fmt.Sprintf("fields %d", len(l.Fields))},
	} {
		if one.is {
			all = append(all, one.text)
		}
	}
	if len(all) == 0 {
		return terminal.Faint, "changes nothing", ""
	}
	return terminal.Good, strings.Join(all, ", "), ""
}

// newCase begins the name of a case that would be opened.
const newCase = "new-"

// add takes an effect into the line.
func (l *wouldLine) add(e dryrun.Effect) {
	if ref, fresh := strings.CutPrefix(e.Case, "new alert "); fresh {
		l.Alert, l.OpensAlert = ref, l.OpensAlert || e.Kind == "alert"
	} else if ref, is := strings.CutPrefix(e.Case, "alert "); is {
		l.Alert = ref
	} else {
		l.Case = e.Case
	}
	switch e.Kind {
	case "alert":
		if !l.OpensAlert {
			l.Alert = e.Item
		}
	case "case":
		l.Opens = true
	case "reopen":
		l.Reopens = true
	case "observable":
		l.Observables = append(l.Observables, e.Item)
	case "procedure":
		l.Procedures = append(l.Procedures, e.Item)
	case "comment":
		l.Comments++
	case "file":
		l.Files = append(l.Files, e.Item)
	case "fields":
		l.Fields = append(l.Fields, strings.TrimSpace(e.Item))
	}
}

func (w *would) add(l wouldLine) {
	w.observables += len(l.Observables)
	w.procedures += len(l.Procedures)
	switch {
	case l.Dropped != "":
		w.dropped++
		return
	case l.Fails != "":
		w.failing++
	case !l.Opens && !l.OpensAlert && !l.Reopens && len(l.Observables)+len(l.Procedures)+l.Comments+len(l.Files)+len(l.Fields) == 0:
		w.unchanged++
	}
	if l.Opens {
		w.opened++
	}
	if l.OpensAlert {
		w.alerts++
	}
	w.detections++
}

// dryPlan is a plan, and the message that it is of.
type dryPlan struct {
	from pipeline.Planned
	plan enrich.Plan
}

func (d dryPlan) line() wouldLine {
	line := lineOf(d.from)
	line.ID, line.Time, line.CaseKey = d.plan.SourceID, d.plan.At, d.plan.Key.String()
	line.Title, line.Host = d.plan.Detected()
	return line
}

// message tells the messages of a replay apart.
func (d dryPlan) message() string { return strconv.FormatUint(d.from.Sequence, 10) }

// opened tells of plans whether a case is open for them, by *apply.Applier.
type opened interface {
	Opened(ctx context.Context, plans []enrich.Plan) ([]bool, error)
}

// dryThresholds holds plans below thresholds as a worker would, in memory.
type dryThresholds struct {
	states map[string]*threshold.State
	held   map[string][]dryPlan // by the state's hash
}

func newDryThresholds() *dryThresholds {
	return &dryThresholds{states: map[string]*threshold.State{}, held: map[string][]dryPlan{}}
}

// admit gives the plans of a message that go into a case, after those that waited for them.
func (t *dryThresholds) admit(ctx context.Context, p pipeline.Planned, cases opened) (ready []dryPlan) {
	for _, plan := range p.Plans {
		own := dryPlan{p, plan}
		if plan.Threshold != nil {
			opened, err := cases.Opened(ctx, []enrich.Plan{plan})
			if err != nil || !opened[0] {
				ready = append(ready, t.judge(own)...)
				continue
			}
		}
		ready = append(ready, own)
	}
	return ready
}

// judge counts a plan, and gives what its threshold lets pass.
func (t *dryThresholds) judge(own dryPlan) (ready []dryPlan) {
	below := own.plan.Threshold
	s := t.states[below.Hash]
	if s == nil {
		s = &threshold.State{}
		t.states[below.Hash] = s
	}
	item := threshold.Item{
		Message: own.message(), Part: own.plan.Origin.Part, ID: below.ID, At: own.plan.At.UnixMilli(),
		Points: below.Points, Values: below.Values,
	}
	if s.Add(below.Rule, own.from.Stored, false, item).Verdicts[0] != threshold.Pass {
		t.held[below.Hash] = append(t.held[below.Hash], own)
		return nil
	}
	passed, _ := s.Ready(time.Time{})
	left := t.held[below.Hash][:0]
	for _, held := range t.held[below.Hash] {
		if slices.ContainsFunc(passed, func(x threshold.Item) bool {
			return x.Message == held.message() && x.Part == held.plan.Origin.Part
		}) {
			ready = append(ready, held)
		} else {
			left = append(left, held)
		}
	}
	t.held[below.Hash] = left
	for _, x := range passed {
		s.Settled(x.Message, x.Copy, x.Part)
	}
	return append(ready, own)
}

// rest are the plans that wait in vain, by their place in the stream.
func (t *dryThresholds) rest() (all []dryPlan) {
	for _, held := range t.held {
		all = append(all, held...)
	}
	slices.SortStableFunc(all, func(a, b dryPlan) int {
		return cmp.Or(cmp.Compare(a.from.Sequence, b.from.Sequence), cmp.Compare(a.plan.Origin.Part, b.plan.Origin.Part))
	})
	return all
}
