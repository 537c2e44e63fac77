package hive_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"forager/hive"
)

func TestOptionsShowNoSecretInAnyForm(t *testing.T) {
	t.Parallel()
	o := hive.Options{URL: "https://u:p4ssw0rd@hive.test/x?token=p4ssw0rd", APIKey: "p4ssw0rd-key", User: "me", Password: "p4ssw0rd", Proxy: "http://u:p4ssw0rd@proxy"}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "options", o)
	asJSON, err := json.Marshal(map[string]any{"o": o, "p": &o})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", o), "%+v": fmt.Sprintf("%+v", o), "%#v": fmt.Sprintf("%#v", o), "%s": fmt.Sprintf("%s", o), "%q": fmt.Sprintf("%q", o),
		"pointer": fmt.Sprintf("%+v", &o), "nested": fmt.Sprintf("%+v", struct{ O hive.Options }{o}), "%x": fmt.Sprintf("%x", o), "%d": fmt.Sprintf("%d", o),
		"slog": logged.String(), "json": string(asJSON),
	} {
		if strings.Contains(text, "p4ssw0rd") || strings.Contains(text, fmt.Sprintf("%x", "p4ssw0rd")) {
			t.Errorf("%s: %s", name, text)
		}
	}
	c := newClient(t, hive.Options{URL: "https://hive.test", APIKey: "p4ssw0rd-key"})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "p4ssw0rd") {
			t.Errorf("client with %s: %s", verb, text)
		}
	}
}

func TestErrorsBlotOutSecretsThatAServerEchoes(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*hive.Options){
		"key":      func(o *hive.Options) { o.APIKey = "s3cr3t/key" },
		"password": func(o *hive.Options) { o.APIKey, o.User, o.Password = "", "me", "s3cr3t/key" },
	} {
		for _, own := range []bool{true, false} {
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				token := strings.Fields(r.Header.Get("Authorization"))[1]
				text := "denied: " + r.Header.Get("Authorization") + " s3cr3t/key s3cr3t%2Fkey " + token
				if own {
					text = `{"type":"AuthenticationError","message":"` + text + `"}`
				}
				answer(401, text)(w, r)
			}, change)
			_, err := c.Case(t.Context(), "1")
			if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte("me:s3cr3t/key"))) {
				t.Errorf("%s: %v", name, err)
			}
			if e, ok := errors.AsType[*hive.Error](err); !ok || !strings.Contains(e.Message, "denied") || strings.Contains(fmt.Sprintf("%+v", *e), "s3cr3t") {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

func TestErrorShowsAHostileBodyAsOneShortLine(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, answer(502, "<html>\r\n\x1b[31mred\x00\u202e"+strings.Repeat("long ", 1<<20)))
	err := c.DeleteCase(t.Context(), "1")
	if err == nil || len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\r\n\x1b\x00\u202e") {
		t.Errorf("%d bytes: %.100q", len(err.Error()), err)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]hive.Options{
		"nothing":           {},
		"no address":        {APIKey: "k"},
		"no scheme":         {URL: "hive.test:9000", APIKey: "k"},
		"other scheme":      {URL: "ftp://hive.test", APIKey: "k"},
		"no host":           {URL: "http:///x", APIKey: "k"},
		"user in address":   {URL: "http://u:sekret@hive.test", APIKey: "k"},
		"query":             {URL: "http://hive.test?x=sekret", APIKey: "k"},
		"broken":            {URL: "http://hive.test/%zz", APIKey: "k"},
		"no credentials":    {URL: "http://hive.test"},
		"no password":       {URL: "http://hive.test", User: "u"},
		"both":              {URL: "http://hive.test", APIKey: "sekret", User: "u", Password: "sekret"},
		"colon":             {URL: "http://hive.test", User: "u:v", Password: "sekret"},
		"line end in key":   {URL: "http://hive.test", APIKey: "sekret\n"},
		"space around key":  {URL: "http://hive.test", APIKey: " sekret"},
		"long key":          {URL: "http://hive.test", APIKey: strings.Repeat("sekret", 1000)},
		"line end in org":   {URL: "http://hive.test", APIKey: "k", Organisation: "a\r\nX: y"},
		"concurrency":       {URL: "http://hive.test", APIKey: "k", Concurrency: -1},
		"time-out":          {URL: "http://hive.test", APIKey: "k", Timeout: -1},
		"write time-out":    {URL: "http://hive.test", APIKey: "k", Timeout: 1, WriteTimeout: 2},
		"response":          {URL: "http://hive.test", APIKey: "k", MaxResponseBytes: -1},
		"proxy":             {URL: "http://hive.test", APIKey: "k", Proxy: "gopher://u:sekret@x"},
		"proxy, no address": {URL: "http://hive.test", APIKey: "k", Proxy: "://u:sekret@x"},
		"key file alone":    {URL: "http://hive.test", APIKey: "k", KeyFile: "x"},
	} {
		_, err := hive.New(o)
		if !errors.Is(err, hive.ErrInvalid) || strings.Contains(err.Error(), "sekret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := hive.New(hive.Options{URL: "https://hive.test", APIKey: "k", CAFile: "/no/such/file"}); err == nil {
		t.Error("a missing CA file is ignored")
	}
}

func TestBasicAuthenticationAndOrganisationAreSent(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(200, caseJSON), func(o *hive.Options) {
		o.APIKey, o.User, o.Password, o.Organisation, o.UserAgent = "", "me@x", "pa:ss", "org ü", "agent/1"
	})
	if _, err := c.Case(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	h := log.all()[0].Header
	if got, want := h.Get("Authorization"), "Basic "+base64.StdEncoding.EncodeToString([]byte("me@x:pa:ss")); got != want {
		t.Errorf("Authorization %q", got)
	}
	if h.Get("X-Organisation") != "org ü" || h.Get("User-Agent") != "agent/1" {
		t.Errorf("headers %v", h)
	}
}
