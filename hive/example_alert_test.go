package hive_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"forager/hive"
	"forager/hive/admin"
)

func ExampleClient_CreateAlert() {
	client, done := example()
	defer done()
	ctx := context.Background()
	seen := hive.MillisOf(time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC))
	alert, err := client.CreateAlert(ctx, hive.NewAlert{
		Type: "wazuh", Source: "siem", SourceRef: "1772353800.17", // there once, TheHive sees to that
		Title: "Brute force", Description: "Fifty failed logins.", Date: seen,
		Observables: []hive.NewObservable{{DataType: "ip", Data: []string{"192.0.2.7"}}},
		Files:       []hive.AlertFile{{Observable: hive.NewObservable{DataType: "file"}, File: hive.Upload{Name: "auth.log", Body: strings.NewReader("...")}}},
		Procedures:  []hive.NewProcedure{{PatternID: "T1110", OccurDate: seen}},
	})
	fmt.Println(alert.Title, alert.Stage, err)
	c, err := client.PromoteAlert(ctx, alert.ID, hive.CaseFromAlert{Severity: new(3)})
	fmt.Println(c.Number, c.Title, c.Severity, err)
	again, found, err := client.AlertOf(ctx, "wazuh", "siem", "1772353800.17")
	fmt.Println(found, again.Stage, again.CaseID == c.ID, err)
	// Output:
	// Brute force New <nil>
	// 1 Brute force 3 <nil>
	// true Imported true <nil>
}

func ExampleClient_AddLog() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Intrusion")
	task, err := client.AddTask(ctx, c.ID, hive.NewTask{Title: "Image the disk"})
	if err != nil {
		fmt.Println(err)
		return
	}
	entry, err := client.AddLog(ctx, task.ID, hive.NewLog{Message: "Done, see the list."}, hive.Upload{Name: "files.txt", Body: strings.NewReader("a\nb\n")})
	fmt.Println(entry.Message, len(entry.Attachments), err)
	fmt.Println(client.UpdateTask(ctx, task.ID, hive.TaskUpdate{Status: new("Completed")}))
	// Output:
	// Done, see the list. 1 <nil>
	// <nil>
}

func ExampleClient_AddCustomEvent() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Intrusion")
	_, err := client.AddCustomEvent(ctx, c.ID, hive.NewCustomEvent{Date: hive.MillisOf(time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)), Title: "The caller says so"})
	if err != nil {
		fmt.Println(err)
		return
	}
	events, err := client.Timeline(ctx, c.ID)
	fmt.Println(events[0].Date.Time().Format(time.RFC3339), err)
	// Output: 2026-03-01T08:30:00Z <nil>
}

func ExampleClient_UpdateProcedure() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Phishing")
	p, err := client.AddProcedure(ctx, c.ID, hive.NewProcedure{PatternID: "T1566", OccurDate: 1772353800000})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.UpdateProcedure(ctx, p.ID, hive.ProcedureUpdate{PatternID: new("T1566.001"), Description: new("an attachment")}))
	for p, err := range client.CaseProcedures(ctx, c.ID) {
		fmt.Println(p.PatternID, p.Description, err)
	}
	// Output:
	// <nil>
	// T1566.001 an attachment <nil>
}

// Example_administration sets a tenant up; the account must be an administrator's.
func Example_administration() {
	client, done := example()
	defer done()
	setUp := func(ctx context.Context) error {
		a := admin.New(client)
		if _, err := a.CreateOrganisation(ctx, admin.NewOrganisation{Name: "customer", Description: "a tenant"}); err != nil {
			return err
		}
		u, err := a.CreateUser(ctx, admin.NewUser{Login: "forager@customer.example", Name: "Forager", Organisation: "customer", Profile: "analyst", Type: admin.Service})
		if err != nil {
			return err
		}
		key, err := a.RenewKey(ctx, u.ID)
		fmt.Println(u.Type, key != "")
		return err
	}
	_ = setUp
}
