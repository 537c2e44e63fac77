package enrich_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive"
	"forager/hive/hivetest"
)

// limited is a TheHive whose account has few rights.
type limited struct {
	enrich.Hive
	rights []string
}

func (l limited) CurrentUser(ctx context.Context) (hive.User, error) {
	u, err := l.Hive.CurrentUser(ctx)
	u.Permissions = l.rights
	return u, err
}

// TestARightThatLacksInOneCaseIsChargedToItsItems: TheHive answers 403 below one case. The items are
// refused, the rest of the case and other cases go on; only what the account lacks everywhere blocks.
func TestARightThatLacksInOneCaseIsChargedToItsItems(t *testing.T) {
	t.Parallel()
	for part, right := range map[string]string{"/observable": "manageObservable", "": "manageCase/update"} {
		for _, everywhere := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hivetest.Options{})
				var has []string
				if !everywhere {
					has = []string{right}
				}
				w := s.worker(t, func(o *enrich.Options) {
					c := o.Hive("")
					o.Hive = func(string) enrich.Hive { return limited{c, has} }
				})
				apply := func(host, id string) error {
					d := seen(host, id, day(6))
					d.Tags = []string{"tag-" + id}
					d.Observables = []detection.Observable{{DataType: "other", Data: "value " + id}}
					plans := plan(t, 1, d)
					return w.Apply(t.Context(), plans[0].Queue(), plans)[0]
				}
				if err := apply("web01", "first"); err != nil {
					t.Fatal(err)
				}
				locked := ""
				for c, err := range s.client(t).FindCases(t.Context(), hive.Query{}) {
					if err != nil {
						t.Fatal(err)
					}
					locked = c.ID
				}
				s.hive.On(hivetest.BeforeEffect, "", func(c hivetest.Call) hivetest.Action {
					if c.Method == http.MethodGet || !strings.HasSuffix(c.Path, "/case/"+locked+part) {
						return hivetest.Action{}
					}
					return hivetest.Action{Status: 403, Type: "AuthorizationError", Message: "Operation not permitted"}
				})
				err := apply("web01", "second")
				want := map[bool]enrich.Class{false: enrich.Rejected, true: enrich.Blocked}[everywhere]
				if enrich.ClassOf(err) != want {
					t.Errorf("%q, everywhere %t: %v", part, everywhere, err)
				}
				if err := apply("web02", "other"); err != nil {
					t.Errorf("another case: %v", err)
				}
			})
		}
	}
}
