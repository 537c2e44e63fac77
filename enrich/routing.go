package enrich

import (
	"cmp"
	"encoding/json"
	"slices"

	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/hive"
)

// ReasonSilenced is the reason of a DroppedError whose Detail names a silence.
const ReasonSilenced = "silenced"

// see shows a detection and its mapped techniques.
func (p *Planner) see(d detection.Detection, techniques []Technique, o Origin) rules.Seen {
	s := rules.Seen{
		Format: d.Format, Subject: o.Subject, ID: d.ID, Time: d.Time.UTC(), Severity: severityOf(d), Title: d.Title, Description: d.Description,
		Source: d.Source, Rule: rules.SeenRule{ID: d.Rule.ID, Name: d.Rule.Name}, Host: d.Host, User: d.User, IP: d.IP, Key: d.Key,
		Direction: d.Direction, Tags: d.Tags, Link: d.Link,
		Process: d.Happened.Process, CommandLine: d.Happened.CommandLine, Parent: d.Happened.Parent, File: d.Happened.File,
		From: d.Happened.From, To: d.Happened.To, Action: d.Happened.Action,
	}
	if p.options.Router.ReadsEvents() {
		said := d.Original.ReadAll()
		s.Raw, s.Fields = said.Text, said.Fields
	}
	for _, o := range d.Observables {
		s.Observables = append(s.Observables, rules.SeenObservable{Type: o.DataType, Data: o.Data, Tags: o.Tags, IOC: o.IOC})
	}
	for _, t := range techniques {
		if t.ID != "" {
			s.Techniques = append(s.Techniques, t.ID)
		}
		if t.ID != "" && t.Tactic != "" && !slices.Contains(s.Tactics, t.Tactic) {
			s.Tactics = append(s.Tactics, t.Tactic)
		}
	}
	return s
}

// route lets the rules change a plan.
func (p *Planner) route(plan *Plan, d detection.Detection) error {
	r := p.options.Router.Decide(p.see(d, plan.Techniques, plan.Origin), p.options.Now())
	plan.Faults = r.Faults
	if r.Silence != "" {
		return &DroppedError{Reason: ReasonSilenced, Detail: r.Silence}
	}
	plan.Route, plan.When, plan.NewCap = r.Route, r.When, r.MaxNewCases
	if r.Drop != "" {
		return &DroppedError{Reason: string(r.Drop), Detail: r.Route}
	}
	plan.identify(r)
	plan.shapeBy(r, d)
	plan.ask = r.Threshold
	return nil
}

// identify says to which case the plan belongs, where the rules say it.
func (plan *Plan) identify(r rules.Decision) {
	plan.Organisation = cmp.Or(r.Organisation, plan.Organisation)
	plan.Closed = cmp.Or(r.Closed, plan.Closed)
	plan.ByAlert = r.Via == rules.ViaAlert
	if r.As == rules.AsAlert {
		plan.AsAlert, plan.ByEvent, plan.NewCap = true, r.Group != rules.GroupRule, r.MaxNewAlerts
	}
	plan.Analyze = r.Analyze
	if r.Window != nil {
		plan.Window = *r.Window
	}
	if r.Key != "" {
		plan.Key = Key{Kind: "key", Value: r.Key}
	}
	if r.Filter != nil {
		plan.findBy(*r.Filter)
	}
}

// group says which alert the plan belongs to, where it becomes one: its event's own, whatever becomes of that and however late
// more is heard of it, or the one of its rule and key.
func (plan *Plan) group() {
	switch {
	case !plan.AsAlert:
	case plan.ByEvent:
		plan.Hash = ShortHash(plan.Organisation, "alert", plan.Format, plan.Source(), plan.SourceID)
		plan.Window, plan.Closed, plan.KeyCap = 0, rules.ClosedComment, 0
		if plan.Key.Value == "" {
			plan.Key = Key{Kind: "alert", Value: plan.SourceID}
		}
	case plan.Key.Value != "":
		plan.Hash = ShortHash(plan.Organisation, "alert of rule", plan.RuleHash, plan.Key.String())
		plan.Closed = rules.ClosedNew
	}
}

// findBy lets a filter find the case. It replaces the key's tag and claim: plans whose filters are
// the same queue together, and claim one entry.
func (plan *Plan) findBy(f hive.Filter) {
	plan.Find = &f
	if raw, err := json.Marshal(f); err == nil {
		plan.Hash = ShortHash(plan.Organisation, "filter", string(raw))
	}
	if plan.Key.Value == "" {
		plan.Key = Key{Kind: "filter", Value: plan.Hash}
	}
}

// shapeBy says what a case of the plan looks like, where the rules say it.
func (plan *Plan) shapeBy(r rules.Decision, d detection.Detection) {
	if r.Title != nil {
		plan.Title = cmp.Or(oneLine(*r.Title), titleOf(d))
	}
	plan.text = r.Description
	for _, l := range []struct{ said, to *int }{{r.Severity, &plan.Severity}, {r.TLP, &plan.TLP}, {r.PAP, &plan.PAP}} {
		if l.said != nil {
			*l.to = *l.said
		}
	}
	plan.Shape, plan.rows = r.Shape, r.Rows
	if r.Links != "" {
		plan.notes += "\n" + r.Links
	}
	for _, tag := range r.Tags {
		if !reserved(tag) && !slices.Contains(plan.Tags, tag) {
			plan.Tags = append(plan.Tags, tag)
		}
	}
}
