package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/dryrun"
	"forager/pipeline"
)

// wouldLine is what one detection would change, as JSON. The names of its keys are a contract
// with scripts.
type wouldLine struct {
	Sequence    uint64    `json:"sequence"`
	Subject     string    `json:"subject"`
	Format      string    `json:"format"`
	ID          string    `json:"id,omitempty"`
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
func (c *replayCmd) dryRun(ctx context.Context, sh *shell.Shell, site *service.ReplaySite) error {
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
	var all would
	out := json.NewEncoder(sh.Out)
	out.SetEscapeHTML(false)
	for p, err := range replay.Plans(ctx) {
		if err != nil {
			return err
		}
		all.messages++
		for _, line := range wouldDo(ctx, p, applier, r) {
			if ctx.Err() != nil {
				return fmt.Errorf("replay: interrupted after %d messages: %w", all.messages-1, ctx.Err())
			}
			all.add(line)
			if err := out.Encode(line); err != nil {
				return fmt.Errorf("replay: %w", err)
			}
		}
	}
	alerts := ""
	if all.alerts > 0 {
		alerts = fmt.Sprintf(" and %d alerts", all.alerts)
	}
	sh.Say("%d messages, %d detections: would open %d cases%s, add %d observables and %d procedures; %d change nothing, %d are dropped, %d fail; nothing was changed",
		all.messages, all.detections, all.opened, alerts, all.observables, all.procedures, all.unchanged, all.dropped, all.failing)
	return nil
}

// wouldDo tells what a message would change, a line for each of its detections and drops.
func wouldDo(ctx context.Context, p pipeline.Planned, applier *apply.Applier, r *dryrun.Recorder) []wouldLine {
	from := wouldLine{
		Sequence: p.Sequence, Subject: p.Subject, Format: p.Format, Time: p.Stored.UTC(),
		Observables: []string{}, Procedures: []string{}, Files: []string{}, Fields: []string{},
	}
	var lines []wouldLine
	for _, plan := range p.Plans {
		line := from
		line.ID, line.Time, line.CaseKey = plan.SourceID, plan.At, plan.Key.String()
		err := applier.Apply(ctx, enrich.BatchOf(plan))[0]
		for _, e := range r.Take() {
			line.add(e)
		}
		if enrich.ClassOf(err) == enrich.Dropped {
			line.Dropped = enrich.ReasonOf(err)
		} else if err != nil {
			line.Fails = err.Error()
		}
		lines = append(lines, line)
	}
	for _, reason := range p.Dropped {
		line := from
		line.Dropped = reason
		lines = append(lines, line)
	}
	if p.Err != nil {
		line := from
		line.Fails = p.Err.Error()
		lines = append(lines, line)
	}
	return lines
}

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
