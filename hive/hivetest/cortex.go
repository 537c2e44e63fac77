package hivetest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Cortex behind TheHive: analyzers look at observables, responders act. A server has none unless Options.Cortex names some. A job that
// no analyzer takes is accepted and fails, as 5.5.13 accepts one without any Cortex; by option it is refused, as TheHive 4 did.

// Analyzer is one that servers of Options.Cortex have.
type Analyzer struct {
	ID, Name, Version, Description string
	DataTypes                      []string
	Servers                        []string // names of Options.Cortex; nil: all
	MaxTLP, MaxPAP                 int64    // what it may see at most; 0: AMBER, as Cortex presets
	Level                          string   // of its taxonomies; empty: by the value, see verdict
	Fails                          string   // errorMessage of all its jobs; empty: they succeed
}

// Responder is one that servers of Options.Cortex have.
type Responder struct {
	ID, Name, Version, Description string
	DataTypes                      []string // "thehive:case", "thehive:case_artifact" …
	Servers                        []string // names of Options.Cortex; nil: all
}

// analyzers and responders are those of a Cortex that names none: some names that Cortex has.
var (
	analyzers = []Analyzer{
		{ID: "abuse_finder", Name: "Abuse_Finder_3_0", Version: "3.0", Description: "Whom to tell of an abuse", DataTypes: []string{"ip", "domain", "fqdn", "url", "mail"}},
		{ID: "maxmind_geoip", Name: "MaxMind_GeoIP_4_0", Version: "4.0", Description: "Where an address is", DataTypes: []string{"ip"}},
		{ID: "virustotal", Name: "VirusTotal_GetReport_3_1", Version: "3.1", Description: "What VirusTotal says", DataTypes: []string{"file", "hash", "domain", "fqdn", "ip", "url"}},
		{ID: "fileinfo", Name: "FileInfo_8_0", Version: "8.0", Description: "What is in a file", DataTypes: []string{"file"}, MaxTLP: 4, MaxPAP: 3},
	}
	responders = []Responder{
		{ID: "mailer", Name: "Mailer_1_0", Version: "1.0", Description: "Sends a mail", DataTypes: []string{"thehive:case", "thehive:alert", "thehive:case_task"}},
	}
)

var jobKind = newKind(kind{
	name: "case_artifact_job", listed: "Job",
	fields: []field{
		{name: "analyzerId", shape: text, lo: 1, hi: 512, use: must | give | show},
		{name: "cortexId", shape: text, lo: 1, hi: 512, use: must | give | show},
		{name: "artifactId", shape: text, lo: 1, hi: 64, use: must | give},
		{name: "parameters", shape: object, use: give},
		{name: "analyzerName", shape: text, use: show},
		{name: "analyzerDefinition", shape: text, use: show},
		{name: "status", shape: text, use: show},
		{name: "startDate", shape: date, use: show},
		{name: "endDate", shape: date, use: show},
		{name: "report", shape: object, use: show},
		{name: "cortexJobId", shape: text, use: show},
		{name: "id", shape: text, use: show},
		{name: "operations", shape: text, use: show},
	},
})

var actionKind = newKind(kind{
	name: "Action",
	fields: []field{
		{name: "responderId", shape: text, lo: 1, hi: 512, use: must | give | show},
		{name: "responderName", shape: text, use: show},
		{name: "cortexId", shape: text, lo: 1, hi: 512, use: give | show},
		{name: "cortexJobId", shape: text, use: show},
		{name: "objectType", shape: text, lo: 1, hi: 64, use: must | give | show},
		{name: "objectId", shape: text, lo: 1, hi: 64, use: must | give | show},
		{name: "parameters", shape: object, use: give},
		{name: "tlp", shape: integer, lo: 0, hi: 4, use: give},
		{name: "status", shape: text, use: show},
		{name: "startDate", shape: date, use: show},
		{name: "endDate", shape: date, use: show},
		{name: "operations", shape: text, use: show},
		{name: "report", shape: text, use: show},
	},
})

// cortexRoutes are served in both places: the official Python client asks the older one.
func cortexRoutes() []route {
	var out []route
	for _, at := range []string{"/api/v1/connector/cortex/", "/api/connector/cortex/"} {
		out = append(
			out,
			route{method: "POST", template: at + "job", form: jsonBody, permission: "manageAnalyse", run: createJob},
			route{method: "GET", template: at + "job/{id}", run: needs(jobKind, showEntry)},
			route{method: "GET", template: at + "analyzer", run: listAnalyzers},
			route{method: "GET", template: at + "analyzer/type/{type}", run: listAnalyzers},
			route{method: "GET", template: at + "analyzer/{id}", run: showAnalyzer},
			route{method: "GET", template: at + "responder/{type}/{id}", run: listResponders},
			route{method: "POST", template: at + "action", form: jsonBody, permission: "manageAction", run: createAction},
			route{method: "GET", template: at + "action/{type}/{id}", run: listActions},
		)
	}
	return append(
		out,
		route{method: "POST", template: "/api/v1/connector/cortex/job/_bulk", form: jsonBody, permission: "manageAnalyse", run: createJobs},
		route{method: "POST", template: "/api/v1/connector/cortex/actions", permission: "manageAction", since: release{5, 7}, run: createActions},
		route{method: "GET", template: "/api/v1/connector/cortex/responders/{type}", permission: "manageAction", since: release{5, 7}, run: listRespondersOf},
	)
}

// worker is an analyzer or responder as it is answered.
type worker struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Version     string   `json:"version,omitempty"`
	Description string   `json:"description"`
	DataTypes   []string `json:"dataTypeList,omitempty"`
	Servers     []string `json:"cortexIds,omitempty"`
}

// at are the servers that have it: all, or those named.
func (h *Hive) at(servers []string) []string {
	if servers == nil {
		return h.options.Cortex
	}
	return servers
}

func (h *Hive) analyzerWorker(a Analyzer) worker {
	return worker{a.ID, a.Name, a.Version, a.Description, a.DataTypes, h.at(a.Servers)}
}

func (h *Hive) responderWorker(r Responder) worker {
	return worker{r.ID, r.Name, r.Version, r.Description, r.DataTypes, h.at(r.Servers)}
}

// analyzer finds one by id or by name, as Cortex does, at a server (empty: at any).
func (h *Hive) analyzer(idOrName, server string) (Analyzer, bool) {
	for _, a := range h.options.Analyzers {
		if (a.ID == idOrName || a.Name == idOrName) && (server == "" || slices.Contains(h.at(a.Servers), server)) {
			return a, true
		}
	}
	return Analyzer{}, false
}

func (h *Hive) responder(idOrName, server string) (Responder, bool) {
	for _, r := range h.options.Responders {
		if (r.ID == idOrName || r.Name == idOrName) && (server == "" || slices.Contains(h.at(r.Servers), server)) {
			return r, true
		}
	}
	return Responder{}, false
}

func listAnalyzers(c *call) (reply, error) {
	out := []worker{}
	for _, a := range c.h.options.Analyzers {
		if len(c.args) == 0 || slices.Contains(a.DataTypes, c.args[0]) {
			out = append(out, c.h.analyzerWorker(a))
		}
	}
	return reply{status: http.StatusOK, value: out}, nil
}

func showAnalyzer(c *call) (reply, error) {
	a, ok := c.h.analyzer(c.args[0], "")
	if !ok {
		return reply{}, notFound("Analyzer %s not found", c.args[0])
	}
	return reply{status: http.StatusOK, value: c.h.analyzerWorker(a)}, nil
}

// checkedJob is a new job with what it looks at.
type checkedJob struct {
	values     map[string]any
	observable *entry
}

func (c *call) checkJob(body map[string]any) (checkedJob, error) {
	values, err := jobKind.decode(body, creating, c.terms())
	if err != nil {
		return checkedJob{}, err
	}
	o, err := c.get(observableKind, values["artifactId"].(string))
	if err != nil {
		return checkedJob{}, err
	}
	if c.h.options.RefuseJobs {
		if _, text := c.h.refusal(values["analyzerId"].(string), values["cortexId"].(string)); text != "" {
			return checkedJob{}, notFound("%s", text)
		}
	}
	return checkedJob{values, o}, nil
}

// refusal is why no analyzer takes a job, whatever it looks at; empty: one does.
func (h *Hive) refusal(analyzer, server string) (a Analyzer, text string) {
	if !slices.Contains(h.options.Cortex, server) {
		return a, "Cortex " + server + " not found"
	}
	a, ok := h.analyzer(analyzer, server)
	if !ok {
		return a, "Analyzer " + analyzer + " not found"
	}
	return a, ""
}

func (c *call) newJob(j checkedJob) *entry {
	st, values := c.stamp(), j.values
	name := values["analyzerId"].(string)
	if a, text := c.h.refusal(name, values["cortexId"].(string)); text == "" {
		name = a.Name
	}
	values["analyzerName"], values["analyzerDefinition"], values["status"] = name, name, "Waiting"
	values["startDate"], values["operations"] = st.ms, "[]"
	e := c.h.store.add(jobKind, j.observable.org, j.observable, values, st)
	e.doc.set("id", e.id)
	e.doc.set("cortexJobId", e.id)
	c.h.audit("create", e, st, c)
	c.begin(e)
	return e
}

// begin lets a job or an action run: it waits, it is in progress, it ends.
func (c *call) begin(e *entry) {
	if len(c.h.options.Cortex) == 0 {
		return // nobody takes it up
	}
	takes := c.h.options.JobTime
	later := func(by time.Duration, values func() map[string]any) {
		c.h.postpone(by, func() {
			if !e.gone {
				c.progress(e, values())
			}
		})
	}
	later(takes/4, func() map[string]any { return map[string]any{"status": "InProgress"} })
	later(takes, func() map[string]any {
		if e.doc.kind == actionKind {
			return map[string]any{"status": "Success", "endDate": c.h.now(), "report": `{"success":true,"full":{"message":"simulated"},"operations":[]}`}
		}
		return c.finished(e)
	})
}

func (c *call) progress(e *entry, values map[string]any) {
	st, former := c.stamp(), e.doc
	c.h.store.change(e, values, st)
	c.h.record(audit{action: "update", former: former}, e, st, c)
}

// finished is how a job ends, and leaves its taxonomies at the observable.
func (c *call) finished(e *entry) map[string]any {
	end := map[string]any{"status": "Failure", "endDate": c.h.now()}
	d, o := e.doc, e.parent
	a, text := c.h.refusal(d.text("analyzerId"), d.text("cortexId"))
	if text == "" {
		text = a.declines(o)
	}
	if text != "" {
		end["report"] = map[string]any{"success": false, "errorMessage": text, "artifacts": []any{}, "operations": []any{}, "summary": map[string]any{"taxonomies": []any{}}}
		return end
	}
	taxonomies := []any{map[string]any{
		"level": or(a.Level, verdict(o.doc)), "namespace": strings.SplitN(a.Name, "_", 2)[0], "predicate": "Verdict", "value": "simulated",
	}}
	reports := map[string]any{}
	was, _ := o.doc.get("reports").(map[string]any)
	maps.Copy(reports, was)
	reports[a.Name] = map[string]any{"taxonomies": taxonomies}
	c.progress(o, map[string]any{"reports": reports})
	end["status"] = "Success"
	end["report"] = map[string]any{
		"summary": map[string]any{"taxonomies": taxonomies}, "full": map[string]any{"data": o.doc.text("data")},
		"success": true, "artifacts": []any{}, "operations": []any{},
	}
	return end
}

// declines is why an analyzer does not look at an observable, in the words of Cortex's own workers; empty: it does.
func (a Analyzer) declines(o *entry) string {
	switch root := o.root().doc; {
	case a.Fails != "":
		return a.Fails
	case !slices.Contains(a.DataTypes, o.doc.text("dataType")):
		return "This datatype is not supported by this analyzer."
	case o.doc.num("tlp") > or(a.MaxTLP, 2):
		return "TLP is higher than allowed."
	case root.num("pap") > or(a.MaxPAP, 2):
		return "PAP is higher than allowed."
	}
	return ""
}

// verdict tells by the value: what is marked as an indicator, the addresses of RFC 5737's third test net and names with "malicious" are
// malicious, those of the second net and names with "suspicious" are suspicious, and all else is safe.
func verdict(d *doc) string {
	v := d.text("data")
	if file, ok := d.get("attachment").(*doc); ok {
		v = file.text("name")
	}
	a, _ := netip.ParseAddr(v)
	switch {
	case d.flag("ioc"), strings.Contains(v, "malicious"), netip.MustParsePrefix("203.0.113.0/24").Contains(a):
		return "malicious"
	case strings.Contains(v, "suspicious"), netip.MustParsePrefix("198.51.100.0/24").Contains(a):
		return "suspicious"
	}
	return "safe"
}

// resume lets what was on its way go on, after a state was read.
func (h *Hive) resume() {
	for _, k := range []*kind{jobKind, actionKind} {
		for e := range h.store.of(k).each {
			if s := e.doc.text("status"); s == "Waiting" || s == "InProgress" {
				org := h.store.byName[h.store.nameKey(organisationKind, "", e.org)]
				if org == nil {
					continue
				}
				c := &call{h: h, viewer: viewer{login: e.doc.by, org: e.org, orgID: org.id}}
				c.begin(e)
			}
		}
	}
}

func createJob(c *call) (reply, error) {
	j, err := c.checkJob(c.body)
	if err != nil {
		return reply{}, err
	}
	return show1(http.StatusCreated, c.newJob(j).doc), nil
}

// createJobs makes all jobs or none.
func createJobs(c *call) (reply, error) {
	out := reply{status: http.StatusCreated, list: true}
	sent, ok := c.body["jobs"].([]any)
	if !ok {
		return reply{}, missing("jobs")
	}
	jobs := make([]checkedJob, len(sent))
	for i, s := range sent {
		body, ok := s.(map[string]any)
		if !ok {
			return reply{}, invalid("jobs", s, "object")
		}
		var err error
		if jobs[i], err = c.checkJob(body); err != nil {
			return reply{}, err
		}
	}
	for _, j := range jobs {
		out.rows = append(out.rows, row{doc: c.newJob(j).doc})
	}
	return out, nil
}

// actable are the types of objects, in the words that clients use.
var actable = map[string]*kind{
	"case": caseKind, "case_task": taskKind, "task": taskKind, "case_task_log": logKind, "log": logKind,
	"case_artifact": observableKind, "observable": observableKind, "alert": alertKind,
}

// wordOf is a kind in the words of Cortex's data types.
var wordOf = map[*kind]string{caseKind: "case", taskKind: "case_task", logKind: "case_task_log", observableKind: "case_artifact", alertKind: "alert"}

// object finds what a responder is to act on.
func (c *call) object(of, id string) (*entry, error) {
	k := actable[strings.ToLower(of)]
	if k == nil {
		return nil, badRequest("Unknown entity type: %s", of)
	}
	return c.get(k, id)
}

func (c *call) respondersFor(k *kind) []worker {
	out := []worker{}
	for _, r := range c.h.options.Responders {
		if slices.Contains(r.DataTypes, "thehive:"+wordOf[k]) {
			out = append(out, c.h.responderWorker(r))
		}
	}
	return out
}

func listResponders(c *call) (reply, error) {
	if len(c.h.options.Cortex) == 0 {
		return empty(c)
	}
	e, err := c.object(c.args[0], c.args[1])
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, value: c.respondersFor(e.doc.kind)}, nil
}

// listRespondersOf is the list by type alone, which has no more than names (from 5.7).
func listRespondersOf(c *call) (reply, error) {
	if len(c.h.options.Cortex) == 0 {
		return empty(c)
	}
	k := actable[strings.ToLower(c.args[0])]
	if k == nil {
		return reply{}, badRequest("Unknown entity type: %s", c.args[0])
	}
	out := []worker{}
	for _, w := range c.respondersFor(k) {
		out = append(out, worker{ID: w.ID, Name: w.Name, Description: w.Description})
	}
	return reply{status: http.StatusOK, value: out}, nil
}

func (c *call) newAction(body map[string]any) (*entry, error) {
	values, err := actionKind.decode(body, creating, c.terms())
	if err != nil {
		return nil, err
	}
	target, err := c.object(values["objectType"].(string), values["objectId"].(string))
	if err != nil {
		return nil, err
	}
	server, _ := values["cortexId"].(string)
	if server != "" && !slices.Contains(c.h.options.Cortex, server) {
		return nil, notFound("Cortex %s not found", server)
	}
	r, ok := c.h.responder(values["responderId"].(string), server)
	if !ok || len(c.h.options.Cortex) == 0 {
		return nil, notFound("Responder %s not found", values["responderId"])
	}
	st := c.stamp()
	values["objectType"], values["objectId"] = target.doc.kind.name, target.id
	values["responderName"], values["cortexId"] = r.Name, or(server, c.h.at(r.Servers)[0])
	values["status"], values["startDate"], values["operations"], values["report"] = "Waiting", st.ms, "[]", "{}"
	e := c.h.store.add(actionKind, target.org, target, values, st)
	e.doc.set("cortexJobId", e.id)
	c.h.audit("create", e, st, c)
	c.begin(e)
	return e, nil
}

func createAction(c *call) (reply, error) {
	e, err := c.newAction(c.body)
	if err != nil {
		return reply{}, err
	}
	return show1(http.StatusOK, e.doc), nil
}

// createActions takes an array, and makes one after another (from 5.7).
func createActions(c *call) (reply, error) {
	var sent []json.RawMessage
	if err := strictly(c.raw, &sent); err != nil {
		return reply{}, badRequest("Invalid Json: an array is expected")
	}
	out := reply{status: http.StatusOK, list: true}
	for _, raw := range sent {
		v, err := decodeJSON(raw)
		body, ok := v.(map[string]any)
		if err != nil || !ok {
			return reply{}, badRequest("Invalid Json: an object is expected")
		}
		e, err := c.newAction(body)
		if err != nil {
			return reply{}, err
		}
		out.rows = append(out.rows, row{doc: e.doc})
	}
	return out, nil
}

func listActions(c *call) (reply, error) {
	target, err := c.object(c.args[0], c.args[1])
	if err != nil {
		return reply{}, err
	}
	out := reply{status: http.StatusOK, list: true}
	for e := range target.children(actionKind).each {
		out.rows = append(out.rows, row{doc: e.doc})
	}
	return out, nil
}
