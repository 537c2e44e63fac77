package apply

import (
	"reflect"
	"slices"
	"strings"

	"forager/enrich"
	"forager/enrich/analyze"
)

// EntryFields are the fields of entries' bodies as this version knows them, and as the types say.
func EntryFields() (known, typed []string) {
	for _, body := range []any{keyBody{}, caseBody{}, analyze.Room{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(body)) {
			if field.Anonymous {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !slices.Contains(typed, name) { // several bodies have it
				typed = append(typed, name)
			}
		}
	}
	return slices.Clone(bodyFields), typed
}

var (
	MarkersIn = markersIn
	MarkerID  = markerID
)

// Name is the identity of the comment that a marker names.
func (m marker) Name() string { return m.name() }

// Ref is a case as the ledger lists it; Placed is where the span rules put plans.
type (
	Ref    = caseRef
	Placed struct {
		Fate  string
		ID    string
		Plans []int
		Tied  bool
	}
)

// Guess marks a reference whose newest event is not known.
func (r caseRef) Guess() caseRef { r.guess = true; return r }

// Absent marks a reference to a case that this turn looked for in vain.
func (r caseRef) Absent() caseRef { r.Lost, r.absent = true, true; return r }

// Assign shows the span rules.
func Assign(plans []enrich.Plan, refs []Ref) Placed {
	t := assign(plans, refs)
	names := map[fate]string{fateJoin: "join", fateOpen: "open", fateReopen: "reopen", fateDeleted: "deleted", fateUnknown: "unknown", fateUnseen: "unseen"}
	return Placed{Fate: names[t.fate], ID: t.ref.ID, Plans: t.plans, Tied: t.tied}
}

// Remembered is how many cases an applier remembers the pace of.
func (a *Applier) Remembered() int { return a.pace.wrote.Len() }

// Comment lets a comment of a case be written.
func (a *Applier) Comment(name string) { a.pace.note(name) }

// MaxPaced bounds what is remembered.
const MaxPaced = maxPaced

// Count is a comment's count of plans of one rule and day, applied in batches.
func Count(batches ...[]enrich.Plan) (n int, ids []string) {
	var c commentRef
	for _, plans := range batches {
		for _, m := range markersOf(plans) {
			c.absorb(plans, m)
		}
	}
	return c.N, c.IDs
}

// Bisect opens the bisection of requests to its table.
func Bisect[T any](items []T, send func([]T) error, alone func(T, error)) error {
	return bisection[T]{
		send:    func(part []T) ([]T, error) { return part, send(part) },
		look:    func([]T, error) error { return nil },
		missing: func(part []T) []T { return part },
		alone:   func(item T, err error) error { alone(item, err); return nil },
	}.run(items)
}
