package apply

import (
	"context"
	"iter"

	"forager/enrich/claim"
	"forager/hive"
)

// Hive is what an apply needs of TheHive, in one organisation. *hive.Client satisfies it.
//
// Error contract: failures are *hive.Error, which tells a refusal (nothing happened) from an
// ambiguous answer (something may have happened).
type Hive interface {
	Cases
	Observables
	Procedures
	Comments
	Pages
	Files
	Relations
	Account
	FieldLister
	Alerts
	AlertLister
	QueuedAlerts
	QueuedItems
	QueuedFiles
}

// QueuedAlerts reads and changes alerts, and their comments.
type QueuedAlerts interface {
	Alert(ctx context.Context, id string) (hive.Alert, error)
	UpdateAlert(ctx context.Context, id string, u hive.AlertUpdate) error
	AddAlertComment(ctx context.Context, alertID, message string) (hive.Comment, error)
	AlertComments(ctx context.Context, alertID string) iter.Seq2[hive.Comment, error]
}

// QueuedItems reads and writes the observables and procedures of alerts.
type QueuedItems interface {
	AddAlertObservables(ctx context.Context, alertID string, o hive.NewObservable) (hive.ObservableResult, error)
	AlertObservables(ctx context.Context, id string) iter.Seq2[hive.Observable, error]
	AddAlertProcedures(ctx context.Context, alertID string, p []hive.NewProcedure) ([]hive.Procedure, error)
	AlertProcedures(ctx context.Context, alertID string) iter.Seq2[hive.Procedure, error]
}

// QueuedFiles reads and writes the files of alerts.
type QueuedFiles interface {
	AddAlertFile(ctx context.Context, alertID string, o hive.NewObservable, u hive.Upload) (hive.ObservableResult, error)
	AddAlertAttachments(ctx context.Context, alertID string, files ...hive.Upload) ([]hive.Attachment, error)
	AlertAttachments(ctx context.Context, alertID string) iter.Seq2[hive.Attachment, error]
}

// Alerts creates alerts and makes them parts of cases.
type Alerts interface {
	CreateAlert(ctx context.Context, n hive.NewAlert) (hive.Alert, error)
	AlertOf(ctx context.Context, kind, source, ref string) (hive.Alert, bool, error)
	PromoteAlert(ctx context.Context, id string, n hive.CaseFromAlert) (hive.Case, error)
	ImportAlert(ctx context.Context, id, caseID string) (hive.Case, error)
}

// AlertLister lists the alerts that are part of a case.
type AlertLister interface {
	CaseAlerts(ctx context.Context, caseID string) iter.Seq2[hive.Alert, error]
}

// FieldLister tells which custom fields cases can have, and which tags a template has: none where there is no such template.
type FieldLister interface {
	CustomFields(ctx context.Context) ([]hive.CustomField, error)
	TemplateTags(ctx context.Context, template string) ([]string, error)
}

// Account tells what the account may do in the organisation.
type Account interface {
	CurrentUser(ctx context.Context) (hive.User, error)
}

// Cases reads and writes cases.
type Cases interface {
	Case(ctx context.Context, idOrNumber string) (hive.Case, error)
	FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error]
	CreateCase(ctx context.Context, c hive.NewCase) (hive.Case, error)
	UpdateCase(ctx context.Context, id string, u hive.CaseUpdate) error
}

// Observables reads and writes the observables of a case.
type Observables interface {
	AddObservables(ctx context.Context, caseID string, o hive.NewObservable) (hive.ObservableResult, error)
	UpdateObservable(ctx context.Context, id string, u hive.ObservableUpdate) error
	CaseObservables(ctx context.Context, caseID string) iter.Seq2[hive.Observable, error]
}

// Procedures reads and writes the procedures of a case.
type Procedures interface {
	AddProcedures(ctx context.Context, caseID string, p []hive.NewProcedure) ([]hive.Procedure, error)
	CaseProcedures(ctx context.Context, caseID string) iter.Seq2[hive.Procedure, error]
}

// Comments reads and writes the comments of a case.
type Comments interface {
	AddComment(ctx context.Context, caseID, message string) (hive.Comment, error)
	UpdateComment(ctx context.Context, id, message string) error
	DeleteComment(ctx context.Context, id string) error
	CaseComments(ctx context.Context, caseID string) iter.Seq2[hive.Comment, error]
}

// Pages reads and writes the pages of a case.
type Pages interface {
	AddPage(ctx context.Context, caseID string, p hive.NewPage) (hive.Page, error)
	UpdatePage(ctx context.Context, caseID, pageID, content string) error
	DeletePage(ctx context.Context, caseID, pageID string) error
	CasePages(ctx context.Context, caseID string) iter.Seq2[hive.Page, error]
}

// Files reads and writes the files of a case.
type Files interface {
	AddFile(ctx context.Context, caseID string, o hive.NewObservable, u hive.Upload) (hive.ObservableResult, error)
	AddAttachments(ctx context.Context, caseID string, files ...hive.Upload) ([]hive.Attachment, error)
	CaseAttachments(ctx context.Context, caseID string) iter.Seq2[hive.Attachment, error]
}

// Relations finds cases by what they hold, and links them.
type Relations interface {
	OpenCasesWith(ctx context.Context, values ...hive.ObservableName) ([]hive.Case, error)
	CaseLinks(ctx context.Context, caseID string) ([]hive.Linked, error)
	LinkCases(ctx context.Context, caseID, otherID, kind string) error
}

var _ Hive = (*hive.Client)(nil)

// inAlert is TheHive where what is added to is an alert: it holds tags, levels, observables, procedures, comments and files as a
// case does, and they are posted and looked for alike. It has no pages, and its entry in the ledger says that it is one.
type inAlert struct{ Hive }

// inAlert is the turn where what is added to is an alert.
func (t *turn) inAlert() *turn {
	if _, is := t.hive.(inAlert); is {
		return t
	}
	on := *t
	on.hive = inAlert{t.hive}
	return &on
}

// addsToAlert tells whether what is added to is an alert.
func (t *turn) addsToAlert() bool {
	_, is := t.hive.(inAlert)
	return is
}

// heldBy is an alert as what holds items.
func heldBy(a hive.Alert) hive.Case {
	return hive.Case{
		ID: a.ID, Title: a.Title, Description: a.Description, Severity: a.Severity, TLP: a.TLP, PAP: a.PAP, StartDate: a.Date, Tags: a.Tags,
		CustomFields: a.CustomFields, Assignee: a.Assignee, Status: a.Status, Stage: a.Stage, EndDate: a.ClosedDate,
		CreatedAt: a.CreatedAt, CreatedBy: a.CreatedBy, UpdatedAt: a.UpdatedAt, UpdatedBy: a.UpdatedBy,
	}
}

func (h inAlert) Case(ctx context.Context, id string) (hive.Case, error) {
	a, err := h.Alert(ctx, id)
	return heldBy(a), err
}

func (h inAlert) UpdateCase(ctx context.Context, id string, u hive.CaseUpdate) error {
	return h.UpdateAlert(ctx, id, hive.AlertUpdate{Severity: u.Severity, TLP: u.TLP, PAP: u.PAP, AddTags: u.AddTags})
}

func (h inAlert) AddObservables(ctx context.Context, id string, o hive.NewObservable) (hive.ObservableResult, error) {
	return h.AddAlertObservables(ctx, id, o)
}

func (h inAlert) CaseObservables(ctx context.Context, id string) iter.Seq2[hive.Observable, error] {
	return h.AlertObservables(ctx, id)
}

func (h inAlert) AddProcedures(ctx context.Context, id string, p []hive.NewProcedure) ([]hive.Procedure, error) {
	return h.AddAlertProcedures(ctx, id, p)
}

func (h inAlert) CaseProcedures(ctx context.Context, id string) iter.Seq2[hive.Procedure, error] {
	return h.AlertProcedures(ctx, id)
}

func (h inAlert) AddComment(ctx context.Context, id, message string) (hive.Comment, error) {
	return h.AddAlertComment(ctx, id, message)
}

func (h inAlert) CaseComments(ctx context.Context, id string) iter.Seq2[hive.Comment, error] {
	return h.AlertComments(ctx, id)
}

func (h inAlert) AddFile(ctx context.Context, id string, o hive.NewObservable, u hive.Upload) (hive.ObservableResult, error) {
	return h.AddAlertFile(ctx, id, o, u)
}

func (h inAlert) AddAttachments(ctx context.Context, id string, files ...hive.Upload) ([]hive.Attachment, error) {
	return h.AddAlertAttachments(ctx, id, files...)
}

func (h inAlert) CaseAttachments(ctx context.Context, id string) iter.Seq2[hive.Attachment, error] {
	return h.AlertAttachments(ctx, id)
}

// calling gives the context for calls of TheHive under a claim: it ends when the claim is lost, but
// not when the worker stops, so that a running call may finish; no write starts after either.
func calling(ctx context.Context, cl *claim.Claim) (context.Context, func()) {
	calls, done := cl.Bind(context.WithoutCancel(ctx))
	return hive.WithGuard(calls, func() error {
		if ctx.Err() != nil {
			return claim.Ended(ctx)
		}
		return cl.Check()
	}), done
}
