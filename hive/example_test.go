package hive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"forager/hive"
	"forager/hive/hivetest"
)

// example is a client of an empty TheHive in memory. A program of its own
// would use the address and the key of a real one.
func example() (client *hive.Client, done func()) {
	server, err := hivetest.Listen("127.0.0.1:0", hivetest.New(hivetest.Options{}))
	if err != nil {
		panic(err)
	}
	client, err = hive.New(hive.Options{URL: server.URL(), APIKey: hivetest.DefaultAPIKey, Proxy: "direct"})
	if err != nil {
		panic(err)
	}
	return client, func() {
		client.CloseIdle()
		_ = server.Close()
	}
}

// opened is a case to work on.
func opened(ctx context.Context, client *hive.Client, title string, tags ...string) hive.Case {
	c, err := client.CreateCase(ctx, hive.NewCase{Title: title, Description: "d", Tags: tags})
	if err != nil {
		panic(err)
	}
	return c
}

func ExampleClient_CreateCase() {
	client, done := example()
	defer done()
	c, err := client.CreateCase(context.Background(), hive.NewCase{
		Title:       "Suspicious sign-in",
		Description: "Two countries within ten minutes.",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Number, c.Title, c.Status, c.Severity, c.TLP, c.PAP)
	// Output: 1 Suspicious sign-in New 2 2 2
}

func ExampleClient_CreateCase_advanced() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c, err := client.CreateCase(ctx, hive.NewCase{
		Title:       "Phishing wave",
		Description: "Mails with a **macro** attachment.",
		Severity:    new(3), // high
		TLP:         new(0), // CLEAR, which is not the default
		PAP:         new(1), // GREEN
		StartDate:   hive.MillisOf(time.Date(2026, 3, 1, 8, 30, 0, 0, time.UTC)),
		Tags:        []string{"phishing", "macro"},
		Flag:        true,
		Status:      "InProgress",
		Tasks:       []hive.NewTask{{Title: "Block the sender", Group: "containment"}, {Title: "Find who opened it", Mandatory: true}},
		Pages:       []hive.NewPage{{Title: "Timeline", Category: "notes", Content: "- 08:30 first mail"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Stage, c.Severity, c.TLP, c.PAP, c.StartDate.Time().Format(time.RFC3339))
	for task, err := range client.CaseTasks(ctx, c.ID) {
		fmt.Println(task.Group, task.Title, err)
	}
	for page, err := range client.CasePages(ctx, c.ID) {
		fmt.Println(page.Category, page.Title, err)
	}
	// Output:
	// InProgress 3 0 1 2026-03-01T08:30:00Z
	// containment Block the sender <nil>
	// default Find who opened it <nil>
	// notes Timeline <nil>
}

func ExampleClient_Case() {
	client, done := example()
	defer done()
	ctx := context.Background()
	made := opened(ctx, client, "Beaconing")
	byID, err := client.Case(ctx, made.ID)
	fmt.Println(byID.Title, err)
	byNumber, err := client.Case(ctx, "1")
	fmt.Println(byNumber.ID == made.ID, err)
	_, err = client.Case(ctx, "2")
	if e, ok := errors.AsType[*hive.Error](err); ok {
		fmt.Println(e.Status, e.Type)
	}
	// Output:
	// Beaconing <nil>
	// true <nil>
	// 404 NotFoundError
}

func ExampleClient_FindCases() {
	client, done := example()
	defer done()
	ctx := context.Background()
	for i, title := range []string{"alpha", "beta", "gamma"} {
		_, err := client.CreateCase(ctx, hive.NewCase{Title: title, Description: "d", Severity: new(i + 1), Tags: []string{"web"}})
		if err != nil {
			fmt.Println(err)
		}
	}
	q := hive.Query{
		Filter: hive.And(
			hive.Eq("tags", "web"),
			hive.Gte("severity", 2),
			hive.Not(hive.Eq("stage", hive.StageClosed)),
			hive.Gt("_createdAt", hive.Relative{Amount: 7, Unit: "days"}),
		),
		Sort: []hive.Sort{{Field: "severity", Desc: true}},
	}
	for c, err := range client.FindCases(ctx, q) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(c.Severity, c.Title)
	}
	n, err := client.CountCases(ctx, hive.Or(hive.StartsWith("title", "alp"), hive.In("severity", 3, 4)))
	fmt.Println(n, err)
	// Output:
	// 3 gamma
	// 2 beta
	// 2 <nil>
}

func ExampleClient_UpdateCase() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Malware", "new", "triage")
	err := client.UpdateCase(ctx, c.ID, hive.CaseUpdate{
		Status:     new("InProgress"),
		Severity:   new(4),
		AddTags:    []string{"ransomware"},
		RemoveTags: []string{"triage"},
		Clear:      []hive.Clearable{hive.ClearAssignee},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err = client.Case(ctx, c.ID)
	slices.Sort(c.Tags)
	fmt.Println(c.Stage, c.Severity, c.Tags, c.Assignee == "", err)
	// Output: InProgress 4 [new ransomware] true <nil>
}

func ExampleClient_UpdateCases() {
	client, done := example()
	defer done()
	ctx := context.Background()
	one, two := opened(ctx, client, "one"), opened(ctx, client, "two")
	err := client.UpdateCases(ctx, []string{one.ID, two.ID}, hive.CaseUpdate{Status: new("FalsePositive"), Summary: new("a scanner of ours")})
	fmt.Println(err)
	for c, err := range client.FindCases(ctx, hive.Query{Filter: hive.Eq("status", "FalsePositive")}) {
		fmt.Println(c.Title, c.Closed(), c.Summary, err)
	}
	// Output:
	// <nil>
	// one true a scanner of ours <nil>
	// two true a scanner of ours <nil>
}

func ExampleClient_MergeCases() {
	client, done := example()
	defer done()
	ctx := context.Background()
	one, two := opened(ctx, client, "left", "a"), opened(ctx, client, "right", "b")
	merged, err := client.MergeCases(ctx, one.ID, two.ID)
	slices.Sort(merged.Tags)
	fmt.Println(merged.Title, merged.Tags, err)
	_, err = client.Case(ctx, one.ID)
	fmt.Println(err != nil)
	// Output:
	// left / right [a b] <nil>
	// true
}

func ExampleClient_DeleteCase() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "mistake")
	fmt.Println(client.DeleteCase(ctx, c.ID))
	n, err := client.CountCases(ctx, hive.Any())
	fmt.Println(n, err)
	// Output:
	// <nil>
	// 0 <nil>
}

func ExampleClient_AddObservables() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Exfiltration")
	for range 2 {
		result, err := client.AddObservables(ctx, c.ID, hive.NewObservable{
			DataType: "domain",
			Data:     []string{"a.example", "b.example"},
			Message:  "from the proxy's log",
			Tags:     []string{"proxy"},
			IOC:      true,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, o := range result.Created {
			fmt.Println("created", o.Data)
		}
		for _, r := range result.Refused {
			fmt.Println("refused", r.Data, r.Exists())
		}
	}
	// Output:
	// created a.example
	// created b.example
	// refused a.example true
	// refused b.example true
}

func ExampleClient_AddFile() {
	client, done := example()
	defer done()
	ctx := context.Background()
	c := opened(ctx, client, "Dropper")
	const content = "MZ..."
	result, err := client.AddFile(ctx, c.ID,
		hive.NewObservable{DataType: "file", Message: "from the mail"},
		hive.Upload{Name: "invoice.exe", ContentType: "application/x-dosexec", Size: int64(len(content)), Body: strings.NewReader(content)})
	if err != nil {
		fmt.Println(err)
		return
	}
	file := result.Created[0].Attachment
	fmt.Println(file.Name, file.Size, file.ContentID == file.Hashes[0])
	// Output: invoice.exe 5 true
}
