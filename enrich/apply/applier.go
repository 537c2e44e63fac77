package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"forager/enrich"
	"forager/enrich/analyze"
	"forager/enrich/claim"
	"forager/enrich/files"
	"forager/enrich/related"
	"forager/hive"
	"forager/mitre"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// Options are what an Applier works with; zero values mean the defaults.
type Options struct {
	Hive   func(organisation string) Hive // TheHive, as a member of the organisation
	Ledger claim.Store
	// Login asks whose account the worker has at TheHive, so that [Applier.NoteAudit] knows its own
	// changes; it is asked until it answers, then never again. nil: no change is its own.
	Login     func(ctx context.Context) (string, error)
	Knowledge *enrich.Knowledge // what the server holds of ATT&CK; nil: the newest releases, never asked

	Call   time.Duration // the longest that one call may take (default 10 s)
	Lease  time.Duration // of a claim (default 15 s); at least 1.5 × Call
	Settle time.Duration // in which a call that was given up still takes effect and shows (default 2 × Call + 5 s)
	// Slots bound what works at TheHive at a time: they are those of the slots that Apply is called with; nil is no bound.
	Slots *enrich.Slots
	Batch int // observables in one call (default 100)
	// PerCase is how many calls are made for one case at a time, where they do not depend on each other (default 2);
	// 1 is one after the other.
	PerCase     int
	Limits      Limits
	Concurrency int           // calls in flight, written into the session for people
	Worker      string        // the host's or pod's name, written into the worker's session for people
	Says        func() string // why the worker consumes nothing, written there, too; empty: it does; nil is nothing
	Files       FilePolicy
	Opener      files.Opener // of files by reference; nil: there are none
	Events      Events       // told of what is worth counting; nil: nobody
	// SourceAlerts is how many source alerts the entry of a case remembers, for whom tells sources what became of them;
	// 0 is none. A plan is then done only when its alert is remembered.
	SourceAlerts int
	// Joined is told of a case that was closed already when a detection was added to it, by id. It must not block;
	// nil: nobody is. It is told with SourceAlerts alone.
	Joined func(caseID string)
	// Digest is where a case says how many detections of which rules it has (default DigestPage).
	Digest DigestPlace
	// Cortex is TheHive's connector to Cortex, as a member of the organisation; nil: nothing is analysed.
	Cortex func(organisation string) analyze.Cortex
	// Unrelated leaves new cases alone that have an indicator in common with others; else they are linked with them.
	Unrelated bool
}

// DigestPlace is where a case says how many detections of which rules it has.
type DigestPlace string

// The choices of [Options].Digest.
const (
	// DigestPage is a page of its own; of an account without the right managePage, a comment.
	DigestPage DigestPlace = "page"
	// DigestComment is one comment, kept current.
	DigestComment DigestPlace = "comment"
	// DigestNone is nowhere: there is a comment for each rule and day, whose numbers are kept current.
	DigestNone DigestPlace = "none"
)

// Limits bound what Forager adds to one case (P6); what exceeds them is counted and said.
type Limits struct {
	Observables int // default 2000
	Procedures  int // default 500
	Comments    int // default 500
	Tags        int // default 100, of which ownTags are Forager's own
	Analyses    int // jobs of Cortex; default 100
	Outstanding int // jobs of Cortex that may wait or run in an organisation, over all cases; default 100
}

// Events is told of what is worth counting. Implementations must not block.
type Events interface {
	Happened(e Event)
}

// Event is something worth counting.
type Event struct {
	Kind   EventKind
	Case   int    // number, where there is one
	Detail string // for a log; no secret, nothing unbounded
}

// EventKind names an event; the list is closed, so that it can label a metric.
type EventKind string

// The kinds of events.
const (
	EventWaited     EventKind = "claim waited for"
	EventTakenOver  EventKind = "claim taken over"
	EventRebuilt    EventKind = "case rebuilt by listing"
	EventAmbiguous  EventKind = "ambiguous answer"
	EventLate       EventKind = "confirmed after the claim was lost"
	EventDoubled    EventKind = "two cases of one key and start"
	EventUnseen     EventKind = "case out of sight"
	EventOverLimit  EventKind = "limit of a case reached"
	EventNewCase    EventKind = "case opened"
	EventDegraded   EventKind = "configuration refused by the server"
	EventOverflow   EventKind = "route opened too many cases"
	EventCrowded    EventKind = "key opened too many cases"
	EventTechnique  EventKind = "technique refused by the server"
	EventBarred     EventKind = "object that its sender may not name"
	EventRelated    EventKind = "case linked with one that has the same indicator"
	EventAnalysed   EventKind = "observable given to an analyzer"
	EventResult     EventKind = "case or observable changed for an analyzer's result"
	EventUnanalysed EventKind = "job of an analyzer failed"
	EventDeferred   EventKind = "analyses left for later"
	EventUnreleased EventKind = "claim could not be released"
	EventNewAlert   EventKind = "alert opened"
	EventImported   EventKind = "alert imported into a case"
	EventNoAlert    EventKind = "not by alert as the route wants"
)

// Applier makes TheHive agree with plans. Safe for concurrent use.
type Applier struct {
	options    Options
	claims     *claim.Claims
	locks      *claim.KeyedLock
	contention *claim.Contention
	pace       *pace
	spools     *files.Spool
	crowded    *expirable.LRU[string, time.Time] // until when: cases of which TheHive could not take several calls at a time
	login      atomic.Pointer[string]            // the worker's own account, once known
	types      fieldTypes
	templates  templateTags
	due        *related.Due
	analyses   *analyze.Queue // cases of which something is to be asked for
	results    *analyze.Queue // cases of which results are waited for
	restsUntil atomic.Int64   // ms; see rests
	news       chan struct{}  // see News
	asker      *analyze.Asker
	pages      sync.Map // organisation → whether the account may write pages, a bool
	alerts     sync.Map // organisation → until when the account may not create alerts and make cases of them, a time; zero: it may
}

// New makes an applier, or says which option cannot work.
func New(o Options) (*Applier, error) {
	if o.Hive == nil || o.Ledger == nil {
		return nil, errors.New("enrich: a hive and a ledger are needed")
	}
	o = o.withDefaults()
	if o.Lease*2 < o.Call*3 {
		return nil, errors.New("enrich: the lease must be at least one and a half times the call time-out")
	}
	if err := files.CheckPassword(o.Files.ZipPassword); err != nil {
		return nil, fmt.Errorf("enrich: %w", err)
	}
	return &Applier{
		options: o,
		claims: claim.New(o.Ledger, claim.Options{
			Lease: o.Lease, Settle: o.Settle, Fields: bodyFields, Pod: o.Worker, Concurrency: o.Concurrency, Says: o.Says,
		}),
		locks:      claim.NewKeyedLock(),
		contention: claim.NewContention(),
		pace:       newPace(),
		due:        related.NewDue(),
		analyses:   analyze.NewQueue(),
		results:    analyze.NewQueue(),
		news:       make(chan struct{}, 1),
		asker:      &analyze.Asker{Most: o.Limits.Outstanding, Settle: o.Settle},
		spools:     files.NewSpool(o.Files.Spool, o.Files.SpoolBytes),
		crowded:    expirable.NewLRU[string, time.Time](maxPaced, nil, 0),
	}, nil
}

// crowdedFor is how long a case of which TheHive could not take several calls at a time gets one at a time.
const crowdedFor = time.Hour

// maxPaced is how many cases are remembered.
const maxPaced = 4096

func (o Options) withDefaults() Options {
	o.Call = cmp.Or(o.Call, 10*time.Second)
	o.Lease = cmp.Or(o.Lease, 15*time.Second)
	o.Settle = cmp.Or(o.Settle, 2*o.Call+5*time.Second)
	o.Batch = cmp.Or(o.Batch, 100)
	o.PerCase = cmp.Or(o.PerCase, 2)
	o.Limits.Observables = cmp.Or(o.Limits.Observables, 2000)
	o.Limits.Tags = cmp.Or(o.Limits.Tags, 100)
	o.Limits.Analyses = cmp.Or(o.Limits.Analyses, 100)
	o.Limits.Outstanding = cmp.Or(o.Limits.Outstanding, analyze.MostOutstanding)
	o.Limits.Procedures = cmp.Or(o.Limits.Procedures, 500)
	o.Files.MaxBytes = cmp.Or(o.Files.MaxBytes, defaultMaxFile)
	o.Files.SpoolBytes = cmp.Or(o.Files.SpoolBytes, defaultSpool)
	o.Files.ZipPassword = cmp.Or(o.Files.ZipPassword, files.DefaultPassword)
	o.Limits.Comments = cmp.Or(o.Limits.Comments, 500)
	o.Digest = cmp.Or(o.Digest, DigestPage)
	if o.Events == nil {
		o.Events = deaf{}
	}
	return o
}

// target is the mapping to what the server holds.
func (a *Applier) target() *mitre.Target {
	if a.options.Knowledge != nil {
		return a.options.Knowledge.Target()
	}
	return newestTarget()
}

// newestTarget is a server that holds the newest releases.
var newestTarget = sync.OnceValue(func() *mitre.Target {
	return mitre.Embedded().For(mitre.KnownRelease(""))
})

type deaf struct{}

func (deaf) Happened(Event) {}

// Apply makes TheHive agree with the plans of a batch, oldest first, and tells of each plan what
// became of it: nil means that everything it asks for is in TheHive. It waits for claims that
// are held elsewhere, and returns early with ErrStopping's class when the context ends.
// At most one apply of a queue may run in a process.
func (a *Applier) Apply(ctx context.Context, b enrich.Batch) []error {
	j := &job{queue: b.Queue, slot: b.Slot, more: b.More, landed: b.Landed, out: newOutcomes(0)}
	j.add(b.Plans)
	for len(j.rest) > 0 {
		done, err := a.turn(ctx, j)
		if over, ok := errors.AsType[*overflowError](err); ok {
			done, err = a.overflow(ctx, j, over)
		}
		if err != nil {
			j.out.fail(j.rest, err)
			break
		}
		j.rest = slices.DeleteFunc(j.rest, func(i int) bool { return slices.Contains(done, i) })
	}
	return j.out.all()
}

// inOrganisation is the one place where a refusal of the worker itself learns which organisation
// it concerns: every call of a turn is made in one. A refusal by somebody else than TheHive is
// none of the worker: it is not Blocked.
func inOrganisation(name string, err error) error {
	e, ok := errors.AsType[*hive.Error](err)
	if !ok || enrich.ClassOf(e) != enrich.Blocked || hive.VerdictOf(e) == hive.Unanswered {
		return err
	}
	return &enrich.OrganisationError{Organisation: name, Credentials: e.Verdict() == hive.Unauthenticated, Err: err}
}

// Hive is what an apply needs of TheHive, in one organisation. *hive.Client satisfies it.
//
// Error contract: failures are *hive.Error, which tells a refusal (nothing happened) from an
// ambiguous answer (something may have happened).
type Hive interface {
	Cases
	Observables
	Procedures
	Comments
	Pages
	Files
	Relations
	Account
	FieldLister
	Alerts
	AlertLister
	QueuedAlerts
	QueuedItems
	QueuedFiles
}

// QueuedAlerts reads and changes alerts, and their comments.
type QueuedAlerts interface {
	Alert(ctx context.Context, id string) (hive.Alert, error)
	UpdateAlert(ctx context.Context, id string, u hive.AlertUpdate) error
	AddAlertComment(ctx context.Context, alertID, message string) (hive.Comment, error)
	AlertComments(ctx context.Context, alertID string) iter.Seq2[hive.Comment, error]
}

// QueuedItems reads and writes the observables and procedures of alerts.
type QueuedItems interface {
	AddAlertObservables(ctx context.Context, alertID string, o hive.NewObservable) (hive.ObservableResult, error)
	AlertObservables(ctx context.Context, id string) iter.Seq2[hive.Observable, error]
	AddAlertProcedures(ctx context.Context, alertID string, p []hive.NewProcedure) ([]hive.Procedure, error)
	AlertProcedures(ctx context.Context, alertID string) iter.Seq2[hive.Procedure, error]
}

// QueuedFiles reads and writes the files of alerts.
type QueuedFiles interface {
	AddAlertFile(ctx context.Context, alertID string, o hive.NewObservable, u hive.Upload) (hive.ObservableResult, error)
	AddAlertAttachments(ctx context.Context, alertID string, files ...hive.Upload) ([]hive.Attachment, error)
	AlertAttachments(ctx context.Context, alertID string) iter.Seq2[hive.Attachment, error]
}

// Alerts creates alerts and makes them parts of cases.
type Alerts interface {
	CreateAlert(ctx context.Context, n hive.NewAlert) (hive.Alert, error)
	AlertOf(ctx context.Context, kind, source, ref string) (hive.Alert, bool, error)
	PromoteAlert(ctx context.Context, id string, n hive.CaseFromAlert) (hive.Case, error)
	ImportAlert(ctx context.Context, id, caseID string) (hive.Case, error)
}

// AlertLister lists the alerts that are part of a case.
type AlertLister interface {
	CaseAlerts(ctx context.Context, caseID string) iter.Seq2[hive.Alert, error]
}

// FieldLister tells which custom fields cases can have, and which tags a template has: none where there is no such template.
type FieldLister interface {
	CustomFields(ctx context.Context) ([]hive.CustomField, error)
	TemplateTags(ctx context.Context, template string) ([]string, error)
}

// Account tells what the account may do in the organisation.
type Account interface {
	CurrentUser(ctx context.Context) (hive.User, error)
}

// Cases reads and writes cases.
type Cases interface {
	Case(ctx context.Context, idOrNumber string) (hive.Case, error)
	FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error]
	CreateCase(ctx context.Context, c hive.NewCase) (hive.Case, error)
	UpdateCase(ctx context.Context, id string, u hive.CaseUpdate) error
}

// Observables reads and writes the observables of a case.
type Observables interface {
	AddObservables(ctx context.Context, caseID string, o hive.NewObservable) (hive.ObservableResult, error)
	UpdateObservable(ctx context.Context, id string, u hive.ObservableUpdate) error
	CaseObservables(ctx context.Context, caseID string) iter.Seq2[hive.Observable, error]
}

// Procedures reads and writes the procedures of a case.
type Procedures interface {
	AddProcedures(ctx context.Context, caseID string, p []hive.NewProcedure) ([]hive.Procedure, error)
	CaseProcedures(ctx context.Context, caseID string) iter.Seq2[hive.Procedure, error]
}

// Comments reads and writes the comments of a case.
type Comments interface {
	AddComment(ctx context.Context, caseID, message string) (hive.Comment, error)
	UpdateComment(ctx context.Context, id, message string) error
	DeleteComment(ctx context.Context, id string) error
	CaseComments(ctx context.Context, caseID string) iter.Seq2[hive.Comment, error]
}

// Pages reads and writes the pages of a case.
type Pages interface {
	AddPage(ctx context.Context, caseID string, p hive.NewPage) (hive.Page, error)
	UpdatePage(ctx context.Context, caseID, pageID, content string) error
	DeletePage(ctx context.Context, caseID, pageID string) error
	CasePages(ctx context.Context, caseID string) iter.Seq2[hive.Page, error]
}

// Files reads and writes the files of a case.
type Files interface {
	AddFile(ctx context.Context, caseID string, o hive.NewObservable, u hive.Upload) (hive.ObservableResult, error)
	AddAttachments(ctx context.Context, caseID string, files ...hive.Upload) ([]hive.Attachment, error)
	CaseAttachments(ctx context.Context, caseID string) iter.Seq2[hive.Attachment, error]
}

// Relations finds cases by what they hold, and links them.
type Relations interface {
	OpenCasesWith(ctx context.Context, values ...hive.ObservableName) ([]hive.Case, error)
	CaseLinks(ctx context.Context, caseID string) ([]hive.Linked, error)
	LinkCases(ctx context.Context, caseID, otherID, kind string) error
}

var _ Hive = (*hive.Client)(nil)

// inAlert is TheHive where what is added to is an alert: it holds tags, levels, observables, procedures, comments and files as a
// case does, and they are posted and looked for alike. It has no pages, and its entry in the ledger says that it is one.
type inAlert struct{ Hive }

// inAlert is the turn where what is added to is an alert.
func (t *turn) inAlert() *turn {
	if _, is := t.hive.(inAlert); is {
		return t
	}
	on := *t
	on.hive = inAlert{t.hive}
	return &on
}

// addsToAlert tells whether what is added to is an alert.
func (t *turn) addsToAlert() bool {
	_, is := t.hive.(inAlert)
	return is
}

// heldBy is an alert as what holds items.
func heldBy(a hive.Alert) hive.Case {
	return hive.Case{
		ID: a.ID, Title: a.Title, Description: a.Description, Severity: a.Severity, TLP: a.TLP, PAP: a.PAP, StartDate: a.Date, Tags: a.Tags,
		CustomFields: a.CustomFields, Assignee: a.Assignee, Status: a.Status, Stage: a.Stage, EndDate: a.ClosedDate,
		CreatedAt: a.CreatedAt, CreatedBy: a.CreatedBy, UpdatedAt: a.UpdatedAt, UpdatedBy: a.UpdatedBy,
	}
}

func (h inAlert) Case(ctx context.Context, id string) (hive.Case, error) {
	a, err := h.Alert(ctx, id)
	return heldBy(a), err
}

func (h inAlert) UpdateCase(ctx context.Context, id string, u hive.CaseUpdate) error {
	return h.UpdateAlert(ctx, id, hive.AlertUpdate{Severity: u.Severity, TLP: u.TLP, PAP: u.PAP, AddTags: u.AddTags})
}

func (h inAlert) AddObservables(ctx context.Context, id string, o hive.NewObservable) (hive.ObservableResult, error) {
	return h.AddAlertObservables(ctx, id, o)
}

func (h inAlert) CaseObservables(ctx context.Context, id string) iter.Seq2[hive.Observable, error] {
	return h.AlertObservables(ctx, id)
}

func (h inAlert) AddProcedures(ctx context.Context, id string, p []hive.NewProcedure) ([]hive.Procedure, error) {
	return h.AddAlertProcedures(ctx, id, p)
}

func (h inAlert) CaseProcedures(ctx context.Context, id string) iter.Seq2[hive.Procedure, error] {
	return h.AlertProcedures(ctx, id)
}

func (h inAlert) AddComment(ctx context.Context, id, message string) (hive.Comment, error) {
	return h.AddAlertComment(ctx, id, message)
}

func (h inAlert) CaseComments(ctx context.Context, id string) iter.Seq2[hive.Comment, error] {
	return h.AlertComments(ctx, id)
}

func (h inAlert) AddFile(ctx context.Context, id string, o hive.NewObservable, u hive.Upload) (hive.ObservableResult, error) {
	return h.AddAlertFile(ctx, id, o, u)
}

func (h inAlert) AddAttachments(ctx context.Context, id string, files ...hive.Upload) ([]hive.Attachment, error) {
	return h.AddAlertAttachments(ctx, id, files...)
}

func (h inAlert) CaseAttachments(ctx context.Context, id string) iter.Seq2[hive.Attachment, error] {
	return h.AlertAttachments(ctx, id)
}

// calling gives the context for calls of TheHive under a claim: it ends when the claim is lost, but
// not when the worker stops, so that a running call may finish; no write starts after either.
func calling(ctx context.Context, cl *claim.Claim) (context.Context, func()) {
	calls, done := cl.Bind(context.WithoutCancel(ctx))
	return hive.WithGuard(calls, func() error {
		if ctx.Err() != nil {
			return claim.Ended(ctx)
		}
		return cl.Check()
	}), done
}
