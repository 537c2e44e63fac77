package apply_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"
)

// limited is a TheHive whose account has few rights.
type limited struct {
	apply.Hive
	rights []string
	silent bool // cases do not say what may be done in them
}

func (l limited) CurrentUser(ctx context.Context) (hive.User, error) {
	u, err := l.Hive.CurrentUser(ctx)
	u.Permissions = l.rights
	return u, err
}

func (l limited) Case(ctx context.Context, id string) (hive.Case, error) {
	c, err := l.Hive.Case(ctx, id)
	if l.silent {
		c.Permissions = nil
	}
	return c, err
}

// TestARightThatLacksInOneCaseIsChargedToItsItems: TheHive answers 403 below one case. The items are
// refused, the rest of the case and other cases go on; only what the account lacks everywhere blocks.
func TestARightThatLacksInOneCaseIsChargedToItsItems(t *testing.T) {
	t.Parallel()
	for part, right := range map[string]string{"/observable": "manageObservable", "": "manageCase/update", "/comment": "manageComment", "/procedures": "manageProcedure"} {
		for _, everywhere := range []bool{false, true} {
			for _, silent := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, everywhere %t, silent %t", right, everywhere, silent), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { denyInOneCase(t, part, right, everywhere, silent) })
				})
			}
		}
	}
}

// denyInOneCase refuses a right in the first of two cases, and tries it in both.
func denyInOneCase(t *testing.T, part, right string, everywhere, silent bool) {
	t.Helper()
	s := newSite(t, hivetest.Options{})
	var has []string
	if !everywhere {
		has = []string{right}
	}
	w := s.worker(t, func(o *apply.Options) {
		c := o.Hive("")
		o.Hive = func(string) apply.Hive { return limited{c, has, silent} }
	})
	apply := func(host, id string) error {
		d := seen(host, id, day(6))
		d.Rule.ID, d.Tags = "rule-"+id, []string{"tag-" + id}
		d.Observables = []detection.Observable{{DataType: "other", Data: "value " + id}}
		d.Techniques = []detection.Reference{{Text: map[string]string{"first": "T1110", "second": "T1059", "other": "T1003"}[id], Path: "techniques"}}
		plans := plan(t, 1, d)
		return w.Apply(t.Context(), enrich.BatchOf(plans...))[0]
	}
	if err := apply("web01", "first"); err != nil {
		t.Fatal(err)
	}
	first, err := s.client(t).Case(t.Context(), "1")
	if err != nil || !s.hive.Deny(first.ID, right) {
		t.Fatal(err)
	}
	locked := first.ID
	posts := 0
	s.hive.On(hivetest.BeforeEffect, "", func(c hivetest.Call) hivetest.Action {
		if c.Method != http.MethodGet && strings.HasSuffix(c.Path, "/case/"+locked+part) {
			posts++
		}
		return hivetest.Action{}
	})
	err = apply("web01", "second")
	want := map[bool]enrich.Class{false: enrich.Rejected, true: enrich.Blocked}[everywhere]
	if enrich.ClassOf(err) != want {
		t.Errorf("%v: %v, want %v", enrich.ClassOf(err), err, want)
	}
	if posts == 0 || posts > 3 {
		t.Errorf("%d calls that were refused", posts)
	}
	if err := apply("web02", "other"); err != nil {
		t.Errorf("another case: %v", err)
	}
}
