//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/sourcegraph/conc/pool"
)

// hiveLatency is what every call to TheHive takes.
const hiveLatency = 5 * time.Millisecond

// thehive is the simulator, seen from this machine.
type thehive struct {
	url    string
	client *http.Client
}

// newTheHive keeps one connection: while the simulator refuses new ones, the old one still takes its orders.
func newTheHive(url string) *thehive {
	return &thehive{url: url, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1}}}
}

// stats is what the simulator counts.
type stats struct {
	Calls       map[string]int
	Total       int
	Cases       int
	Observables int
	Procedures  int
	Comments    int
	Duplicates  map[string]int
}

func (h *thehive) stats(t *testing.T) stats {
	t.Helper()
	var s stats
	if err := h.call(t.Context(), http.MethodGet, "/_sim/stats", nil, &s); err != nil {
		t.Error(err)
	}
	return s
}

// misbehave replaces the simulator's manners; an empty map is the best.
func (h *thehive) misbehave(t *testing.T, manners map[string]any) {
	t.Helper()
	if err := h.call(t.Context(), http.MethodPost, "/_sim/misbehave", manners, nil); err != nil {
		t.Error(err)
	}
}

// call sends and receives JSON.
func (h *thehive) call(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, h.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer simulated")
	answer, err := h.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.200s", method, path, answer.Status, got)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(got, into)
}

// query runs steps of TheHive's query language.
func (h *thehive) query(ctx context.Context, into any, steps ...map[string]any) error {
	return h.call(ctx, http.MethodPost, "/api/v1/query", map[string]any{"query": steps}, into)
}

// caseRow is what is read of a case.
type caseRow struct {
	ID          string `json:"_id"`
	Description string
	Severity    int
	Tags        []string
}

// The tag of a case and the markers in its texts are how Forager knows its own again.
var (
	keyTag = regexp.MustCompile(`^forager:[0-9a-f]{32}$`)
	marker = regexp.MustCompile("(?m)^`forager: rule=([0-9a-f]{32}) day=[0-9-]{10} ids=[^`]*`")
)

// read gives all cases, by the tag of their key, each with what lies below it.
func (h *thehive) read(t *testing.T) map[string][]effects {
	t.Helper()
	const page = 500
	var rows []caseRow
	for from := 0; ; from += page {
		var more []caseRow
		err := h.query(t.Context(), &more, map[string]any{"_name": "listCase"}, map[string]any{"_name": "sort", "_fields": []any{map[string]any{"number": "asc"}}},
			map[string]any{"_name": "page", "from": from, "to": from + page})
		if err != nil {
			t.Fatal(err)
		}
		if rows = append(rows, more...); len(more) < page {
			break
		}
	}
	read := make([]effects, len(rows))
	readers := pool.New().WithErrors().WithContext(t.Context()).WithMaxGoroutines(4)
	many := &thehive{url: h.url, client: &http.Client{Timeout: 30 * time.Second}}
	for i := range rows {
		readers.Go(func(ctx context.Context) (err error) {
			read[i], err = many.effects(ctx, rows[i])
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		t.Fatal(err)
	}
	all := map[string][]effects{}
	for i, row := range rows {
		at := slices.IndexFunc(row.Tags, keyTag.MatchString)
		if at < 0 {
			t.Errorf("case %s has no tag of a key: %v", row.ID, row.Tags)
			continue
		}
		all[row.Tags[at]] = append(all[row.Tags[at]], read[i])
	}
	return all
}

// effects reads what lies below a case.
func (h *thehive) effects(ctx context.Context, c caseRow) (effects, error) {
	e := effects{Severity: c.Severity}
	for _, tag := range c.Tags {
		if !keyTag.MatchString(tag) {
			e.Tags = append(e.Tags, tag)
		}
	}
	texts := []string{c.Description}
	for kind, add := range map[string]func(child){
		"observables": func(o child) { e.Observables = append(e.Observables, o.DataType+" "+o.Data) },
		"procedures":  func(p child) { e.Procedures = append(e.Procedures, p.PatternID+" "+p.Tactic) },
		"comments":    func(c child) { texts = append(texts, c.Message) },
	} {
		var children []child
		if err := h.query(ctx, &children, map[string]any{"_name": "getCase", "idOrName": c.ID}, map[string]any{"_name": kind}); err != nil {
			return e, err
		}
		for _, one := range children {
			add(one)
		}
	}
	for _, text := range texts {
		e.Notes = append(e.Notes, rulesOf(text)...)
	}
	e.sort()
	return e, nil
}

// rulesOf are the rules that one text tells of, each once, however many days it names.
func rulesOf(text string) (rules []string) {
	for _, m := range marker.FindAllStringSubmatch(text, -1) {
		rules = append(rules, m[1])
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// child is what is read of an observable, a procedure or a comment.
type child struct {
	DataType, Data    string
	PatternID, Tactic string
	Message           string
}
