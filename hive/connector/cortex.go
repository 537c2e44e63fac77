package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"forager/hive"
)

// Connector reaches Cortex and MISP through TheHive, as the account of its client.
// It is safe for concurrent use.
type Connector struct{ client *hive.Client }

// New reaches them by a client.
func New(client *hive.Client) *Connector { return &Connector{client} }

// Moment is a moment of a job or action; the zero Moment: not yet.
type Moment struct{ time.Time }

// UnmarshalJSON reads milliseconds since 1970 (TheHive 5.7) and RFC 3339 (before).
func (m *Moment) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte{'"'}) {
		return m.Time.UnmarshalJSON(text)
	}
	var ms hive.Millis
	if err := json.Unmarshal(text, &ms); err != nil {
		return err
	}
	m.Time = ms.Time()
	return nil
}

// Worker is an analyzer or a responder (OutputWorker).
type Worker struct {
	// ID is Cortex's, Name and Version what it is.
	ID          string `json:"id"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description"`
	// DataTypes are what it takes, CortexIDs the servers that have it.
	DataTypes []string `json:"dataTypeList"`
	CortexIDs []string `json:"cortexIds"`
}

// Job is an analyzer's look at an observable (OutputJob).
type Job struct {
	// ID is TheHive's, CortexJobID that of the server CortexID.
	ID          string `json:"_id"`
	CortexID    string `json:"cortexId"`
	CortexJobID string `json:"cortexJobId"`
	// AnalyzerID, AnalyzerName and AnalyzerDefinition are which.
	AnalyzerID         string `json:"analyzerId"`
	AnalyzerName       string `json:"analyzerName"`
	AnalyzerDefinition string `json:"analyzerDefinition"`
	// Status is "Waiting", "InProgress", "Success", "Failure" or "Deleted".
	Status string `json:"status"`
	// StartDate and EndDate bound it.
	StartDate Moment `json:"startDate"`
	EndDate   Moment `json:"endDate"`
	// Report is the analyzer's, as JSON; empty before the end.
	Report json.RawMessage `json:"report"`
}

func jobID(j *Job) string { return j.ID }

// NewJob asks for a look (InputJob).
type NewJob struct {
	// AnalyzerID and CortexID are which analyzer of which server.
	AnalyzerID string `json:"analyzerId"`
	CortexID   string `json:"cortexId"`
	// ObservableID is what it looks at.
	ObservableID string `json:"artifactId"`
	// Parameters are the analyzer's own.
	Parameters map[string]any `json:"parameters,omitempty"`
}

// Action is what a responder did (OutputAction).
type Action struct {
	// ID is TheHive's, CortexJobID that of the server CortexID.
	ID          string `json:"_id"`
	CortexID    string `json:"cortexId"`
	CortexJobID string `json:"cortexJobId"`
	// ResponderID and ResponderName are which.
	ResponderID   string `json:"responderId"`
	ResponderName string `json:"responderName"`
	// ObjectType and ObjectID are what it was done to.
	ObjectType string `json:"objectType"`
	ObjectID   string `json:"objectId"`
	// Status is as in [Job].
	Status string `json:"status"`
	// StartDate and EndDate bound it.
	StartDate Moment `json:"startDate"`
	EndDate   Moment `json:"endDate"`
	// Report and Operations are the responder's, as text.
	Report     string `json:"report"`
	Operations string `json:"operations"`
}

// NewAction asks a responder to act (InputAction).
type NewAction struct {
	// ResponderID is which, CortexID of which server; empty: any that has it.
	ResponderID string `json:"responderId"`
	CortexID    string `json:"cortexId,omitempty"`
	// ObjectType is "case", "case_task", "case_task_log", "case_artifact" or "alert"; ObjectID its id.
	ObjectType string `json:"objectType"`
	ObjectID   string `json:"objectId"`
	// Parameters are the responder's own; TLP is 0 to 4.
	Parameters map[string]any `json:"parameters,omitempty"`
	TLP        *int           `json:"tlp,omitempty"`
}

// read gets JSON by a GET.
func read[T any](ctx context.Context, c *Connector, op, path string, proof func(*T) string) (T, error) {
	var out T
	x := hive.Exchange{Op: op, Method: http.MethodGet, Path: path, Into: &out}
	if proof != nil {
		x.Proof = func() string { return proof(&out) }
	}
	err := c.client.Exchange(ctx, x)
	return out, err
}

// needed refuses what is missing; pairs are names and values.
func needed(op string, pairs ...string) error {
	for pair := range slices.Chunk(pairs, 2) {
		if slices.Contains(pair, "") {
			return &hive.InvalidError{Op: op, Field: pair[0], Reason: "is empty"}
		}
	}
	return nil
}

// Analyzers lists all analyzers (GET /api/v1/connector/cortex/analyzer).
func (c *Connector) Analyzers(ctx context.Context) ([]Worker, error) {
	return read[[]Worker](ctx, c, "list analyzers", "/connector/cortex/analyzer", nil)
}

// AnalyzersFor lists those that take a data type
// (GET /api/v1/connector/cortex/analyzer/type/{dataType}).
func (c *Connector) AnalyzersFor(ctx context.Context, dataType string) ([]Worker, error) {
	const op = "list analyzers of a type"
	if err := needed(op, "dataType", dataType); err != nil {
		return nil, err
	}
	return read[[]Worker](ctx, c, op, "/connector/cortex/analyzer/type/"+url.PathEscape(dataType), nil)
}

// Analyzer brings one (GET /api/v1/connector/cortex/analyzer/{analyzerId}).
func (c *Connector) Analyzer(ctx context.Context, id string) (Worker, error) {
	const op = "get analyzer"
	if err := needed(op, "analyzer", id); err != nil {
		return Worker{}, err
	}
	return read(ctx, c, op, "/connector/cortex/analyzer/"+url.PathEscape(id), func(w *Worker) string { return w.ID })
}

// RunAnalyzer lets an analyzer look at an observable
// (POST /api/v1/connector/cortex/job; right manageAnalyse). It answers before the
// job is done: ask [Connector.Job].
func (c *Connector) RunAnalyzer(ctx context.Context, n NewJob) (Job, error) {
	const op = "run analyzer"
	var out Job
	if err := needed(op, "analyzer", n.AnalyzerID, "cortex", n.CortexID, "observable", n.ObservableID); err != nil {
		return out, err
	}
	err := c.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPost, Path: "/connector/cortex/job", Body: n,
		Into: &out, Proof: func() string { return jobID(&out) }})
	return out, err
}

// RunAnalyzers is RunAnalyzer for several jobs
// (POST /api/v1/connector/cortex/job/_bulk; TheHive 5.7).
func (c *Connector) RunAnalyzers(ctx context.Context, jobs ...NewJob) ([]Job, error) {
	const op = "run analyzers"
	for _, n := range jobs {
		if err := needed(op, "analyzer", n.AnalyzerID, "cortex", n.CortexID, "observable", n.ObservableID); err != nil {
			return nil, err
		}
	}
	var out []Job
	err := c.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPost, Path: "/connector/cortex/job/_bulk",
		Body: map[string]any{"jobs": append([]NewJob{}, jobs...)}, Into: &out})
	return out, err
}

// Job brings a job with its report (GET /api/v1/connector/cortex/job/{jobId}).
func (c *Connector) Job(ctx context.Context, id string) (Job, error) {
	const op = "get job"
	if err := needed(op, "job", id); err != nil {
		return Job{}, err
	}
	return read(ctx, c, op, "/connector/cortex/job/"+url.PathEscape(id), jobID)
}

// maxJobs is how many jobs of an observable are listed.
const maxJobs = 500

// Jobs lists the jobs of an observable by id, oldest first, the newest maxJobs at
// most (the query getObservable, jobs, which TheHive 4 has; the descriptions of 5
// name no such list).
func (c *Connector) Jobs(ctx context.Context, observableID string) ([]Job, error) {
	const op = "list jobs"
	if err := needed(op, "observable", observableID); err != nil {
		return nil, err
	}
	var out []Job
	err := c.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPost, Path: "/query", Reads: true, Into: &out, Body: map[string]any{"query": []map[string]any{
		{"_name": "getObservable", "idOrName": observableID}, {"_name": "jobs"},
		{"_name": "sort", "_fields": []map[string]string{{"_createdAt": "desc"}}}, {"_name": "page", "from": 0, "to": maxJobs},
	}}})
	slices.Reverse(out)
	return out, err
}

// Outstanding lists the jobs of the organisation that wait or run, whoever asked for them, newest first, so many at most (the query
// listJob).
func (c *Connector) Outstanding(ctx context.Context, most int) ([]Job, error) {
	const op = "list outstanding jobs"
	var out []Job
	err := c.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPost, Path: "/query", Reads: true, Into: &out, Body: map[string]any{"query": []map[string]any{
		{"_name": "listJob"}, {"_name": "filter", "_in": map[string]any{"_field": "status", "_values": []string{"Waiting", "InProgress"}}},
		{"_name": "sort", "_fields": []map[string]string{{"_createdAt": "desc"}}}, {"_name": "page", "from": 0, "to": most},
	}}})
	return out, err
}

// Responders lists what can act on an object, by its type as in [NewAction] and id
// (GET /api/v1/connector/cortex/responder/{entityType}/{entityId}).
func (c *Connector) Responders(ctx context.Context, objectType, objectID string) ([]Worker, error) {
	const op = "list responders"
	if err := needed(op, "type", objectType, "id", objectID); err != nil {
		return nil, err
	}
	return read[[]Worker](ctx, c, op, "/connector/cortex/responder/"+url.PathEscape(objectType)+"/"+url.PathEscape(objectID), nil)
}

// RunResponder lets a responder act (POST /api/v1/connector/cortex/action; right
// manageAction).
func (c *Connector) RunResponder(ctx context.Context, n NewAction) (Action, error) {
	const op = "run responder"
	var out Action
	if err := needed(op, "responder", n.ResponderID, "type", n.ObjectType, "id", n.ObjectID); err != nil {
		return out, err
	}
	err := c.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPost, Path: "/connector/cortex/action", Body: n,
		Into: &out, Proof: func() string { return out.ID }})
	return out, err
}

// Actions lists what responders did to an object
// (GET /api/v1/connector/cortex/action/{entityType}/{entityId}).
func (c *Connector) Actions(ctx context.Context, objectType, objectID string) ([]Action, error) {
	const op = "list actions"
	if err := needed(op, "type", objectType, "id", objectID); err != nil {
		return nil, err
	}
	return read[[]Action](ctx, c, op, "/connector/cortex/action/"+url.PathEscape(objectType)+"/"+url.PathEscape(objectID), nil)
}
