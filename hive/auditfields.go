package hive

import "encoding/json"

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
