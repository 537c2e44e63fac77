package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/conc"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"forager/pipeline/intake"
)

// drawer keeps events, or fails as it is told to.
type drawer struct {
	mu   sync.Mutex
	kept []intake.Event
	why  intake.Why // empty: stores
	hold chan struct{}
	came chan struct{} // with hold: one for each event that came
}

func (d *drawer) Put(_ context.Context, e intake.Event) (intake.Receipt, error) {
	if d.hold != nil {
		d.came <- struct{}{}
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.why != "" {
		return intake.Receipt{}, &intake.Refusal{Why: d.why, Err: errors.New("the server's words")}
	}
	at := slices.IndexFunc(d.kept, func(k intake.Event) bool { return k.ID == e.ID })
	if at >= 0 {
		return intake.Receipt{Stream: "DET", Sequence: uint64(at + 1), Duplicate: true}, nil
	}
	e.Body = bytes.Clone(e.Body)
	d.kept = append(d.kept, e)
	return intake.Receipt{Stream: "DET", Sequence: uint64(len(d.kept))}, nil
}

func word(s string) func() string { return func() string { return s } }

// senders are one of each kind.
func senders() []Source {
	return []Source{
		{Name: "kibana", Subject: "detections.kibana", Token: word("tok")},
		{Name: "splunk", Subject: "detections.splunk", User: "u", Password: word("p:w")},
		{Name: "github", Subject: "detections.github", Key: word("It's a Secret to Everybody")},
		{Name: "standard", Subject: "detections.standard", Key: word("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), SignatureHeader: "webhook-signature"},
		{Name: "plain", Subject: "detections.plain", Key: word("k"), SignatureHeader: "X-Signature"},
	}
}

// newTestHandler is a handler, and the lines that it writes.
func newTestHandler(t *testing.T, o Options, store Store) (*Handler, *observer.ObservedLogs) {
	t.Helper()
	core, lines := observer.New(zap.InfoLevel)
	o.Log = zap.New(core)
	if o.Sources == nil {
		o.Sources = senders()
	}
	h, err := NewHandler(o, store)
	if err != nil {
		t.Fatal(err)
	}
	return h, lines
}

// sent is a request of somebody.
type sent struct {
	method, path string
	header       map[string]string
	body         string
}

func (s sent) to(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), s.method, s.path, strings.NewReader(s.body))
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post is a request of the source with the token.
func post(path, body string, header ...string) sent {
	s := sent{method: http.MethodPost, path: path, body: body, header: map[string]string{"Authorization": "Bearer tok", "Content-Type": "application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		s.header[header[i]] = header[i+1]
	}
	return s
}

const event = `{"rule":"one"}`

func TestWhatIsTakenIn(t *testing.T) {
	t.Parallel()
	zipped := gzipped(t, event)
	for name, c := range map[string]struct {
		sent    sent
		subject string
		body    string
		header  map[string][]string // besides Forager-Source
	}{
		"an event":         {sent: post(Path, event), subject: "detections.kibana"},
		"with a slash":     {sent: post(Path+"/", event), subject: "detections.kibana"},
		"to a subject":     {sent: post(Path+"/eu/prod-1", event), subject: "detections.kibana.eu.prod-1"},
		"an array":         {sent: post(Path, "["+event+","+event+"]"), subject: "detections.kibana"},
		"one a line":       {sent: post(Path, event+"\n"+event+"\n", "Content-Type", "application/x-ndjson"), subject: "detections.kibana"},
		"text":             {sent: post(Path, "CEF:0|a|b|1|1|worm|9|src=198.51.100.7", "Content-Type", "text/plain; charset=utf-8"), subject: "detections.kibana"},
		"without a type":   {sent: post(Path, event, "Content-Type", ""), subject: "detections.kibana"},
		"a broken byte":    {sent: post(Path, "{\"a\":\"\xff\"}"), subject: "detections.kibana"},
		"compressed":       {sent: post(Path, zipped, "Content-Encoding", "gzip"), subject: "detections.kibana", body: event},
		"a problem's type": {sent: post(Path, event, "Content-Type", "application/vnd.acme+json"), subject: "detections.kibana"},
		"a CloudEvent": {
			sent:    post(Path, `{"specversion":"1.0","type":"t","source":"s","id":"1","data":`+event+`}`, "Content-Type", "application/cloudevents+json"),
			subject: "detections.kibana",
		},
		"a CloudEvent in headers": {
			sent:    post(Path, event, "ce-specversion", "1.0", "ce-id", "1", "CE-Source", "/s%20x", "ce-type", "t"),
			subject: "detections.kibana",
			header:  map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s%20x"}, "ce-type": {"t"}},
		},
		"with a trace": {
			sent:    post(Path, event, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
			subject: "detections.kibana",
			header:  map[string][]string{"traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
		},
		"by Basic": {sent: post(Path, event, "Authorization", "basic "+base64.StdEncoding.EncodeToString([]byte("u:p:w"))), subject: "detections.splunk"},
	} {
		d := &drawer{}
		h, lines := newTestHandler(t, Options{}, d)
		w := c.sent.to(t, h)
		if w.Code != http.StatusAccepted || w.Body.String() != `{"stream":"DET","sequence":1,"duplicate":false}`+"\n" || lines.Len() > 0 {
			t.Errorf("%s: %d %s %v", name, w.Code, w.Body, lines.All())
			continue
		}
		if c.body == "" {
			c.body = c.sent.body
		}
		got := d.kept[0]
		delete(got.Header, "Forager-Source")
		if c.header == nil {
			c.header = map[string][]string{}
		}
		if diff := cmp.Diff(c.header, got.Header); got.Subject != c.subject || string(got.Body) != c.body || diff != "" {
			t.Errorf("%s: to %s, %q\n%s", name, got.Subject, got.Body, diff)
		}
	}
}

// TestSignaturesOfTheWorld: the first is GitHub's own example (docs.github.com, validating webhook deliveries), the
// second that of Standard Webhooks' specification.
func TestSignaturesOfTheWorld(t *testing.T) {
	t.Parallel()
	at := time.Unix(1614265330, 0)
	sum := mac([]byte("k"), []byte(event))
	standard := map[string]string{
		"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
		"webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	}
	for name, c := range map[string]struct {
		header map[string]string
		body   string
		want   string // source; empty: 401
	}{
		"GitHub":           {map[string]string{"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}, "Hello, World!", "github"},
		"GitHub, changed":  {map[string]string{"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}, "Hello, World?", ""},
		"GitHub, nothing":  {map[string]string{"X-Hub-Signature-256": "sha256="}, "Hello, World!", ""},
		"Standard":         {standard, `{"test": 2432232314}`, "standard"},
		"Standard, body":   {standard, `{"test": 2432232315}`, ""},
		"Standard, no id":  {map[string]string{"webhook-timestamp": "1614265330", "webhook-signature": standard["webhook-signature"]}, `{"test": 2432232314}`, ""},
		"hexadecimal":      {map[string]string{"X-Signature": hex.EncodeToString(sum)}, event, "plain"},
		"base64":           {map[string]string{"X-Signature": base64.StdEncoding.EncodeToString(sum)}, event, "plain"},
		"of another":       {map[string]string{"X-Hub-Signature-256": hex.EncodeToString(sum)}, event, ""},
		"no signature":     {map[string]string{}, event, ""},
		"beside a bearer":  {map[string]string{"X-Signature": hex.EncodeToString(sum), "Authorization": "Bearer toc"}, event, ""},
		"of no characters": {map[string]string{"X-Signature": "???"}, event, ""},
	} {
		d := &drawer{}
		h, _ := newTestHandler(t, Options{Now: func() time.Time { return at }}, d)
		w := sent{http.MethodPost, Path, c.header, c.body}.to(t, h)
		// GitHub's example is no JSON: it is refused as that, once its sender is known.
		known := w.Code == http.StatusAccepted || w.Code == http.StatusBadRequest
		if known != (c.want != "") || len(d.kept) > 0 && d.kept[0].Header["Forager-Source"][0] != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	late, _ := newTestHandler(t, Options{Now: func() time.Time { return at.Add(6 * time.Minute) }}, &drawer{})
	if w := (sent{http.MethodPost, Path, standard, `{"test": 2432232314}`}).to(t, late); w.Code != http.StatusUnauthorized {
		t.Errorf("listened in on: %d", w.Code)
	}
}

// TestBadInput: each a clear status and one line, nothing stored, and no word of the body in either.
func TestBadInput(t *testing.T) {
	t.Parallel()
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = `"` + strconv.FormatInt(int64(i), 36) + `":1`
	}
	const secret = "swordfish"
	for name, c := range map[string]struct {
		sent sent
		why  intake.Why
		want int
	}{
		"no credentials":             {sent: post(Path, event, "Authorization", ""), want: 401},
		"a wrong token":              {sent: post(Path, event, "Authorization", "Bearer toc"), want: 401},
		"an empty token":             {sent: post(Path, event, "Authorization", "Bearer "), want: 401},
		"a token as Basic":           {sent: post(Path, event, "Authorization", "Basic tok"), want: 401},
		"a wrong password":           {sent: post(Path, event, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p"))), want: 401},
		"a form":                     {sent: post(Path, "a="+secret, "Content-Type", "application/x-www-form-urlencoded"), want: 415},
		"a zip":                      {sent: post(Path, "PK\x03\x04"+secret, "Content-Type", "application/zip"), want: 415},
		"a zip that says JSON":       {sent: post(Path, "PK\x03\x04"+secret), want: 400},
		"a type that is none":        {sent: post(Path, event, "Content-Type", ";"), want: 415},
		"an encoding that is none":   {sent: post(Path, event, "Content-Encoding", "br"), want: 415},
		"no gzip":                    {sent: post(Path, event, "Content-Encoding", "gzip"), want: 400},
		"half a gzip":                {sent: post(Path, gzipped(t, strings.Repeat(secret, 999))[:40], "Content-Encoding", "gzip"), want: 400},
		"10 MB":                      {sent: post(Path, `{"a":"`+strings.Repeat("x", 10<<20)+`"}`), want: 413},
		"a gzip bomb":                {sent: post(Path, gzipped(t, strings.Repeat("0", 8<<20)), "Content-Encoding", "gzip"), want: 413},
		"a gzip bomb that says JSON": {sent: post(Path, gzipped(t, strings.Repeat("0", 8<<20))), want: 413},
		"nothing":                    {sent: post(Path, ""), want: 400},
		"prose":                      {sent: post(Path, secret, "Content-Type", "text/plain"), want: 400},
		"half an event":              {sent: post(Path, `{"`+secret+`":{`), want: 400},
		"half of the second":         {sent: post(Path, event+"\n{\"a\":"), want: 400},
		"a hundred thousand keys":    {sent: post(Path, "{"+strings.Join(keys, ",")+"}"), want: 400},
		"deep":                       {sent: post(Path, strings.Repeat(`{"a":`, 100_000)), want: 400},
		"not UTF-8":                  {sent: post(Path, "\xff\xfe\xfd"+secret), want: 400},
		"a wildcard":                 {sent: post(Path+"/*", event), want: 400},
		"everything":                 {sent: post(Path+"/a/%3E", event), want: 400},
		"a space":                    {sent: post(Path+"/a%20b", event), want: 400},
		"a line end":                 {sent: post(Path+"/a%0D%0APUB", event), want: 400},
		"a dot":                      {sent: post(Path+"/a.b", event), want: 400},
		"an empty word":              {sent: post(Path+"/a//b", event), want: 400},
		"up":                         {sent: post(Path+"/../../admin", event), want: 400},
		"letters of elsewhere":       {sent: post(Path+"/%C3%A4", event), want: 400},
		"too many words":             {sent: post(Path+strings.Repeat("/a", 9), event), want: 400},
		"a long word":                {sent: post(Path+"/"+strings.Repeat("a", 65), event), want: 400},
		"elsewhere":                  {sent: post("/v2/detections", event), want: 404},
		"nearly":                     {sent: post(Path+"s", event), want: 404},
		"GET":                        {sent: sent{method: http.MethodGet, path: Path, header: map[string]string{"Authorization": "Bearer tok"}}, want: 405},
		"an attribute of many":       {sent: post(Path, event, "ce-specversion", "1.0", "ce-id", strings.Repeat("x", 2000)), want: 400},
		"an attribute of bytes":      {sent: post(Path, event, "ce-specversion", "1.0", "ce-id", "\x01"), want: 400},
		"a key of many":              {sent: post(Path, event, "Idempotency-Key", strings.Repeat("x", 300)), want: 400},
		"a full stream":              {sent: post(Path, event), why: intake.Full, want: 503},
		"no leader":                  {sent: post(Path, event), why: intake.NoStream, want: 503},
		"another's subject":          {sent: post(Path, event), why: intake.OtherStream, want: 503},
		"not connected":              {sent: post(Path, event), why: intake.Unreachable, want: 503},
		"no answer":                  {sent: post(Path, event), why: intake.Unknown, want: 503},
		"larger than NATS takes":     {sent: post(Path, event), why: intake.TooLarge, want: 413},
	} {
		d := &drawer{why: c.why}
		h, lines := newTestHandler(t, Options{}, d)
		w := c.sent.to(t, h)
		var said struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != c.want || said.Status != c.want || said.Title == "" || said.Detail == "" {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.want)
		}
		if (w.Header().Get("Retry-After") != "") != (w.Code == 503) {
			t.Errorf("%s: Retry-After %q with %d", name, w.Header().Get("Retry-After"), w.Code)
		}
		if len(d.kept) != 0 {
			t.Errorf("%s: stored", name)
		}
		if lines.Len() != 1 || lines.All()[0].ContextMap()["status"] != int64(c.want) {
			t.Errorf("%s: lines %v", name, lines.All())
		}
		if line := fmt.Sprint(lines.All()[0].ContextMap()); strings.Contains(line+w.Body.String(), secret) {
			t.Errorf("%s: a word of the body is told: %s %s", name, line, w.Body)
		}
	}
}

// TestSlowAndBrokenOff speaks to a server as senders do that never finish.
func TestSlowAndBrokenOff(t *testing.T) {
	t.Parallel()
	const head = "POST /v1/detections HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":"
	for name, c := range map[string]struct {
		text  string
		close bool // of the writing side, at the end of the text
		want  string
	}{
		"slow":            {head, false, "408"},
		"broken off":      {head, true, "400"},
		"a broken chunk":  {strings.Replace(head, "Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 1), true, "400"},
		"a chunk too few": {strings.Replace(head, "Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n", 1), true, "400"},
	} {
		d := &drawer{}
		h, lines := newTestHandler(t, Options{ReadWithin: 300 * time.Millisecond}, d)
		s, err := Listen(t.Context(), "127.0.0.1:0", h)
		if err != nil {
			t.Fatal(err)
		}
		if answer := exchange(t, s.Addr, c.text, c.close); !strings.HasPrefix(answer, "HTTP/1.1 "+c.want) {
			t.Errorf("%s: %q", name, answer)
		}
		s.Close()
		if lines.Len() != 1 || len(d.kept) > 0 {
			t.Errorf("%s: lines %v, kept %v", name, lines.All(), d.kept)
		}
	}
}

func TestAnEventThatComesTwiceIsThereOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	d := &drawer{}
	h, _ := newTestHandler(t, Options{Now: func() time.Time { return now }}, d)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("u:p:w"))
	for _, c := range []struct {
		name string
		sent sent
		want string
	}{
		{"first", post(Path, event), "202 1"},
		{"again", post(Path, event), "202 1 duplicate"},
		{"of another source", post(Path, event, "Authorization", basic), "202 2"},
		{"to another subject", post(Path+"/x", event), "202 3"},
		{"as another CloudEvent", post(Path, event, "ce-specversion", "1.0", "ce-id", "7"), "202 4"},
		{"by key", post(Path, event, "Idempotency-Key", "k"), "202 5"},
		{"by key, again", post(Path, event, "Idempotency-Key", "k"), "202 5 duplicate"},
		{"the key of another body", post(Path, `{"rule":"two"}`, "Idempotency-Key", "k"), "422"},
		{"the key of another source", post(Path, `{"rule":"two"}`, "Idempotency-Key", "k", "Authorization", basic), "202 6"},
		{"another key", post(Path, event, "Idempotency-Key", "l"), "202 7"},
	} {
		w := c.sent.to(t, h)
		got := strconv.Itoa(w.Code)
		var at struct {
			Sequence  uint64
			Duplicate bool
		}
		if w.Code == http.StatusAccepted && json.Unmarshal(w.Body.Bytes(), &at) == nil {
			got += " " + strconv.FormatUint(at.Sequence, 10)
			if at.Duplicate {
				got += " duplicate"
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	now = now.Add(11 * time.Minute) // the stream has forgotten the key, too
	if w := post(Path, `{"rule":"three"}`, "Idempotency-Key", "k").to(t, h); w.Code != http.StatusAccepted {
		t.Errorf("later: %d", w.Code)
	}
}

// TestAKeyIsFreeAgainWhenNothingWasStored: a sender that mends its body after a refusal is not held to the first.
func TestAKeyIsFreeAgainWhenNothingWasStored(t *testing.T) {
	t.Parallel()
	for why, want := range map[intake.Why]int{intake.Full: 202, intake.Unknown: 422} {
		d := &drawer{why: why}
		h, _ := newTestHandler(t, Options{}, d)
		post(Path, event, "Idempotency-Key", "k").to(t, h)
		d.why = ""
		if w := post(Path, `{"rule":"two"}`, "Idempotency-Key", "k").to(t, h); w.Code != want {
			t.Errorf("%s: %d, want %d", why, w.Code, want)
		}
	}
}

func TestASourceIsHeldToItsRate(t *testing.T) {
	t.Parallel()
	all := senders()
	all[0].Rate = 2
	h, _ := newTestHandler(t, Options{Sources: all}, &drawer{})
	var got []int
	for i := range 3 {
		got = append(got, post(Path, fmt.Sprintf(`{"n":%d}`, i)).to(t, h).Code)
	}
	if !slices.Equal(got, []int{202, 202, 429}) {
		t.Errorf("answered %v", got)
	}
	other := post(Path, event, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p:w"))).to(t, h)
	refused := post(Path, event).to(t, h)
	if other.Code != 202 || refused.Header().Get("Retry-After") != "1" {
		t.Errorf("another source: %d, Retry-After %q", other.Code, refused.Header().Get("Retry-After"))
	}
}

// TestWhatIsInHandIsBounded: a source whose requests hang leaves room for the others.
func TestWhatIsInHandIsBounded(t *testing.T) {
	t.Parallel()
	d := &drawer{hold: make(chan struct{}), came: make(chan struct{}, 8)}
	h, _ := newTestHandler(t, Options{MaxInFlight: 2, MaxBody: 1 << 10, MaxBytesHeld: 4 << 10}, d)
	answers := make(chan int, 4)
	var senders conc.WaitGroup
	defer senders.Wait()
	send := func(s sent) { senders.Go(func() { answers <- s.to(t, h).Code }) }
	send(post(Path, `{"n":1}`))
	send(post(Path, `{"n":2}`))
	<-d.came
	<-d.came
	if w := post(Path, `{"n":3}`).to(t, h); w.Code != 429 {
		t.Errorf("a third: %d", w.Code)
	}
	send(post(Path, `{"n":4}`, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p:w"))))
	close(d.hold)
	for range 3 {
		if got := <-answers; got != 202 {
			t.Errorf("answered %d", got)
		}
	}
	if !h.bytes.TryAcquire(4 << 10) {
		t.Error("bytes were not given back")
	}
}

// TestDrainingAnswersWhatHasBegun: whoever was stored is told so.
func TestDrainingAnswersWhatHasBegun(t *testing.T) {
	t.Parallel()
	d := &drawer{hold: make(chan struct{}), came: make(chan struct{}, 8)}
	h, _ := newTestHandler(t, Options{}, d)
	s, err := Listen(t.Context(), "127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	ctx, stop := context.WithCancel(t.Context())
	var beside conc.WaitGroup
	defer beside.Wait()
	beside.Go(func() {
		answer <- exchange(t, s.Addr, "POST /v1/detections HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer tok\r\nContent-Length: 2\r\n\r\n{}", false)
	})
	<-d.came
	beside.Go(func() { s.DrainAfter(ctx) })
	stop()
	close(d.hold)
	if got := <-answer; !strings.HasPrefix(got, "HTTP/1.1 202") {
		t.Errorf("answered %q", got)
	}
}

func TestAFloodOfStrangersFillsNoLog(t *testing.T) {
	t.Parallel()
	told := map[string]int{}
	h, lines := newTestHandler(t, Options{Told: func(source, result string, _ int, _ time.Duration) { told[source+" "+result]++ }}, &drawer{})
	for range 2000 {
		post(Path, event, "Authorization", "Bearer x").to(t, h)
	}
	if lines.Len() > 400 || told[" "+Stranger] != 2000 {
		t.Errorf("%d lines, %v", lines.Len(), told)
	}
}

func FuzzHandler(f *testing.F) {
	f.Add("Bearer tok", "/a/b", "application/json", "", event)
	f.Add("Basic dTpwOnc=", "", "text/plain", "gzip", "CEF:0|a|b|1|1|n|1|")
	f.Add("", "/%2e%2e", "", "", "[]")
	f.Fuzz(func(t *testing.T, authorization, path, kind, encoding, body string) {
		d := &drawer{}
		h, err := NewHandler(Options{Sources: senders()}, d)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path, io.NopCloser(strings.NewReader(body)))
		r.URL.Path = Path + path
		for name, value := range map[string]string{"Authorization": authorization, "Content-Type": kind, "Content-Encoding": encoding} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == 202) != (len(d.kept) == 1) || w.Code >= 500 {
			t.Fatalf("%d, kept %d", w.Code, len(d.kept))
		}
		if len(d.kept) == 1 && (!strings.HasPrefix(d.kept[0].Subject, "detections.") || strings.ContainsAny(d.kept[0].Subject, " *>\r\n\t")) {
			t.Fatalf("to %q", d.kept[0].Subject)
		}
	})
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
