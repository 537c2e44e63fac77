package hive_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"forager/hive"
)

func ExampleClient_AddTask() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Intrusion")
	task, err := client.AddTask(ctx, c.ID, hive.NewTask{Title: "Image the disk", Group: "forensics"})
	fmt.Println(task.Group, task.Title, task.Status, err)
	page, err := client.AddPage(ctx, c.ID, hive.NewPage{Title: "Findings", Category: "report", Content: "# Findings"})
	fmt.Println(page.Category, page.Title, err)
	comment, err := client.AddComment(ctx, c.ID, "Disk is on its way.")
	fmt.Println(comment.Message, err)
	// Output:
	// forensics Image the disk Waiting <nil>
	// report Findings <nil>
	// Disk is on its way. <nil>
}

func ExampleClient_AddProcedures() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Phishing")
	seen := hive.MillisOf(time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC))
	added, err := client.AddProcedures(ctx, c.ID, []hive.NewProcedure{
		{PatternID: "T1566", Tactic: "initial-access", OccurDate: seen},
		{PatternID: "T1566.001", Tactic: "initial-access", OccurDate: seen, Description: "invoice.exe"},
	})
	for _, p := range added {
		fmt.Println(p.PatternID, p.PatternName, p.TacticLabel)
	}
	fmt.Println(err)
	// Output:
	// T1566 Phishing Initial Access
	// T1566.001 Spearphishing Attachment Initial Access
	// <nil>
}

func ExampleWithGuard() {
	client, done := example()
	defer done()
	held := false // whether this process may still write
	guarded := hive.WithGuard(context.Background(), func() error {
		if !held {
			return errors.New("claim lost")
		}
		return nil
	})
	_, err := client.AddComment(guarded, "1", "too late")
	e, _ := errors.AsType[*hive.Error](err)
	fmt.Println(err)
	fmt.Println(e.Sent, e.Refused())
	// Output:
	// add comment: POST /api/v1/case/1/comment: claim lost
	// false true
}
