package hivetest

import (
	"cmp"
	"slices"
)

// Snapshot is what the server holds as plain values, sorted, without ids and without dates that the clock set: two runs
// that brought about the same have equal snapshots.
type Snapshot struct {
	Cases  []Case
	Alerts []Alert
}

// Case is a case with all that lies below it.
type Case struct {
	Number                         int64
	Organisation                   string
	Title, Description             string
	Severity, TLP, PAP             int64
	Status, Stage, Impact, Summary string
	Assignee                       string
	Flag                           bool
	StartDate, EndDate             int64    // ms; EndDate 0: none
	Tags                           []string // sorted
	CustomFields                   map[string]any
	Observables                    []Observable
	Procedures                     []Procedure
	Comments                       []string
	Tasks                          []string // titles
	Pages                          []Page
	Files                          []File // attachments; files that are observables are in Observables
	Jobs                           []Job  // of its observables
}

// Alert is an alert with all that lies below it.
type Alert struct {
	Type, Source, SourceRef  string
	Title, Description       string
	Severity                 int64
	Status, Assignee, Linked string // Linked is its externalLink
	Date                     int64  // ms
	Tags                     []string
	Imported                 bool
	Observables              []Observable
	Procedures               []Procedure
	Comments                 []string
	Files                    []File // attachments
}

// Observable is a value, or a file where File is not zero.
type Observable struct {
	DataType, Data string
	File           File
	Message        string
	TLP, PAP       int64
	IOC, Sighted   bool
	SightedAt      int64 // ms; 0: none
	Tags           []string
}

// Job is an analyzer that was asked to look at an observable.
type Job struct {
	DataType, Data   string // of the observable
	Analyzer, Status string // Analyzer is its name
}

// Procedure is a technique used in a case.
type Procedure struct {
	PatternID, Tactic, Description string
	OccurDate                      int64 // ms
}

// Page is a page of a case.
type Page struct{ Title, Category, Content string }

// File is an attachment.
type File struct {
	Name, SHA256 string
	Size         int64
}

// Snapshot returns the present state.
func (h *Hive) Snapshot() Snapshot {
	h.catchUp()
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := Snapshot{}
	for e := range h.store.of(caseKind).each {
		s.Cases = append(s.Cases, caseOf(e))
	}
	for e := range h.store.of(alertKind).each {
		d := e.doc
		s.Alerts = append(s.Alerts, Alert{
			Type: d.text("type"), Source: d.text("source"), SourceRef: d.text("sourceRef"), Title: d.text("title"),
			Description: d.text("description"), Severity: d.num("severity"), Date: d.num("date"), Assignee: d.text("assignee"), Linked: d.text("externalLink"),
			Status: d.text("status"), Tags: sorted(d.list("tags")), Imported: d.text("caseId") != "",
			Observables: each(e, observableKind, observableOf, compareObservables),
			Procedures:  each(e, procedureKind, procedureOf, compareProcedures),
			Comments:    each(e, commentKind, func(d *doc) string { return d.text("message") }, cmp.Compare[string]),
			Files:       each(e, attachmentKind, fileOf, compareFiles),
		})
	}
	slices.SortFunc(s.Cases, func(a, b Case) int { return cmp.Compare(a.Number, b.Number) })
	slices.SortFunc(s.Alerts, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Source, b.Source), cmp.Compare(a.SourceRef, b.SourceRef))
	})
	return s
}

func caseOf(e *entry) Case {
	d := e.doc
	c := Case{
		Number: d.num("number"), Organisation: e.org, Title: d.text("title"), Description: d.text("description"),
		Severity: d.num("severity"), TLP: d.num("tlp"), PAP: d.num("pap"), Status: d.text("status"),
		Stage: d.text("stage"), Impact: d.text("impactStatus"), Summary: d.text("summary"), Assignee: d.text("assignee"),
		Flag: d.flag("flag"), StartDate: d.num("startDate"), EndDate: d.num("endDate"), Tags: sorted(d.list("tags")),
		CustomFields: map[string]any{},
		Observables:  each(e, observableKind, observableOf, compareObservables),
		Procedures:   each(e, procedureKind, procedureOf, compareProcedures),
		Comments:     each(e, commentKind, func(d *doc) string { return d.text("message") }, cmp.Compare[string]),
		Tasks:        each(e, taskKind, titleKey, cmp.Compare[string]),
		Pages: each(e, pageKind, func(d *doc) Page {
			return Page{d.text("title"), d.text("category"), d.text("content")}
		}, func(a, b Page) int { return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Content, b.Content)) }),
		Files: each(e, attachmentKind, fileOf, compareFiles),
		Jobs:  jobsOf(e),
	}
	values, _ := d.get("customFields").([]customValue)
	for _, v := range values {
		c.CustomFields[v.Name] = v.Value
	}
	return c
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}

func each[T any](e *entry, k *kind, of func(*doc) T, compare func(a, b T) int) []T {
	var out []T
	for child := range e.children(k).each {
		out = append(out, of(child.doc))
	}
	slices.SortFunc(out, compare)
	return out
}

func observableOf(d *doc) Observable {
	o := Observable{
		DataType: d.text("dataType"), Data: d.text("data"), Message: d.text("message"), TLP: d.num("tlp"), PAP: d.num("pap"),
		IOC: d.flag("ioc"), Sighted: d.flag("sighted"), SightedAt: d.num("sightedAt"), Tags: sorted(d.list("tags")),
	}
	if a, ok := d.get("attachment").(*doc); ok {
		o.File = fileOf(a)
	}
	return o
}

// jobsOf are the jobs of a case, in the order of its observables and then of analyzers.
func jobsOf(e *entry) (all []Job) {
	for o := range e.children(observableKind).each {
		for j := range o.children(jobKind).each {
			all = append(all, Job{o.doc.text("dataType"), o.doc.text("data"), j.doc.text("analyzerName"), j.doc.text("status")})
		}
	}
	slices.SortFunc(all, func(a, b Job) int {
		return cmp.Or(cmp.Compare(a.DataType, b.DataType), cmp.Compare(a.Data, b.Data), cmp.Compare(a.Analyzer, b.Analyzer), cmp.Compare(a.Status, b.Status))
	})
	return all
}

func fileOf(d *doc) File { return File{d.text("name"), d.text("id"), d.num("size")} }

func procedureOf(d *doc) Procedure {
	return Procedure{d.text("patternId"), d.text("tactic"), d.text("description"), d.num("occurDate")}
}

func compareFiles(a, b File) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.SHA256, b.SHA256))
}

func compareObservables(a, b Observable) int {
	return cmp.Or(cmp.Compare(a.DataType, b.DataType), cmp.Compare(a.Data, b.Data), compareFiles(a.File, b.File))
}

func compareProcedures(a, b Procedure) int {
	return cmp.Or(cmp.Compare(a.PatternID, b.PatternID), cmp.Compare(a.Tactic, b.Tactic),
		cmp.Compare(a.OccurDate, b.OccurDate), cmp.Compare(a.Description, b.Description))
}
