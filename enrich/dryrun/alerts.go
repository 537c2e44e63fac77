package dryrun

import (
	"context"
	"iter"

	"forager/hive"
)

// CreateAlert keeps an alert until it is said what becomes of it. One of its name that TheHive has is not looked for: what
// would be found under it is told as if it were made.
func (s *staged) CreateAlert(_ context.Context, n hive.NewAlert) (hive.Alert, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.id()
	s.alerts[id] = n
	return hive.Alert{ID: id, Type: n.Type, Source: n.Source, SourceRef: n.SourceRef, Title: n.Title, Date: n.Date, Tags: n.Tags}, nil
}

// AlertOf finds none: nothing is ever in the way of CreateAlert.
func (*staged) AlertOf(context.Context, string, string, string) (hive.Alert, bool, error) {
	return hive.Alert{}, false, nil
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
	s.draft(caseID).note(s.Recorder, kindAlert, n.SourceRef+" "+how)
	s.mu.Unlock()
	for _, o := range n.Observables {
		if _, err := s.AddObservables(ctx, caseID, o); err != nil {
			return err
		}
	}
	if len(n.Procedures) == 0 {
		return nil
	}
	_, err := s.AddProcedures(ctx, caseID, n.Procedures)
	return err
}

// CaseAlerts are TheHive's; of a case that would be new, none.
func (s *staged) CaseAlerts(ctx context.Context, caseID string) iter.Seq2[hive.Alert, error] {
	if _, fresh := s.isNew(caseID); fresh {
		return func(func(hive.Alert, error) bool) {}
	}
	return s.real.CaseAlerts(ctx, caseID)
}
