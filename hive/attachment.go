package hive

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"sync"
	"time"

	"forager/hive/throttle"
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
	return c.attach(ctx, op, "/case/"+caseID+"/attachments", files)
}

// AddAlertAttachments is AddAttachments for an alert, by id
// (multipart POST /api/v1/alert/{alertId}/attachments).
func (c *Client) AddAlertAttachments(ctx context.Context, alertID string, files ...Upload) ([]Attachment, error) {
	const op = "add alert attachments"
	if err := checkID(op, "alert", alertID); err != nil {
		return nil, err
	}
	return c.attach(ctx, op, "/alert/"+alertID+"/attachments", files)
}

// attachmentsForm lays out files to be attached.
func (c *Client) attachmentsForm(op string, fields []field, files []Upload) (*form, error) {
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
	upload, err := newForm(fields, func(int) string { return "attachments" }, files, c.options.Timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return upload, nil
}

// attach adds files to what a path names.
func (c *Client) attach(ctx context.Context, op, path string, files []Upload) ([]Attachment, error) {
	upload, err := c.attachmentsForm(op, []field{{"canRename", "true"}}, files)
	if err != nil {
		return nil, err
	}
	var out struct {
		Attachments []Attachment `json:"attachments"`
	}
	err = c.do(ctx, call{
		op: op, method: http.MethodPost, path: path, upload: upload, write: true,
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

// ShowAttachment says whether users of external organisations see a file of a case
// (PATCH /api/v1/case/{caseId}/attachment/{attachmentId}; TheHive 5.6).
func (c *Client) ShowAttachment(ctx context.Context, caseID, id string, external bool) error {
	const op = "show attachment"
	if err := checkAttachment(op, caseID, id); err != nil {
		return err
	}
	return c.change(ctx, op, http.MethodPatch, "/case/"+caseID+"/attachment/"+id, map[string]any{"external": external})
}

// AlertAttachments lists the files attached to an alert, by id, oldest first
// (getAlert, attachments).
func (c *Client) AlertAttachments(ctx context.Context, alertID string) iter.Seq2[Attachment, error] {
	return alertParts(ctx, c, "list alert attachments", alertID, "attachments", attachmentID)
}

// DeleteAlertAttachment detaches a file from an alert
// (DELETE /api/v1/alert/{alertId}/attachment/{attachmentId}).
func (c *Client) DeleteAlertAttachment(ctx context.Context, alertID, id string) error {
	const op = "delete alert attachment"
	if err := checkFile(op, "alert", alertID, id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/alert/"+alertID+"/attachment/"+id)
}

// checkAttachment refuses what is no case or no attachment.
func checkAttachment(op, caseID, id string) error {
	if err := checkCase(op, caseID); err != nil {
		return err
	}
	return checkContent(op, id)
}

// checkFile refuses what is no owner's id or no attachment.
func checkFile(op, owner, ownerID, id string) error {
	if err := checkID(op, owner, ownerID); err != nil {
		return err
	}
	return checkContent(op, id)
}

// checkContent refuses what is neither an attachment's id nor its content's.
func checkContent(op, id string) error {
	if !attachmentShape.MatchString(id) {
		return invalid(op, "attachment", "must be ~ and digits or a hash, is "+quote(id))
	}
	return nil
}

// Download opens a file attached to a case; id is the attachment's ID or
// ContentID (GET /api/v1/case/{caseId}/attachment/{attachmentId}/download).
// The content is streamed and not bounded: read what you can hold. It is given
// up when TheHive is silent for Options.Timeout, and occupies one of
// Options.Concurrency slots until it is closed.
func (c *Client) Download(ctx context.Context, caseID, id string) (io.ReadCloser, error) {
	const op = "download"
	if err := checkAttachment(op, caseID, id); err != nil {
		return nil, err
	}
	return c.download(ctx, call{op: op, method: http.MethodGet, path: "/case/" + caseID + "/attachment/" + id + "/download"})
}

// DownloadObservable is Download for the file of an observable
// (GET /api/v1/observable/{observableId}/attachment/{attachmentId}/download).
func (c *Client) DownloadObservable(ctx context.Context, observableID, id string) (io.ReadCloser, error) {
	const op = "download observable"
	if err := checkFile(op, "observable", observableID, id); err != nil {
		return nil, err
	}
	return c.download(ctx, call{op: op, method: http.MethodGet, path: "/observable/" + observableID + "/attachment/" + id + "/download"})
}

// DownloadObservableZip is DownloadObservable with the file inside an archive,
// which opens with TheHive's password, "malware" if not configured otherwise.
func (c *Client) DownloadObservableZip(ctx context.Context, observableID, id string) (io.ReadCloser, error) {
	const op = "download observable as archive"
	if err := checkFile(op, "observable", observableID, id); err != nil {
		return nil, err
	}
	return c.download(ctx, call{op: op, method: http.MethodGet, path: "/observable/" + observableID + "/attachment/" + id + "/download", query: "asZip=true"})
}

// DownloadAlert is Download for a file attached to an alert
// (GET /api/v1/alert/{alertId}/attachment/{attachmentId}/download).
func (c *Client) DownloadAlert(ctx context.Context, alertID, id string) (io.ReadCloser, error) {
	const op = "download from alert"
	if err := checkFile(op, "alert", alertID, id); err != nil {
		return nil, err
	}
	return c.download(ctx, call{op: op, method: http.MethodGet, path: "/alert/" + alertID + "/attachment/" + id + "/download"})
}

// DownloadLog is Download for a file of a task's log
// (GET /api/v1/log/{logId}/attachment/{attachmentId}/download).
func (c *Client) DownloadLog(ctx context.Context, logID, id string) (io.ReadCloser, error) {
	const op = "download from log"
	if err := checkFile(op, "log", logID, id); err != nil {
		return nil, err
	}
	return c.download(ctx, call{op: op, method: http.MethodGet, path: "/log/" + logID + "/attachment/" + id + "/download"})
}

// download tries to open a stream as often as any read.
func (c *Client) download(ctx context.Context, k call) (io.ReadCloser, error) {
	var stream *streamBody
	err := c.retry(ctx, k, func(n int) error {
		start := time.Now()
		opened, status, err := c.open(naming(ctx, k, n), k)
		if c.options.Observe != nil {
			c.options.Observe(Call{Op: k.op, Method: k.method, Status: status, Duration: time.Since(start), Attempt: n, Err: err})
		}
		stream = opened
		return err
	})
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// errSilent ends a stream that stopped.
var errSilent = fmt.Errorf("no data within the time-out: %w", context.DeadlineExceeded)

// open sends the request and hands the unread body over, with its place.
func (c *Client) open(ctx context.Context, k call) (*streamBody, int, error) {
	slot, err := c.slot(ctx, &k)
	if err != nil {
		return nil, 0, err
	}
	end := throttle.Answered // its length is the file's: it says nothing of the server's pace
	timed, cancel := context.WithCancelCause(ctx)
	b := &streamBody{silence: c.options.Timeout, watch: time.AfterFunc(c.options.Timeout, func() { cancel(errSilent) })}
	b.release = sync.OnceFunc(func() {
		b.watch.Stop()
		cancel(nil)
		slot.Release(end, 0)
	})
	resp, err := c.send(timed, ctx, k, nil)
	if err != nil {
		end = ending(ctx, err)
		b.release()
		return nil, 0, err
	}
	b.fail = &Error{Op: k.op, Method: k.method, Path: apiRoot + k.path, Status: resp.StatusCode, Sent: true}
	if resp.StatusCode != http.StatusOK {
		defer b.release()
		defer resp.Body.Close()
		body, _ := readBounded(resp.Body, weightSmall) // what can be read explains
		k.as.explain(b.fail, resp, body)
		end = ending(ctx, b.fail)
		return nil, resp.StatusCode, b.fail
	}
	b.body, b.cause = resp.Body, func(err error) error { return causeOf(ctx, causeOf(timed, err)) }
	return b, resp.StatusCode, nil
}

// streamBody is an open download.
type streamBody struct {
	body    io.ReadCloser
	cause   func(error) error // what ended the stream, for an error of the body
	silence time.Duration
	watch   *time.Timer
	release func()
	fail    *Error
}

// Read puts the end off that silence would bring.
func (b *streamBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if n > 0 {
		b.watch.Reset(b.silence)
	}
	if err != nil && err != io.EOF {
		failed := *b.fail
		failed.Err = fmt.Errorf("read content: %w", b.cause(err))
		return n, &failed
	}
	return n, err
}

// Close ends the download and frees its place.
func (b *streamBody) Close() error {
	defer b.release()
	return b.body.Close()
}
