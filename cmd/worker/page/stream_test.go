package page

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sentParts are the names and the contents of what a stream sent.
func sentParts(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for event := range strings.SplitSeq(text, "\n\n") {
		head, data, ok := strings.Cut(event, "\ndata: ")
		if !ok {
			continue
		}
		_, name, _ := strings.Cut(head, "event: ")
		if name == "live-rows" { // no text
			all[name] = data
			continue
		}
		var content string
		if err := json.Unmarshal([]byte(data), &content); err != nil {
			t.Fatalf("%v: %.300s", err, event)
		}
		all[name] = content
	}
	return all
}

// TestAViewerGetsWhatChanged: all parts at first, then those that differ; a hostile text ends no event. The parts are
// made once for all.
func TestAViewerGetsWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fixed{snapshot: hostileSnapshot()}
		s := &site{source: source, parts: newParts(source), streams: make(chan struct{}, MostViewers)}
		viewers := make([]map[string]uint64, 10)
		for i := range viewers {
			viewers[i] = map[string]uint64{}
		}
		look := func() (got map[string]string) {
			for i := range viewers {
				w := httptest.NewRecorder()
				if !s.update(t.Context(), w, http.NewResponseController(w), viewers[i]) {
					t.Fatal("the viewer was let go")
				}
				got = sentParts(t, w.Body.String())
			}
			return got
		}
		if got := look(); len(got) != 6 || got["live-recent"] != render(t, rows(source.snapshot, filter{})) {
			t.Errorf("at first: %d parts", len(got))
		}
		time.Sleep(Every)
		if got := look(); len(got) != 0 {
			t.Errorf("nothing changed, and came: %v", got)
		}
		source.snapshot.Flow.Ready, source.snapshot.Concerns = true, nil
		time.Sleep(Every)
		if got := look(); len(got) != 2 || !strings.Contains(got["live-state"], "Work gets done") || got["live-now"] != "" {
			t.Errorf("the state changed, and came: %v", got)
		}
		if source.asked != 3 {
			t.Errorf("parts were made %d times for ten viewers, want 3", source.asked)
		}
	})
}

// TestStreamsAreBounded in number and in time.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fixed{}
		s := &site{source: source, parts: newParts(source), streams: make(chan struct{}, 1)}
		began := time.Now()
		w := httptest.NewRecorder()
		s.events(w, httptest.NewRequest(http.MethodGet, "/page/events", nil))
		if took := time.Since(began); took != StreamFor || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("%v, %d", took, w.Code)
		}
		s.streams <- struct{}{}
		w = httptest.NewRecorder()
		s.events(w, httptest.NewRequest(http.MethodGet, "/page/events", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("one too many: %d", w.Code)
		}
	})
}

// TestRowsThatNobodyCouldReadAreMadeLess: where none of the rows stays from one look to the next.
func TestRowsThatNobodyCouldReadAreMadeLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fixed{}
		p := newParts(source)
		seen := map[uint64]bool{}
		for n := range uint64(9) {
			source.snapshot.Recent = []Row{{Sequence: 1000 * (n + 1)}}
			for _, part := range p.now(t.Context()) {
				if part.name == liveRecent {
					seen[part.sum] = true
				}
			}
			time.Sleep(Every)
		}
		if len(seen) != 3 {
			t.Errorf("rows were made %d times in nine looks, want 3", len(seen))
		}
		source.snapshot.Recent = []Row{{Sequence: 20_000}, {Sequence: 9000}, {Sequence: 7000}}
		time.Sleep(Every)
		for _, part := range p.now(t.Context()) {
			if part.name == liveRecent && seen[part.sum] {
				t.Error("rows of which one stays were not made anew")
			}
		}
	})
}

// TestARowThatStaysIsNotMadeAgain, and one that changed is.
func TestARowThatStaysIsNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fixed{}
		p := newParts(source)
		at := time.Now()
		rowsOf := func(all ...Row) string {
			source.snapshot.Recent = all
			time.Sleep(Every)
			for _, part := range p.now(t.Context()) {
				if part.name == liveRecent {
					return sentParts(t, string(part.line))[liveRecent]
				}
			}
			return ""
		}
		first := Row{Sequence: 1, At: at, Title: "One", Outcome: "again", Reason: "transient"}
		if got, want := rowsOf(first), render(t, messageRow(first)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		kept := p.rows[rowKey{1, at, "again", "One"}]
		second := Row{Sequence: 2, At: at.Add(time.Second), Title: "Two", Outcome: "applied"}
		if got, want := rowsOf(second, first), render(t, rows(Snapshot{Recent: []Row{second, first}}, filter{})); got != want || kept == nil {
			t.Errorf("%s, want %s", got, want)
		}
		settled := Row{Sequence: 1, At: at.Add(time.Minute), Title: "One", Outcome: "applied"}
		if got, want := rowsOf(settled, second), render(t, rows(Snapshot{Recent: []Row{settled, second}}, filter{})); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if len(p.rows) != 2 {
			t.Errorf("%d rows are kept, and 2 shown", len(p.rows))
		}
		if got := rowsOf(); !strings.Contains(got, "No message has come") {
			t.Errorf("none: %s", got)
		}
	})
}

// TestAViewerGetsTheRowsThatAreNew, and all where he has others than those before.
func TestAViewerGetsTheRowsThatAreNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &fixed{}
		s := &site{source: source, parts: newParts(source)}
		row := func(n uint64, outcome string) Row {
			return Row{Sequence: n, At: time.Now(), Title: hostile, Outcome: outcome}
		}
		look := func(sent map[string]uint64) map[string]string {
			w := httptest.NewRecorder()
			if !s.update(t.Context(), w, http.NewResponseController(w), sent) {
				t.Fatal("the viewer was let go")
			}
			return sentParts(t, w.Body.String())
		}
		next := func(all ...Row) {
			time.Sleep(Every)
			source.snapshot.Recent = all
		}
		viewer, one, two, three := map[string]uint64{}, row(1, "again"), row(2, "applied"), row(3, "applied")
		next(two, one)
		if got := look(viewer); got["live-recent"] == "" || got["live-rows"] != "" {
			t.Fatalf("at first: %v", got)
		}
		settled := row(1, "applied")
		next(settled, three, two)
		got, late := look(viewer), look(map[string]uint64{})
		var change changedRows
		if err := json.Unmarshal([]byte(got["live-rows"]), &change); err != nil || got["live-recent"] != "" {
			t.Fatalf("%v: %v", err, got)
		}
		want := changedRows{Order: []uint64{1, 3, 2}, Rows: map[uint64]string{1: render(t, messageRow(settled)), 3: render(t, messageRow(three))}}
		if d := cmp.Diff(want, change); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if late["live-rows"] != "" || late["live-recent"] != render(t, rows(source.snapshot, filter{})) {
			t.Errorf("who comes later gets %v", late)
		}
		slow := maps.Clone(viewer)
		four := row(4, "applied")
		next(four, settled)
		look(viewer)
		next(row(5, "applied"), four)
		if got := look(slow); got["live-recent"] == "" || got["live-rows"] != "" {
			t.Errorf("who missed a look gets %v", got)
		}
		if got := look(viewer); got["live-rows"] == "" {
			t.Errorf("who missed none gets %v", got)
		}
		next()
		if got := look(viewer); !strings.Contains(got["live-recent"], "No message has come") {
			t.Errorf("none: %v", got)
		}
		next(one)
		if got := look(viewer); got["live-recent"] == "" {
			t.Errorf("after none: %v", got)
		}
	})
}
