package hive_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"forager/hive"
	"forager/hive/admin"
	"forager/hive/connector"
)

// refuser answers every request with a 404 of TheHive, and keeps what the descriptions say against it.
type refuser struct {
	judge      *judge
	complaints []string
}

func (r *refuser) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	all, err := descriptions()
	if err != nil {
		return nil, err
	}
	resp := &http.Response{StatusCode: 404, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(`{"type":"NotFoundError","message":"nothing is here"}`))}
	for _, d := range all {
		for _, c := range r.judge.judge(d, req, bytes.Clone(sent), resp, nil) {
			r.complaints = append(r.complaints, fmt.Sprintf("%s: %s %s: %s", d.version, req.Method, req.URL.Path, c))
		}
	}
	return resp, nil
}

// lengths of texts at which TheHive's limits lie, and beyond them.
var lengths = []int{0, 1, 16, 17, 32, 33, 64, 65, 128, 129, 512, 513}

// draw fills a value with what a caller might say, sense or not.
func draw(t *rapid.T, name string, v reflect.Value) {
	switch v.Interface().(type) {
	case hive.Millis:
		v.SetInt(rapid.SampledFrom(append(slices.Repeat([]int64{1, 1700000000000, 0}, 10), -1)).Draw(t, name))
		return
	case hive.Upload:
		v.Set(reflect.ValueOf(hive.Upload{Name: "f", Body: strings.NewReader("x")}))
		return
	case hive.Clearable:
		v.SetString(rapid.SampledFrom([]string{"summary", "assignee", "title"}).Draw(t, name))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(drawText(t, name))
	case reflect.Int:
		v.SetInt(int64(rapid.SampledFrom(append(slices.Repeat([]int{1, 2, 3}, 10), 0, 4, 5, -1)).Draw(t, name)))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Pointer:
		if rapid.Bool().Draw(t, name+" set") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, name, v.Elem())
		}
	case reflect.Slice:
		n := rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, name+" length")
		if n == 0 && rapid.Bool().Draw(t, name+" nil") {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			draw(t, fmt.Sprintf("%s[%d]", name, i), v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(rapid.SampledFrom([]any{"text", 1, true}).Draw(t, name)))
	}
}

// drawText is mostly what TheHive takes in that place; else of a length at which something ends.
func drawText(t *rapid.T, name string) string {
	if rapid.IntRange(0, 30).Draw(t, name+" odd") > 0 {
		switch last := name[strings.LastIndexByte(name, '.')+1:]; last {
		case "PatternID":
			return "T1566.001"
		case "Status", "Tactic":
			return "word"
		case "Type":
			return cmp.Or(map[string]string{"NewUser.Type": admin.Service, "UserUpdate.Type": admin.Normal, "NewCustomField.Type": admin.Date, "CustomFieldUpdate.Type": admin.URL}[name], "word")
		default:
			if strings.HasPrefix(last, "Users[") || last == "Login" || last == "Email" {
				return "ann@example.org"
			}
			return rapid.SampledFrom([]string{"", "word", "word", "word"}).Draw(t, name)
		}
	}
	return strings.Repeat("x", rapid.SampledFrom(lengths).Draw(t, name+" length"))
}

// given calls a method with what was drawn for it.
func given[T any](call func(context.Context, *hive.Client, T) error) func(*rapid.T, context.Context, *hive.Client) error {
	return func(t *rapid.T, ctx context.Context, c *hive.Client) error {
		var in T
		draw(t, reflect.TypeFor[T]().Name(), reflect.ValueOf(&in).Elem())
		return call(ctx, c, in)
	}
}

// TestWhatIsSentIsWhatTheDescriptionsTake: input that the client does not refuse is valid by all of them.
func TestWhatIsSentIsWhatTheDescriptionsTake(t *testing.T) {
	t.Parallel()
	if all, err := descriptions(); err != nil || len(all) == 0 {
		t.Skip("no OpenAPI description: ../shared/data/thehive is not there", err)
	}
	type ctx = context.Context
	type client = *hive.Client
	for name, call := range map[string]func(*rapid.T, ctx, client) error{
		"case":              given(func(x ctx, c client, n hive.NewCase) error { return second(c.CreateCase(x, n)) }),
		"case update":       given(func(x ctx, c client, n hive.CaseUpdate) error { return c.UpdateCase(x, "~1", n) }),
		"alert":             given(func(x ctx, c client, n hive.NewAlert) error { return second(c.CreateAlert(x, n)) }),
		"alert update":      given(func(x ctx, c client, n hive.AlertUpdate) error { return c.UpdateAlert(x, "~1", n) }),
		"promotion":         given(func(x ctx, c client, n hive.CaseFromAlert) error { return second(c.PromoteAlert(x, "~1", n)) }),
		"observable":        given(func(x ctx, c client, n hive.NewObservable) error { return second(c.AddObservables(x, "~1", n)) }),
		"observable update": given(func(x ctx, c client, n hive.ObservableUpdate) error { return c.UpdateObservable(x, "~1", n) }),
		"task":              given(func(x ctx, c client, n hive.NewTask) error { return second(c.AddTask(x, "~1", n)) }),
		"task update":       given(func(x ctx, c client, n hive.TaskUpdate) error { return c.UpdateTask(x, "~1", n) }),
		"log":               given(func(x ctx, c client, n hive.NewLog) error { return second(c.AddLog(x, "~1", n)) }),
		"log update":        given(func(x ctx, c client, n hive.LogUpdate) error { return c.UpdateLog(x, "~1", n) }),
		"page":              given(func(x ctx, c client, n hive.NewPage) error { return second(c.AddPage(x, "~1", n)) }),
		"page update":       given(func(x ctx, c client, n hive.PageUpdate) error { return c.ChangePage(x, "~1", "~2", n) }),
		"procedure":         given(func(x ctx, c client, n hive.NewProcedure) error { return second(c.AddProcedure(x, "~1", n)) }),
		"procedure update":  given(func(x ctx, c client, n hive.ProcedureUpdate) error { return c.UpdateProcedure(x, "~1", n) }),
		"event":             given(func(x ctx, c client, n hive.NewCustomEvent) error { return second(c.AddCustomEvent(x, "~1", n)) }),
		"event update":      given(func(x ctx, c client, n hive.CustomEventUpdate) error { return c.UpdateCustomEvent(x, "~1", n) }),
		"share":             given(func(x ctx, c client, n hive.NewShare) error { return second(c.ShareCase(x, "~1", n)) }),
		"owner":             given(func(x ctx, c client, n hive.Ownership) error { return c.ChangeOwner(x, "~1", n) }),
		"access":            given(func(x ctx, c client, n hive.Access) error { return c.SetAccess(x, "~1", n) }),
		"user":              given(func(x ctx, c client, n admin.NewUser) error { return second(admin.New(c).CreateUser(x, n)) }),
		"organisation": given(func(x ctx, c client, n admin.NewOrganisation) error {
			return second(admin.New(c).CreateOrganisation(x, n))
		}),
		"case template": given(func(x ctx, c client, n admin.NewCaseTemplate) error {
			return second(admin.New(c).CreateCaseTemplate(x, n))
		}),
		"template update": given(func(x ctx, c client, n admin.CaseTemplateUpdate) error {
			return admin.New(c).UpdateCaseTemplate(x, "t", n)
		}),
		"MISP event": given(func(x ctx, c client, n connector.MISPImport) error {
			return second(connector.New(c).ImportFromMISP(x, hive.Upload{Name: "e", Body: strings.NewReader("{}")}, n))
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire := &refuser{judge: &judge{t: t, deviated: map[string]bool{}}}
			c := newClient(t, hive.Options{URL: "http://thehive.invalid", APIKey: testKey, Transport: wire})
			sent := 0
			rapid.Check(t, func(r *rapid.T) {
				wire.complaints = nil
				err := call(r, t.Context(), c)
				if errors.Is(err, hive.ErrInvalid) {
					return
				}
				if sent++; len(wire.complaints) > 0 {
					r.Fatalf("it was sent, and is not what TheHive describes:\n%s", strings.Join(wire.complaints, "\n"))
				}
			})
			if sent == 0 {
				t.Error("nothing was sent: the test shows nothing")
			}
		})
	}
}
