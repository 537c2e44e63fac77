package hive_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"forager/hive"
	"forager/hive/admin"
	"forager/hive/connector"
)

func TestStreamsComeFromTheirPaths(t *testing.T) {
	t.Parallel()
	const hash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for want, open := range map[string]func(context.Context, *hive.Client) (io.ReadCloser, error){
		"/api/v1/observable/~9/attachment/~6/download?asZip=true": func(x context.Context, c *hive.Client) (io.ReadCloser, error) {
			return c.DownloadObservableZip(x, "~9", "~6")
		},
		"/api/v1/alert/~70/attachment/" + hash + "/download?": func(x context.Context, c *hive.Client) (io.ReadCloser, error) { return c.DownloadAlert(x, "~70", hash) },
		"/api/v1/log/~20/attachment/~6/download?":             func(x context.Context, c *hive.Client) (io.ReadCloser, error) { return c.DownloadLog(x, "~20", "~6") },
		"/api/v1/case/7/export?password=a+b%26":               func(x context.Context, c *hive.Client) (io.ReadCloser, error) { return c.ExportCase(x, "7", "a b&") },
	} {
		c, log := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.WriteString(w, "content")
		})
		body, err := open(t.Context(), c)
		must(t, err)
		got, err := io.ReadAll(body)
		must(t, errors.Join(err, body.Close()))
		if calls := log.all(); string(got) != "content" || len(calls) != 1 || calls[0].Path+"?"+calls[0].Query != want {
			t.Errorf("%q from %+v, want %s", got, calls, want)
		}
	}
}

func TestKeysAreTextAndNoPage(t *testing.T) {
	t.Parallel()
	calls := map[string]func(context.Context, *admin.Admin) (string, error){
		"POST /api/v1/user/ann@example.org/key/renew": func(x context.Context, a *admin.Admin) (string, error) { return a.RenewKey(x, "ann@example.org") },
		"GET /api/v1/user/ann@example.org/key":        func(x context.Context, a *admin.Admin) (string, error) { return a.Key(x, "ann@example.org") },
		"GET /api/v1/license/challenge":               func(x context.Context, a *admin.Admin) (string, error) { return a.LicenseChallenge(x) },
	}
	for want, call := range calls {
		text := "a+/k3y="
		c, log := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
			_, _ = io.WriteString(w, text)
		})
		got, err := call(t.Context(), admin.New(c))
		must(t, err)
		if r := log.all()[0]; got != "a+/k3y=" || r.Method+" "+r.Path != want {
			t.Errorf("%q from %s %s, want %s", got, r.Method, r.Path, want)
		}
		for _, page := range []string{"<html>log in</html>", `{"type":"x"}`, "", "two\nlines"} {
			text = page
			if _, err := call(t.Context(), admin.New(c)); !errors.Is(err, hive.ErrShape) {
				t.Errorf("%s: %q passes for a key: %v", want, page, err)
			}
		}
	}
}

// TestQueryStringsOfDeletes: what an endpoint is told beside its path.
func TestQueryStringsOfDeletes(t *testing.T) {
	t.Parallel()
	for want, call := range map[string]func(context.Context, *admin.Admin) error{
		"force=true":           func(x context.Context, a *admin.Admin) error { return a.DeleteCustomField(x, "f", true) },
		"force=false":          func(x context.Context, a *admin.Admin) error { return a.DeleteCustomField(x, "f", false) },
		"organisation=a%26b+c": func(x context.Context, a *admin.Admin) error { return a.DeleteUser(x, "u", "a&b c") },
		"":                     func(x context.Context, a *admin.Admin) error { return a.DeleteUser(x, "u", "") },
	} {
		c, log := serve(t, answer(204, ""))
		must(t, call(t.Context(), admin.New(c)))
		if got := log.all()[0].Query; got != want {
			t.Errorf("query %q, want %q", got, want)
		}
	}
}

func TestWhatCannotBeAskedForIsNotSent(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(204, ""))
	a, con := admin.New(c), connector.New(c)
	x, long := t.Context(), strings.Repeat("x", 600)
	for name, err := range map[string]error{
		"alert without a source":     second(c.CreateAlert(x, hive.NewAlert{Type: "t", SourceRef: "r", Title: "T"})),
		"alert's file with data":     second(c.CreateAlert(x, hive.NewAlert{Type: "t", Source: "s", SourceRef: "r", Title: "T", Files: []hive.AlertFile{{Observable: hive.NewObservable{DataType: "file", Data: []string{"d"}}}}})),
		"alert's value":              second(c.CreateAlert(x, hive.NewAlert{Type: "t", Source: "s", SourceRef: "r", Title: "T", Observables: []hive.NewObservable{{DataType: "ip"}}})),
		"alert's procedure":          second(c.CreateAlert(x, hive.NewAlert{Type: "t", Source: "s", SourceRef: "r", Title: "T", Procedures: []hive.NewProcedure{{PatternID: "T1"}}})),
		"alert's reference":          second(c.CreateAlert(x, hive.NewAlert{Type: "t", Source: "s", SourceRef: long, Title: "T"})),
		"update of nothing":          c.UpdateAlert(x, "~1", hive.AlertUpdate{}),
		"alert by number":            second(c.Alert(x, "17")),
		"import into a number":       second(c.ImportAlert(x, "~1", "7")),
		"promotion's tags":           second(c.PromoteAlert(x, "~1", hive.CaseFromAlert{Tags: []string{""}})),
		"observables of a path":      second(collect(c.AlertObservables(x, "~1/../~2"))),
		"task's update":              c.UpdateTask(x, "~1", hive.TaskUpdate{}),
		"log without a message":      second(c.AddLog(x, "~1", hive.NewLog{})),
		"logs of a number":           second(collect(c.TaskLogs(x, "1"))),
		"share with nobody":          second(c.ShareCase(x, "~1")),
		"share with no name":         c.ShareTask(x, "~1", ""),
		"link that is no address":    c.LinkURL(x, "1", "javascript:alert(1)", "k"),
		"event without a date":       second(c.AddCustomEvent(x, "1", hive.NewCustomEvent{Title: "t"})),
		"archive without a password": second(c.ImportCase(x, hive.Upload{Name: "a", Body: strings.NewReader("")}, "")),
		"export without a password":  second(c.ExportCase(x, "1", "")),
		"page's update":              c.ChangePage(x, "1", "~1", hive.PageUpdate{}),
		"access of no login":         c.SetAccess(x, "1", hive.Access{Users: []string{""}}),
		"user without a name":        second(a.CreateUser(x, admin.NewUser{Login: "l", Profile: "p"})),
		"user's update":              a.UpdateUser(x, "l", admin.UserUpdate{}),
		"profile's update":           a.UpdateProfile(x, "p", admin.ProfileUpdate{}),
		"organisation's name":        second(a.CreateOrganisation(x, admin.NewOrganisation{Name: long})),
		"user on a way up":           second(a.User(x, "..")),
		"job without an observable":  second(con.RunAnalyzer(x, connector.NewJob{AnalyzerID: "a", CortexID: "c"})),
		"MISP server on a way up":    con.ExportToMISP(x, "~1", ".."),
	} {
		if !errors.Is(err, hive.ErrInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if n := len(log.all()); n != 0 {
		t.Errorf("%d requests", n)
	}
}
