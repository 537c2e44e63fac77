package rules

import "time"

// Seen is a detection as conditions, keys and texts see it: CEL's variable `detection`.
type Seen struct {
	Format      string           `cel:"format"`
	Subject     string           `cel:"subject"` // NATS subject that it came on
	ID          string           `cel:"id"`
	Time        time.Time        `cel:"time"`
	Severity    int              `cel:"severity"` // 1–4
	Title       string           `cel:"title"`
	Description string           `cel:"description"`
	Source      string           `cel:"source"`
	Rule        SeenRule         `cel:"rule"`
	Host        string           `cel:"host"`
	User        string           `cel:"user"`
	IP          string           `cel:"ip"`
	Key         string           `cel:"key"`
	Direction   string           `cel:"direction"`
	Tags        []string         `cel:"tags"`
	Techniques  []string         `cel:"techniques"` // ids, in the server's release
	Tactics     []string         `cel:"tactics"`    // short names of these techniques' tactics, each once
	Observables []SeenObservable `cel:"observables"`
	Link        string           `cel:"link"`    // address of the detection in the sender's console; empty is none
	Process     string           `cel:"process"` // what happened, as far as the sender says it
	CommandLine string           `cel:"commandLine"`
	Parent      string           `cel:"parent"`
	File        string           `cel:"file"`
	From        string           `cel:"from"`
	To          string           `cel:"to"`
	Action      string           `cel:"action"`
	Raw         string           `cel:"raw"`    // the event as it was sent; where [Router.ReadsEvents] alone
	Fields      map[string]any   `cel:"fields"` // its scalars by path; where ReadsEvents alone
}

// SeenRule is the rule that fired.
type SeenRule struct {
	ID   string `cel:"id"`
	Name string `cel:"name"`
}

// SeenObservable is one observable.
type SeenObservable struct {
	Type string   `cel:"type"`
	Data string   `cel:"data"`
	Tags []string `cel:"tags"`
	IOC  bool     `cel:"ioc"`
}
