package hivetest

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

var allRoutes = sync.OnceValue(func() router {
	return newRouter(
		systemRoutes, userRoutes, adminRoutes(), shareRoutes, elsewhereRoutes, cortexRoutes(), miscRoutes, linkRoutes,
		caseRoutes, childRoutes, observableRoutes, procedureRoutes, attachmentRoutes, alertRoutes, logRoutes, timelineRoutes,
	)
})

func (h *Hive) routes() router { return allRoutes() }

// queryFlag reads a boolean of the query string, in any case: Python sends "True".
func (c *call) queryFlag(name string) bool {
	return strings.EqualFold(c.r.URL.Query().Get(name), "true")
}

// miscRoutes are what the official clients call beside the entities: sharing, connectors, links. They keep no state but
// what a client can read back.
var miscRoutes = []route{
	{method: "GET", template: "/api/v1/case/link/types", run: empty},
	{method: "GET", template: "/api/v1/case/{id}/links", run: needs(caseKind, alike)},
	{method: "GET", template: "/api/v1/case/{id}/similar/{other}/observables", run: needs(caseKind, similar)},
	{method: "POST", template: "/api/v1/case/_bulk/access", form: jsonBody, permission: "manageCaseAccess/restrict|manageCaseAccess/external", since: release{5, 6}, run: setAccesses},
	{method: "POST", template: "/api/v1/case/{id}/access", form: jsonBody, permission: "manageCaseAccess/restrict|manageCaseAccess/external", run: needs(caseKind, setAccess)},
	{method: "POST", template: "/api/v1/case/{id}/observable/_merge", permission: "manageCase/update", run: needs(caseKind, mergeObservables)},
	{method: "POST", template: "/api/v1/pattern/import/attack", form: eitherOne, permission: "managePattern", run: importPatterns},
	{method: "GET", template: "/api/v1/connector/misp/status", run: mispStatus},
	{method: "GET", template: "/api/v1/connector/misp/_syncAlerts", run: func(*call) (reply, error) { return done(), nil }},
	{method: "GET", template: "/api/v1/customField", run: listAll(customFieldKind)},
	{method: "GET", template: "/api/v1/permission", run: permissions},
	{method: "GET", template: "/api/v1/flow", run: flow},
}

func empty(*call) (reply, error) { return reply{status: http.StatusOK, list: true}, nil }

func listAll(k *kind) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		out := reply{status: http.StatusOK, list: true}
		for e := range c.h.store.byKind[k.name].each {
			out.rows = append(out.rows, row{doc: e.doc})
		}
		return out, nil
	}
}

// alike lists the cases that share observables with one, with these observables.
func alike(c *call, e *entry) (reply, error) {
	out := reply{status: http.StatusOK, value: []any{}}
	var all []any
	for _, other := range c.akin(e, caseKind) {
		both := []*doc{}
		for o := range e.children(observableKind).each {
			if _, shared := other.values[identity(o.doc)]; shared {
				both = append(both, o.doc)
			}
		}
		v, err := decodeJSON(row{doc: other.doc}.append(nil, c.viewer, nil))
		m, ok := v.(map[string]any)
		if err != nil || !ok {
			continue
		}
		m["linkedWith"], m["linksCount"] = json.RawMessage(appendRows(nil, both, c.viewer)), len(both)
		all = append(all, m)
	}
	if all != nil {
		out.value = all
	}
	return out, nil
}

// similar lists the observables that two cases share.
func similar(c *call, e *entry) (reply, error) {
	other, how := c.lookup(caseKind, c.args[1])
	if how != Shown {
		other, how = c.lookup(alertKind, c.args[1])
	}
	if how != Shown {
		return reply{}, notFound("Case %s not found", c.args[1])
	}
	out := reply{status: http.StatusOK, list: true}
	for o := range e.children(observableKind).each {
		if _, shared := other.values[identity(o.doc)]; shared {
			out.rows = append(out.rows, row{doc: o.doc})
		}
	}
	return out, nil
}

// mergeObservables finds nothing to do: this server never lets two equal observables into one case.
func mergeObservables(_ *call, e *entry) (reply, error) {
	return reply{status: http.StatusOK, value: map[string]int{
		"untouched": e.count(observableKind), "updated": 0, "deleted": 0,
	}}, nil
}

func mispStatus(c *call) (reply, error) {
	status := map[string]any{}
	for _, name := range c.h.options.MISP {
		status[name] = "OK"
	}
	return reply{status: http.StatusOK, value: map[string]any{"status": status, "syncInProgress": false}}, nil
}

func permissions(c *call) (reply, error) {
	out := make([]map[string]any, 0, len(c.viewer.permissions))
	for _, p := range c.viewer.permissions {
		out = append(out, map[string]any{"name": p, "label": p, "consumesLicense": true, "scope": []string{"organisation"}})
	}
	return reply{status: http.StatusOK, value: out}, nil
}

// flow lists the newest audits of the caller's organisation, newest first.
func flow(c *call) (reply, error) {
	out := []map[string]any{}
	for i := len(c.h.audits) - 1; i >= 0 && len(out) < 10; i-- {
		a := c.h.audits[i]
		if a.org != c.viewer.org || !a.under(c.r.URL.Query().Get("rootId")) {
			continue
		}
		out = append(out, map[string]any{"base": a.base(), "summary": map[string]any{}})
	}
	return reply{status: http.StatusOK, value: out}, nil
}

func (a audit) under(root string) bool { return root == "" || root == "any" || a.root.entry.id == root }

func (a audit) base() map[string]any {
	m := map[string]any{
		"_id": entityID(a.serial), "_type": "Audit", "_createdBy": a.by, "_createdAt": a.at, "action": a.action,
		"requestId": a.requestID, "rootId": a.root.entry.id, "details": map[string]any{}, "objectId": a.object.entry.id,
		"objectType": a.object.kind.name, "mainAction": true, "context": rendered{doc: a.root},
	}
	if a.action != "delete" {
		m["object"] = rendered{doc: a.object}
	}
	return m
}
