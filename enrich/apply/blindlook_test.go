package apply_test

import (
	"context"
	"iter"
	"net/http"
	"testing"
	"testing/synctest"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/hive/hivetest"
)

// lossy is TheHive behind a proxy that loses the first answer to a write, and answers the look that
// follows itself, once.
type lossy struct {
	apply.Hive
	of    string // "case", "comment" or "update"
	state int    // 0: nothing yet, 1: the answer is lost, 2: the look was answered
}

// foreign is what the proxy says.
func (l *lossy) foreign(op string) error {
	return &hive.Error{Op: op, Method: http.MethodPost, Status: http.StatusUnauthorized, Message: "log in", Sent: true}
}

// loses tells whether this answer is the one that is lost.
func (l *lossy) loses(of string) bool {
	if l.of != of || l.state != 0 {
		return false
	}
	l.state = 1
	return true
}

// hides tells whether this look is the one that is answered by the proxy.
func (l *lossy) hides(of string) bool {
	if l.of != of || l.state != 1 {
		return false
	}
	l.state = 2
	return true
}

func (l *lossy) CreateCase(ctx context.Context, c hive.NewCase) (hive.Case, error) {
	made, err := l.Hive.CreateCase(ctx, c)
	if l.loses("case") {
		return hive.Case{}, l.foreign("create case")
	}
	return made, err
}

func (l *lossy) AddComment(ctx context.Context, id, text string) (hive.Comment, error) {
	made, err := l.Hive.AddComment(ctx, id, text)
	if l.loses("comment") {
		return hive.Comment{}, l.foreign("add comment")
	}
	return made, err
}

func (l *lossy) UpdateCase(ctx context.Context, id string, u hive.CaseUpdate) error {
	err := l.Hive.UpdateCase(ctx, id, u)
	if l.loses("update") {
		return l.foreign("update case")
	}
	return err
}

func (l *lossy) Case(ctx context.Context, id string) (hive.Case, error) {
	if l.hides("update") {
		return hive.Case{}, l.foreign("get case")
	}
	return l.Hive.Case(ctx, id)
}

func (l *lossy) FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error] {
	if l.hides("case") {
		return func(yield func(hive.Case, error) bool) { yield(hive.Case{}, l.foreign("find cases")) }
	}
	return l.Hive.FindCases(ctx, q)
}

func (l *lossy) CaseComments(ctx context.Context, id string) iter.Seq2[hive.Comment, error] {
	if l.hides("comment") {
		return func(yield func(hive.Comment, error) bool) { yield(hive.Comment{}, l.foreign("list comments")) }
	}
	return l.Hive.CaseComments(ctx, id)
}

// TestWhatCannotBeLookedForIsNotSentAgain: the answer to a write is lost, and the look for it is answered
// by somebody else. Nobody knows what is there: nothing like it is sent again before a look says so.
func TestWhatCannotBeLookedForIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"case", "comment", "update"} {
		t.Run(of, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { lookInVain(t, of) })
		})
	}
}

// lookInVain applies two detections again and again, while an answer and the look after it are lost.
func lookInVain(t *testing.T, of string) {
	t.Helper()
	s := newSite(t, hivetest.Options{})
	var box *lossy
	w := s.worker(t, func(o *apply.Options) {
		box = &lossy{Hive: o.Hive(""), of: "none"}
		o.Hive = func(string) apply.Hive { return box }
	})
	apply := func(ids ...string) []error {
		var plans []enrich.Plan
		for _, id := range ids {
			d := seen("web01", id, day(6))
			d.Rule.ID = "rule-" + id
			if id != "before" {
				d.Severity = canon.Critical // raises the case's
			}
			plans = append(plans, plan(t, 1, d)...)
		}
		return w.Apply(t.Context(), enrich.BatchOf(plans...))
	}
	if of != "case" {
		if err := apply("before")[0]; err != nil {
			t.Fatal(err)
		}
	}
	box.of = of
	if of == "update" {
		if err := apply("a", "b")[0]; enrich.ClassOf(err) != enrich.Transient {
			t.Errorf("nobody knows whether the case was updated: %v is %v", err, enrich.ClassOf(err))
		}
	}
	for range 3 {
		apply("a", "b")
	}
	if box.state != 2 {
		t.Fatal("no answer was lost")
	}
	for _, err := range apply("a", "b") {
		if err != nil {
			t.Error(err)
		}
	}
	if got := s.hive.Stats(hivetest.DefaultWindow).Duplicates; got.Total() != 0 {
		t.Errorf("doubled: %+v", got)
	}
}
