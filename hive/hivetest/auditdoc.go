package hivetest

import (
	"reflect"
	"strings"
)

// document writes the change as TheHive posts it: version 1, or 0 in the manner of TheHive 3. Deletions show no object,
// a deleted case or alert lies in its organisation, and what is not the first change of its request has no id.
func (a audit) document(version int) []byte {
	w := auditWriter{audit: a, old: version == 0}
	root := w.rootID()
	o := jsonObject{[]byte{'{'}}
	id := ""
	if a.main {
		id = entityID(a.serial)
	}
	o.text("_id", id)
	if w.old {
		o.text("id", id)
		o.text("_type", "audit")
		o.any("base", a.main)
		o.text("operation", operation(a.action))
		o.num("startDate", a.at)
	} else {
		o.text("_type", "Audit")
		o.any("mainAction", a.main)
		o.text("action", a.action)
	}
	w.stamps(&o)
	o.text("requestId", a.requestID)
	o.text("rootId", root)
	o.text("objectId", a.object.entry.id)
	o.text("objectType", w.kind(a.object.kind))
	o.any("details", w.details())
	if a.action != "delete" {
		o.any("object", w.shown())
	}
	o.any("context", w.context())
	o.any("organisation", map[string]string{"organisationId": a.orgID, "organisation": a.org})
	return append(o.b, '}')
}

// operation is an action in the words of version 0, which knows no merge.
func operation(action string) string {
	switch action {
	case "create":
		return "Creation"
	case "delete":
		return "Delete"
	default:
		return "Update"
	}
}

type auditWriter struct {
	audit

	old bool
}

func (w auditWriter) stamps(o *jsonObject) {
	prefix := "_"
	if w.old {
		prefix = ""
	}
	o.text(prefix+"createdBy", w.by)
	o.num(prefix+"createdAt", w.at)
}

// rootID is the case or alert at the top; of a deleted one there is nothing above but the organisation.
func (w auditWriter) rootID() string {
	if w.action == "delete" && w.object.entry.id == w.root.entry.id {
		return w.orgID
	}
	return w.root.entry.id
}

func (w auditWriter) kind(k *kind) string {
	if !w.old {
		return k.name
	}
	switch k {
	case observableKind:
		return "case_artifact"
	case taskKind:
		return "case_task"
	case logKind:
		return "case_task_log"
	default:
		return strings.ToLower(k.name[:1]) + k.name[1:]
	}
}

// details are what the change wrote: all of a new object, the changed fields of an old one, and hardly anything of a
// deleted one.
func (w auditWriter) details() map[string]any {
	d := w.object
	switch {
	case w.action == "merge":
		cases := make([]map[string]any, 0, len(w.sources))
		for _, s := range w.sources {
			cases = append(cases, map[string]any{"_id": s.entry.id, "number": s.num("number"), "title": s.text("title")})
		}
		return map[string]any{"cases": cases}
	case w.action == "delete":
		return deleted(d)
	case d.kind == commentKind:
		return map[string]any{"author": w.by}
	case w.action == "update":
		return changed(w.former, d)
	default:
		return shownAs(d)
	}
}

func deleted(d *doc) map[string]any {
	out := map[string]any{}
	switch d.kind {
	case caseKind:
		out["number"], out["title"] = d.num("number"), d.text("title")
	case observableKind:
		out["dataType"] = d.text("dataType")
		if file, ok := d.get("attachment").(*doc); ok {
			out["attachment"] = shownAs(file)
		} else {
			out["data"] = d.text("data")
		}
	}
	return out
}

// changed are the new values of the fields that differ; null where there is none any more.
func changed(former, d *doc) map[string]any {
	all, out := shownAs(d), map[string]any{}
	for i, f := range d.kind.fields {
		if former == nil || f.use&show == 0 || reflect.DeepEqual(former.vals[i], d.vals[i]) {
			continue
		}
		out[f.name] = all[f.name]
	}
	return out
}

// shownAs is an entity as the API shows it.
func shownAs(d *doc) map[string]any {
	v, err := decodeJSON(row{doc: d}.append(nil, viewer{}, nil))
	if err != nil {
		return nil
	}
	m, _ := v.(map[string]any)
	return m
}

// object is the changed entity with what it lies in.
func (w auditWriter) shown() map[string]any {
	d := w.object.kind
	if d == commentKind {
		return map[string]any{"message": w.object.text("message"), "alert": w.above(alertKind), "case": w.above(caseKind)}
	}
	m := w.dress(w.object)
	switch {
	case d == procedureKind:
		m["case"], m["alert"] = w.above(caseKind), w.above(alertKind)
		m["pattern"] = map[string]any{"patternId": w.object.text("patternId"), "name": w.object.text("patternName")}
	case d == logKind && w.parent != nil:
		m["task"] = w.dress(w.parent)
	case w.parent != nil && w.root.kind == caseKind:
		m["case"] = w.dress(w.root)
	case w.parent != nil && w.root.kind == alertKind:
		m["alert"] = w.dress(w.root)
	}
	return m
}

// above is the case or alert around the object, nil when it lies in the other.
func (w auditWriter) above(k *kind) map[string]any {
	if w.root.kind != k {
		return nil
	}
	return w.dress(w.root)
}

// context is what the change is shown in.
func (w auditWriter) context() map[string]any {
	d := w.object
	switch {
	case w.action == "delete" && w.rootID() == w.orgID:
		return map[string]any{"_id": w.orgID, "_type": w.kind(organisationKind), "name": w.org}
	case w.action == "delete" && d.kind == observableKind:
		return map[string]any{"_id": entityID(w.serial + 1), "_type": "Share"}
	case d.kind == logKind && w.parent != nil:
		return w.dress(w.parent)
	case (d.kind == observableKind || d.kind == taskKind) && w.root.kind == caseKind:
		return w.dress(d)
	default:
		return w.dress(w.root)
	}
}

// dress shows an entity in the words of the document's version.
func (w auditWriter) dress(d *doc) map[string]any {
	m := shownAs(d)
	if !w.old || d.kind.style != underscored {
		return m
	}
	delete(m, "extraData")
	m["_type"], m["id"] = w.kind(d.kind), d.entry.id
	for _, stamp := range []string{"createdAt", "createdBy", "updatedAt", "updatedBy"} {
		if v, ok := m["_"+stamp]; ok {
			m[stamp] = v
			delete(m, "_"+stamp)
		}
	}
	if d.kind == caseKind {
		oldCase(m)
	}
	return m
}

// oldCase turns a case into one of version 0.
func oldCase(m map[string]any) {
	m["caseId"], m["owner"], m["extendedStatus"], m["resolutionStatus"] = m["number"], m["assignee"], m["status"], nil
	m["status"] = "Open"
	if m["stage"] == "Closed" {
		m["status"], m["resolutionStatus"] = "Resolved", m["extendedStatus"]
	}
	for _, name := range []string{"number", "assignee", "severityLabel", "tlpLabel", "papLabel", "timeToDetect"} {
		delete(m, name)
	}
	for _, name := range []string{"endDate", "summary", "impactStatus"} {
		if _, ok := m[name]; !ok {
			m[name] = nil
		}
	}
}
