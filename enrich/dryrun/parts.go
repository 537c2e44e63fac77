package dryrun

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"maps"
	"slices"

	"forager/enrich"
	"forager/hive"
)

// AddObservables notes those that the case lacks: TheHive refuses the others by itself.
func (s *staged) AddObservables(ctx context.Context, caseID string, o hive.NewObservable) (hive.ObservableResult, error) {
	if err := s.look(ctx, caseID); err != nil {
		return hive.ObservableResult{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.draft(caseID)
	var result hive.ObservableResult
	for _, data := range o.Data {
		name := observableName(o.DataType, data)
		if d.there[name] {
			result.Refused = append(result.Refused, hive.RefusedObservable{Data: data, Type: "CreateError", Message: "Observable already exists"})
			continue
		}
		made := hive.Observable{ID: s.id(), DataType: o.DataType, Data: data, Tags: o.Tags, Message: o.Message}
		d.there[name] = true
		d.observables = append(d.observables, made)
		d.note(ctx, s.Recorder, kindObservable, o.DataType+" "+enrich.Excerpt(data))
		result.Created = append(result.Created, made)
	}
	return result, nil
}

// UpdateObservable notes nothing: a file's second name is no effect of its own.
func (s *staged) UpdateObservable(context.Context, string, hive.ObservableUpdate) error {
	return nil
}

// look lists a case's observables once.
func (s *staged) look(ctx context.Context, caseID string) error {
	s.mu.Lock()
	d := s.draft(caseID)
	listed := d.listed || d.isNew
	s.mu.Unlock()
	there := map[string]bool{}
	if !listed {
		for o, err := range s.real.CaseObservables(ctx, caseID) {
			if err != nil {
				return err
			}
			there[observableName(o.DataType, o.Data)] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.there == nil {
		d.there = map[string]bool{}
	}
	maps.Copy(d.there, there)
	d.listed = true
	return nil
}

// AddProcedures notes them all: TheHive takes doubles, so whoever calls has looked.
func (s *staged) AddProcedures(ctx context.Context, caseID string, all []hive.NewProcedure) ([]hive.Procedure, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.draft(caseID)
	var made []hive.Procedure
	for _, p := range all {
		made = append(made, hive.Procedure{ID: s.id(), PatternID: p.PatternID, Tactic: p.Tactic, OccurDate: p.OccurDate, Description: p.Description})
		d.note(ctx, s.Recorder, kindProcedure, p.PatternID+"/"+p.Tactic)
	}
	d.procedures = append(d.procedures, made...)
	return made, nil
}

// AddComment notes a comment.
func (s *staged) AddComment(ctx context.Context, caseID, message string) (hive.Comment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.draft(caseID)
	c := hive.Comment{ID: s.id(), Message: message}
	d.comments = append(d.comments, c)
	d.note(ctx, s.Recorder, kindComment, enrich.Excerpt(message))
	return c, nil
}

// UpdateComment does nothing: a comment's numbers are no effect.
func (s *staged) UpdateComment(context.Context, string, string) error { return nil }

// DeleteComment does nothing: that of a second digest is no effect.
func (s *staged) DeleteComment(context.Context, string) error { return nil }

// AddPage notes nothing: the page of detections is no effect.
func (s *staged) AddPage(_ context.Context, _ string, p hive.NewPage) (hive.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return hive.Page{ID: s.id(), Title: p.Title, Category: p.Category, Content: p.Content}, nil
}

// UpdatePage does nothing, as above.
func (s *staged) UpdatePage(context.Context, string, string, string) error { return nil }

// DeletePage does nothing, as above.
func (s *staged) DeletePage(context.Context, string, string) error { return nil }

// CasePages lists those of TheHive; of a case that would be new, none.
func (s *staged) CasePages(ctx context.Context, caseID string) iter.Seq2[hive.Page, error] {
	if _, fresh := s.isNew(caseID); fresh {
		return func(func(hive.Page, error) bool) {}
	}
	return s.real.CasePages(ctx, caseID)
}

// OpenCasesWith finds none: whom a case is linked with is no effect of a detection.
func (s *staged) OpenCasesWith(context.Context, ...hive.ObservableName) ([]hive.Case, error) {
	return nil, nil
}

// CaseLinks lists none, as above.
func (s *staged) CaseLinks(context.Context, string) ([]hive.Linked, error) { return nil, nil }

// LinkCases does nothing, as above.
func (s *staged) LinkCases(context.Context, string, string, string) error { return nil }

// AddFile notes a file as an observable.
func (s *staged) AddFile(ctx context.Context, caseID string, _ hive.NewObservable, u hive.Upload) (hive.ObservableResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := s.stored(u)
	if err != nil {
		return hive.ObservableResult{}, err
	}
	s.draft(caseID).note(ctx, s.Recorder, kindFile, u.Name)
	return hive.ObservableResult{Created: []hive.Observable{{ID: s.id(), DataType: "file", Attachment: &file}}}, nil
}

// stored is what TheHive would say of a file. The lock is held.
func (s *staged) stored(u hive.Upload) (hive.Attachment, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, u.Body)
	return hive.Attachment{ID: s.id(), ContentID: hex.EncodeToString(sum.Sum(nil)), Name: u.Name, Size: n}, err
}

// AddAttachments notes files as attachments.
func (s *staged) AddAttachments(ctx context.Context, caseID string, files ...hive.Upload) ([]hive.Attachment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var made []hive.Attachment
	for _, u := range files {
		file, err := s.stored(u)
		if err != nil {
			return nil, err
		}
		made = append(made, file)
		s.draft(caseID).note(ctx, s.Recorder, kindFile, u.Name)
	}
	return made, nil
}

// CaseObservables are TheHive's and those that would be there.
func (s *staged) CaseObservables(ctx context.Context, caseID string) iter.Seq2[hive.Observable, error] {
	return behind(s, caseID, func() iter.Seq2[hive.Observable, error] { return s.real.CaseObservables(ctx, caseID) },
		func(d *draft) []hive.Observable { return d.observables })
}

// CaseProcedures are TheHive's and those that would be there.
func (s *staged) CaseProcedures(ctx context.Context, caseID string) iter.Seq2[hive.Procedure, error] {
	return behind(s, caseID, func() iter.Seq2[hive.Procedure, error] { return s.real.CaseProcedures(ctx, caseID) },
		func(d *draft) []hive.Procedure { return d.procedures })
}

// CaseComments are TheHive's and those that would be there.
func (s *staged) CaseComments(ctx context.Context, caseID string) iter.Seq2[hive.Comment, error] {
	return behind(s, caseID, func() iter.Seq2[hive.Comment, error] { return s.real.CaseComments(ctx, caseID) },
		func(d *draft) []hive.Comment { return d.comments })
}

// CaseAttachments are TheHive's.
func (s *staged) CaseAttachments(ctx context.Context, caseID string) iter.Seq2[hive.Attachment, error] {
	return behind(s, caseID, func() iter.Seq2[hive.Attachment, error] { return s.real.CaseAttachments(ctx, caseID) },
		func(d *draft) []hive.Attachment { return d.files })
}

// behind gives what TheHive lists of a case that is there, and then what the draft holds.
func behind[T any](s *staged, id string, list func() iter.Seq2[T, error], drafted func(*draft) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if _, fresh := s.isNew(id); !fresh {
			for item, err := range list() {
				if !yield(item, err) || err != nil {
					return
				}
			}
		}
		s.mu.Lock()
		more := slices.Clone(drafted(s.draft(id)))
		s.mu.Unlock()
		for _, item := range more {
			if !yield(item, nil) {
				return
			}
		}
	}
}

// Kinds of effects that are items of a case.
const (
	kindObservable = "observable"
	kindProcedure  = "procedure"
	kindComment    = "comment"
	kindFile       = "file"
	kindAlert      = "alert"
)

// observableName is what an observable is known by.
func observableName(dataType, data string) string { return dataType + "\x00" + data }
