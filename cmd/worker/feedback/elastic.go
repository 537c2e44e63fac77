package feedback

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	told "forager/enrich/feedback"
)

// Elastic sets the status of alerts of Elastic Security, by POST /api/detection_engine/signals/status of Kibana
// (https://www.elastic.co/docs/api/doc/kibana/operation/operation-setalertsstatus). Alerts are named by their _id, which
// is kibana.alert.uuid.
type Elastic struct {
	URL     string        // of Kibana, with /s/SPACE of a space that is not the default
	APIKey  func() string // as it is now; encoded, as Kibana shows it
	Reasons bool          // say why an alert is closed: newer releases of Kibana know that
	HTTP    *http.Client
}

// statusRequest is what Kibana takes: alerts by their ids, and a status.
type statusRequest struct {
	SignalIDs []string `json:"signal_ids"`
	Status    string   `json:"status"`
	Reason    string   `json:"reason,omitempty"`
}

// statusAnswer is what of Elasticsearch's answer to an update by query counts.
type statusAnswer struct {
	Updated   int   `json:"updated"`
	Conflicts int   `json:"version_conflicts"`
	Failures  []any `json:"failures"`
}

// Errors that say more than that a request failed.
var (
	// errRefused says that a request will not be taken however often it is sent.
	errRefused = errors.New("the source refuses it")
	// errNotKibana says that the address is none of Kibana's, or of no space: that is for people to mend.
	errNotKibana = errors.New("--url leads to no Kibana, or to no space of it")
)

// setting is a status that alerts are given, and why.
type setting struct{ status, reason string }

// setting is what a message asks for.
func (e *Elastic) setting(m told.Message) setting {
	switch m.Event {
	case told.EventClosed:
		if e.Reasons {
			return setting{"closed", reasonOf(m.Verdict)}
		}
		return setting{status: "closed"}
	case told.EventReopened:
		return setting{status: "open"}
	default:
		return setting{status: "acknowledged"} // somebody works on it
	}
}

// reasonOf is a verdict in Kibana's words.
func reasonOf(verdict string) string {
	switch verdict {
	case "TruePositive":
		return "true_positive"
	case "FalsePositive":
		return "false_positive"
	case "Duplicated":
		return "duplicate"
	default:
		return "other"
	}
}

// mostAnswer bounds what is read of an answer.
const mostAnswer = 64 << 10

// set gives alerts a status; it tells how many had it not before and are there. Errors: errRefused (400, 413), else what
// may pass: try again.
func (e *Elastic) set(ctx context.Context, ids []string, to setting) (updated int, err error) {
	body, err := json.Marshal(statusRequest{SignalIDs: ids, Status: to.status, Reason: to.reason})
	if err != nil {
		return 0, fmt.Errorf("set status: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(e.URL, "/")+"/api/detection_engine/signals/status", bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("set status: %w", err)
	}
	r.Header.Set("Authorization", "ApiKey "+e.APIKey())
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("kbn-xsrf", "forager") // Kibana refuses a POST without it
	answer, err := e.HTTP.Do(r)
	if err != nil {
		return 0, fmt.Errorf("set status: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if err != nil {
		return 0, fmt.Errorf("set status: %w", err)
	}
	return read(answer.StatusCode, text)
}

// read says what an answer means.
func read(status int, text []byte) (updated int, err error) {
	switch {
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge:
		return 0, fmt.Errorf("set status: %w: %d: %s", errRefused, status, excerpt(text))
	case status == http.StatusNotFound:
		return 0, fmt.Errorf("set status: %w: %d: %s", errNotKibana, status, excerpt(text))
	case status != http.StatusOK:
		return 0, fmt.Errorf("set status: %d: %s", status, excerpt(text))
	}
	var a statusAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return 0, fmt.Errorf("set status: no answer of Kibana: %s", excerpt(text))
	}
	if a.Conflicts > 0 || len(a.Failures) > 0 {
		return 0, fmt.Errorf("set status: %d alerts changed meanwhile, %d failed", a.Conflicts, len(a.Failures))
	}
	return a.Updated, nil
}

// excerpt is the begin of a text of the source, on one line.
func excerpt(text []byte) string {
	return fmt.Sprintf("%.200q", string(text))
}
