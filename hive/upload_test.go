package hive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/hive"
)

// part is one part of a multipart body.
type part struct{ Name, File, Type, Body string }

// partsOf reads a multipart body as a server would.
func partsOf(t *testing.T, r seen) []part {
	t.Helper()
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var out []part
	reader := multipart.NewReader(strings.NewReader(r.Body), params["boundary"])
	for {
		p, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, part{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), string(body)})
	}
}

// once is a body that cannot seek.
type once struct{ io.Reader }

func TestUploadsAreMultipartAsTheHiveReadsIt(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(201, "["+observableJSON+"]"))
	_, err := c.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file", Message: "m", TLP: new(0)},
		hive.Upload{Name: `é "q" ;x=%22.exe`, ContentType: "application/zip", Body: strings.NewReader("PK"), Size: 2, Zip: true, ZipPassword: "infected"})
	if err != nil {
		t.Fatal(err)
	}
	r := log.all()[0]
	want := []part{
		{Name: "_json", Body: `{"dataType":"file","isZip":true,"message":"m","tlp":0,"zipPassword":"infected"}`},
		{Name: "attachment", File: `é %22q%22 ;x=%22.exe`, Type: "application/zip", Body: "PK"},
	}
	if diff := cmp.Diff(want, partsOf(t, r)); diff != "" {
		t.Error(diff)
	}
	if r.Header.Get("Content-Length") == "" {
		t.Error("no content length for a file of known size")
	}
}

func TestAttachmentsAndPatternsUseTheirOwnParts(t *testing.T) {
	t.Parallel()
	c, log := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "pattern") {
			answer(201, `{}`)(w, r)
			return
		}
		answer(201, `{"attachments":[`+attachmentJSON+`,`+attachmentJSON+`]}`)(w, r)
	})
	_, err := c.AddAttachments(t.Context(), "~1", hive.Upload{Name: "a", Body: once{strings.NewReader("one")}}, hive.Upload{Name: "b", Body: strings.NewReader("")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ImportPatterns(t.Context(), "mine", strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	const octets = "application/octet-stream"
	for i, want := range [][]part{
		{{Name: "canRename", Body: "true"}, {"attachments", "a", octets, "one"}, {"attachments", "b", octets, ""}},
		{{Name: "_json", Body: `{"catalog":"mine"}`}, {"file", "attack.json", "application/json", "{}"}},
	} {
		if diff := cmp.Diff(want, partsOf(t, log.all()[i])); diff != "" {
			t.Error(diff)
		}
	}
}

func TestUploadIsStreamedNotHeld(t *testing.T) {
	t.Parallel()
	received := make(chan int64, 1)
	first := make(chan struct{})
	c, _ := rawServer(t, func(w http.ResponseWriter, r *http.Request) {
		var one [1]byte
		_, _ = io.ReadFull(r.Body, one[:])
		close(first)
		n, _ := io.Copy(io.Discard, r.Body)
		received <- n
		answer(201, "["+observableJSON+"]")(w, r)
	})
	const size = 64 << 20
	body := &gated{left: size, gate: first} // gives its last bytes only after the server saw the first
	if _, err := c.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"}, hive.Upload{Name: "big", Body: body, Size: size}); err != nil {
		t.Fatal(err)
	}
	if n := <-received; n < size {
		t.Errorf("server got %d bytes", n)
	}
	if body.largest > 1<<20 {
		t.Errorf("read in pieces of up to %d bytes", body.largest)
	}
}

// gated is a large body whose second half waits for the gate.
type gated struct {
	left    int
	largest int
	gate    chan struct{}
	passed  bool
}

func (g *gated) Read(p []byte) (int, error) {
	if g.left < 32<<20 && !g.passed {
		<-g.gate
		g.passed = true
	}
	n := min(len(p), g.left)
	g.largest = max(g.largest, n)
	if g.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestUploadThatBreaksHasNoEndAndIsRefused(t *testing.T) {
	t.Parallel()
	broken := errors.New("object store is gone")
	for name, u := range map[string]hive.Upload{
		"source fails, size known":   {Body: io.MultiReader(strings.NewReader("half"), failing{broken}), Size: 8},
		"source fails, size unknown": {Body: io.MultiReader(strings.NewReader("half"), failing{broken})},
		"shorter than its size":      {Body: strings.NewReader("half"), Size: 8},
		"longer than its size":       {Body: strings.NewReader("too much"), Size: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var whole atomic.Bool
			c, _ := rawServer(t, func(w http.ResponseWriter, r *http.Request) {
				if err := r.ParseMultipartForm(1 << 20); err == nil {
					whole.Store(true)
				}
				answer(201, "["+observableJSON+"]")(w, r)
			})
			u.Name = "f"
			_, err := c.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"}, u)
			e, ok := errors.AsType[*hive.Error](err)
			if !ok || !e.Refused() {
				t.Errorf("error %v", err)
			}
			for _, cause := range []error{broken, io.ErrUnexpectedEOF, hive.ErrLonger} {
				if errors.Is(err, cause) {
					ok = false
				}
			}
			if ok {
				t.Errorf("cause lost: %v", err)
			}
			if whole.Load() {
				t.Error("the server read a whole form")
			}
		})
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRefusedUploadIsSentAgainFromWhereItStoodIfItCanSeek(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body     io.Reader
		attempts int
	}{
		"can seek":    {seekTo(t, bytes.NewReader([]byte("--file")), 2), 2},
		"cannot seek": {once{strings.NewReader("file")}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			client, log := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 1 {
					answer(503, `{"type":"Unavailable","message":"busy"}`)(w, r)
					return
				}
				answer(201, "["+observableJSON+"]")(w, r)
			})
			_, err := client.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"}, hive.Upload{Name: "f", Body: c.body})
			if (err == nil) != (c.attempts == 2) || len(log.all()) != c.attempts {
				t.Fatalf("%d requests, error %v", len(log.all()), err)
			}
			for _, r := range log.all() {
				if got := partsOf(t, r)[1].Body; got != "file" {
					t.Errorf("sent %q", got)
				}
			}
		})
	}
}

func seekTo(t *testing.T, s io.ReadSeeker, at int64) io.ReadSeeker {
	t.Helper()
	if _, err := s.Seek(at, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestHostileUploadsAreRefusedBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(201, `[]`))
	body := strings.NewReader("x")
	for name, u := range map[string]hive.Upload{
		"no body": {Name: "f"}, "no name": {Body: body}, "path": {Name: "../f", Body: body}, "windows path": {Name: `C:\f`, Body: body}, "dots": {Name: "..", Body: body},
		"line end": {Name: "f\r\nX: y", Body: body}, "nul": {Name: "f\x00", Body: body}, "long": {Name: strings.Repeat("f", 256), Body: body}, "no text": {Name: "\xff", Body: body},
		"type": {Name: "f", Body: body, ContentType: "text/plain\r\nX: y"}, "size": {Name: "f", Body: body, Size: -1}, "password": {Name: "f", Body: body, ZipPassword: strings.Repeat("p", 513)},
	} {
		if _, err := c.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"}, u); !errors.Is(err, hive.ErrInvalid) {
			t.Errorf("%s: file: %v", name, err)
		}
		if _, err := c.AddAttachments(t.Context(), "1", u); !errors.Is(err, hive.ErrInvalid) {
			t.Errorf("%s: attachment: %v", name, err)
		}
	}
	if _, err := c.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file", Data: []string{"x"}}, hive.Upload{Name: "f", Body: body}); !errors.Is(err, hive.ErrInvalid) {
		t.Errorf("data and a file: %v", err)
	}
	if len(log.all()) != 0 {
		t.Error("request sent")
	}
}

func TestKnownFileIsAResultNotAnError(t *testing.T) {
	t.Parallel()
	c, _ := serve(t, answer(400, `{"type":"CreateError","message":"Observable already exists"}`))
	got, err := c.AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"}, hive.Upload{Name: "f", Body: strings.NewReader("x")})
	if err != nil || len(got.Refused) != 1 || got.Refused[0].Data != "file:f" || !got.Refused[0].Exists() {
		t.Errorf("%+v, %v", got, err)
	}
	add := func(data ...string) (hive.ObservableResult, error) {
		return c.AddObservables(context.WithoutCancel(t.Context()), "1", hive.NewObservable{DataType: "ip", Data: data})
	}
	if got, err := add("v"); err != nil || len(got.Refused) != 1 || got.Refused[0].Data != "v" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := add("v", "w"); err == nil {
		t.Error("of several values a 400 does not say which is known")
	}
}
