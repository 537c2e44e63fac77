package hivetest

import (
	"net/http"
	"slices"
)

var logRoutes = []route{
	{method: "POST", template: "/api/v1/task/{id}/log", form: eitherOne, permission: "manageTask", run: needs(taskKind, addLog)},
	{method: "PATCH", template: "/api/v1/log/{id}", form: jsonBody, permission: "manageTask", run: patch(logKind, unchecked)},
	{method: "DELETE", template: "/api/v1/log/{id}", permission: "manageTask", run: needs(logKind, deleteEntry)},
	{method: "POST", template: "/api/v1/log/{id}/attachments", form: formBody, permission: "manageTask", run: needs(logKind, attachToLog)},
	{method: "DELETE", template: "/api/v1/log/{id}/attachments/{file}", permission: "manageTask", run: needs(logKind, detachFromLog)},
	{method: "GET", template: "/api/v1/task/{id}/actionRequired", run: needs(taskKind, actionRequired)},
	{method: "PUT", template: "/api/v1/task/{id}/actionRequired/{org}", permission: "manageTask", run: requireAction(true)},
	{method: "PUT", template: "/api/v1/task/{id}/actionDone/{org}", permission: "manageTask", run: requireAction(false)},
}

// addLog adds an entry to a task, with the files of the form's parts; what the JSON says of attachments (the official
// client repeats its local paths there) is ignored. A waiting task begins by it.
func addLog(c *call, task *entry) (reply, error) {
	delete(c.body, "attachments")
	values, err := c.decode(logKind, creating)
	if err != nil {
		return reply{}, err
	}
	st := c.stamp()
	values["date"], values["owner"] = st.ms, c.viewer.login
	if v, ok := values["startDate"]; ok {
		values["date"] = v
	}
	values["attachments"] = c.looseAll(st)
	e := c.child(logKind, task, values, st)
	if task.doc.text("status") == "Waiting" {
		c.update(task, map[string]any{"status": "InProgress", "startDate": st.ms, "assignee": or(task.doc.text("assignee"), c.viewer.login)})
	}
	return show1(http.StatusCreated, e.doc), nil
}

func (c *call) looseAll(st stamp) []*doc {
	files := c.form.named("attachments")
	docs := make([]*doc, 0, len(files))
	for _, f := range files {
		docs = append(docs, c.loose(f, st))
	}
	return docs
}

func attachToLog(c *call, e *entry) (reply, error) {
	old, _ := e.doc.get("attachments").([]*doc)
	c.update(e, map[string]any{"attachments": append(slices.Clone(old), c.looseAll(c.stamp())...)})
	return done(), nil
}

func detachFromLog(c *call, e *entry) (reply, error) {
	old, _ := e.doc.get("attachments").([]*doc)
	left := slices.DeleteFunc(slices.Clone(old), func(d *doc) bool {
		return d.entry.id == c.args[1] || d.text("id") == c.args[1]
	})
	if len(left) == len(old) {
		return reply{}, notFound("Attachment %s not found", c.args[1])
	}
	c.update(e, map[string]any{"attachments": left})
	return done(), nil
}

func actionRequired(c *call, e *entry) (reply, error) {
	flags, _ := e.doc.get("actionRequired").(map[string]any)
	on := flags[c.viewer.org] == true
	return reply{status: http.StatusOK, value: map[string]bool{c.viewer.org: on}}, nil
}

func requireAction(on bool) func(*call) (reply, error) {
	return needs(taskKind, func(c *call, e *entry) (reply, error) {
		org, err := c.get(organisationKind, c.args[1])
		if err != nil {
			return reply{}, err
		}
		flags, _ := e.doc.get("actionRequired").(map[string]any)
		flags = copyOf(flags)
		flags[org.doc.text("name")] = on
		c.update(e, map[string]any{"actionRequired": flags})
		return done(), nil
	})
}
