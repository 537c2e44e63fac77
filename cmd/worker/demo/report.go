package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"forager/cmd/worker/events"
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

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(w).Encode(r.figures); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CASE\tSEVERITY\tTITLE\tHOST\tOBSERVABLES\tPROCEDURES")
	for _, c := range r.cases {
		row := rowOf(c)
		fmt.Fprintf(t, "#%d\t%s\t%s\t%s\t%d\t%s\n", row.Number, row.Severity, row.Title, row.Host, row.Observables, row.Procedures)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	for _, why := range r.reasons {
		fmt.Fprintf(w, "%d × %s\n", why.count, why.text)
	}
	for _, what := range r.dead {
		fmt.Fprintln(w, "dead letter: "+canon.Clean(what, 300))
	}
	for _, what := range r.missing[:min(20, len(r.missing))] {
		fmt.Fprintln(w, "missing: "+canon.Clean(what, 300))
	}
	f := r.figures
	_, err := fmt.Fprintf(w, "%d published = %d acknowledged + %d dropped + %d dead letters + %d lost; %d cases, %d observables, %d procedures, %d duplicates; %.1f s\n",
		f.Published, f.Acked, f.Dropped, f.Dead, f.Lost, f.Cases, f.Observables, f.Procedures, f.Duplicates, f.Seconds)
	return err
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
	r := row{Number: c.Number, Title: canon.Clean(c.Title, 60), Observables: len(c.Observables)}
	if c.Severity > 0 && c.Severity < int64(len(severities)) {
		r.Severity = severities[c.Severity]
	}
	for _, o := range c.Observables {
		if (o.DataType == "hostname" || o.DataType == "fqdn") && slices.Contains(o.Tags, "host") {
			r.Host = canon.Clean(o.Data, 40)
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
