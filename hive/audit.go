package hive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Audit is one change in TheHive, as its webhook posts it: one document for
// each changed object, in version 0 or 1 of the format. Both decode to the
// names of version 1. TheHive neither orders nor repeats documents.
type Audit struct {
	// Version is that of the document's format, 0 or 1.
	Version int
	// ID is the document's own; it may be empty, and is not what tells
	// documents apart: see [Audit.Key].
	ID string
	// RequestID is shared by all changes of one request.
	RequestID string
	// By is the login of who changed something, At the moment.
	By string
	At Millis
	// Action is what was done: create, update, delete, merge, or a word that
	// this version does not know, in lower case.
	Action AuditAction
	// ObjectType is the kind of the changed object as version 1 writes it:
	// "Case", "Observable", "Procedure", "Log", …; unknown kinds are kept.
	ObjectType string
	// ObjectID is the changed object, "~" and digits.
	ObjectID string
	// RootID is the case or alert above the object. Of a deleted case or
	// alert, and of what belongs to no case, it is an organisation.
	RootID string
	// OrganisationID and Organisation are where it happened.
	OrganisationID, Organisation string
	// Details are what the change wrote.
	Details AuditDetails
	// Object is the object when the document was written, which may be later
	// than the change; Exists says whether the document shows one. Deleted
	// objects are not shown.
	Object AuditObject
	Exists bool
}

// AuditAction is what was done to an object.
type AuditAction string

// The actions of TheHive. Version 0 of the format calls merges updates; a
// document that lists the merged cases is AuditMerge in both.
const (
	AuditCreate AuditAction = "create"
	AuditUpdate AuditAction = "update"
	AuditDelete AuditAction = "delete"
	AuditMerge  AuditAction = "merge"
	AuditInvoke AuditAction = "invoke"
)

// Kinds of objects that documents are about, among others.
const (
	AuditCase       = "Case"
	AuditAlert      = "Alert"
	AuditObservable = "Observable"
	AuditTask       = "Task"
	AuditLog        = "Log"
	AuditProcedure  = "Procedure"
	AuditComment    = "Comment"
	AuditAttachment = "Attachment"
	AuditJob        = "Job" // of Cortex
)

// AuditDetails are the fields that a change wrote, of all kinds of objects
// together; what the document does not name is zero or nil. On creation they
// are the object as first written, on an update the new values alone. A
// deleted observable names its type and data, a deleted case its number and
// title, every other deletion nothing.
type AuditDetails struct {
	DataType, Data      string // of an observable
	File                string // SHA-256 of an observable's file, lower hex
	FileName            string
	PatternID, Tactic   string // of a procedure
	Title               string
	Number              int
	Status, Stage       string
	Severity, TLP, PAP  *int
	Tags                []string // the whole set after the change
	HasTags             bool     // whether the change touched them
	StartDate, EndDate  Millis
	MergedFrom          []string // ids of the cases that were merged into this one
	CaseID              string   // of an alert that became part of a case
	CustomFieldsChanged bool
	Reports             bool // whether an analyzer of Cortex said something of an observable
}

// AuditObject is the changed object, in part.
type AuditObject struct {
	ID                string
	Message           string // of a comment or a task log
	DataType, Data    string // of an observable
	PatternID, Tactic string // of a procedure
	Number            int    // of a case
	Stage             string // of a case
	CaseID            string // of the case around the object, where the document shows it
}

// ErrAudit says that a text is no audit document of TheHive.
var ErrAudit = errors.New("no audit document")

// ParseAudit reads a document of either version. It is tolerant of what is
// absent, of unknown kinds, and of fields of an unexpected type, which count
// as absent; it fails with [ErrAudit] on what is no JSON object, or names
// neither a kind of object nor an action.
func ParseAudit(document []byte) (Audit, error) {
	var top fields
	if err := json.Unmarshal(document, &top); err != nil {
		return Audit{}, fmt.Errorf("%w: %w", ErrAudit, err)
	}
	a := Audit{
		Version: 1, ID: top.text("_id"), RequestID: top.text("requestId"), RootID: top.text("rootId"),
		By: top.text("_createdBy"), At: top.millis("_createdAt"),
		Action:     AuditAction(strings.ToLower(top.text("action"))),
		ObjectType: top.text("objectType"), ObjectID: top.text("objectId"),
	}
	if a.Action == "" {
		a.Version = 0
		a.By, a.At = top.text("createdBy"), top.millis("createdAt")
		a.Action, a.ObjectType = actionOf(top.text("operation")), kindOf(a.ObjectType)
	}
	if a.ObjectType == "" || a.Action == "" {
		return Audit{}, fmt.Errorf("%w: it names no object or no action", ErrAudit)
	}
	where := top.object("organisation")
	a.OrganisationID, a.Organisation = where.text("organisationId"), where.text("organisation")
	if where == nil { // flat in TheHive 4
		a.OrganisationID, a.Organisation = top.text("organisationId"), top.text("organisation")
	}
	a.Details = detailsOf(top.object("details"))
	if o := top.object("object"); o != nil {
		a.Object, a.Exists = objectOf(o), true
	}
	if a.ObjectType == AuditCase && len(a.Details.MergedFrom) > 0 {
		a.Action = AuditMerge
	}
	return a, nil
}

// CaseID is the case that the change happened in or to, "~" and digits; of an
// object below an alert or an organisation it is that one's id, which no case
// has.
func (a Audit) CaseID() string {
	if a.ObjectType == AuditCase {
		return a.ObjectID // a deleted case's root is the organisation
	}
	return a.RootID
}

// Key tells documents apart: the same for a document that is sent twice, in
// either version. It is made of request, object, action and time, since a
// document's own id may be empty: 32 lower hex digits.
func (a Audit) Key() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		a.RequestID, a.ObjectType, a.ObjectID, string(a.Action), strconv.FormatInt(int64(a.At), 10),
	}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// actionOf turns an operation of version 0 into an action.
func actionOf(operation string) AuditAction {
	switch operation = strings.ToLower(operation); operation {
	case "creation":
		return AuditCreate
	default:
		return AuditAction(operation)
	}
}

// kindOf turns an object type of version 0 into one of version 1.
func kindOf(old string) string {
	switch old {
	case "":
		return ""
	case "case_artifact":
		return AuditObservable
	case "case_task":
		return AuditTask
	case "case_task_log":
		return AuditLog
	case "case_artifact_job":
		return AuditJob
	case "customField":
		return "CustomField"
	default:
		return strings.ToUpper(old[:1]) + old[1:]
	}
}

// fields is a JSON object that is read without trust: what is absent or of an
// unexpected type is the zero value.
type fields map[string]json.RawMessage

func read[T any](f fields, name string) (v T) {
	raw, ok := f[name]
	if !ok {
		return v
	}
	var read T
	if json.Unmarshal(raw, &read) != nil {
		return v
	}
	return read
}

func (f fields) text(name string) string { return read[string](f, name) }

func (f fields) millis(name string) Millis { return read[Millis](f, name) }

func (f fields) number(name string) int { return read[int](f, name) }

func (f fields) object(name string) fields { return read[fields](f, name) }

func (f fields) has(name string) bool {
	_, ok := f[name]
	return ok
}

func detailsOf(f fields) AuditDetails {
	file := f.object("attachment")
	return AuditDetails{
		DataType: f.text("dataType"), Data: f.text("data"), File: file.text("id"), FileName: file.text("name"),
		PatternID: f.text("patternId"), Tactic: f.text("tactic"),
		Title: f.text("title"), Number: f.number("number"), Status: f.text("status"), Stage: f.text("stage"),
		Severity: read[*int](f, "severity"), TLP: read[*int](f, "tlp"), PAP: read[*int](f, "pap"),
		Tags: read[[]string](f, "tags"), HasTags: f.has("tags"),
		StartDate: f.millis("startDate"), EndDate: f.millis("endDate"),
		MergedFrom: idsOf(f), CaseID: f.text("caseId"),
		CustomFieldsChanged: f.has("customFields") || f.has("customFieldChanges"),
		Reports:             len(f.object("reports")) > 0,
	}
}

// idsOf reads the sources of a merge: a list of {_id, number, title}, as
// TheHive 4 writes it (CaseSrv.scala), or of ids.
func idsOf(f fields) (ids []string) {
	for _, raw := range read[[]json.RawMessage](f, "cases") {
		var id string
		if json.Unmarshal(raw, &id) != nil {
			id = ""
		}
		var source fields
		if id == "" && json.Unmarshal(raw, &source) == nil {
			id = source.text("_id")
		}
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func objectOf(f fields) AuditObject {
	pattern := f.object("pattern")
	o := AuditObject{
		ID: f.text("_id"), Message: f.text("message"), DataType: f.text("dataType"), Data: f.text("data"),
		PatternID: f.text("patternId"), Tactic: f.text("tactic"), Number: f.number("number"), Stage: f.text("stage"),
		CaseID: f.object("case").text("_id"),
	}
	if o.PatternID == "" {
		o.PatternID = pattern.text("patternId")
	}
	if o.Number == 0 {
		o.Number = f.number("caseId") // version 0 of a case
	}
	return o
}
