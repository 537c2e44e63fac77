package hive

import (
	"context"
	"iter"
	"net/http"
)

// Task is one task of a case (OutputTask).
type Task struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// Title, Group ("default" if not given) and Description are free text.
	Title       string `json:"title"`
	Group       string `json:"group"`
	Description string `json:"description"`
	// Status is "Waiting", "InProgress", "Completed" or "Cancel".
	Status string `json:"status"`
	// Flag marks the task, Mandatory asks for it before the case is closed.
	Flag      bool `json:"flag"`
	Mandatory bool `json:"mandatory"`
	// Order is the position within the group.
	Order int `json:"order"`
	// Assignee is a login; empty: nobody.
	Assignee string `json:"assignee"`
	// StartDate, EndDate and DueDate are 0 when not set.
	StartDate Millis `json:"startDate"`
	EndDate   Millis `json:"endDate"`
	DueDate   Millis `json:"dueDate"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// taskID names the identity of a task to the decoders.
func taskID(t *Task) string { return t.ID }

// NewTask is a task to be created, with its case or later (InputCreateTask).
type NewTask struct {
	// Title has 1 to MaxTaskTitle units.
	Title string `json:"title"`
	// Group has at most MaxTaskGroup units; default "default".
	Group string `json:"group,omitempty"`
	// Description is Markdown, of at most MaxText units.
	Description string `json:"description,omitempty"`
	// Status defaults to "Waiting".
	Status string `json:"status,omitempty"`
	// Flag and Mandatory are as in [Task].
	Flag      bool `json:"flag,omitempty"`
	Mandatory bool `json:"mandatory,omitempty"`
	// Order is the position within the group.
	Order int `json:"order,omitempty"`
	// Assignee is a login.
	Assignee string `json:"assignee,omitempty"`
	// StartDate, EndDate and DueDate may be 0: not set.
	StartDate Millis `json:"startDate,omitempty"`
	EndDate   Millis `json:"endDate,omitempty"`
	DueDate   Millis `json:"dueDate,omitempty"`
}

// check refuses what TheHive would.
func (t NewTask) check(op, at string) error {
	if err := checkDates(op, t.StartDate, t.EndDate, t.DueDate); err != nil {
		return err
	}
	return checkTexts(op, rule{at + "title", t.Title, 1, MaxTaskTitle}, rule{at + "group", t.Group, 0, MaxTaskGroup},
		rule{at + "description", t.Description, 0, MaxText}, rule{at + "status", t.Status, 0, MaxTaskStatus},
		rule{at + "assignee", t.Assignee, 0, MaxLogin})
}

// AddTask adds a task to a case by id or number
// (POST /api/v1/case/{caseId}/task).
func (c *Client) AddTask(ctx context.Context, caseID string, t NewTask) (Task, error) {
	const op = "add task"
	var out Task
	if err := checkCase(op, caseID); err != nil {
		return out, err
	}
	if err := t.check(op, ""); err != nil {
		return out, err
	}
	err := c.do(ctx, call{op: op, method: http.MethodPost, path: "/case/" + caseID + "/task", body: t, write: true, accept: intoEntity(&out, taskID)})
	return out, err
}

// CaseTasks lists the tasks of a case by id or number, oldest first; of a case
// that does not exist it lists none (getCase, tasks).
func (c *Client) CaseTasks(ctx context.Context, caseID string) iter.Seq2[Task, error] {
	return parts(ctx, c, "list tasks", caseID, "tasks", taskID)
}
