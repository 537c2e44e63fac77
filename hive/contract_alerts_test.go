package hive_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/hive"
)

// alerted creates an alert that the test deletes at its end.
func (c contract) alerted(t *testing.T, ref string) hive.Alert {
	t.Helper()
	made, err := c.CreateAlert(t.Context(), hive.NewAlert{
		Type: "contract", Source: "suite", SourceRef: c.marker + ref, Title: "alert " + ref, Description: "d", Severity: new(3), Date: 1700000000000,
		Tags: []string{c.marker}, ExternalLink: "https://siem.example/" + ref,
		Observables: []hive.NewObservable{{DataType: "ip", Data: []string{"192.0.2.1", "192.0.2.2"}}, {DataType: "domain", Data: []string{"a.example"}, IOC: true}},
		Procedures:  []hive.NewProcedure{{PatternID: "T1566.001", Tactic: "initial-access", OccurDate: 1700000000000}},
	})
	must(t, err)
	t.Cleanup(func() { _ = c.DeleteAlert(context.WithoutCancel(t.Context()), made.ID) })
	return made
}

func contractAlerts(t *testing.T, c contract) {
	one, two := c.alerted(t, "1"), c.alerted(t, "2")
	if one.Severity != 3 || one.Date != 1700000000000 || one.Stage != "New" || !one.Follow || one.CaseID != "" || one.ExternalLink != "https://siem.example/1" {
		t.Errorf("created %+v", one)
	}
	_, err := c.CreateAlert(t.Context(), hive.NewAlert{Type: "contract", Source: "suite", SourceRef: c.marker + "1", Title: "again"})
	if e, ok := errors.AsType[*hive.Error](err); !ok || !e.Exists() || !e.Refused() {
		t.Errorf("a second alert of one name: %v", err)
	}
	got, found, err := c.AlertOf(t.Context(), "contract", "suite", c.marker+"1")
	must(t, err)
	if !found || got.ID != one.ID || got.ObservableCount != 3 {
		t.Errorf("found %t %+v", found, got)
	}
	if _, found, err := c.AlertOf(t.Context(), "contract", "suite", c.marker+"none"); found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
	if all := list(t, c.AlertObservables(t.Context(), one.ID)); len(all) != 3 {
		t.Errorf("observables %+v", all)
	}
	if all := list(t, c.AlertProcedures(t.Context(), one.ID)); len(all) != 1 || all[0].PatternID != "T1566.001" {
		t.Errorf("procedures %+v", all)
	}
	must(t, c.UpdateAlert(t.Context(), one.ID, hive.AlertUpdate{Title: new("renamed"), AddTags: []string{"new"}, Severity: new(4)}))
	must(t, c.UpdateAlerts(t.Context(), []string{one.ID, two.ID}, hive.AlertUpdate{Summary: new("s")}))
	must(t, c.UnfollowAlert(t.Context(), one.ID))
	got, err = c.Alert(t.Context(), one.ID)
	must(t, err)
	if got.Title != "renamed" || got.Severity != 4 || got.Summary != "s" || got.Follow || !slices.Contains(got.Tags, "new") || got.UpdatedAt == 0 {
		t.Errorf("updated %+v", got)
	}
	must(t, c.FollowAlert(t.Context(), one.ID))
	if n, err := c.CountAlerts(t.Context(), hive.Eq("tags", c.marker)); n != 2 || err != nil {
		t.Errorf("%d alerts, %v", n, err)
	}
	must(t, c.DeleteAlerts(t.Context(), one.ID, two.ID))
	_, err = c.Alert(t.Context(), one.ID)
	wantStatus(t, err, 404, "NotFoundError")
}

func contractAlertParts(t *testing.T, c contract) {
	a := c.alerted(t, "parts")
	added, err := c.AddAlertObservables(t.Context(), a.ID, hive.NewObservable{DataType: "ip", Data: []string{"192.0.2.1", "192.0.2.3"}})
	must(t, err)
	if len(added.Created) != 1 || len(added.Refused) != 1 || !added.Refused[0].Exists() {
		t.Errorf("added %+v", added)
	}
	filed, err := c.AddAlertFile(t.Context(), a.ID, hive.NewObservable{DataType: "file"}, hive.Upload{Name: "a.txt", Body: strings.NewReader("one")})
	must(t, err)
	if len(filed.Created) != 1 || filed.Created[0].Attachment == nil {
		t.Errorf("filed %+v", filed)
	}
	_, err = c.AddAlertProcedure(t.Context(), a.ID, hive.NewProcedure{PatternID: "T1566", OccurDate: 1700000000000})
	must(t, err)
	_, err = c.AddAlertProcedures(t.Context(), a.ID, []hive.NewProcedure{{PatternID: "T1566", OccurDate: 1700000000001}})
	must(t, err)
	_, err = c.AddAlertComment(t.Context(), a.ID, "m")
	must(t, err)
	if all := list(t, c.AlertComments(t.Context(), a.ID)); len(all) != 1 || all[0].Message != "m" {
		t.Errorf("comments %+v", all)
	}
	files, err := c.AddAlertAttachments(t.Context(), a.ID, hive.Upload{Name: "b.txt", Body: strings.NewReader("two")})
	must(t, err)
	body, err := c.DownloadAlert(t.Context(), a.ID, files[0].ID)
	must(t, err)
	text, err := io.ReadAll(body)
	must(t, errors.Join(err, body.Close()))
	if string(text) != "two" {
		t.Errorf("downloaded %q", text)
	}
	must(t, c.DeleteAlertAttachment(t.Context(), a.ID, files[0].ID))
	if all := list(t, c.AlertAttachments(t.Context(), a.ID)); len(all) != 0 {
		t.Errorf("attachments %+v", all)
	}
	if all := list(t, c.AlertProcedures(t.Context(), a.ID)); len(all) != 3 {
		t.Errorf("procedures %+v", all)
	}
	whole, err := c.CreateAlert(t.Context(), hive.NewAlert{Type: "contract", Source: "suite", SourceRef: c.marker + "file", Title: "with a file",
		Files: []hive.AlertFile{{Observable: hive.NewObservable{DataType: "file", Message: "from the mail"}, File: hive.Upload{Name: "c.txt", Body: strings.NewReader("three"), Size: 5}}}})
	must(t, err)
	t.Cleanup(func() { _ = c.DeleteAlert(context.WithoutCancel(t.Context()), whole.ID) })
	if all := list(t, c.AlertObservables(t.Context(), whole.ID)); len(all) != 1 || all[0].Attachment == nil || all[0].Attachment.Name != "c.txt" || all[0].Message != "from the mail" {
		t.Errorf("observables %+v", all)
	}
}

func contractPromotion(t *testing.T, c contract) {
	first, second := c.alerted(t, "p1"), c.alerted(t, "p2")
	made, err := c.PromoteAlert(t.Context(), first.ID, hive.CaseFromAlert{Tasks: []hive.NewTask{{Title: "look"}}, Severity: new(4)})
	must(t, err)
	t.Cleanup(func() { _ = c.DeleteCase(context.WithoutCancel(t.Context()), made.ID) })
	if made.Title != "alert p1" || made.Severity != 4 || made.StartDate != 1700000000000 || !slices.Contains(made.Tags, c.marker) {
		t.Errorf("promoted %+v", made)
	}
	_, err = c.PromoteAlert(t.Context(), first.ID, hive.CaseFromAlert{})
	if e, ok := errors.AsType[*hive.Error](err); !ok || !e.Refused() {
		t.Errorf("a second promotion: %v", err)
	}
	into, err := c.ImportAlert(t.Context(), second.ID, made.ID)
	must(t, err)
	if into.ID != made.ID {
		t.Errorf("imported into %+v", into)
	}
	if alerts := list(t, c.CaseAlerts(t.Context(), made.ID)); len(alerts) != 2 || alerts[0].CaseID != made.ID || alerts[0].Stage != hive.StageImported {
		t.Errorf("alerts %+v", alerts)
	}
	if similar, err := c.SimilarToAlert(t.Context(), second.ID, first.ID); err != nil {
		var e *hive.Error
		if !errors.As(err, &e) || e.Status != 404 {
			t.Error(err)
		}
	} else if len(similar) != 3 {
		t.Errorf("similar %+v", similar)
	}
	must(t, c.UnlinkAlert(t.Context(), made.ID, second.ID))
	if alerts := list(t, c.CaseAlerts(t.Context(), made.ID)); len(alerts) != 1 {
		t.Errorf("alerts %+v", alerts)
	}
	third := c.alerted(t, "p3")
	merged, err := c.MergeAlert(t.Context(), third.ID, made.ID)
	must(t, err)
	if !strings.Contains(merged.Description, "d") {
		t.Errorf("merged %+v", merged)
	}
	four, five := c.alerted(t, "p4"), c.alerted(t, "p5")
	_, err = c.MergeAlerts(t.Context(), made.ID, four.ID, five.ID)
	must(t, err)
}

func contractLogs(t *testing.T, c contract) {
	in := c.opened(t, hive.NewCase{Description: "d"})
	task, err := c.AddTask(t.Context(), in.ID, hive.NewTask{Title: "t"})
	must(t, err)
	must(t, c.UpdateTask(t.Context(), task.ID, hive.TaskUpdate{Status: new("InProgress"), Flag: new(true)}))
	must(t, c.UpdateTasks(t.Context(), []string{task.ID}, hive.TaskUpdate{Group: new("g")}))
	got, err := c.Task(t.Context(), task.ID)
	must(t, err)
	if got.Status != "InProgress" || !got.Flag || got.Group != "g" {
		t.Errorf("task %+v", got)
	}
	plain, err := c.AddLog(t.Context(), task.ID, hive.NewLog{Message: "m", InTimeline: 1700000000000})
	must(t, err)
	filed, err := c.AddLog(t.Context(), task.ID, hive.NewLog{Message: "with a file"}, hive.Upload{Name: "a.txt", Body: strings.NewReader("one")})
	must(t, err)
	if plain.Message != "m" || plain.InTimeline != 1700000000000 || len(filed.Attachments) != 1 || filed.Attachments[0].Name != "a.txt" {
		t.Errorf("logs %+v %+v", plain, filed)
	}
	must(t, c.AddLogFiles(t.Context(), plain.ID, hive.Upload{Name: "b.txt", Body: strings.NewReader("two")}))
	must(t, c.UpdateLog(t.Context(), plain.ID, hive.LogUpdate{Message: new("n")}))
	body, err := c.DownloadLog(t.Context(), filed.ID, filed.Attachments[0].ID)
	must(t, err)
	text, err := io.ReadAll(body)
	must(t, errors.Join(err, body.Close()))
	all := list(t, c.TaskLogs(t.Context(), task.ID))
	if len(all) != 2 || all[0].Message != "n" || len(all[0].Attachments) != 1 || string(text) != "one" {
		t.Errorf("logs %+v, %q", all, text)
	}
	must(t, c.DeleteLogFile(t.Context(), filed.ID, filed.Attachments[0].ID))
	must(t, c.DeleteLog(t.Context(), filed.ID))
	must(t, c.DeleteTask(t.Context(), task.ID))
	_, err = c.Task(t.Context(), task.ID)
	wantStatus(t, err, 404, "NotFoundError")
}

func contractTimeline(t *testing.T, c contract) {
	in, other := c.opened(t, hive.NewCase{Description: "d"}), c.opened(t, hive.NewCase{Description: "d"})
	event, err := c.AddCustomEvent(t.Context(), in.ID, hive.NewCustomEvent{Date: 1700000000000, EndDate: 1700000000001, Title: "call", Description: "d"})
	must(t, err)
	must(t, c.UpdateCustomEvent(t.Context(), event.ID, hive.CustomEventUpdate{Title: new("call back"), EndDate: new(hive.Millis(0))}))
	events, err := c.Timeline(t.Context(), in.ID)
	must(t, err)
	if !slices.ContainsFunc(events, func(e hive.TimelineEvent) bool { return e.EntityID == event.ID && e.Date == 1700000000000 }) {
		t.Errorf("timeline %+v", events)
	}
	must(t, c.DeleteCustomEvent(t.Context(), event.ID))
	for _, id := range []string{in.ID, other.ID} {
		_, err := c.AddObservables(t.Context(), id, hive.NewObservable{DataType: "ip", Data: []string{"198.51.100.7"}})
		must(t, err)
	}
	similar, err := c.SimilarToCase(t.Context(), in.ID, other.ID)
	must(t, err)
	if len(similar) != 1 || similar[0].Data != "198.51.100.7" {
		t.Errorf("similar %+v", similar)
	}
	open, err := c.OpenCasesWith(t.Context(), hive.ObservableName{DataType: "ip", Data: "198.51.100.7"}, hive.ObservableName{DataType: "domain", Data: "nowhere.example"})
	must(t, err)
	if len(open) != 2 || open[0].Number < open[1].Number {
		t.Errorf("open cases %+v", open)
	}
	must(t, c.LinkCases(t.Context(), in.ID, other.ID, "related"))
	for _, end := range [][2]string{{in.ID, other.ID}, {other.ID, in.ID}} {
		links, err := c.CaseLinks(t.Context(), end[0])
		must(t, err)
		if diff := cmp.Diff([]hive.Linked{{Kind: "related", CaseID: end[1]}}, links); diff != "" {
			t.Error(diff)
		}
	}
	must(t, c.UnlinkCases(t.Context(), in.ID, other.ID, "related"))
	must(t, c.LinkURL(t.Context(), in.ID, "https://ticket.example/1", "ticket"))
	must(t, c.UnlinkURL(t.Context(), in.ID, "https://ticket.example/1", "ticket"))
	counts, err := c.MergeObservables(t.Context(), in.ID)
	must(t, err)
	if counts.Untouched != 1 || counts.Deleted != 0 {
		t.Errorf("merged %+v", counts)
	}
}
