package hivetest

import "net/http"

var childRoutes = []route{
	{method: "POST", template: "/api/v1/case/{id}/task", form: jsonBody, permission: "manageTask", run: addTo(caseKind, taskKind, newTask)},
	{method: "PATCH", template: "/api/v1/task/_bulk", form: jsonBody, permission: "manageTask", run: bulk(taskKind, updateTask)},
	{method: "GET", template: "/api/v1/task/{id}", run: needs(taskKind, showEntry)},
	{method: "PATCH", template: "/api/v1/task/{id}", form: jsonBody, permission: "manageTask", run: patch(taskKind, updateTask)},
	{method: "DELETE", template: "/api/v1/task/{id}", permission: "manageTask", run: needs(taskKind, deleteEntry)},
	{method: "POST", template: "/api/v1/case/{id}/page", form: jsonBody, permission: "managePage", run: addTo(caseKind, pageKind, nil)},
	{method: "PATCH", template: "/api/v1/case/{id}/page/{page}", form: jsonBody, permission: "managePage", run: patchPage},
	{method: "DELETE", template: "/api/v1/case/{id}/page/{page}", permission: "managePage", run: deletePage},
	{method: "POST", template: "/api/v1/case/{id}/comment", form: jsonBody, permission: "manageComment", run: addTo(caseKind, commentKind, newComment)},
	{method: "POST", template: "/api/v1/alert/{id}/comment", form: jsonBody, permission: "manageComment", run: addTo(alertKind, commentKind, newComment)},
	{method: "PATCH", template: "/api/v1/comment/{id}", form: jsonBody, permission: "manageComment", run: patch(commentKind, editComment)},
	{method: "DELETE", template: "/api/v1/comment/{id}", permission: "manageComment", run: needs(commentKind, deleteEntry)},
	{method: "POST", template: "/api/v1/case/{id}/customEvent", form: jsonBody, permission: "manageCustomEvent", run: addTo(caseKind, eventKind, nil)},
	{method: "PATCH", template: "/api/v1/customEvent/{id}", form: jsonBody, permission: "manageCustomEvent", run: patch(eventKind, unchecked)},
	{method: "DELETE", template: "/api/v1/customEvent/{id}", permission: "manageCustomEvent", run: needs(eventKind, deleteEntry)},
}

// addTo creates an entity below another one.
func addTo(parent, k *kind, complete check) func(*call) (reply, error) {
	return needs(parent, func(c *call, p *entry) (reply, error) {
		values, err := c.decode(k, creating)
		if err != nil {
			return reply{}, err
		}
		if complete != nil {
			if err := complete(c, p, values); err != nil {
				return reply{}, err
			}
		}
		return show1(http.StatusCreated, c.child(k, p, values, c.stamp()).doc), nil
	})
}

// taskStatuses are fixed in TheHive.
var taskStatuses = map[string]bool{"Waiting": true, "InProgress": true, "Completed": true, "Cancel": true}

func newTask(c *call, _ *entry, values map[string]any) error {
	if s, ok := values["status"].(string); ok && !taskStatuses[s] {
		return invalid("status", s, "TaskStatus")
	}
	return c.checkAssignee(values)
}

func updateTask(c *call, e *entry, values map[string]any) error {
	if err := newTask(c, e, values); err != nil {
		return err
	}
	switch values["status"] {
	case "InProgress":
		if e.doc.num("startDate") == 0 {
			fill(values, "startDate", c.h.now())
		}
		if e.doc.text("assignee") == "" {
			fill(values, "assignee", c.viewer.login)
		}
	case "Completed", "Cancel":
		fill(values, "endDate", c.h.now())
	}
	return nil
}

func newComment(_ *call, _ *entry, values map[string]any) error {
	values["isEdited"] = false
	return nil
}

func editComment(_ *call, _ *entry, values map[string]any) error {
	if _, ok := values["message"]; !ok {
		return missing("message")
	}
	values["isEdited"] = true
	return nil
}

// pageOf finds a page of the case that the path names.
func pageOf(c *call) (*entry, error) {
	parent, err := c.get(caseKind, c.args[0])
	if err != nil {
		return nil, err
	}
	page, err := c.get(pageKind, c.args[1])
	if err != nil || page.parent != parent {
		return nil, notFound("Page %s not found", c.args[1])
	}
	return page, nil
}

func patchPage(c *call) (reply, error) {
	e, err := pageOf(c)
	if err != nil {
		return reply{}, err
	}
	values, err := c.decode(pageKind, updating)
	if err != nil {
		return reply{}, err
	}
	c.update(e, values)
	return done(), nil
}

func deletePage(c *call) (reply, error) {
	e, err := pageOf(c)
	if err != nil {
		return reply{}, err
	}
	return deleteEntry(c, e)
}
