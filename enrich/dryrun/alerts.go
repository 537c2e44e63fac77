package dryrun

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"slices"

	"forager/enrich"
	"forager/enrich/alert"
	"forager/hive"
)

// CreateAlert keeps an alert until it is said what becomes of it; one for the queue is noted with what it brings. One that
// TheHive has is refused as there.
func (s *staged) CreateAlert(ctx context.Context, n hive.NewAlert) (hive.Alert, error) {
	if _, found, err := s.real.AlertOf(ctx, n.Type, n.Source, n.SourceRef); err != nil || found {
		return hive.Alert{}, cmp.Or(err, error(&hive.Error{
			Op: "create alert", Status: http.StatusBadRequest, Type: "CreateError", Sent: true,
			Message: "Alert " + n.Type + ":" + n.Source + ":" + n.SourceRef + " already exist",
		}))
	}
	s.mu.Lock()
	id := s.id()
	s.alerts[id] = n
	a := hive.Alert{
		ID: id, Type: n.Type, Source: n.Source, SourceRef: n.SourceRef, Title: n.Title, Description: n.Description, Date: n.Date, Tags: n.Tags,
		Severity: known(n.Severity), TLP: known(n.TLP), PAP: known(n.PAP), CustomFields: n.CustomFields, Status: "New", Stage: "New",
	}
	s.mu.Unlock()
	if n.Type == alert.Type && n.Source == alert.Source && !s.queued(n) {
		return a, nil
	}
	s.mu.Lock()
	d := s.draft(id)
	d.name = "new alert " + n.SourceRef
	d.note(ctx, s.Recorder, kindAlert, n.Title)
	s.mu.Unlock()
	return a, s.items(ctx, id, n)
}

// queued tells an alert for the queue, whatever its type, from those that come into cases.
func (*staged) queued(n hive.NewAlert) bool {
	return slices.Contains(n.Tags, enrich.TagPrefix+"overflow")
}

// Alert gives an alert with what would have changed in it.
func (s *staged) Alert(ctx context.Context, id string) (hive.Alert, error) {
	s.mu.Lock()
	n, fresh := s.alerts[id]
	s.mu.Unlock()
	if fresh {
		return hive.Alert{
			ID: id, Type: n.Type, Source: n.Source, SourceRef: n.SourceRef, Title: n.Title, Description: n.Description, Date: n.Date, Tags: n.Tags,
			Severity: known(n.Severity), TLP: known(n.TLP), PAP: known(n.PAP), Stage: "New",
		}, nil
	}
	a, err := s.real.Alert(ctx, id)
	if err == nil {
		s.mu.Lock()
		s.draft(id).name = "alert " + a.SourceRef
		s.mu.Unlock()
	}
	return a, err
}

// UpdateAlert notes what would change.
func (s *staged) UpdateAlert(ctx context.Context, id string, u hive.AlertUpdate) error {
	return s.UpdateCase(ctx, id, hive.CaseUpdate{Severity: u.Severity, TLP: u.TLP, PAP: u.PAP, AddTags: u.AddTags})
}

// AddAlertObservables notes them all: of an alert nothing is listed here.
func (s *staged) AddAlertObservables(ctx context.Context, id string, o hive.NewObservable) (result hive.ObservableResult, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.draft(id)
	for _, data := range o.Data {
		made := hive.Observable{ID: s.id(), DataType: o.DataType, Data: data, Tags: o.Tags}
		d.observables = append(d.observables, made)
		d.note(ctx, s.Recorder, kindObservable, o.DataType+" "+enrich.Excerpt(data))
		result.Created = append(result.Created, made)
	}
	return result, nil
}

// AddAlertProcedures notes them.
func (s *staged) AddAlertProcedures(ctx context.Context, id string, p []hive.NewProcedure) ([]hive.Procedure, error) {
	return s.AddProcedures(ctx, id, p)
}

// AddAlertComment notes a comment.
func (s *staged) AddAlertComment(ctx context.Context, id, message string) (hive.Comment, error) {
	return s.AddComment(ctx, id, message)
}

// AddAlertFile notes a file.
func (s *staged) AddAlertFile(ctx context.Context, id string, o hive.NewObservable, u hive.Upload) (hive.ObservableResult, error) {
	return s.AddFile(ctx, id, o, u)
}

// AddAlertAttachments notes files.
func (s *staged) AddAlertAttachments(ctx context.Context, id string, files ...hive.Upload) ([]hive.Attachment, error) {
	return s.AddAttachments(ctx, id, files...)
}

// AlertObservables are TheHive's and those that would be there, and so are the others.
func (s *staged) AlertObservables(ctx context.Context, id string) iter.Seq2[hive.Observable, error] {
	return inAlert(s, id, func() iter.Seq2[hive.Observable, error] { return s.real.AlertObservables(ctx, id) },
		func(d *draft) []hive.Observable { return d.observables })
}

func (s *staged) AlertProcedures(ctx context.Context, id string) iter.Seq2[hive.Procedure, error] {
	return inAlert(s, id, func() iter.Seq2[hive.Procedure, error] { return s.real.AlertProcedures(ctx, id) },
		func(d *draft) []hive.Procedure { return d.procedures })
}

func (s *staged) AlertComments(ctx context.Context, id string) iter.Seq2[hive.Comment, error] {
	return inAlert(s, id, func() iter.Seq2[hive.Comment, error] { return s.real.AlertComments(ctx, id) },
		func(d *draft) []hive.Comment { return d.comments })
}

func (s *staged) AlertAttachments(ctx context.Context, id string) iter.Seq2[hive.Attachment, error] {
	return inAlert(s, id, func() iter.Seq2[hive.Attachment, error] { return s.real.AlertAttachments(ctx, id) },
		func(d *draft) []hive.Attachment { return d.files })
}

// inAlert gives what TheHive lists of an alert that is there, and then what the draft holds.
func inAlert[T any](s *staged, id string, list func() iter.Seq2[T, error], drafted func(*draft) []T) iter.Seq2[T, error] {
	s.mu.Lock()
	_, fresh := s.alerts[id]
	s.mu.Unlock()
	if fresh {
		list = func() iter.Seq2[T, error] { return func(func(T, error) bool) {} }
	}
	return behind(s, id, list, drafted)
}

// AlertOf finds what TheHive has of a name.
func (s *staged) AlertOf(ctx context.Context, kind, source, ref string) (hive.Alert, bool, error) {
	return s.real.AlertOf(ctx, kind, source, ref)
}

// PromoteAlert notes a case with what its alert brings.
func (s *staged) PromoteAlert(ctx context.Context, id string, n hive.CaseFromAlert) (hive.Case, error) {
	c, err := s.CreateCase(ctx, hive.NewCase{
		Title: n.Title, Description: n.Description, Severity: n.Severity, TLP: n.TLP, PAP: n.PAP, StartDate: n.StartDate, Tags: n.Tags,
		CustomFields: n.CustomFields, Tasks: n.Tasks, Pages: n.Pages, Assignee: n.Assignee, CaseTemplate: n.CaseTemplate,
	})
	if err != nil {
		return c, err
	}
	return c, s.bring(ctx, id, c.ID, "becomes the case")
}

// ImportAlert notes what an alert brings into a case.
func (s *staged) ImportAlert(ctx context.Context, id, caseID string) (hive.Case, error) {
	c, _ := s.isNew(caseID)
	return c, s.bring(ctx, id, caseID, "is imported")
}

// bring notes an alert, and what it brings.
func (s *staged) bring(ctx context.Context, id, caseID, how string) error {
	s.mu.Lock()
	n := s.alerts[id]
	s.draft(caseID).note(ctx, s.Recorder, kindAlert, n.SourceRef+" "+how)
	s.mu.Unlock()
	return s.items(ctx, caseID, n)
}

// items notes what an alert brings to where it is.
func (s *staged) items(ctx context.Context, to string, n hive.NewAlert) error {
	add := s.AddObservables
	if _, isCase := s.isNew(to); !isCase && s.isAlert(to) {
		add = s.AddAlertObservables
	}
	for _, o := range n.Observables {
		if _, err := add(ctx, to, o); err != nil {
			return err
		}
	}
	if len(n.Procedures) == 0 {
		return nil
	}
	_, err := s.AddProcedures(ctx, to, n.Procedures)
	return err
}

// isAlert tells whether an id is that of an alert that would be created.
func (s *staged) isAlert(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.alerts[id]
	return is
}

// CaseAlerts are TheHive's; of a case that would be new, none.
func (s *staged) CaseAlerts(ctx context.Context, caseID string) iter.Seq2[hive.Alert, error] {
	if _, fresh := s.isNew(caseID); fresh {
		return func(func(hive.Alert, error) bool) {}
	}
	return s.real.CaseAlerts(ctx, caseID)
}
