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
	var out Comment
	if err := checkCase(op, caseID); err != nil {
		return out, err
	}
	if err := checkTexts(op, rule{"message", message, 1, MaxText}); err != nil {
		return out, err
	}
	err := c.do(ctx, call{
		op: op, method: http.MethodPost, path: "/case/" + caseID + "/comment",
		body: map[string]any{"message": message}, write: true, accept: intoEntity(&out, commentID),
	})
	return out, err
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
