package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// TimelineEvent is one entry of a case's timeline (OutputTimelineEvent).
type TimelineEvent struct {
	// Date is when it happened, EndDate when it ended; 0: it has no end.
	Date    Millis `json:"date"`
	EndDate Millis `json:"endDate"`
	// Kind says what happened, Entity and EntityID to what: "Case", "Alert",
	// "Task", "Log", "Observable", "Procedure" or "CustomEvent".
	Kind     string `json:"kind"`
	Entity   string `json:"entity"`
	EntityID string `json:"entityId"`
	// Details are what TheHive shows of it, as JSON.
	Details json.RawMessage `json:"details"`
}

// Timeline lists what happened in a case by id or number, in TheHive's order
// (GET /api/v1/case/{caseId}/timeline).
func (c *Client) Timeline(ctx context.Context, caseID string) ([]TimelineEvent, error) {
	const op = "get timeline"
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	var out struct {
		Events *[]TimelineEvent `json:"events"`
	}
	err := c.do(ctx, call{op: op, method: http.MethodGet, path: "/case/" + caseID + "/timeline", weight: weightLarge, accept: func(status int, body []byte) error {
		if err := into(&out)(status, body); err != nil {
			return err
		}
		if out.Events == nil {
			return fmt.Errorf("%w: no events", ErrShape)
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	return *out.Events, nil
}

// CustomEvent is an entry of a timeline that somebody wrote (OutputCustomEvent).
type CustomEvent struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// Date is when it happened, EndDate when it ended; 0: it has no end.
	Date    Millis `json:"date"`
	EndDate Millis `json:"endDate"`
	// Title and Description (Markdown) are free text.
	Title       string `json:"title"`
	Description string `json:"description"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// customEventID names the identity of a custom event to the decoders.
func customEventID(e *CustomEvent) string { return e.ID }

// NewCustomEvent is an entry to be written (InputCustomEvent).
type NewCustomEvent struct {
	// Date is required, EndDate may be 0: no end.
	Date    Millis `json:"date"`
	EndDate Millis `json:"endDate,omitempty"`
	// Title has 1 to MaxLogin units, Description (Markdown) at most MaxText.
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// AddCustomEvent writes an entry into the timeline of a case by id or number
// (POST /api/v1/case/{caseId}/customEvent). TheHive does not recognise doubles.
func (c *Client) AddCustomEvent(ctx context.Context, caseID string, e NewCustomEvent) (CustomEvent, error) {
	const op = "add custom event"
	if err := checkCase(op, caseID); err != nil {
		return CustomEvent{}, err
	}
	if e.Date <= 0 {
		return CustomEvent{}, invalid(op, "date", "is missing")
	}
	if err := checkDates(op, e.EndDate); err != nil {
		return CustomEvent{}, err
	}
	if err := checkTexts(op, rule{"title", e.Title, 1, MaxLogin}, rule{"description", e.Description, 0, MaxText}); err != nil {
		return CustomEvent{}, err
	}
	return create(ctx, c, op, "/case/"+caseID+"/customEvent", e, customEventID)
}

// CustomEventUpdate is a change of an entry; what is nil stays as it is.
type CustomEventUpdate struct {
	// Date is when it happened, EndDate when it ended; an EndDate of 0 clears it.
	Date, EndDate *Millis
	// Title and Description are as in [NewCustomEvent]; the empty description clears it.
	Title, Description *string
}

// UpdateCustomEvent changes what u names (PATCH /api/v1/customEvent/{eventId}).
func (c *Client) UpdateCustomEvent(ctx context.Context, id string, u CustomEventUpdate) error {
	const op = "update custom event"
	if err := checkID(op, "event", id); err != nil {
		return err
	}
	if err := checkDates(op, value(u.Date), value(u.EndDate)); err != nil {
		return err
	}
	if err := checkTexts(op, optionalText("title", u.Title, 1, MaxLogin), optionalText("description", u.Description, 0, MaxText)); err != nil {
		return err
	}
	body := map[string]any{}
	put(body, "date", u.Date)
	putOrClear(body, "endDate", u.EndDate)
	put(body, "title", u.Title)
	putOrClear(body, "description", u.Description)
	if err := notEmpty(op, body); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPatch, "/customEvent/"+id, body)
}

// DeleteCustomEvent deletes an entry (DELETE /api/v1/customEvent/{eventId}).
func (c *Client) DeleteCustomEvent(ctx context.Context, id string) error {
	const op = "delete custom event"
	if err := checkID(op, "event", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/customEvent/"+id)
}
