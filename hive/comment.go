package hive

import (
	"context"
	"iter"
	"net/http"
)

// Comment is one comment on a case (OutputComment).
type Comment struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// Message is Markdown.
	Message string `json:"message"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first edit.
	CreatedAt Millis `json:"createdAt"`
	CreatedBy string `json:"createdBy"`
	UpdatedAt Millis `json:"updatedAt"`
	UpdatedBy string `json:"updatedBy"`
	// Edited reports whether somebody changed the message.
	Edited bool `json:"isEdited"`
}

// commentID names the identity of a comment to the decoders.
func commentID(c *Comment) string { return c.ID }

// AddComment comments on a case by id or number, in 1 to MaxText units
// (POST /api/v1/case/{caseId}/comment). TheHive does not recognise doubles.
func (c *Client) AddComment(ctx context.Context, caseID, message string) (Comment, error) {
	const op = "add comment"
	if err := checkCase(op, caseID); err != nil {
		return Comment{}, err
	}
	return c.comment(ctx, op, "/case/"+caseID, message)
}

// AddAlertComment is AddComment for an alert, by id
// (POST /api/v1/alert/{alertId}/comment).
func (c *Client) AddAlertComment(ctx context.Context, alertID, message string) (Comment, error) {
	const op = "add alert comment"
	if err := checkID(op, "alert", alertID); err != nil {
		return Comment{}, err
	}
	return c.comment(ctx, op, "/alert/"+alertID, message)
}

// comment comments on what a path names.
func (c *Client) comment(ctx context.Context, op, owner, message string) (Comment, error) {
	if err := checkTexts(op, rule{"message", message, 1, MaxText}); err != nil {
		return Comment{}, err
	}
	return create(ctx, c, op, owner+"/comment", map[string]any{"message": message}, commentID)
}

// UpdateComment replaces a comment's message (PATCH /api/v1/comment/{id}).
func (c *Client) UpdateComment(ctx context.Context, id, message string) error {
	const op = "update comment"
	if err := checkID(op, "comment", id); err != nil {
		return err
	}
	if err := checkTexts(op, rule{"message", message, 1, MaxText}); err != nil {
		return err
	}
	return c.do(ctx, call{
		op: op, method: http.MethodPatch, path: "/comment/" + id,
		body: map[string]any{"message": message}, write: true, accept: nothing,
	})
}

// DeleteComment deletes one comment (DELETE /api/v1/comment/{id}).
func (c *Client) DeleteComment(ctx context.Context, id string) error {
	const op = "delete comment"
	if err := checkID(op, "comment", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/comment/"+id)
}

// CaseComments lists the comments of a case by id or number, oldest first; of
// a case that does not exist it lists none (getCase, comments).
func (c *Client) CaseComments(ctx context.Context, caseID string) iter.Seq2[Comment, error] {
	return parts(ctx, c, "list comments", caseID, "comments", commentID)
}

// AlertComments lists the comments of an alert, by id, oldest first
// (getAlert, comments).
func (c *Client) AlertComments(ctx context.Context, alertID string) iter.Seq2[Comment, error] {
	return alertParts(ctx, c, "list alert comments", alertID, "comments", commentID)
}
