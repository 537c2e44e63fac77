package hive

import (
	"errors"
	"io"
	"strings"
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
		{"redirect", Error{Sent: true, Status: 301}, "ambiguous"},
		{"400 of TheHive", Error{Sent: true, Status: 400, Type: "BadRequest"}, "refused"},
		{"400 of a firewall, which may have judged the answer", Error{Sent: true, Status: 400}, "ambiguous"},
		{"403 of TheHive", Error{Sent: true, Status: 403, Type: "AuthorizationError"}, "refused"},
		{"403 of a firewall", Error{Sent: true, Status: 403}, "ambiguous"},
		{"404 of TheHive", Error{Sent: true, Status: 404, Type: "NotFoundError"}, "refused"},
		{"404 of a proxy", Error{Sent: true, Status: 404}, "ambiguous"},
		{"408", Error{Sent: true, Status: 408}, "ambiguous"},
		{"413 of a proxy, which may have judged the answer", Error{Sent: true, Status: 413}, "ambiguous"},
		{"413 of a proxy that did not get the end", Error{Sent: true, Status: 413, incomplete: true}, "refused"},
		{"413 of TheHive", Error{Sent: true, Status: 413, Type: "Unknown"}, "refused"},
		{"417", Error{Sent: true, Status: 417}, "ambiguous"},
		{"101", Error{Sent: true, Status: 101}, "ambiguous"},
		{"429", Error{Sent: true, Status: 429}, "ambiguous"},
		{"429 of TheHive", Error{Sent: true, Status: 429, Type: "TooManyRequests"}, "refused"},
		{"500 of TheHive, somewhere", Error{Sent: true, Status: 500, Type: "InternalError"}, "ambiguous"},
		{"500 while storing", Error{Sent: true, Status: 500, Type: "org.janusgraph.core.JanusGraphException"}, "ambiguous"},
		{"500 of the back end", Error{Sent: true, Status: 500, Type: "org.janusgraph.diskstorage.TemporaryBackendException"}, "ambiguous"},
		{"500 for a lock", Error{Sent: true, Status: 500, Type: "org.janusgraph.diskstorage.locking.PermanentLockingException"}, "rolled back"},
		{"500 for a lock, without its package", Error{Sent: true, Status: 500, Type: "PermanentLockingException"}, "rolled back"},
		{"500 for the schema", Error{Sent: true, Status: 500, Type: "org.thp.scalligraph.models.DatabaseException", Message: "Violation of database schema"}, "rolled back"},
		{"500 of the database for another reason", Error{Sent: true, Status: 500, Type: "org.thp.scalligraph.models.DatabaseException", Message: "connection lost"}, "ambiguous"},
		{"500 of a proxy", Error{Sent: true, Status: 500, Message: "<html>"}, "ambiguous"},
		{"501", Error{Sent: true, Status: 501}, "ambiguous"},
		{"502", Error{Sent: true, Status: 502, Type: "looks like its own"}, "ambiguous"},
		{"503", Error{Sent: true, Status: 503}, "ambiguous"},
		{"503 of TheHive", Error{Sent: true, Status: 503, Type: "Unavailable"}, "refused"},
		{"503 of Envoy that knows nobody", Error{Sent: true, Status: 503, Message: "no healthy upstream"}, "refused"},
		{"503 of a page that says so", Error{Sent: true, Status: 503, Message: "Web Guard: no healthy upstream"}, "ambiguous"},
		{"503 of HAProxy", Error{Sent: true, Status: 503, Message: "<html><body><h1>503 Service Unavailable</h1> No server is available to handle this request. </body></html>"}, "refused"},
		{"503 of Traefik", Error{Sent: true, Status: 503, Message: "no available server"}, "refused"},
		{"503 of Envoy, not connected the second time", Error{Sent: true, Status: 503, Message: strings.Replace(envoy, "reset reason", "retried and the latest reset reason", 1) + "connection failure"}, "ambiguous"},
		{"503 of Kong, after the last of its tries", Error{Sent: true, Status: 503, Message: `{ "message":"failure to get a peer from the ring-balancer" }`}, "ambiguous"},
		{"502 with the same words", Error{Sent: true, Status: 502, Message: "no available server"}, "ambiguous"},
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
		{Status: 400, Type: "CreateError", Message: "Observable already exists"}:                   true,
		{Status: 400, Type: "CreateError", Message: "Alert a:b:c already exist in organisation x"}: true,
		{Status: 409, Type: "Conflict", Message: "already exists"}:                                 true,
		{Status: 400, Message: "already exists"}:                                                   false,
		{Status: 409, Message: "already exists"}:                                                   false,
		{Status: 400, Message: "title is missing"}:                                                 false,
		{Status: 500, Message: "already exists"}:                                                   false,
	} {
		if e.Exists() != want {
			t.Errorf("%v: exists %t", e.Message, !want)
		}
	}
}
