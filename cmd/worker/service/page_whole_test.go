package service

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/explanation"
	"forager/cmd/worker/page"
	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive/hivetest"
	"forager/mitre"
	"forager/pipeline"
	"forager/pipeline/natstest"
)

// pageSite is a worker with its operations server, as somebody sees it who may look.
type pageSite struct {
	service *Service
	ops     http.Handler
	page    http.Handler        // part of ops; nil: it is off
	show    func(*http.Request) // credentials
}

// newPageSite wires a worker from a file, and lets it work.
func newPageSite(t *testing.T, text string) *pageSite {
	t.Helper()
	c, err := config.Load(config.Source{Name: "forager.yaml", Text: []byte(text), ReadFile: os.ReadFile, Connects: []string{config.ToNATS, config.ToHive, config.ToWebhook, config.ToIntake}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), c, rulefiles.NewWitness(), PipelineOptions(c, zap.NewNop()))
	if err != nil {
		t.Fatal(err)
	}
	var running pipeline.Tasks
	ctx, stop := context.WithCancel(t.Context())
	running.Go("worker", func() { _ = s.Run(ctx) }) // what keeps it from work is on the page
	t.Cleanup(func() {
		stop()
		_ = running.Wait() // a panic has ended the process
		s.Close()
	})
	site := &pageSite{service: s, page: s.opsPage(c), show: func(*http.Request) {}}
	site.ops = opsHandler(s, s.MetricsHandler(), site.page, false)
	return site
}

// ask is the answer to a request from this host, with its headers; of a stream the first events.
func (p *pageSite) ask(t *testing.T, path string) (int, string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), page.Every/2) // a stream goes on, anything else has been written by then
	defer stop()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	r.Host, r.RemoteAddr = "localhost", "127.0.0.1:40000"
	p.show(r)
	w := httptest.NewRecorder()
	p.ops.ServeHTTP(w, r)
	return w.Code, fmt.Sprint(w.Header(), "\n", w.Body)
}

// looked is everything that the operations server shows.
func (p *pageSite) looked(t *testing.T) (all string) {
	t.Helper()
	for _, path := range []string{"/", "/?q=x&outcome=again", "/page/events", "/page/layer.json", "/page/message/1", "/page/message/1?part", "/page/message/2", "/page/style.css", "/page/page.js", "/readyz", "/metrics", "/version"} {
		_, text := p.ask(t, path)
		all += path + "\n" + text + "\n"
	}
	return all
}

// canary is the secret of a key, which must never be seen.
func canary(key string) string { return "canary-of-" + strings.ReplaceAll(key, ".", "-") + "-9f3c" }

// shapes are the forms in which a secret would be read by whoever sees them.
func shapes(user, secret string) []string {
	both := []byte(user + ":" + secret)
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString(both), base64.URLEncoding.EncodeToString(both),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret)),
	}
}

// leaks are the keys of which a secret can be read in a text.
func leaks(text string, secrets map[string]string) (all []string) {
	for key, secret := range secrets {
		for _, shape := range shapes("soc", secret) {
			if at := strings.Index(text, shape); at >= 0 {
				all = append(all, fmt.Sprintf("%s in %q", key, text[max(0, at-200):min(len(text), at+len(shape)+40)]))
				break
			}
		}
	}
	return all
}

// secretKeys are the keys of the configuration that hold a secret themselves, of a list's elements with [].
func secretKeys(of reflect.Type, below string) (keys []string) {
	for f := range of.Fields() {
		key := strings.TrimPrefix(below+"."+f.Tag.Get("key"), ".")
		switch {
		case f.Tag.Get("key") == "":
		case f.Type == reflect.TypeFor[config.Secret]():
			keys = append(keys, key)
		case f.Type.Kind() == reflect.Struct:
			keys = append(keys, secretKeys(f.Type, key)...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			keys = append(keys, secretKeys(f.Type.Elem(), key+"[]")...)
		}
	}
	return keys
}

// echoingHive is a TheHive, or what answers in its place, that tells whoever asks what was sent, in the texts of its errors.
func echoingHive(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"type":"InternalError","message":%q}`, fmt.Sprint("cannot serve ", r.URL.Host, r.Header))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// echoingNATS is a server that refuses everybody, with the words that it was asked with.
func echoingNATS(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving pipeline.Tasks
	serving.Go("serve", func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, `INFO {"server_id":"E","version":"2.10.0","auth_required":true,"nonce":"bm9uY2U","max_payload":1048576,"headers":true,"proto":1}`+"\r\n")
			said, _ := bufio.NewReader(c).ReadString('\n')
			_, _ = fmt.Fprintf(c, "-ERR 'you said %s'\r\n", strings.TrimSpace(said))
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		_ = serving.Wait()
	})
	return "nats://" + l.Addr().String()
}

// way is a configuration, and the secrets in it by key.
type way struct {
	text    string
	secrets map[string]string
}

// everyWay are configurations that together hold a secret in every key: of some, one excludes the other. (key) stands
// for the key's secret, and file(key) for a file that holds it.
var everyWay = map[string]string{
	"tokens": `
nats: {url: "NATS", token: (nats.token)}
hive: {url: "HIVE", apiKey: (hive.apiKey)}
webhook: {addr: "127.0.0.1:0", token: (webhook.token)}
ops: {token: (ops.token)}
intake: {addr: "127.0.0.1:0", sources: [{name: siem, subject: detections.siem, token: (intake.sources[].token)}, {name: signs, subject: detections.signs, key: (intake.sources[].key)}]}
`,
	"passwords": `
nats: {url: "NATS", user: soc, password: (nats.password)}
hive: {url: "HIVE", user: soc, password: (hive.password)}
webhook: {addr: "127.0.0.1:0", user: soc, password: (webhook.password)}
ops: {user: soc, password: (ops.password)}
intake: {addr: "127.0.0.1:0", sources: [{name: siem, subject: detections.siem, user: soc, password: (intake.sources[].password)}]}
`,
	"files": `
nats: {url: "NATS", tokenFile: file(nats.token)}
hive: {url: "HIVE", apiKeyFile: file(hive.apiKey)}
webhook: {addr: "127.0.0.1:0", tokenFile: file(webhook.token)}
ops: {tokenFile: file(ops.token)}
intake: {addr: "127.0.0.1:0", sources: [{name: siem, subject: detections.siem, tokenFile: file(intake.sources[].token)}]}
`,
	"a seed": `
nats: {url: "NATS", nkeyFile: file(nats.nkey)}
hive: {url: "HIVE", user: soc, passwordFile: file(hive.password)}
webhook: {addr: "127.0.0.1:0", user: soc, passwordFile: file(webhook.password)}
ops: {user: soc, passwordFile: file(ops.password)}
intake: {addr: "127.0.0.1:0", sources: [{name: siem, subject: detections.siem, keyFile: file(intake.sources[].key)}]}
`,
}

// placed is where a secret stands in everyWay.
var placed = regexp.MustCompile(`(file)?\(([a-zA-Z.\[\]]+)\)`)

// wayOf puts secrets and servers into one of everyWay.
func wayOf(t *testing.T, name, nats, hive string) way {
	t.Helper()
	dir, w := t.TempDir(), way{secrets: map[string]string{}}
	text := placed.ReplaceAllStringFunc(everyWay[name], func(place string) string {
		m := placed.FindStringSubmatch(place)
		secret := canary(m[2])
		if m[2] == "nats.nkey" {
			user, err := nkeys.CreateUser()
			workertest.Must(t, err)
			seed, err := user.Seed()
			workertest.Must(t, err)
			secret = string(seed)
		}
		w.secrets[m[2]] = secret
		if m[1] == "" {
			return strconv.Quote(secret) // YAML reads it so, too
		}
		file := filepath.Join(dir, strconv.Itoa(len(w.secrets)))
		workertest.Must(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
		return file
	})
	w.text = strings.NewReplacer("NATS", nats, "HIVE", hive).Replace(text)
	return w
}

// shown are the credentials of a way to look.
func shown(secrets map[string]string) func(*http.Request) {
	return func(r *http.Request) {
		if password, ok := secrets["ops.password"]; ok {
			r.SetBasicAuth("soc", password)
			return
		}
		r.Header.Set("Authorization", "Bearer "+secrets["ops.token"])
	}
}

// TestNoSecretIsOnThePage of any key of the configuration, although both servers tell in their errors what they were sent.
func TestNoSecretIsOnThePage(t *testing.T) {
	t.Parallel()
	ways := map[string]way{}
	for name := range everyWay {
		ways[name] = wayOf(t, name, echoingNATS(t), echoingHive(t))
	}
	for _, key := range secretKeys(reflect.TypeFor[config.Config](), "") {
		held := key == "files.zipPassword" // by its own document no secret: observables say it
		for _, way := range ways {
			_, has := way.secrets[key]
			held = held || has
		}
		if !held {
			t.Errorf("no configuration of this test holds a secret in %s", key)
		}
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := newPageSite(t, way.text)
			site.show = shown(way.secrets)
			var all string
			workertest.Eventually(t, "reasons of both servers", func() bool {
				all += site.looked(t)
				return strings.Contains(all, "TheHive: ") && strings.Contains(all, "500") && strings.Contains(all, "you said")
			}, func() string { return all })
			for _, leak := range leaks(all, way.secrets) {
				t.Error(leak)
			}
		})
	}
}

// TestNoSecretIsOnThePageWhileWorkGetsDone, nor in what an alert became.
func TestNoSecretIsOnThePageWhileWorkGetsDone(t *testing.T) {
	t.Parallel()
	simulated := hivetest.New(hivetest.Options{APIKey: canary("hive.apiKey")})
	hive, err := hivetest.Listen("127.0.0.1:0", simulated)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hive.Close() })
	nats, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) { o.Authorization = canary("nats.token") }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	way := wayOf(t, "tokens", nats.URL()+`", manage: true, stream: "DETECTIONS`, hive.URL())
	site := newPageSite(t, way.text)
	site.show = shown(way.secrets)
	workertest.Eventually(t, "work", func() bool { ready, _ := site.service.Ready(); return ready })
	for _, body := range []string{`{"schema":"forager.detection/v1","id":"d-1","time":"2026-03-02T08:12:40Z","title":"One","severity":2,"host":"web01","techniques":["T1059.001"]}`, `{"broken":`} {
		site.publish(t, nats.URL(), way.secrets["nats.token"], body)
	}
	all := ""
	workertest.Eventually(t, "a case and a dead letter", func() bool {
		all = site.looked(t)
		return strings.Contains(all, `data-outcome="applied"`) && strings.Contains(all, "1 dead letter waits") && strings.Contains(all, "Description, as it opens a case")
	}, func() string { return all })
	for _, leak := range leaks(all, way.secrets) {
		t.Error(leak)
	}
}

// publish sends an event as somebody with the token.
func (p *pageSite) publish(t *testing.T, nats, token, body string) {
	t.Helper()
	forward, err := servers.NewForwarder(strings.Replace(nats, "://", "://"+token+"@", 1))
	workertest.Must(t, err)
	defer forward.Close()
	confirm, err := forward.Send("detections.siem", []byte(body))
	workertest.Must(t, err)
	_, err = confirm(t.Context())
	workertest.Must(t, err)
}

// TestALeakWouldBeSeen, in any of the forms.
func TestALeakWouldBeSeen(t *testing.T) {
	secrets := map[string]string{"nats.password": canary("nats.password")}
	for _, text := range shapes("soc", canary("nats.password")) {
		if len(leaks("before "+text+" after", secrets)) != 1 {
			t.Errorf("%s is not seen", text)
		}
	}
	if got := leaks("nothing", secrets); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestAPageThatIsOffIsNotThere: neither it nor its assets, streams and messages; probes are.
func TestAPageThatIsOffIsNotThere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"ops: {page: false}": http.StatusNotFound, "ops: {page: true}": http.StatusOK} {
		site := newPageSite(t, `
nats: {url: "nats://127.0.0.1:1"}
hive: {url: "http://127.0.0.1:1", apiKey: k3y}
webhook: {addr: ""}
`+text)
		site.note()
		for _, path := range []string{"/", "/page/style.css", "/page/page.js", "/page/icon.svg", "/page/events", "/page/layer.json"} {
			if code, body := site.ask(t, path); code != want {
				t.Errorf("%s: %s: %d, want %d: %.300s", text, path, code, want, body)
			}
		}
		if code, _ := site.ask(t, "/page/message/1"); want == http.StatusNotFound && code != want || want == http.StatusOK && code == http.StatusNotFound {
			t.Errorf("%s: a message: %d", text, code)
		}
		if code, _ := site.ask(t, "/healthz"); code != http.StatusOK {
			t.Errorf("%s: /healthz: %d", text, code)
		}
	}
}

// note makes a message known, where messages are kept.
func (p *pageSite) note() {
	if p.service.history != nil {
		p.service.history.Settled(pipeline.Settlement{Stream: "DETECTIONS", Sequence: 1, Class: enrich.None})
	}
}

// TestAnOpenedMessageSaysWhichRowsItsRulesAsked, however many are opened at once, and those of no other.
func TestAnOpenedMessageSaysWhichRowsItsRulesAsked(t *testing.T) {
	t.Parallel()
	table := filepath.Join(t.TempDir(), "assets.csv")
	workertest.Must(t, os.WriteFile(table, []byte("host,owner\nweb01,payments\nweb02,shop\n"), 0o600))
	c, err := config.Load(config.Source{Name: "forager.yaml", ReadFile: os.ReadFile, Text: []byte(`
lookups: [{name: assets, file: ` + strconv.Quote(table) + `, key: host}]
routes: [{name: owned, when: 'lookup.assets[detection.host].owner == "payments"', case: {tags: [owned]}}]
`)})
	workertest.Must(t, err)
	r, err := newReading(c, rulefiles.NewWitness(), mitre.Embedded(), nil)
	workertest.Must(t, err)
	explain := (&Service{live: newLive(r, zap.NewNop(), nil)}).explain(c)
	var at sync.WaitGroup
	for i := range 40 {
		host := fmt.Sprintf("web%02d", 1+i%3)
		at.Go(func() {
			body := fmt.Sprintf(`{"schema":"forager.detection/v1","id":"d","time":"2026-03-02T08:12:40Z","title":"One","severity":2,"host":%q,"observables":[{"dataType":"hash","data":"9f86d081884c7d659a2feaa0c55ad015"}]}`, host)
			lines := explain("message", detection.Message{Subject: "detections.x", Body: []byte(body)}, enrich.Origin{})
			want := map[string][]explanation.Lookup{
				"web01": {{Table: "assets", Key: "web01", Row: map[string]string{"host": "web01", "owner": "payments"}}},
				"web02": {{Table: "assets", Key: "web02", Row: map[string]string{"host": "web02", "owner": "shop"}}},
				"web03": {{Table: "assets", Key: "web03"}},
			}[host]
			if len(lines) != 1 || !reflect.DeepEqual(lines[0].Lookups, want) || lines[0].Related == nil || len(lines[0].Related.By) != 1 {
				t.Errorf("%s: rows %+v, want %+v; related %+v", host, lines[0].Lookups, want, lines[0].Related)
			}
		})
	}
	at.Wait()
}

// TestNamesOfWorkers: one host's are told apart; a container's own name is enough.
func TestNamesOfWorkers(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{"forager-7d9f": nameOf("forager-7d9f", 1), "soc-1 (pid 4312)": nameOf("soc-1", 4312)} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestStreamsAreGivenBack: over the operations server as it listens, as many look as may, the next is told so, and
// whoever leaves makes room.
func TestStreamsAreGivenBack(t *testing.T) {
	t.Parallel()
	site := newPageSite(t, "nats: {url: \"nats://127.0.0.1:1\"}\nhive: {url: \"http://127.0.0.1:1\", apiKey: k3y}\nwebhook: {addr: \"\"}\n")
	ops, err := listenOps(t.Context(), config.Ops{Addr: "127.0.0.1:0"}, site.service, http.NotFoundHandler(), site.page)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ops.Close() })
	for range 3 {
		ctx, leave := context.WithCancel(t.Context())
		for n := range page.MostViewers {
			workertest.Eventually(t, fmt.Sprintf("room for viewer %d", n), func() bool { return opened(ctx, t, ops.addr) == http.StatusOK })
		}
		if got := opened(ctx, t, ops.addr); got != http.StatusServiceUnavailable {
			t.Errorf("one too many: %d", got)
		}
		leave()
	}
}

// opened opens a stream, which stays open until ctx ends, and gives the status.
func opened(ctx context.Context, t *testing.T, addr string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/page/events", http.NoBody)
	workertest.Must(t, err)
	answer, err := http.DefaultClient.Do(r)
	workertest.Must(t, err)
	if answer.StatusCode == http.StatusOK {
		return answer.StatusCode
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(text), "as many look as may") || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%d: %q, %v", answer.StatusCode, text, err)
	}
	return answer.StatusCode
}
