package hive

import (
	"errors"
	"io"
	"testing"
)

func TestErrorIsExactlyOneOfRefusedRolledBackAmbiguous(t *testing.T) {
	t.Parallel()
	const envoy = "upstream connect error or disconnect/reset before headers. reset reason: "
	for _, c := range []struct {
		name string
		err  Error
		want string
	}{
		{"nothing sent", Error{}, "refused"},
		{"sent, no answer", Error{Sent: true}, "ambiguous"},
		{"upload without an end", Error{Sent: true, incomplete: true}, "refused"},
		{"2xx cut", Error{Sent: true, Status: 201, Err: io.ErrUnexpectedEOF}, "ambiguous"},
		{"207 where none is known", Error{Sent: true, Status: 207}, "ambiguous"},
		{"redirect", Error{Sent: true, Status: 301}, "refused"},
		{"400", Error{Sent: true, Status: 400}, "refused"},
		{"408", Error{Sent: true, Status: 408}, "refused"},
		{"429", Error{Sent: true, Status: 429}, "refused"},
		{"500 of TheHive", Error{Sent: true, Status: 500, Type: "InternalError"}, "rolled back"},
		{"500 of a proxy", Error{Sent: true, Status: 500, Message: "<html>"}, "ambiguous"},
		{"501", Error{Sent: true, Status: 501}, "ambiguous"},
		{"502", Error{Sent: true, Status: 502, Type: "looks like its own"}, "ambiguous"},
		{"503", Error{Sent: true, Status: 503}, "refused"},
		{"503 of Envoy, connected", Error{Sent: true, Status: 503, Message: envoy + "connection termination"}, "ambiguous"},
		{"503 of Envoy, other reason", Error{Sent: true, Status: 503, Message: envoy + "protocol error"}, "ambiguous"},
		{"503 of Envoy, not connected", Error{Sent: true, Status: 503, Message: envoy + "remote connection failure, transport failure reason: delayed"}, "refused"},
		{"503 of Envoy, full", Error{Sent: true, Status: 503, Message: envoy + "overflow"}, "refused"},
		{"504", Error{Sent: true, Status: 504}, "ambiguous"},
		{"520", Error{Sent: true, Status: 520}, "ambiguous"},
	} {
		got := map[string]bool{"refused": c.err.Refused(), "rolled back": c.err.RolledBack(), "ambiguous": c.err.Ambiguous()}
		for verdict, is := range got {
			if is != (verdict == c.want) {
				t.Errorf("%s: %v, want %s alone", c.name, got, c.want)
				break
			}
		}
	}
}

func TestErrorSaysWhatFailedAndUnwraps(t *testing.T) {
	t.Parallel()
	e := &Error{Op: "create case", Method: "POST", Path: "/api/v1/case", Status: 400, Type: "BadRequest", Message: "no", Err: io.EOF}
	if got, want := e.Error(), "create case: POST /api/v1/case: 400: BadRequest: no: EOF"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(e, io.EOF) {
		t.Error("does not unwrap")
	}
	for e, want := range map[Error]bool{
		{Status: 400, Message: "Observable already exists"}:                   true,
		{Status: 400, Message: "Alert a:b:c already exist in organisation x"}: true,
		{Status: 409, Message: "already exists"}:                              true,
		{Status: 400, Message: "title is missing"}:                            false,
		{Status: 500, Message: "already exists"}:                              false,
	} {
		if e.Exists() != want {
			t.Errorf("%v: exists %t", e.Message, !want)
		}
	}
}
