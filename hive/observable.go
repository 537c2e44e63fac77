package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
)

// Observable is one observable of a case (OutputObservable).
type Observable struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// DataType is a name such as "ip", "domain" or "file".
	DataType string `json:"dataType"`
	// Data is the value, empty for a file.
	Data string `json:"data"`
	// Attachment is the file, nil for a value.
	Attachment *Attachment `json:"attachment"`
	// Message says what it is about.
	Message string `json:"message"`
	// TLP is 0 (CLEAR) to 4 (RED), PAP 0 to 3.
	TLP int `json:"tlp"`
	PAP int `json:"pap"`
	// Tags are in no particular order.
	Tags []string `json:"tags"`
	// IOC marks an indicator of compromise, Sighted one that was seen, at SightedAt.
	IOC       bool   `json:"ioc"`
	Sighted   bool   `json:"sighted"`
	SightedAt Millis `json:"sightedAt"`
	// IgnoreSimilarity keeps it from linking cases.
	IgnoreSimilarity bool `json:"ignoreSimilarity"`
	// Reports are what analyzers of Cortex said, by their names.
	Reports Reports `json:"reports"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// Reports are what analyzers said of an observable, by the analyzer's name, such as
// "VirusTotal_GetReport_3_1": of each the newest. The API describes no shape; this is that of the documented
// webhook document of an analyzer's report. What has another shape is left out, and never fails a listing.
type Reports map[string]Report

// Report is what one analyzer said, in short.
type Report struct {
	Taxonomies []Taxonomy `json:"taxonomies"`
}

// Taxonomy is one statement of an analyzer, such as VT:GetReport="0/92".
type Taxonomy struct {
	// Level is "info", "safe", "suspicious" or "malicious".
	Level string `json:"level"`
	// Namespace and Predicate are the analyzer's own words.
	Namespace string `json:"namespace"`
	Predicate string `json:"predicate"`
}

// UnmarshalJSON reads what has the known shape.
func (r *Reports) UnmarshalJSON(text []byte) error {
	var raw map[string]json.RawMessage
	if json.Unmarshal(text, &raw) != nil || len(raw) == 0 {
		return nil //nolint:nilerr // no shape is promised
	}
	*r = Reports{}
	for name, one := range raw {
		var report Report
		if json.Unmarshal(one, &report) == nil {
			(*r)[name] = report
		}
	}
	return nil
}

// observableID names the identity of an observable to the decoders.
func observableID(o *Observable) string { return o.ID }

// NewObservable is one or more observables of one type to be added to a case
// (InputCreateObservable).
type NewObservable struct {
	// DataType must exist in TheHive (see [Client.DataTypes]).
	DataType string
	// Data are the values, each of 1 to MaxValue units and becoming one
	// observable. Empty for [Client.AddFile].
	Data []string
	// Message, of at most MaxText units, applies to all.
	Message string
	// TLP (0 to 4) and PAP (0 to 3) default to 2.
	TLP, PAP *int
	// Tags have 1 to MaxTag units each; doubles are left out.
	Tags []string
	// IOC, Sighted and IgnoreSimilarity are false by default.
	IOC, Sighted, IgnoreSimilarity bool
	// StartDate is what TheHive shows as its date, default now; SightedAt when it
	// was seen, 0: not said.
	StartDate, SightedAt Millis
}

// ObservableResult is what TheHive made of a [NewObservable]: each value is
// either created or refused.
type ObservableResult struct {
	// Created are the new observables.
	Created []Observable
	// Refused are the values that TheHive did not take, and why.
	Refused []RefusedObservable
}

// RefusedObservable is one value that TheHive did not take.
type RefusedObservable struct {
	// Data is the value, or "file:" and the name of a file; empty when TheHive
	// did not say which.
	Data string
	// Type and Message are TheHive's, such as "CreateError" and "Observable
	// already exists".
	Type, Message string
}

// Exists reports that the case has this observable already.
func (r RefusedObservable) Exists() bool { return saysExists(r.Message) }

// AddObservables adds values of one type to a case by id or number
// (POST /api/v1/case/{caseId}/observable). TheHive treats each value by itself:
// a nil error does not mean that all were created, look at Refused. Besides
// the documented 201 with a list this understands the 207 {success, failure},
// and, for a single value, the 400 with which it says "already exists".
func (c *Client) AddObservables(ctx context.Context, caseID string, o NewObservable) (ObservableResult, error) {
	const op = "add observables"
	if err := checkCase(op, caseID); err != nil {
		return ObservableResult{}, err
	}
	return c.addObservables(ctx, op, "/case/"+caseID, o)
}

// AddAlertObservables is AddObservables for an alert, by id
// (POST /api/v1/alert/{alertId}/observable).
func (c *Client) AddAlertObservables(ctx context.Context, alertID string, o NewObservable) (ObservableResult, error) {
	const op = "add alert observables"
	if err := checkID(op, "alert", alertID); err != nil {
		return ObservableResult{}, err
	}
	return c.addObservables(ctx, op, "/alert/"+alertID, o)
}

// addObservables adds values to what a path names.
func (c *Client) addObservables(ctx context.Context, op, owner string, o NewObservable) (ObservableResult, error) {
	if err := o.check(op, ""); err != nil {
		return ObservableResult{}, err
	}
	if err := o.checkData(op, ""); err != nil {
		return ObservableResult{}, err
	}
	body := o.wire()
	body["data"] = o.Data
	only := ""
	if len(o.Data) == 1 {
		only = o.Data[0]
	}
	return c.postObservables(ctx, only, call{op: op, method: http.MethodPost, path: owner + "/observable", body: body, write: true})
}

// AddFile adds a file to a case by id or number as an observable, streaming it
// (multipart POST /api/v1/case/{caseId}/observable). DataType must be one for
// files, such as "file". With Upload.Zip it may become several observables.
func (c *Client) AddFile(ctx context.Context, caseID string, o NewObservable, u Upload) (ObservableResult, error) {
	const op = "add file"
	if err := checkCase(op, caseID); err != nil {
		return ObservableResult{}, err
	}
	return c.addFile(ctx, op, "/case/"+caseID, o, u)
}

// AddAlertFile is AddFile for an alert, by id
// (multipart POST /api/v1/alert/{alertId}/observable).
func (c *Client) AddAlertFile(ctx context.Context, alertID string, o NewObservable, u Upload) (ObservableResult, error) {
	const op = "add alert file"
	if err := checkID(op, "alert", alertID); err != nil {
		return ObservableResult{}, err
	}
	return c.addFile(ctx, op, "/alert/"+alertID, o, u)
}

// addFile adds a file to what a path names.
func (c *Client) addFile(ctx context.Context, op, owner string, o NewObservable, u Upload) (ObservableResult, error) {
	if err := o.check(op, ""); err != nil {
		return ObservableResult{}, err
	}
	if len(o.Data) > 0 {
		return ObservableResult{}, invalid(op, "data", "must be empty for a file")
	}
	upload, err := c.bodyWithFile(op, u.describe(o.wire()), "attachment", u)
	if err != nil {
		return ObservableResult{}, err
	}
	only := ""
	if !u.Zip {
		only = "file:" + u.Name
	}
	return c.postObservables(ctx, only, call{op: op, method: http.MethodPost, path: owner + "/observable", upload: upload, write: true})
}

// describe adds to an observable what is to be done with its file.
func (u Upload) describe(body map[string]any) map[string]any {
	if u.Zip {
		body["isZip"] = true
		if u.ZipPassword != "" {
			body["zipPassword"] = u.ZipPassword
		}
	}
	return body
}

// check refuses what TheHive would, but for the data.
func (o NewObservable) check(op, at string) error {
	if err := checkTexts(op, rule{at + "dataType", o.DataType, 1, MaxName}, rule{at + "message", o.Message, 0, MaxText}); err != nil {
		return err
	}
	if err := checkLevels(op, nil, o.TLP, o.PAP); err != nil {
		return err
	}
	if err := checkDates(op, o.StartDate, o.SightedAt); err != nil {
		return err
	}
	return checkTags(op, at+"tags", o.Tags)
}

// checkData refuses values that TheHive would.
func (o NewObservable) checkData(op, at string) error {
	if len(o.Data) == 0 {
		return invalid(op, at+"data", "is empty")
	}
	for i, v := range o.Data {
		if err := checkTexts(op, rule{at + "data[" + strconv.Itoa(i) + "]", v, 1, MaxValue}); err != nil {
			return err
		}
	}
	return nil
}

// wire puts everything but the data into TheHive's words.
func (o NewObservable) wire() map[string]any {
	body := map[string]any{"dataType": o.DataType}
	if o.Message != "" {
		body["message"] = o.Message
	}
	put(body, "tlp", o.TLP)
	put(body, "pap", o.PAP)
	putList(body, "tags", o.Tags)
	for name, at := range map[string]Millis{"startDate": o.StartDate, "sightedAt": o.SightedAt} {
		if at != 0 {
			body[name] = at
		}
	}
	for name, set := range map[string]bool{"ioc": o.IOC, "sighted": o.Sighted, "ignoreSimilarity": o.IgnoreSimilarity} {
		if set {
			body[name] = true
		}
	}
	return body
}

// postObservables sends and reads either answer. only is the sole value, for
// which a 400 "already exists" is a result and not an error.
func (c *Client) postObservables(ctx context.Context, only string, k call) (ObservableResult, error) {
	var result ObservableResult
	k.accept, k.weight = result.accept, weightLarge
	err := c.do(ctx, k)
	if e, ok := asError(err); ok && only != "" && e.Exists() {
		return ObservableResult{Refused: []RefusedObservable{{Data: only, Type: e.Type, Message: e.Message}}}, nil
	}
	if err != nil {
		return ObservableResult{}, err
	}
	return result, nil
}

// accept reads a list, or the object of a partial success.
func (r *ObservableResult) accept(status int, body []byte) error {
	if status != http.StatusMultiStatus {
		return intoEntities(&r.Created, observableID)(status, body)
	}
	var partial struct {
		Success []Observable `json:"success"`
		Failure []struct {
			Type    string          `json:"type"`
			Message string          `json:"message"`
			Object  json.RawMessage `json:"object"`
		} `json:"failure"`
	}
	if err := decode(body, &partial); err != nil {
		return err
	}
	if len(partial.Success)+len(partial.Failure) == 0 {
		return fmt.Errorf("%w: neither success nor failure", ErrShape)
	}
	for i := range partial.Success {
		if err := hasID(partial.Success[i].ID); err != nil {
			return err
		}
	}
	r.Created = partial.Success
	for _, f := range partial.Failure {
		r.Refused = append(r.Refused, RefusedObservable{Data: refusedData(f.Object), Type: f.Type, Message: f.Message})
	}
	return nil
}

// refusedData finds the value in the object of a failure, which may be anything.
func refusedData(object json.RawMessage) string {
	var o struct {
		Data       string `json:"data"`
		Attachment struct {
			Name string `json:"name"`
		} `json:"attachment"`
	}
	if json.Unmarshal(object, &o) != nil {
		return ""
	}
	if o.Data == "" && o.Attachment.Name != "" {
		return "file:" + o.Attachment.Name
	}
	return o.Data
}

// Observable brings one observable (GET /api/v1/observable/{observableId}).
func (c *Client) Observable(ctx context.Context, id string) (Observable, error) {
	const op = "get observable"
	if err := checkID(op, "observable", id); err != nil {
		return Observable{}, err
	}
	return fetch(ctx, c, op, "/observable/"+id, observableID)
}

// FindObservables lists observables of all cases and alerts (listObservable).
func (c *Client) FindObservables(ctx context.Context, q Query) iter.Seq2[Observable, error] {
	return list(ctx, c, listOf("find observables", "listObservable"), q, observableID)
}

// CountObservables counts the observables that a filter chooses.
func (c *Client) CountObservables(ctx context.Context, f Filter) (int, error) {
	return c.count(ctx, listOf("count observables", "listObservable"), f)
}

// CaseObservables lists the observables of a case by id or number, oldest
// first; of a case that does not exist it lists none (getCase, observables).
func (c *Client) CaseObservables(ctx context.Context, caseID string) iter.Seq2[Observable, error] {
	return parts(ctx, c, "list observables", caseID, "observables", observableID)
}

// ObservableUpdate is a change of an observable (InputUpdateObservable). What
// is nil or empty stays as it is; the value itself cannot be changed.
type ObservableUpdate struct {
	// DataType may change between types of values, or between types of files.
	DataType *string
	// Message has at most MaxText units; the empty text clears it.
	Message *string
	// TLP is 0 to 4, PAP 0 to 3.
	TLP, PAP *int
	// IOC, Sighted and IgnoreSimilarity are as in [Observable].
	IOC, Sighted, IgnoreSimilarity *bool
	// SightedAt is when it was seen.
	SightedAt *Millis
	// AddTags and RemoveTags are merged by TheHive with what is there.
	AddTags, RemoveTags []string
}

// wire checks an update and puts it into TheHive's words.
func (u ObservableUpdate) wire(op string) (map[string]any, error) {
	if err := checkTexts(op, optionalText("dataType", u.DataType, 1, MaxName), optionalText("message", u.Message, 0, MaxText)); err != nil {
		return nil, err
	}
	if err := errors.Join(checkLevels(op, nil, u.TLP, u.PAP), checkDates(op, value(u.SightedAt)),
		checkTags(op, "addTags", u.AddTags), checkTags(op, "removeTags", u.RemoveTags)); err != nil {
		return nil, err
	}
	body := map[string]any{}
	put(body, "dataType", u.DataType)
	put(body, "message", u.Message)
	if u.Message != nil && *u.Message == "" {
		body["message"] = nil
	}
	put(body, "tlp", u.TLP)
	put(body, "pap", u.PAP)
	put(body, "ioc", u.IOC)
	put(body, "sighted", u.Sighted)
	put(body, "ignoreSimilarity", u.IgnoreSimilarity)
	put(body, "sightedAt", u.SightedAt)
	putList(body, "addTags", u.AddTags)
	putList(body, "removeTags", u.RemoveTags)
	return body, notEmpty(op, body)
}

// UpdateObservable changes what u names (PATCH /api/v1/observable/{id}).
func (c *Client) UpdateObservable(ctx context.Context, id string, u ObservableUpdate) error {
	return c.update(ctx, "update observable", "observable", id, u)
}

// UpdateObservables changes several alike (PATCH /api/v1/observable/_bulk).
func (c *Client) UpdateObservables(ctx context.Context, ids []string, u ObservableUpdate) error {
	return c.updateAll(ctx, "update observables", "observable", ids, u)
}

// DeleteObservable deletes one observable (DELETE /api/v1/observable/{id}).
func (c *Client) DeleteObservable(ctx context.Context, id string) error {
	const op = "delete observable"
	if err := checkID(op, "observable", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/observable/"+id)
}

// asError is errors.AsType for *Error.
func asError(err error) (*Error, bool) { return errors.AsType[*Error](err) }
