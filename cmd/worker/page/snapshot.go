package page

import (
	"context"
	"errors"
	"time"

	"forager/cmd/worker/explanation"
)

// Source gives what the page shows. Its methods are called by several goroutines.
type Source interface {
	// Snapshot is how the replica does now. It is asked for often, and must be had without waiting for a server: parts
	// that are not known yet say so.
	Snapshot(ctx context.Context) Snapshot
	// Matrix is what was recorded of a domain of ATT&CK in a release; empty is the default of each. What went wrong
	// stands in it.
	Matrix(ctx context.Context, domain, release string) Matrix
	// Layer is the same for the ATT&CK Navigator.
	Layer(ctx context.Context, domain, release string) ([]byte, error)
	// Open reads a message of the stream again, and tells what it means. The error wraps [ErrGone] where the stream has
	// it no more.
	Open(ctx context.Context, sequence uint64) (Opened, error)
}

// ErrGone says that a message is not in the stream any more, or was never shown.
var ErrGone = errors.New("the stream does not have the message any more")

// Snapshot is how a replica does at one moment. Texts are any.
type Snapshot struct {
	At       time.Time
	Replica  string
	Version  string
	Concerns []Concern // the worst first
	Flow     Flow
	Recent   []Row // the newest first
	Letters  Letters
	Promises []Promise
}

// Concern is something that somebody should see to.
type Concern struct {
	Stuck bool      // no work gets done by it
	What  string    // what is wrong
	Words string    // the worker's own words for it; empty: What are these
	Since time.Time // zero: not known
	Do    string    // what to do; empty: What says it
	See   string    // the part of the page that tells more, by its id; empty: there is none
}

// Flow is what passes through this replica, and what holds it up.
type Flow struct {
	Since    time.Time // of the counts
	Ready    bool
	Ended    []Count // messages, by outcome
	InHand   int
	Behind   Behind
	Minutes  []Minute // the oldest first
	Calls    Calls
	Replicas []Replica
	Trouble  string // why the replicas are not known; empty: they are
}

// Count is a number with its name.
type Count struct {
	Name string
	N    int
}

// Behind is how far behind the consumer is, for all replicas.
type Behind struct {
	Known      bool
	Waiting    uint64 // messages that were never delivered
	Unanswered uint64 // delivered, not settled
	Limit      uint64 // of these; 0 is none
}

// Minute is what happened in one minute.
type Minute struct {
	Begin   time.Time
	Settled int    // for good: applied, dropped or given up
	Dead    int    // of these, given up
	Again   int    // went back, and come again
	Lag     uint64 // messages that waited
	Known   bool   // whether the lag is
}

// Calls are those at TheHive.
type Calls struct {
	InFlight int
	Limit    int // that TheHive is trusted with now
	Most     int // that the configuration allows
}

// Replica is a process that carries detections, or did lately.
type Replica struct {
	Name    string
	State   string // live, silent, ended
	Seen    time.Duration
	Started time.Time
	Says    string // why it consumes nothing; empty: it does
	Own     bool   // it shows this page
}

// Row is one message.
type Row struct {
	Sequence   uint64
	At         time.Time
	Format     string
	Title      string
	Host       string
	Severity   int // 1–4; 0 is none
	Techniques []string
	More       int // techniques beyond those
	Detections int
	Outcome    string
	Reason     string
	Detail     string
	Took       time.Duration
	Cases      []Case
}

// Case is where a message went.
type Case struct {
	Number int
	URL    string // of TheHive; shown as a link where it is http or https
}

// Letters are the dead letters that wait for somebody.
type Letters struct {
	Known   bool
	Trouble string // why they are not known
	Waiting uint64
	Groups  []Group
	Whole   bool // all were looked at
}

// Group is dead letters that died of the same.
type Group struct {
	Reason         string
	Step           string
	Status         int
	Count          int
	Oldest, Newest time.Time
}

// Promise is something that should stay 0.
type Promise struct {
	Name  string
	Says  string // what is counted
	N     int
	Do    string // what to do where it is not 0
	Grave bool   // somebody should see to it at once
}

// Opened is what a message means.
type Opened struct {
	Row     Row // as far as it is known
	Subject string
	Stored  time.Time
	Bytes   int
	Lines   []explanation.Line
}
