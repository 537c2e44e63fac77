package hive_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"forager/hive"
	"forager/hive/hivetest"
)

// contract is the suite's view of one TheHive.
type contract struct {
	*hive.Client
	judge  *judge
	marker string // a tag that nothing else has
}

// simulator starts an empty TheHive in memory.
func simulator(t *testing.T) (*hivetest.Hive, hive.Options) {
	t.Helper()
	sim := hivetest.New(hivetest.Options{})
	server, err := hivetest.Listen("127.0.0.1:0", sim)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return sim, hive.Options{URL: server.URL(), APIKey: hivetest.DefaultAPIKey, Proxy: "direct"}
}

// open makes a client whose every exchange is judged.
func open(t *testing.T, o hive.Options) contract {
	t.Helper()
	transport, err := hive.NewTransport(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	j := &judge{t: t, next: transport, deviated: map[string]bool{}}
	o.Transport = j
	return contract{newClient(t, o), j, "contract:" + strconv.FormatInt(time.Now().UnixNano(), 36)}
}

func TestContractOnTheSimulator(t *testing.T) {
	t.Parallel()
	_, o := simulator(t)
	runContract(t, o)
}

// TestContractOnTheHive runs the same suite on a real TheHive 5, with an
// account that may manage cases in an organisation of its own.
func TestContractOnTheHive(t *testing.T) {
	t.Parallel()
	o := hive.Options{
		URL: os.Getenv("FORAGER_HIVE_URL"), APIKey: os.Getenv("FORAGER_HIVE_API_KEY"),
		User: os.Getenv("FORAGER_HIVE_USER"), Password: os.Getenv("FORAGER_HIVE_PASSWORD"),
		Organisation: os.Getenv("FORAGER_HIVE_ORGANISATION"),
	}
	if o.URL == "" || o.APIKey == "" && o.User == "" {
		t.Skip("no TheHive: FORAGER_HIVE_URL and FORAGER_HIVE_API_KEY are not set")
	}
	runContract(t, o)
}

func runContract(t *testing.T, o hive.Options) {
	t.Helper()
	if all, err := descriptions(); err != nil {
		t.Fatal(err)
	} else if len(all) == 0 {
		t.Log("exchanges are not held against TheHive's OpenAPI: ../shared/data/thehive is not there")
	}
	c := open(t, o)
	status, err := c.Status(t.Context())
	must(t, err)
	c.judge.answers, _, _ = strings.Cut(status.Version, "-")
	for _, part := range []struct {
		name string
		run  func(*testing.T, contract)
	}{
		{"server", contractServer}, {"cases", contractCases}, {"queries", contractQueries}, {"updates", contractUpdates},
		{"merge", contractMerge}, {"observables", contractObservables}, {"files", contractFiles}, {"comments", contractComments},
		{"procedures", contractProcedures}, {"tasks and pages", contractParts}, {"attachments", contractAttachments}, {"absent", contractAbsent},
		{"alerts", contractAlerts}, {"parts of alerts", contractAlertParts}, {"promotion", contractPromotion}, {"logs", contractLogs}, {"timeline and links", contractTimeline},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, c) })
	}
	for name, fact := range deviations {
		if all, _ := descriptions(); len(all) > 0 && !c.judge.deviated[name] {
			t.Errorf("deviation %s (%s) is never met", name, fact)
		}
	}
}

// must fails the test at once.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// list is collect that must succeed.
func list[T any](t *testing.T, seq func(func(T, error) bool)) []T {
	t.Helper()
	out, err := collect(seq)
	must(t, err)
	return out
}

// opened creates a case that the test deletes at its end.
func (c contract) opened(t *testing.T, n hive.NewCase) hive.Case {
	t.Helper()
	if n.Title == "" {
		n.Title = "contract"
	}
	n.Tags = append(n.Tags, c.marker)
	made, err := c.CreateCase(t.Context(), n)
	must(t, err)
	t.Cleanup(func() { _ = c.DeleteCase(context.WithoutCancel(t.Context()), made.ID) })
	return made
}

// wantStatus fails unless err is TheHive's answer with that status.
func wantStatus(t *testing.T, err error, status int, kind string) {
	t.Helper()
	e, ok := errors.AsType[*hive.Error](err)
	if !ok || e.Status != status || e.Type != kind || !e.Refused() {
		t.Errorf("error %v, want %d %s", err, status, kind)
	}
}

func contractServer(t *testing.T, c contract) {
	status, err := c.Status(t.Context())
	must(t, err)
	if !strings.HasPrefix(status.Version, "5.") {
		t.Errorf("version %q", status.Version)
	}
	user, err := c.CurrentUser(t.Context())
	must(t, err)
	if user.Login == "" || user.Organisation == "" || !user.May("manageCase/create") {
		t.Errorf("user %+v", user)
	}
	types, err := c.DataTypes(t.Context())
	must(t, err)
	for _, name := range []string{"ip", "domain", "file", "hash", "url", "other"} {
		if !slices.Contains(types, name) {
			t.Errorf("no data type %s in %v", name, types)
		}
	}
	logins, err := c.Logins(t.Context())
	must(t, err)
	if !slices.Contains(logins, user.Login) {
		t.Errorf("%s is not among %v", user.Login, logins)
	}
	_, err = c.CustomFields(t.Context())
	must(t, err)
	_, err = c.CaseTemplates(t.Context())
	must(t, err)
	known, err := c.PatternIDs(t.Context())
	must(t, err)
	if !slices.Contains(known, "T1566.001") {
		t.Errorf("no T1566.001 among %d patterns", len(known))
	}
	p, err := c.Pattern(t.Context(), "T1566.001")
	must(t, err)
	if p.PatternID != "T1566.001" || !slices.Contains(p.Tactics, "initial-access") {
		t.Errorf("pattern %+v", p)
	}
	_, err = c.Pattern(t.Context(), "T9999")
	wantStatus(t, err, 404, "NotFoundError")
}

func contractCases(t *testing.T, c contract) {
	start := hive.MillisOf(time.Now().Add(-7 * 24 * time.Hour))
	made := c.opened(t, hive.NewCase{
		Title: "advanced <b>case</b>", Description: "**bold**", Severity: new(4), TLP: new(0), PAP: new(0), StartDate: start,
		Tags: []string{"one", "two", "one"}, Flag: true, Status: "InProgress", Summary: "s",
		Tasks: []hive.NewTask{{Title: "look", Group: "triage", Order: 1}}, Pages: []hive.NewPage{{Title: "notes", Content: "c", Category: "k"}},
	})
	if made.Severity != 4 || made.TLP != 0 || made.PAP != 0 || made.StartDate != start || !made.Flag || made.Stage != hive.StageInProgress || made.Number <= 0 {
		t.Errorf("created %+v", made)
	}
	slices.Sort(made.Tags)
	if want := []string{c.marker, "one", "two"}; !slices.Equal(made.Tags, want) {
		t.Errorf("tags %v, want %v", made.Tags, want)
	}
	byNumber, err := c.Case(t.Context(), strconv.Itoa(made.Number))
	must(t, err)
	if byNumber.ID != made.ID || byNumber.CreatedAt != made.CreatedAt {
		t.Errorf("by number %+v", byNumber)
	}
	if tasks := list(t, c.CaseTasks(t.Context(), made.ID)); len(tasks) != 1 || tasks[0].Title != "look" || tasks[0].Group != "triage" {
		t.Errorf("tasks %+v", tasks)
	}
	if pages := list(t, c.CasePages(t.Context(), made.ID)); len(pages) != 1 || pages[0].Title != "notes" {
		t.Errorf("pages %+v", pages)
	}
	minimal := c.opened(t, hive.NewCase{Title: "minimal", Description: "d"})
	if minimal.Severity != 2 || minimal.TLP != 2 || minimal.PAP != 2 || minimal.Status != "New" || minimal.Closed() || minimal.EndDate != 0 {
		t.Errorf("defaults %+v", minimal)
	}
	unknown := c.opened(t, hive.NewCase{Title: "t", Description: "d", CustomFields: []hive.CustomField{{Name: "no-such-field", Value: "x"}}})
	if len(unknown.CustomFields) != 0 {
		t.Errorf("custom fields %+v", unknown.CustomFields)
	}
	must(t, c.DeleteCase(t.Context(), minimal.ID))
	_, err = c.Case(t.Context(), minimal.ID)
	wantStatus(t, err, 404, "NotFoundError")
}

func contractQueries(t *testing.T, c contract) {
	tag := hive.Eq("tags", c.marker)
	var numbers []int
	for i := range 5 {
		made := c.opened(t, hive.NewCase{Title: "query " + strconv.Itoa(i), Description: "d", Severity: new(1 + i%4), StartDate: hive.Millis(1700000000000 + i)})
		numbers = append(numbers, made.Number)
	}
	titles := func(q hive.Query) (out []string) {
		for _, found := range list(t, c.FindCases(t.Context(), q)) {
			out = append(out, strings.TrimPrefix(found.Title, "query "))
		}
		return out
	}
	for want, q := range map[string]hive.Query{
		"0 1 2 3 4": {Filter: tag, PageSize: 2},
		"4 3 2 1 0": {Filter: tag, Sort: []hive.Sort{{Field: "startDate", Desc: true}}, PageSize: 3},
		"4 3":       {Filter: tag, Sort: []hive.Sort{{Field: "number", Desc: true}}, Limit: 2},
		"3":         {Filter: hive.And(tag, hive.Gt("severity", 3))},
		"1 2":       {Filter: hive.And(tag, hive.Between("startDate", hive.Millis(1700000000001), hive.Millis(1700000000003)))},
		"0 4":       {Filter: hive.And(tag, hive.Or(hive.Eq("number", numbers[0]), hive.Eq("title", "query 4")))},
		"1 3":       {Filter: hive.And(tag, hive.In("number", numbers[1], numbers[3]), hive.Not(hive.Has("endDate")))},
		"2 3":       {Filter: hive.And(tag, hive.Ne("severity", 1), hive.Gte("startDate", hive.Millis(1700000000002)))},
		"0 1":       {Filter: hive.And(tag, hive.Lt("startDate", hive.Millis(1700000000002)), hive.Lte("severity", 2), hive.StartsWith("title", "query"))},
		"2":         {Filter: hive.And(tag, hive.EndsWith("title", " 2"), hive.Gt("_createdAt", hive.Relative{Amount: 1, Unit: "hours"}))},
		"":          {Filter: hive.And(tag, hive.Or())},
		"3 4":       {Filter: tag, Skip: 3, PageSize: 1},
		"2 1":       {Filter: tag, Sort: []hive.Sort{{Field: "number", Desc: true}}, Skip: 2, Limit: 2, PageSize: 1},
	} {
		if got := strings.Join(titles(q), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	n, err := c.CountCases(t.Context(), tag)
	must(t, err)
	if n != 5 {
		t.Errorf("count %d, want 5", n)
	}
	_, err = c.CountCases(t.Context(), hive.Eq("noSuchField", 1))
	wantStatus(t, err, 400, "BadRequest")
}

func contractUpdates(t *testing.T, c contract) {
	one, two := c.opened(t, hive.NewCase{Description: "d", Summary: "s", Tags: []string{"keep", "drop"}}), c.opened(t, hive.NewCase{Description: "d"})
	must(t, c.UpdateCase(t.Context(), one.ID, hive.CaseUpdate{
		Title: new("renamed"), Severity: new(3), TLP: new(4), AddTags: []string{"new"}, RemoveTags: []string{"drop", "never there"},
		Clear: []hive.Clearable{hive.ClearSummary, hive.ClearAssignee},
	}))
	got, err := c.Case(t.Context(), one.ID)
	must(t, err)
	slices.Sort(got.Tags)
	if want := []string{c.marker, "keep", "new"}; got.Title != "renamed" || got.Severity != 3 || got.TLP != 4 || got.Summary != "" || got.Assignee != "" || !slices.Equal(got.Tags, want) {
		t.Errorf("updated %+v", got)
	}
	if got.UpdatedAt == 0 || got.UpdatedBy == "" {
		t.Errorf("not marked as updated: %+v", got)
	}
	must(t, c.UpdateCases(t.Context(), []string{one.ID, two.ID}, hive.CaseUpdate{Status: new("TruePositive"), ImpactStatus: new("NoImpact"), Summary: new("done")}))
	for _, id := range []string{one.ID, two.ID} {
		got, err := c.Case(t.Context(), id)
		must(t, err)
		if !got.Closed() || got.EndDate == 0 || got.ClosedDate == 0 || got.Summary != "done" || got.ImpactStatus != "NoImpact" {
			t.Errorf("closed %+v", got)
		}
	}
	wantStatus(t, c.UpdateCase(t.Context(), "~999999999", hive.CaseUpdate{Flag: new(true)}), 404, "NotFoundError")
}

func contractMerge(t *testing.T, c contract) {
	one, two := c.opened(t, hive.NewCase{Title: "a", Description: "d", Tags: []string{"left"}}), c.opened(t, hive.NewCase{Title: "b", Description: "d", Tags: []string{"right"}})
	_, err := c.AddComment(t.Context(), one.ID, "of a")
	must(t, err)
	merged, err := c.MergeCases(t.Context(), one.ID, two.ID)
	must(t, err)
	t.Cleanup(func() { _ = c.DeleteCase(context.WithoutCancel(t.Context()), merged.ID) })
	slices.Sort(merged.Tags)
	if want := []string{c.marker, "left", "right"}; merged.Title != "a / b" || !slices.Equal(merged.Tags, want) {
		t.Errorf("merged %+v", merged)
	}
	for _, id := range []string{one.ID, two.ID} {
		_, err := c.Case(t.Context(), id)
		wantStatus(t, err, 404, "NotFoundError")
	}
	if comments := list(t, c.CaseComments(t.Context(), merged.ID)); len(comments) != 1 || comments[0].Message != "of a" {
		t.Errorf("comments %+v", comments)
	}
}
