package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"forager/cmd/worker/events"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/hive/hivetest"
)

// figures are what the demonstration ended with. published = acked + dropped + dead + lost.
type figures struct {
	Published   int     `json:"published"`
	Acked       int     `json:"acked"`
	Dropped     int     `json:"dropped"`
	Dead        int     `json:"dead"`
	Cases       int     `json:"cases"`
	Observables int     `json:"observables"`
	Procedures  int     `json:"procedures"`
	Comments    int     `json:"comments"`
	Duplicates  int     `json:"duplicates"`
	Lost        int     `json:"lost"` // not settled, or acknowledged and not in TheHive
	Seconds     float64 `json:"seconds"`
}

// report is what the demonstration shows.
type report struct {
	figures figures
	cases   []hivetest.Case
	reasons []reason
	dead    []string // the first dead letters, by file
	unread  int      // events that nobody could read
	missing []string // what acknowledged events asked for and TheHive does not hold
}

// report asks the simulator what it holds, and looks for every effect of every event that was
// acknowledged: the worker's word alone proves nothing.
func (s *stage) report(ctx context.Context, took time.Duration) (*report, error) {
	stats, err := simulatorStats(ctx, s.server.URL())
	if err != nil {
		return nil, err
	}
	r := &report{cases: s.hive.Snapshot().Cases, reasons: s.tally.why(), unread: s.tally.unreadable()}
	r.missing, r.dead = s.missing(r.cases), s.deadLetters()
	r.figures = figures{
		Published: len(s.sent), Acked: s.tally.count(acked) - len(r.missing), Dropped: s.tally.count(dropped), Dead: s.tally.count(dead),
		Cases: stats.Cases, Observables: stats.Observables, Procedures: stats.Procedures, Comments: stats.Comments,
		Duplicates: stats.Duplicates.Total(), Seconds: float64(took.Milliseconds()) / 1000,
	}
	r.figures.Lost = r.figures.Published - r.figures.Acked - r.figures.Dropped - r.figures.Dead
	return r, nil
}

// deadLetters names the files of the first dead letters.
func (s *stage) deadLetters() []string {
	var all []string
	for _, b := range s.tally.deadLetters() {
		i := slices.IndexFunc(s.sent, func(e sent) bool { return e.sequence == b.sequence })
		if i >= 0 {
			all = append(all, fmt.Sprintf("%s: %v", s.sent[i].event.File, b.err))
		}
	}
	return all
}

// simulatorStats asks as anybody could.
func simulatorStats(ctx context.Context, url string) (hivetest.Stats, error) {
	var stats hivetest.Stats
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url+"/_sim/stats?window=24h", http.NoBody)
	if err != nil {
		return stats, fmt.Errorf("ask simulator: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return stats, fmt.Errorf("ask simulator: %w", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		return stats, fmt.Errorf("ask simulator: %w", err)
	}
	return stats, nil
}

// missing names the acknowledged events of which an effect is not in TheHive, and which.
func (s *stage) missing(cases []hivetest.Case) []string {
	byTag := map[string][]hivetest.Case{}
	for _, c := range cases {
		for _, tag := range c.Tags {
			byTag[tag] = append(byTag[tag], c)
		}
	}
	var all []string
	for _, e := range s.sent {
		if s.tally.ended(e.sequence) != acked {
			continue
		}
		if what := s.missingOf(e.event, byTag); what != "" {
			all = append(all, e.event.File+": "+what)
		}
	}
	return all
}

func (s *stage) missingOf(e events.Event, byTag map[string][]hivetest.Case) string {
	got, err := s.decoder.Decode(detection.Message{Subject: "demo.events", Body: e.Body, Time: time.Now()})
	if err != nil {
		return ""
	}
	for i, d := range got.Detections {
		plan, err := s.service.Planner.Plan(d, enrich.Origin{Part: i, Time: time.Now()})
		if err != nil {
			continue
		}
		if what := missingIn(byTag[plan.Key.Tag(plan.Organisation)], plan); what != "" {
			return what
		}
	}
	return ""
}

// missingIn looks for the effects of a plan in the cases of its key.
func missingIn(cases []hivetest.Case, plan enrich.Plan) string {
	if len(cases) == 0 {
		return "no case of " + plan.Key.String()
	}
	for _, o := range plan.Observables {
		if !slices.ContainsFunc(cases, func(c hivetest.Case) bool {
			return slices.ContainsFunc(c.Observables, func(h hivetest.Observable) bool { return h.DataType == o.DataType && h.Data == o.Data })
		}) {
			return "observable " + o.DataType + " " + o.Data
		}
	}
	for _, t := range plan.Techniques {
		if t.ID != "" && !slices.ContainsFunc(cases, func(c hivetest.Case) bool {
			return slices.ContainsFunc(c.Procedures, func(p hivetest.Procedure) bool { return p.PatternID == t.ID })
		}) {
			return "procedure " + t.ID
		}
	}
	return ""
}

// verdict is nil when every event could be read and is where it belongs, once.
func (r *report) verdict() error {
	if r.unread > 0 {
		return fmt.Errorf("%w: %d of %d", errUnread, r.unread, r.figures.Published)
	}
	if r.figures.Lost > 0 || r.figures.Duplicates > 0 {
		return errDemo
	}
	return nil
}

// severities in TheHive's words.
var severities = []string{1: "low", 2: "medium", 3: "high", 4: "critical"}

func (r *report) print(sh *shell.Shell, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(sh.Out).Encode(r.figures); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		return nil
	}
	to := terminal.Out(sh)
	t := terminal.NewTable(terminal.Column{Name: "CASE"}, terminal.Column{Name: "SEVERITY"}, terminal.Column{Name: "TITLE", Cut: true}, terminal.Column{Name: "HOST", Cut: true},
		terminal.Column{Name: "OBSERVABLES", Right: true, Spare: true}, terminal.Column{Name: "PROCEDURES", Spare: true})
	for _, c := range r.cases {
		row := rowOf(c)
		t.Row(terminal.Plain.Of(fmt.Sprintf("#%d", row.Number)), severe(c.Severity).Of(row.Severity), terminal.Plain.Of(row.Title), terminal.Plain.Of(row.Host),
			terminal.Number(row.Observables), terminal.Plain.Of(row.Procedures))
	}
	to.Table(t)
	for _, why := range r.reasons {
		to.Line(2, terminal.Plain.Of(fmt.Sprintf("%d × %s", why.count, why.text)))
	}
	for _, what := range r.dead {
		to.Line(2, terminal.Warning.Of("dead letter"), terminal.Plain.Of(": "+canon.Line(what, 300)))
	}
	for _, what := range r.missing[:min(20, len(r.missing))] {
		to.Line(2, terminal.Bad.Of("missing"), terminal.Plain.Of(": "+canon.Line(what, 300)))
	}
	f := r.figures
	to.Line(2, terminal.Plain.Of(fmt.Sprintf("%d published = %d acknowledged + %d dropped + %d dead letters + ", f.Published, f.Acked, f.Dropped, f.Dead)), none(f.Lost).Of(fmt.Sprintf("%d lost", f.Lost)),
		terminal.Plain.Of(fmt.Sprintf("; %d cases, %d observables, %d procedures, ", f.Cases, f.Observables, f.Procedures)), none(f.Duplicates).Of(fmt.Sprintf("%d duplicates", f.Duplicates)),
		terminal.Plain.Of(fmt.Sprintf("; %.1f s", f.Seconds)))
	return to.Failed()
}

// severe is what a severity means.
func severe(severity int64) terminal.Meaning {
	switch severity {
	case 3:
		return terminal.Warning
	case 4:
		return terminal.Bad
	default:
		return terminal.Plain
	}
}

// none is what the count of something means that must not be.
func none(n int) terminal.Meaning {
	if n > 0 {
		return terminal.Bad
	}
	return terminal.Good
}

// row is one case for people: its texts come from alerts and are cleaned.
type row struct {
	Number      int64
	Severity    string
	Title, Host string
	Observables int
	Procedures  string
}

func rowOf(c hivetest.Case) row {
	r := row{Number: c.Number, Title: canon.Line(c.Title, 60), Observables: len(c.Observables)}
	if c.Severity > 0 && c.Severity < int64(len(severities)) {
		r.Severity = severities[c.Severity]
	}
	for _, o := range c.Observables {
		if (o.DataType == "hostname" || o.DataType == "fqdn") && slices.Contains(o.Tags, "host") {
			r.Host = canon.Line(o.Data, 40)
			break
		}
	}
	ids := make([]string, 0, len(c.Procedures))
	for _, p := range c.Procedures {
		ids = append(ids, p.PatternID)
	}
	slices.Sort(ids)
	r.Procedures = strings.Join(slices.Compact(ids), " ")
	return r
}
