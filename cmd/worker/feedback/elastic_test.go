package feedback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	told "forager/enrich/feedback"
	"forager/pipeline/feedback"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// kibana takes statuses as Kibana's API description has them, and nothing else. Answers that are due come first.
type kibana struct {
	t *testing.T

	mu       sync.Mutex
	answers  []answer // before it does what is asked
	statuses map[string]string
	requests int
}

type answer struct {
	status int
	body   string
}

var (
	kibanaStatuses = []string{"open", "closed", "acknowledged", "in-progress"}
	kibanaReasons  = []string{"false_positive", "duplicate", "true_positive", "benign_positive", "automated_closure", "other"}
)

func (k *kibana) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests++
	w.Header().Set("Content-Type", "application/json")
	if len(k.answers) > 0 {
		a := k.answers[0]
		k.answers = k.answers[1:]
		w.WriteHeader(a.status)
		fmt.Fprint(w, a.body)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/s/soc/api/detection_engine/signals/status" || r.Header.Get("kbn-xsrf") == "" ||
		r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Authorization") != "ApiKey a2V5" {
		k.t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	updated, err := k.take(r)
	if err != "" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"statusCode":400,"error":"Bad Request","message":%q}`, err)
		return
	}
	fmt.Fprintf(w, `{"took":5,"timed_out":false,"total":%d,"updated":%d,"deleted":0,"batches":1,"version_conflicts":0,"noops":0,"failures":[]}`, updated, updated)
}

func (k *kibana) take(r *http.Request) (updated int, refused string) {
	var asked struct {
		SignalIDs []string `json:"signal_ids"`
		Status    string   `json:"status"`
		Reason    *string  `json:"reason"`
	}
	from := json.NewDecoder(r.Body)
	from.DisallowUnknownFields()
	switch err := from.Decode(&asked); {
	case err != nil:
		return 0, err.Error()
	case len(asked.SignalIDs) == 0 || slices.Contains(asked.SignalIDs, "") || !slices.Contains(kibanaStatuses, asked.Status):
		return 0, "signal_ids or status"
	case asked.Reason != nil && (asked.Status != "closed" || !slices.Contains(kibanaReasons, *asked.Reason)):
		return 0, "reason"
	case asked.SignalIDs[0] == "refused":
		return 0, "as the test wants it"
	}
	for _, id := range asked.SignalIDs {
		k.statuses[id] = asked.Status
		if asked.Reason != nil {
			k.statuses[id] += "/" + *asked.Reason
		}
		updated++
	}
	return updated, ""
}

// listen serves it, and gives the flags that reach it.
func (k *kibana) listen() *elasticCmd {
	k.t.Helper()
	k.statuses = map[string]string{}
	server := httptest.NewServer(k)
	k.t.Cleanup(server.Close)
	file := filepath.Join(k.t.TempDir(), "key")
	must(k.t, os.WriteFile(file, []byte("a2V5\n"), 0o600))
	return &elasticCmd{url: server.URL + "/s/soc", keyFile: file, durable: "elastic", format: "elastic"}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// message is what a source is told.
func message(turn int, id string, event told.Event, verdict string) told.Message {
	return told.Message{
		Schema: told.Schema, ID: fmt.Sprintf("%032d", turn), Turn: turn, Event: event, Verdict: verdict,
		Alert: told.Alert{Source: "elastic", ID: id}, Case: told.Case{Number: 7},
	}
}

// TestAlertsOfElasticGetTheStatusOfTheirCase: the whole way from the stream, in order, with a Kibana that is away, that lets
// nobody in for a while, and that changes alerts itself meanwhile; what it refuses for good keeps nobody.
func TestAlertsOfElasticGetTheStatusOfTheirCase(t *testing.T) {
	t.Parallel()
	server, err := natstest.Start(t.TempDir())
	must(t, err)
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, nil)
	must(t, err)
	t.Cleanup(link.Close)
	o := feedback.Options{Subject: "forager.feedback", Manage: true}
	outbox, err := feedback.New(link, o)
	must(t, err)
	must(t, outbox.Ensure(t.Context()))
	for i, m := range []told.Message{
		message(1, "a", told.EventClosed, "FalsePositive"), message(2, "b", told.EventClosed, "TruePositive"), message(3, "refused", told.EventReopened, ""),
		message(4, "a", told.EventReopened, ""), message(5, "b", told.EventReopened, ""), message(6, "b", told.EventClosed, "Duplicated"),
		message(7, "c", told.EventClosed, "Our own"), message(8, "d", told.EventStatus, ""),
	} {
		if i == 2 {
			m.Alert.ID = "refused"
		}
		must(t, outbox.Put(t.Context(), []told.Message{m}))
	}
	k := &kibana{t: t}
	flags := k.listen()
	flags.reasons = true
	elastic, err := flags.elastic()
	must(t, err)
	k.answers = []answer{{503, "{}"}, {401, "{}"}, {200, `{"updated":0,"version_conflicts":1}`}, {200, "<html>"}}
	reading := feedback.Reading{Stream: "FORAGER_FEEDBACK", Subject: o.OfSource("elastic"), Consumer: "elastic"}
	l := loop{inbox: feedback.NewReader(link, reading), source: elastic, once: true, log: zap.NewNop()}
	for n := range 4 { // whoever runs it now and then sees why it failed
		r := feedback.NewReader(link, feedback.Reading{Stream: reading.Stream, Subject: reading.Subject, Consumer: fmt.Sprint("try", n)})
		if err := (loop{inbox: r, source: elastic, once: true, log: zap.NewNop()}).run(t.Context()); err == nil {
			t.Errorf("attempt %d: no error", n)
		}
	}
	must(t, l.run(t.Context()))
	want := map[string]string{"a": "open", "b": "closed/duplicate", "c": "closed/other", "d": "acknowledged"}
	if diff := cmp.Diff(want, k.statuses); diff != "" {
		t.Error(diff)
	}
	before := k.requests
	must(t, l.run(t.Context()))
	if k.requests != before {
		t.Error("what was done is done again")
	}
}

// TestAnswersSayWhetherToTryAgain: what can never be taken is given up, all else is tried again and names what is to be mended.
func TestAnswersSayWhetherToTryAgain(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{400: errRefused, 413: errRefused, 404: errNotKibana, 401: nil, 429: nil, 500: nil} {
		_, err := read(status, []byte("{}"))
		if err == nil || errors.Is(err, errRefused) != (want == errRefused) || errors.Is(err, errNotKibana) != (want == errNotKibana) { //nolint:errorlint // which of them it is
			t.Errorf("%d: %v, want %v", status, err, want)
		}
	}
}

// patient is a source that is away for a while.
type patient struct {
	Elastic

	left  int
	given []string
}

func (p *patient) set(_ context.Context, ids []string, to setting) (int, error) {
	if p.left--; p.left >= 0 {
		return 0, errors.New("away")
	}
	p.given = append(p.given, to.status+" "+strings.Join(ids, ","))
	return len(ids), nil
}

// TestASourceThatIsAwayIsWaitedFor: nothing is given up, and nothing newer overtakes.
func TestASourceThatIsAwayIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &patient{left: 90}
		core, said := observer.New(zap.WarnLevel)
		l := loop{source: p, log: zap.New(core)}
		must(t, l.work(t.Context(), feedback.Received{Messages: []told.Message{
			message(1, "a", told.EventClosed, "FalsePositive"), message(2, "b", told.EventClosed, "TruePositive"), message(3, "a", told.EventReopened, ""),
		}}))
		if want := []string{"closed a,b", "open a"}; !slices.Equal(p.given, want) {
			t.Errorf("%q, want %q", p.given, want)
		}
		// Ninety pauses of up to 7.5 s take some ten minutes.
		if n := said.Len(); n < 2 || n > 4 {
			t.Errorf("it is said %d times that the source takes nothing, want each five minutes", n)
		}
	})
}

func TestFlagsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	key := (&kibana{t: t}).listen().keyFile
	for want, c := range map[string]elasticCmd{
		"--url":          {url: "kibana:5601", keyFile: key, durable: "e"},
		"--url: ":        {url: "https://u:p@kibana", keyFile: key, durable: "e"},
		"--consumer":     {url: "https://kibana", keyFile: key, durable: "a.b"},
		"--api-key-file": {url: "https://kibana", keyFile: key + "x", durable: "e"},
		"--ca-file":      {url: "https://kibana", keyFile: key, durable: "e", caFile: key},
	} {
		if _, err := c.elastic(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", c, err, want)
		}
	}
}
