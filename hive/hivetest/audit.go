package hivetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
)

// audit is one change, as TheHive's audit trail and its webhooks tell it.
type audit struct {
	action     string // create, update, delete, merge
	serial     int64
	at         int64
	by         string
	org, orgID string
	requestID  string
	main       bool   // the first change of its request
	root       *doc   // what it happened in: a case, an alert, or the object itself
	parent     *doc   // directly above the object; nil: none
	object     *doc   // state after the change; of a deletion: before
	former     *doc   // of an update: state before
	sources    []*doc // of a merge: what is gone
}

const keptAudits = 10_000

// audit records a change. Called under the lock.
func (h *Hive) audit(action string, e *entry, st stamp, c *call) {
	h.record(audit{action: action}, e, st, c)
}

// record completes what is known of a change, keeps it, and hands it to the webhooks. Called under the lock.
func (h *Hive) record(a audit, e *entry, st stamp, c *call) {
	if len(h.audits) >= 2*keptAudits {
		h.audits = append([]audit(nil), h.audits[keptAudits:]...)
	}
	h.store.next += 8
	a.serial, a.at, a.by, a.org, a.orgID = h.store.next, st.ms, st.by, c.viewer.org, c.viewer.orgID
	a.requestID = fmt.Sprintf("5f0d3a17b2c94e86:%x:%d", uint32(st.ms), c.log.Seq)
	a.main = len(h.audits) == 0 || h.audits[len(h.audits)-1].requestID != a.requestID
	a.root, a.object = e.root().doc, e.doc
	if e.parent != nil {
		a.parent = e.parent.doc
	}
	h.audits = append(h.audits, a)
	h.hooked.post(a)
}

// Documents renders the audit documents of all changes that are still remembered (the newest 10 000 at least), oldest
// first, as a webhook of that version (0 or 1) gets them.
func (h *Hive) Documents(version int) [][]byte {
	h.mu.RLock()
	all := h.audits
	h.mu.RUnlock()
	documents := make([][]byte, 0, len(all))
	for _, a := range all {
		documents = append(documents, a.document(version))
	}
	return documents
}

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
		return or(k.listed, k.name)
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
		if former == nil || f.use&show == 0 && f.name != "reports" || reflect.DeepEqual(former.vals[i], d.vals[i]) {
			continue
		}
		out[f.name] = all[f.name]
		if f.name == "reports" { // the new one alone
			out[f.name] = differing(former.vals[i], all[f.name])
		}
	}
	return out
}

// differing are the members of an object that another has not, or otherwise.
func differing(was, is any) any {
	before, _ := was.(map[string]any)
	now, _ := is.(map[string]any)
	out := map[string]any{}
	for name, v := range now {
		if !reflect.DeepEqual(before[name], v) {
			out[name] = v
		}
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

// Webhook is where audit documents are posted, one a request, after their change was committed: in no certain order,
// and never twice. As with TheHive, a receiver that refuses or does not answer has missed the document.
type Webhook struct {
	URL     string
	Version int // of the documents: 0 or 1
	// Bearer, or User and Password, authenticate; empty: neither.
	Bearer, User, Password string
	// Organisation whose changes are told; empty: of all.
	Organisation string
	// Transport carries the posts. nil: one of its own, without a proxy.
	Transport http.RoundTripper
}

const (
	webhookPosters = 4 // posts at a time, to each webhook
	webhookQueue   = 100_000
	webhookTimeout = 10 * time.Second
)

// webhooks posts documents beside the calls that cause them. Who waits for them waits for idle, not for posting: calls may
// go on meanwhile.
type webhooks struct {
	all     []*poster
	posting conc.WaitGroup

	mu   sync.Mutex
	idle *sync.Cond
	busy int // goroutines that post
}

// poster posts to one webhook. Its goroutines live as long as there is something to post.
type poster struct {
	to     Webhook
	client *http.Client

	mu        sync.Mutex
	queue     []audit
	running   int
	told      int // accepted with a status below 400
	forgotten int // refused, unanswered, or beyond the queue
}

func (w *webhooks) open(all []Webhook) {
	w.idle = sync.NewCond(&w.mu)
	for _, one := range all {
		if one.Transport == nil {
			one.Transport = &http.Transport{MaxIdleConnsPerHost: webhookPosters, IdleConnTimeout: time.Second}
		}
		w.all = append(w.all, &poster{to: one, client: &http.Client{Transport: one.Transport, Timeout: webhookTimeout}})
	}
}

// post queues a document. It waits for nothing: the caller holds the lock of the whole server.
func (w *webhooks) post(a audit) {
	for _, p := range w.all {
		if p.to.Organisation != "" && p.to.Organisation != a.org {
			continue
		}
		if p.add(a) {
			w.start(p)
		}
	}
}

func (w *webhooks) start(p *poster) {
	w.mu.Lock()
	w.busy++
	w.mu.Unlock()
	w.posting.Go(loud(func() {
		defer w.ended()
		p.run()
	}))
}

func (w *webhooks) ended() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.idle.Broadcast()
}

// add queues and tells whether another goroutine is needed.
func (p *poster) add(a audit) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) >= webhookQueue {
		p.forgotten++
		return false
	}
	p.queue = append(p.queue, a)
	if p.running >= webhookPosters {
		return false
	}
	p.running++
	return true
}

func (p *poster) run() {
	for {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.running--
			last := p.running == 0
			p.mu.Unlock()
			if last {
				p.client.CloseIdleConnections()
			}
			return
		}
		a := p.queue[0]
		p.queue = slices.Delete(p.queue, 0, 1)
		p.mu.Unlock()
		ok := p.send(a.document(p.to.Version))
		p.mu.Lock()
		if ok {
			p.told++
		} else {
			p.forgotten++
		}
		p.mu.Unlock()
	}
}

func (p *poster) send(document []byte) bool {
	ctx, cancel := context.WithTimeout(context.Background(), webhookTimeout) //nolint:forbidigo // no caller waits for a webhook
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to.URL, bytes.NewReader(document))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/json")
	switch {
	case p.to.Bearer != "":
		r.Header.Set("Authorization", "Bearer "+p.to.Bearer)
	case p.to.User != "":
		r.SetBasicAuth(p.to.User, p.to.Password)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	return answer.StatusCode < http.StatusBadRequest
}

// Delivered waits until no document is on its way to a webhook.
func (h *Hive) Delivered() {
	h.hooked.mu.Lock()
	defer h.hooked.mu.Unlock()
	for h.hooked.busy > 0 {
		h.hooked.idle.Wait()
	}
}

// WebhookStats tells of each webhook how many documents it accepted, and how many it missed.
func (h *Hive) WebhookStats() (told, missed []int) {
	for _, p := range h.hooked.all {
		p.mu.Lock()
		told, missed = append(told, p.told), append(missed, p.forgotten)
		p.mu.Unlock()
	}
	return told, missed
}

var timelineRoutes = []route{
	{method: "GET", template: "/api/v1/case/{id}/timeline", run: needs(caseKind, timeline)},
}

// event is one line of a case's timeline.
type event struct {
	Date     int64          `json:"date"`
	Kind     string         `json:"kind"`
	Entity   string         `json:"entity"`
	EntityID string         `json:"entityId"`
	Details  map[string]any `json:"details"`
	EndDate  int64          `json:"endDate,omitempty"`
}

// timeline lists what happened in a case; that it began is the first of it.
func timeline(c *call, e *entry) (reply, error) {
	begun := event{e.doc.num("startDate"), "Case", "Case", e.id, map[string]any{"case": c.rendered(e.doc)}, 0}
	events := []event{begun}
	add := func(k *kind, of func(*doc) event) {
		for child := range e.children(k).each {
			ev := of(child.doc)
			ev.Kind, ev.Entity, ev.EntityID = k.name, k.name, child.id
			if ev.Date != 0 {
				events = append(events, ev)
			}
		}
	}
	add(eventKind, func(d *doc) event {
		return event{Date: d.num("date"), EndDate: d.num("endDate"), Details: map[string]any{"customEvent": c.rendered(d)}}
	})
	add(procedureKind, func(d *doc) event {
		return event{Date: d.num("occurDate"), Details: map[string]any{"procedure": c.rendered(d)}}
	})
	add(taskKind, func(d *doc) event {
		return event{Date: d.num("startDate"), EndDate: d.num("endDate"), Details: map[string]any{"task": c.rendered(d)}}
	})
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.Date, b.Date) })
	return reply{status: http.StatusOK, value: map[string]any{"events": events}}, nil
}

// auditKind is the audit trail as queries list it. Its entities are made when they are asked for.
var auditKind = newKind(kind{
	name: "Audit",
	fields: append([]field{
		{name: "mainAction", shape: boolean, use: show},
		{name: "details", shape: object, use: show},
		{name: "object", shape: object, use: show},
		{name: "context", shape: object, use: show},
	}, shown(text, "action", "requestId", "rootId", "objectId", "objectType")...),
})

// auditPart is a part of an audit, written when somebody reads it.
type auditPart func() map[string]any

// MarshalJSON writes the part.
func (p auditPart) MarshalJSON() ([]byte, error) { return json.Marshal(p()) }

// trail are the audits of the caller's organisation that are remembered, oldest first.
func (c *call) trail() []*entry {
	var out []*entry
	for _, a := range c.h.audits {
		if a.org != c.viewer.org {
			continue
		}
		w := auditWriter{audit: a}
		e := &entry{id: entityID(a.serial), serial: a.serial, org: a.org}
		e.doc = &doc{kind: auditKind, entry: e, vals: make([]any, len(auditKind.fields)), by: a.by, at: a.at}
		for name, v := range map[string]any{
			"action": a.action, "requestId": a.requestID, "rootId": w.rootID(), "objectId": a.object.entry.id, "objectType": w.kind(a.object.kind),
			"mainAction": a.main, "details": auditPart(w.details), "context": auditPart(w.context),
		} {
			e.doc.set(name, v)
		}
		if a.action != "delete" {
			e.doc.set("object", auditPart(w.shown))
		}
		out = append(out, e)
	}
	return out
}
