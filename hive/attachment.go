package hive

import (
	"context"
	"fmt"
	"iter"
	"net/http"
)

// Attachment is a file that TheHive stores (OutputAttachment).
type Attachment struct {
	// ID is the attachment's own id, "~" and digits.
	ID string `json:"_id"`
	// ContentID is the SHA-256 of the content in hexadecimal, shared by all
	// attachments of one content.
	ContentID string `json:"id"`
	// Name and ContentType are what the uploader said, Name perhaps with a
	// number that TheHive added since another file had the name.
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// Hashes are SHA-256, SHA-1 and MD5 in hexadecimal, in this order.
	Hashes []string `json:"hashes"`
	// CreatedAt and CreatedBy never change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
}

// attachmentID names the identity of an attachment to the decoders.
func attachmentID(a *Attachment) string { return a.ID }

// AddAttachments attaches files to a case by id or number, streaming them
// (multipart POST /api/v1/case/{caseId}/attachments). TheHive renames a file
// whose name is taken.
func (c *Client) AddAttachments(ctx context.Context, caseID string, files ...Upload) ([]Attachment, error) {
	const op = "add attachments"
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, invalid(op, "files", "is empty")
	}
	for _, f := range files {
		if err := f.check(op); err != nil {
			return nil, err
		}
		if f.Zip || f.ZipPassword != "" {
			return nil, invalid(op, "files", "cannot be unpacked here: use AddFile")
		}
	}
	upload, err := newForm([]field{{"canRename", "true"}}, "attachments", files, c.options.Timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	var out struct {
		Attachments []Attachment `json:"attachments"`
	}
	err = c.do(ctx, call{
		op: op, method: http.MethodPost, path: "/case/" + caseID + "/attachments", upload: upload, write: true,
		accept: func(status int, body []byte) error {
			if err := into(&out)(status, body); err != nil {
				return err
			}
			if len(out.Attachments) != len(files) {
				return fmt.Errorf("%w: %d of %d attached", ErrShape, len(out.Attachments), len(files))
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return out.Attachments, nil
}

// CaseAttachments lists the files attached to a case by id or number, oldest
// first; those of its observables are not among them (getCase, attachments).
func (c *Client) CaseAttachments(ctx context.Context, caseID string) iter.Seq2[Attachment, error] {
	return parts(ctx, c, "list attachments", caseID, "attachments", attachmentID)
}

// DeleteAttachment detaches a file from a case
// (DELETE /api/v1/case/{caseId}/attachment/{attachmentId}).
func (c *Client) DeleteAttachment(ctx context.Context, caseID, id string) error {
	const op = "delete attachment"
	if err := checkAttachment(op, caseID, id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/case/"+caseID+"/attachment/"+id)
}

// checkAttachment refuses what is no case or no attachment.
func checkAttachment(op, caseID, id string) error {
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	if !attachmentShape.MatchString(id) {
		return invalid(op, "attachment", "must be ~ and digits or a hash, is "+quote(id))
	}
	return nil
}
