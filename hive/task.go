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

// Task brings one task (GET /api/v1/task/{taskId}).
func (c *Client) Task(ctx context.Context, id string) (Task, error) {
	const op = "get task"
	if err := checkID(op, "task", id); err != nil {
		return Task{}, err
	}
	return fetch(ctx, c, op, "/task/"+id, taskID)
}

// FindTasks lists tasks of all cases (listTask).
func (c *Client) FindTasks(ctx context.Context, q Query) iter.Seq2[Task, error] {
	return list(ctx, c, listOf("find tasks", "listTask"), q, taskID)
}

// TaskUpdate is a change of one or more tasks; what is nil stays as it is.
type TaskUpdate struct {
	// Title, Group and Status are as in [NewTask].
	Title, Group, Status *string
	// Description and Assignee are as in [NewTask]; the empty text clears them.
	Description, Assignee *string
	// StartDate and DueDate of 0 are cleared; EndDate cannot be.
	StartDate, EndDate, DueDate *Millis
	// Flag and Mandatory are as in [Task].
	Flag, Mandatory *bool
	// Order is the position within the group.
	Order *int
}

// wire checks an update and puts it into TheHive's words.
func (u TaskUpdate) wire(op string) (map[string]any, error) {
	if err := checkTexts(op, optionalText("title", u.Title, 1, MaxTaskTitle), optionalText("group", u.Group, 1, MaxTaskGroup),
		optionalText("status", u.Status, 1, MaxTaskStatus), optionalText("description", u.Description, 0, MaxText),
		optionalText("assignee", u.Assignee, 0, MaxLogin)); err != nil {
		return nil, err
	}
	if err := checkDates(op, value(u.StartDate), value(u.EndDate), value(u.DueDate)); err != nil {
		return nil, err
	}
	body := map[string]any{}
	put(body, "title", u.Title)
	put(body, "group", u.Group)
	put(body, "status", u.Status)
	putOrClear(body, "description", u.Description)
	putOrClear(body, "assignee", u.Assignee)
	putOrClear(body, "startDate", u.StartDate)
	put(body, "endDate", u.EndDate)
	putOrClear(body, "dueDate", u.DueDate)
	put(body, "flag", u.Flag)
	put(body, "mandatory", u.Mandatory)
	put(body, "order", u.Order)
	return body, notEmpty(op, body)
}

// UpdateTask changes what u names (PATCH /api/v1/task/{taskId}).
func (c *Client) UpdateTask(ctx context.Context, id string, u TaskUpdate) error {
	return c.update(ctx, "update task", "task", id, u)
}

// UpdateTasks changes several alike (PATCH /api/v1/task/_bulk).
func (c *Client) UpdateTasks(ctx context.Context, ids []string, u TaskUpdate) error {
	return c.updateAll(ctx, "update tasks", "task", ids, u)
}

// DeleteTask deletes a task with its logs (DELETE /api/v1/task/{taskId}).
func (c *Client) DeleteTask(ctx context.Context, id string) error {
	const op = "delete task"
	if err := checkID(op, "task", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/task/"+id)
}

// TaskActions says of which organisations an action on a shared task is asked, by
// their ids (GET /api/v1/task/{taskId}/actionRequired).
func (c *Client) TaskActions(ctx context.Context, id string) (map[string]bool, error) {
	const op = "list task actions"
	var out map[string]bool
	if err := checkID(op, "task", id); err != nil {
		return nil, err
	}
	err := c.do(ctx, call{op: op, method: http.MethodGet, path: "/task/" + id + "/actionRequired", accept: into(&out)})
	return out, err
}

// AskTaskAction asks an organisation, by id, for an action on a task
// (PUT /api/v1/task/{taskId}/actionRequired/{orgId}).
func (c *Client) AskTaskAction(ctx context.Context, id, organisationID string) error {
	return c.taskAction(ctx, "ask task action", "actionRequired", id, organisationID)
}

// EndTaskAction says that the action is done
// (PUT /api/v1/task/{taskId}/actionDone/{orgId}).
func (c *Client) EndTaskAction(ctx context.Context, id, organisationID string) error {
	return c.taskAction(ctx, "end task action", "actionDone", id, organisationID)
}

func (c *Client) taskAction(ctx context.Context, op, verb, id, organisationID string) error {
	if err := checkID(op, "task", id); err != nil {
		return err
	}
	if err := checkID(op, "organisation", organisationID); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPut, "/task/"+id+"/"+verb+"/"+organisationID, nil)
}

// Log is an entry in a task's log (OutputLog).
type Log struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// Message is Markdown, Date when it was written, Owner who wrote it (a login).
	Message string `json:"message"`
	Date    Millis `json:"date"`
	Owner   string `json:"owner"`
	// InTimeline is where it stands in the case's timeline; 0: nowhere.
	InTimeline Millis `json:"includeInTimeline"`
	// Attachments are its files.
	Attachments []Attachment `json:"attachments"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// logID names the identity of a log to the decoders.
func logID(l *Log) string { return l.ID }

// NewLog is an entry to be written (InputCreateLog).
type NewLog struct {
	// Message is Markdown, of 1 to MaxText units.
	Message string `json:"message"`
	// StartDate is its date, default now; InTimeline puts it into the case's
	// timeline, 0: not.
	StartDate  Millis `json:"startDate,omitempty"`
	InTimeline Millis `json:"includeInTimeline,omitempty"`
}

// AddLog writes into a task's log, with files if there are any
// (POST /api/v1/task/{taskId}/log; multipart with files). TheHive does not
// recognise doubles.
func (c *Client) AddLog(ctx context.Context, taskID string, n NewLog, files ...Upload) (Log, error) {
	const op = "add log"
	if err := checkID(op, "task", taskID); err != nil {
		return Log{}, err
	}
	if err := checkTexts(op, rule{"message", n.Message, 1, MaxText}); err != nil {
		return Log{}, err
	}
	if err := checkDates(op, n.StartDate, n.InTimeline); err != nil {
		return Log{}, err
	}
	path := "/task/" + taskID + "/log"
	if len(files) == 0 {
		return create(ctx, c, op, path, n, logID)
	}
	text, err := jsonField(op, n)
	if err != nil {
		return Log{}, err
	}
	upload, err := c.attachmentsForm(op, []field{text}, files)
	if err != nil {
		return Log{}, err
	}
	var out Log
	err = c.do(ctx, call{op: op, method: http.MethodPost, path: path, upload: upload, write: true, accept: intoEntity(&out, logID)})
	return out, err
}

// TaskLogs lists the log of a task, oldest first (getTask, logs).
func (c *Client) TaskLogs(ctx context.Context, taskID string) iter.Seq2[Log, error] {
	const op = "list logs"
	if err := checkID(op, "task", taskID); err != nil {
		return failed[Log](err)
	}
	return list(ctx, c, partsOf(op, "getTask", taskID, "logs"), Query{PageSize: childPage}, logID)
}

// LogUpdate is a change of a log; what is nil stays as it is.
type LogUpdate struct {
	// Message is Markdown, of 1 to MaxText units.
	Message *string
	// InTimeline is as in [NewLog]; 0 takes the log out of the timeline.
	InTimeline *Millis
}

// UpdateLog changes what u names (PATCH /api/v1/log/{logId}).
func (c *Client) UpdateLog(ctx context.Context, id string, u LogUpdate) error {
	const op = "update log"
	if err := checkID(op, "log", id); err != nil {
		return err
	}
	if err := checkTexts(op, optionalText("message", u.Message, 1, MaxText)); err != nil {
		return err
	}
	if err := checkDates(op, value(u.InTimeline)); err != nil {
		return err
	}
	body := map[string]any{}
	put(body, "message", u.Message)
	putOrClear(body, "includeInTimeline", u.InTimeline)
	if err := notEmpty(op, body); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPatch, "/log/"+id, body)
}

// DeleteLog deletes an entry with its files (DELETE /api/v1/log/{logId}).
func (c *Client) DeleteLog(ctx context.Context, id string) error {
	const op = "delete log"
	if err := checkID(op, "log", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/log/"+id)
}

// AddLogFiles adds files to an entry (multipart POST /api/v1/log/{logId}/attachments).
func (c *Client) AddLogFiles(ctx context.Context, logID string, files ...Upload) error {
	const op = "add log files"
	if err := checkID(op, "log", logID); err != nil {
		return err
	}
	upload, err := c.attachmentsForm(op, nil, files)
	if err != nil {
		return err
	}
	return c.do(ctx, call{op: op, method: http.MethodPost, path: "/log/" + logID + "/attachments", upload: upload, write: true, accept: nothing})
}

// DeleteLogFile takes a file from an entry
// (DELETE /api/v1/log/{logId}/attachments/{attachmentId}).
func (c *Client) DeleteLogFile(ctx context.Context, logID, id string) error {
	const op = "delete log file"
	if err := checkFile(op, "log", logID, id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/log/"+logID+"/attachments/"+id)
}
