package hive_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"forager/hive"
)

// hostileIDs are no ids of anything.
var hostileIDs = []string{
	"", " ", "~", "~1 ", " ~1", "~x", "../", "~1/../..", "~1%2f..", "%7e1", "~1?x=y", "~1#", "~1/", "/~1", "~-1", "-1", "0", "01", "1e3",
	"~1\n", "~1\x00", "~１", "~" + strings.Repeat("9", 21), strings.Repeat("9", 11), "_bulk", "_merge", "case", "~1,~2", "T1566/..", "T1566..", "T 1", ".", "..",
}

func TestHostileIDsAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(200, `{}`))
	for op, call := range idCalls() {
		for _, id := range hostileIDs {
			if op == "pattern" && (id == "0" || id == "01" || id == "1e3" || id == "case" || strings.HasPrefix(id, "9")) {
				continue // may be the name of somebody's own pattern, and is harmless
			}
			if err := call(t.Context(), c, id); !errors.Is(err, hive.ErrInvalid) {
				t.Errorf("%s %q: %v", op, id, err)
			} else if _, ok := errors.AsType[*hive.InvalidError](err); !ok {
				t.Errorf("%s %q: %T", op, id, err)
			} else if strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("%s %q: shown raw", op, id)
			}
		}
	}
	if n := len(log.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// idCalls is every method that takes an id.
func idCalls() map[string]func(context.Context, *hive.Client, string) error {
	type f = func(context.Context, *hive.Client, string) error
	second := func(_ any, err error) error { return err }
	up := hive.Upload{Name: "f", Body: strings.NewReader("x")}
	return map[string]f{
		"case": func(ctx context.Context, c *hive.Client, id string) error { return second(c.Case(ctx, id)) },
		"update case": func(ctx context.Context, c *hive.Client, id string) error {
			return c.UpdateCase(ctx, id, hive.CaseUpdate{Flag: new(true)})
		},
		"update cases": func(ctx context.Context, c *hive.Client, id string) error {
			return c.UpdateCases(ctx, []string{"~1", id}, hive.CaseUpdate{Flag: new(true)})
		},
		"merge":       func(ctx context.Context, c *hive.Client, id string) error { return second(c.MergeCases(ctx, "~1", id)) },
		"delete case": func(ctx context.Context, c *hive.Client, id string) error { return c.DeleteCase(ctx, id) },
		"add observables": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.AddObservables(ctx, id, hive.NewObservable{DataType: "ip", Data: []string{"x"}}))
		},
		"add file": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.AddFile(ctx, id, hive.NewObservable{DataType: "file"}, up))
		},
		"observables": func(ctx context.Context, c *hive.Client, id string) error {
			return second(collect(c.CaseObservables(ctx, id)))
		},
		"update observable": func(ctx context.Context, c *hive.Client, id string) error {
			return c.UpdateObservable(ctx, id, hive.ObservableUpdate{IOC: new(true)})
		},
		"delete observable": func(ctx context.Context, c *hive.Client, id string) error { return c.DeleteObservable(ctx, id) },
		"add comment":       func(ctx context.Context, c *hive.Client, id string) error { return second(c.AddComment(ctx, id, "m")) },
		"comments": func(ctx context.Context, c *hive.Client, id string) error {
			return second(collect(c.CaseComments(ctx, id)))
		},
		"update comment": func(ctx context.Context, c *hive.Client, id string) error { return c.UpdateComment(ctx, id, "m") },
		"delete comment": func(ctx context.Context, c *hive.Client, id string) error { return c.DeleteComment(ctx, id) },
		"add procedure": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.AddProcedure(ctx, id, hive.NewProcedure{PatternID: "T1", OccurDate: 1}))
		},
		"add procedures": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.AddProcedures(ctx, id, []hive.NewProcedure{{PatternID: "T1", OccurDate: 1}}))
		},
		"procedures": func(ctx context.Context, c *hive.Client, id string) error {
			return second(collect(c.CaseProcedures(ctx, id)))
		},
		"update procedure": func(ctx context.Context, c *hive.Client, id string) error {
			return c.UpdateProcedure(ctx, id, hive.ProcedureUpdate{Tactic: new("x")})
		},
		"delete procedure":  func(ctx context.Context, c *hive.Client, id string) error { return c.DeleteProcedure(ctx, id) },
		"delete procedures": func(ctx context.Context, c *hive.Client, id string) error { return c.DeleteProcedures(ctx, "~1", id) },
		"add task": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.AddTask(ctx, id, hive.NewTask{Title: "t"}))
		},
		"tasks": func(ctx context.Context, c *hive.Client, id string) error {
			return second(collect(c.CaseTasks(ctx, id)))
		},
		"add page": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.AddPage(ctx, id, hive.NewPage{Title: "t", Category: "c"}))
		},
		"pages": func(ctx context.Context, c *hive.Client, id string) error {
			return second(collect(c.CasePages(ctx, id)))
		},
		"pattern": func(ctx context.Context, c *hive.Client, id string) error { return second(c.Pattern(ctx, id)) },
		"add attachments": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.AddAttachments(ctx, id, up))
		},
		"attachments": func(ctx context.Context, c *hive.Client, id string) error {
			return second(collect(c.CaseAttachments(ctx, id)))
		},
		"delete attachment": func(ctx context.Context, c *hive.Client, id string) error { return c.DeleteAttachment(ctx, "~1", id) },
		"download, case":    func(ctx context.Context, c *hive.Client, id string) error { return second(c.Download(ctx, id, "~1")) },
		"download":          func(ctx context.Context, c *hive.Client, id string) error { return second(c.Download(ctx, "~1", id)) },
		"download of": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.DownloadObservable(ctx, id, "~1"))
		},
		"download of, which": func(ctx context.Context, c *hive.Client, id string) error {
			return second(c.DownloadObservable(ctx, "~1", id))
		},
	}
}

func TestWhatTheServerWouldRefuseIsRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(200, `{}`))
	long := func(n int) string { return strings.Repeat("x", n+1) }
	newCase := func(n hive.NewCase) error { _, err := c.CreateCase(t.Context(), n); return err }
	update := func(u hive.CaseUpdate) error { return c.UpdateCase(t.Context(), "1", u) }
	observe := func(o hive.NewObservable) error { _, err := c.AddObservables(t.Context(), "1", o); return err }
	proceed := func(p hive.NewProcedure) error { _, err := c.AddProcedure(t.Context(), "1", p); return err }
	for name, err := range map[string]error{
		"no title":              newCase(hive.NewCase{}),
		"long title":            newCase(hive.NewCase{Title: long(hive.MaxTitle)}),
		"title of emoji":        newCase(hive.NewCase{Title: strings.Repeat("😀", 257)}),
		"title is no text":      newCase(hive.NewCase{Title: "\xff"}),
		"long description":      newCase(hive.NewCase{Title: "t", Description: long(hive.MaxText)}),
		"long tag":              newCase(hive.NewCase{Title: "t", Tags: []string{"ok", long(hive.MaxTag)}}),
		"empty tag":             newCase(hive.NewCase{Title: "t", Tags: []string{""}}),
		"severity 0":            newCase(hive.NewCase{Title: "t", Severity: new(0)}),
		"severity 5":            newCase(hive.NewCase{Title: "t", Severity: new(5)}),
		"tlp 5":                 newCase(hive.NewCase{Title: "t", TLP: new(5)}),
		"pap -1":                newCase(hive.NewCase{Title: "t", PAP: new(-1)}),
		"before 1970":           newCase(hive.NewCase{Title: "t", StartDate: -1}),
		"task without title":    newCase(hive.NewCase{Title: "t", Tasks: []hive.NewTask{{}}}),
		"page without category": newCase(hive.NewCase{Title: "t", Pages: []hive.NewPage{{Title: "p"}}}),
		"field without name":    newCase(hive.NewCase{Title: "t", CustomFields: []hive.CustomField{{Value: 1}}}),
		"field twice":           newCase(hive.NewCase{Title: "t", CustomFields: []hive.CustomField{{Name: "a"}, {Name: "a"}}}),
		"field with an object":  newCase(hive.NewCase{Title: "t", CustomFields: []hive.CustomField{{Name: "a", Value: map[string]int{}}}}),
		"empty update":          update(hive.CaseUpdate{}),
		"empty status":          update(hive.CaseUpdate{Status: new("")}),
		"clear a title":         update(hive.CaseUpdate{Clear: []hive.Clearable{"title"}}),
		"set and clear":         update(hive.CaseUpdate{Summary: new("s"), Clear: []hive.Clearable{hive.ClearSummary}}),
		"no cases":              c.UpdateCases(t.Context(), nil, hive.CaseUpdate{Flag: new(true)}),
		"no data":               observe(hive.NewObservable{DataType: "ip"}),
		"empty value":           observe(hive.NewObservable{DataType: "ip", Data: []string{""}}),
		"long value":            observe(hive.NewObservable{DataType: "ip", Data: []string{"ok", long(hive.MaxValue)}}),
		"no type":               observe(hive.NewObservable{Data: []string{"x"}}),
		"no pattern":            proceed(hive.NewProcedure{OccurDate: 1}),
		"no date":               proceed(hive.NewProcedure{PatternID: "T1"}),
		"long tactic":           proceed(hive.NewProcedure{PatternID: "T1", OccurDate: 1, Tactic: long(hive.MaxTactic)}),
		"one case to merge":     second(c.MergeCases(t.Context(), "~1", "~1")),
		"empty comment":         second(c.AddComment(t.Context(), "1", "")),
		"long comment":          c.UpdateComment(t.Context(), "~1", long(hive.MaxText)),
		"no procedures":         second(c.AddProcedures(t.Context(), "1", nil)),
		"nothing to delete":     c.DeleteProcedures(t.Context()),
		"no attachment":         second(c.AddAttachments(t.Context(), "1")),
		"negative skip":         second(collect(c.FindCases(t.Context(), hive.Query{Skip: -1}))),
		"negative page":         second(collect(c.FindCases(t.Context(), hive.Query{PageSize: -1}))),
		"sort by nothing":       second(collect(c.FindCases(t.Context(), hive.Query{Sort: []hive.Sort{{}}}))),
	} {
		if _, ok := errors.AsType[*hive.InvalidError](err); !ok || !errors.Is(err, hive.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: error of %d bytes", name, len(err.Error()))
		}
	}
	if n := len(log.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// second drops a result.
func second[T any](_ T, err error) error { return err }

func TestTextsAtTheirLimitPass(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, answer(201, `{"_id":"~1"}`))
	_, err := c.CreateCase(t.Context(), hive.NewCase{
		Title: strings.Repeat("😀", hive.MaxTitle/2), Description: strings.Repeat("d", hive.MaxText),
		Tags: []string{strings.Repeat("日", hive.MaxTag)}, TLP: new(4), PAP: new(3), Severity: new(4),
	})
	if err != nil {
		t.Error(err)
	}
}
