package hive_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"forager/hive"
)

func contractComments(t *testing.T, c contract) {
	in := c.opened(t, hive.NewCase{Description: "d"})
	made, err := c.AddComment(t.Context(), in.ID, "first")
	must(t, err)
	twin, err := c.AddComment(t.Context(), in.ID, "first")
	must(t, err)
	if made.ID == twin.ID || made.Message != "first" || made.CreatedBy == "" || made.CreatedAt == 0 || made.Edited {
		t.Errorf("made %+v, twin %+v", made, twin)
	}
	must(t, c.UpdateComment(t.Context(), made.ID, "second"))
	must(t, c.DeleteComment(t.Context(), twin.ID))
	all := list(t, c.CaseComments(t.Context(), in.ID))
	if len(all) != 1 || all[0].ID != made.ID || all[0].Message != "second" || !all[0].Edited || all[0].UpdatedAt == 0 {
		t.Errorf("comments %+v", all)
	}
	wantStatus(t, c.DeleteComment(t.Context(), twin.ID), 404, "NotFoundError")
}

func contractProcedures(t *testing.T, c contract) {
	in := c.opened(t, hive.NewCase{Description: "d"})
	one := hive.NewProcedure{PatternID: "T1566.001", Tactic: "initial-access", Description: "d", OccurDate: 1700000000000}
	made, err := c.AddProcedure(t.Context(), in.ID, one)
	must(t, err)
	if made.PatternID != one.PatternID || made.Tactic != one.Tactic || made.TacticLabel != "Initial Access" || made.OccurDate != one.OccurDate || made.PatternName == "" {
		t.Errorf("made %+v", made)
	}
	more, err := c.AddProcedures(t.Context(), in.ID, []hive.NewProcedure{one, {PatternID: "T1566", OccurDate: 1700000000001}})
	must(t, err)
	if len(more) != 2 || more[0].ID == made.ID {
		t.Errorf("a double is a new procedure: %+v", more)
	}
	must(t, c.UpdateProcedure(t.Context(), made.ID, hive.ProcedureUpdate{Description: new("e"), OccurDate: new(hive.Millis(1700000000005))}))
	all := list(t, c.CaseProcedures(t.Context(), in.ID))
	i := slices.IndexFunc(all, func(p hive.Procedure) bool { return p.ID == made.ID })
	if len(all) != 3 || i < 0 || all[i].Description != "e" || all[i].OccurDate != 1700000000005 {
		t.Fatalf("procedures %+v", all)
	}
	if i := slices.IndexFunc(all, func(p hive.Procedure) bool { return p.PatternID == "T1566" }); i < 0 || all[i].Tactic != "initial-access" {
		t.Errorf("the only tactic of a technique is filled in since 5.2.6: %+v", all)
	}
	found := list(t, c.Procedures(t.Context(), hive.Query{Filter: hive.ID(made.ID)}))
	if len(found) != 1 || found[0].ID != made.ID {
		t.Errorf("found %+v", found)
	}
	must(t, c.DeleteProcedure(t.Context(), made.ID))
	must(t, c.DeleteProcedures(t.Context(), more[0].ID, more[1].ID))
	if left := list(t, c.CaseProcedures(t.Context(), in.ID)); len(left) != 0 {
		t.Errorf("left %+v", left)
	}
	_, err = c.AddProcedure(t.Context(), in.ID, hive.NewProcedure{PatternID: "T9999", OccurDate: 1})
	wantStatus(t, err, 404, "NotFoundError")
}

func contractParts(t *testing.T, c contract) {
	in := c.opened(t, hive.NewCase{Description: "d"})
	task, err := c.AddTask(t.Context(), in.ID, hive.NewTask{Title: "t", Description: "d", Mandatory: true, DueDate: 1900000000000})
	must(t, err)
	if task.Group != "default" || task.Status != "Waiting" || !task.Mandatory || task.DueDate != 1900000000000 {
		t.Errorf("task %+v", task)
	}
	page, err := c.AddPage(t.Context(), in.ID, hive.NewPage{Title: "p", Content: "c", Category: "k", Order: 2})
	must(t, err)
	if page.Order != 2 || page.Category != "k" {
		t.Errorf("page %+v", page)
	}
	if tasks, pages := list(t, c.CaseTasks(t.Context(), in.ID)), list(t, c.CasePages(t.Context(), in.ID)); len(tasks) != 1 || tasks[0].ID != task.ID || len(pages) != 1 || pages[0].ID != page.ID {
		t.Errorf("tasks %+v pages %+v", tasks, pages)
	}
}

func contractAttachments(t *testing.T, c contract) {
	in := c.opened(t, hive.NewCase{Description: "d"})
	made, err := c.AddAttachments(t.Context(), in.ID,
		hive.Upload{Name: "a.txt", ContentType: "text/plain", Body: strings.NewReader("one")}, hive.Upload{Name: "a.txt", Body: strings.NewReader("two"), Size: 3})
	must(t, err)
	if len(made) != 2 || made[0].Name == made[1].Name {
		t.Fatalf("a taken name is changed: %+v", made)
	}
	for i, want := range []string{"one", "two"} {
		body, err := c.Download(t.Context(), in.ID, made[i].ID)
		must(t, err)
		got, err := io.ReadAll(body)
		must(t, errors.Join(err, body.Close()))
		if string(got) != want {
			t.Errorf("downloaded %q, want %q", got, want)
		}
	}
	if all := list(t, c.CaseAttachments(t.Context(), in.ID)); len(all) != 2 {
		t.Errorf("attachments %+v", all)
	}
	must(t, c.DeleteAttachment(t.Context(), in.ID, made[0].ID))
	if all := list(t, c.CaseAttachments(t.Context(), in.ID)); len(all) != 1 || all[0].ID != made[1].ID {
		t.Errorf("left %+v", all)
	}
}

func contractAbsent(t *testing.T, c contract) {
	const nobody = "~999999999"
	_, err := c.Case(t.Context(), "999999999")
	wantStatus(t, err, 404, "NotFoundError")
	wantStatus(t, c.DeleteCase(t.Context(), nobody), 404, "NotFoundError")
	_, err = c.AddComment(t.Context(), nobody, "m")
	wantStatus(t, err, 404, "NotFoundError")
	_, err = c.AddProcedures(t.Context(), nobody, []hive.NewProcedure{{PatternID: "T1566", OccurDate: 1}})
	wantStatus(t, err, 404, "NotFoundError")
	if all := list(t, c.CaseObservables(t.Context(), nobody)); len(all) != 0 {
		t.Errorf("observables of no case: %+v", all)
	}
}
