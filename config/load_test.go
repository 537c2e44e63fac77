package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// enough is the least that a worker needs.
const enough = `
nats: {url: "nats://127.0.0.1:4222"}
hive: {url: "https://thehive.example.org", apiKeyFile: /run/secrets/key}
`

// readFile knows the files of these tests.
func readFile(name string) ([]byte, error) {
	switch name {
	case "/run/secrets/key":
		return []byte("s3cr3t\n"), nil
	case "/run/secrets/empty":
		return []byte(" \n"), nil
	case "/run/secrets/two":
		return []byte("one\ntwo\n"), nil
	default:
		return nil, &os.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
}

func load(text string, env ...string) (*Config, error) {
	return Load(Source{Name: "forager.yaml", Text: []byte(text), Env: env, ReadFile: readFile, Connects: []string{ToNATS, ToHive}})
}

func TestDefaultsServeOnceAddressesAreGiven(t *testing.T) {
	c, err := load(enough)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		c.Hive.Timeout, c.Ledger.Lease, c.NATS.AckWait, c.Hive.Settle, c.Case.Window, c.Hive.Batch,
		c.Pipeline.MaxInFlight, c.Pipeline.MaxBytesHeld, c.Pipeline.MaxMessageBytes, c.Hive.APIKey.Reveal(),
	}
	want := []any{
		10 * time.Second, 15 * time.Second, 15 * time.Second, 25 * time.Second, 24 * time.Hour, 100,
		64 * 32, Size(32 << 20), Size(1 << 20), "s3cr3t",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEnvironmentAloneConfiguresAndWinsOverTheFile(t *testing.T) {
	env := []string{
		"FORAGER_NATS_URL=nats://n1:4222, nats://n2:4222", "FORAGER_NATS_SUBJECTS=alerts.wazuh.>, alerts.falco.*",
		"FORAGER_NATS_MANAGE=true", "FORAGER_HIVE_URL=http://hive:9000/thehive", "FORAGER_HIVE_API_KEY=k",
		"FORAGER_HIVE_CONCURRENCY=8", "FORAGER_PIPELINE_MAX_MESSAGE_BYTES=2MiB", "FORAGER_CASE_WINDOW=7d", "FORAGER_LEDGER_KEEP=90d",
		"FORAGER_FORMATS_PINS=[{subject: alerts.x, format: native}]", "FORAGER_OPS_ADDR=",
		"PATH=/bin", "FORAGER_SERVICE_HOST=10.0.0.1", "FORAGER_OPS_SERVICE_PORT=80", "FORAGER_PORT_80_TCP_ADDR=10.0.0.1", "FORAGER_CONFIG=x",
	}
	c, err := load("hive: {concurrency: 64, organisation: 007}", env...)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.NATS.Subjects, c.NATS.Manage, c.Hive.Concurrency, c.Hive.Organisation, c.Pipeline.MaxMessageBytes, c.Case.Window, c.Formats.Pins, c.Ops.Addr, c.Hive.APIKey.Reveal()}
	want := []any{[]string{"alerts.wazuh.>", "alerts.falco.*"}, true, 8, "007", Size(2 << 20), 168 * time.Hour, []Pin{{Subject: "alerts.x", Format: "native"}}, "", "k"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestRefusals: what was written → every line of the error, so that a message cannot get worse unseen.
func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		text string // added to enough
		env  []string
		want string
	}{
		"unknown key":             {"hive: {tiemout: 3s}", nil, `forager.yaml: line 1, column 8: hive.tiemout: unknown: no such key, did you mean timeout?`},
		"unknown section":         {"kafka: {}", nil, `forager.yaml: line 1, column 1: kafka: unknown: no such key`},
		"section is a text":       {"hive: fast", nil, `forager.yaml: line 1, column 7: hive: impossible value: expected keys and values`},
		"number":                  {"hive:\n  concurrency: many", nil, `forager.yaml: line 2, column 16: hive.concurrency: "many": impossible value: expected a whole number`},
		"too small":               {"hive: {concurrency: 0}", nil, `forager.yaml: line 1, column 21: hive.concurrency: "0": impossible value: expected at least 1`},
		"too large":               {"pipeline: {maxMessageBytes: 1GiB}", nil, "forager.yaml: line 1, column 29: pipeline.maxMessageBytes: \"1GiB\": impossible value: expected at most 64MiB"},
		"negative":                {"hive: {timeout: -1s}", nil, `forager.yaml: line 1, column 17: hive.timeout: "-1s": impossible value: expected a duration such as 500ms, 10s, 24h or 90d`},
		"duration without unit":   {"hive: {timeout: 10}", nil, `forager.yaml: line 1, column 17: hive.timeout: "10": impossible value: expected a duration such as 500ms, 10s, 24h or 90d`},
		"word":                    {"case: {closed: maybe}", nil, `forager.yaml: line 1, column 16: case.closed: "maybe": impossible value: expected one of new, reopen, comment`},
		"list of mappings":        {"formats: {pins: [a]}", nil, `forager.yaml: line 1, column 18: formats.pins[0]: impossible value: expected keys and values`},
		"incomplete item":         {"formats:\n  pins:\n    - subject: a.b", nil, `forager.yaml: line 3, column 7: formats.pins[0].format: missing`},
		"pins from a variable":    {"", []string{"FORAGER_FORMATS_PINS=a=b"}, `FORAGER_FORMATS_PINS: "a=b": impossible value: expected a list of subject, format in YAML`},
		"list for a value":        {"hive: {organisation: [a, b]}", nil, `forager.yaml: line 1, column 22: hive.organisation: impossible value: expected one value`},
		"alias":                   {"log: {level: &a info, format: *a}", nil, "forager.yaml: line 1, column 14: log.level: impossible value: expected one value\nforager.yaml: line 1, column 31: log.format: impossible value: expected one value"},
		"duplicate key":           {"log: {}\nlog: {}", nil, `forager.yaml: line 2, column 1: not readable YAML: mapping key "log" already defined at [1:1]`},
		"text without quotes":     {"routes: [{name: r, case: {title: {{ detection.title }}}}]", nil, `forager.yaml: line 1, column 35: not readable YAML: could not find flow map content; a text with {{ in it must be quoted`},
		"two documents":           {"log: {}\n---\nlog: {}", nil, `forager.yaml: line 3, column 1: not readable YAML: expected one document`},
		"unknown variable":        {"", []string{"FORAGER_HIVE_URI=x"}, `FORAGER_HIVE_URI: unknown: no such variable, did you mean FORAGER_HIVE_URL?`},
		"variable's value":        {"", []string{"FORAGER_NATS_MANAGE=perhaps"}, `FORAGER_NATS_MANAGE: "perhaps": impossible value: expected true or false`},
		"secret twice":            {"", []string{"FORAGER_HIVE_API_KEY=hidden"}, `hive.apiKeyFile: "/run/secrets/key": impossible value: give hive.apiKey or hive.apiKeyFile, not both`},
		"secret file is missing":  {"nats: {user: u, passwordFile: /no}", nil, `forager.yaml: line 1, column 31: nats.passwordFile: "/no": impossible value: open /no: file does not exist`},
		"secret file is empty":    {"nats: {user: u, passwordFile: /run/secrets/empty}", nil, `forager.yaml: line 1, column 31: nats.passwordFile: "/run/secrets/empty": impossible value: expected a file with one line, the secret`},
		"secret file of lines":    {"nats: {tokenFile: /run/secrets/two}", nil, `forager.yaml: line 1, column 19: nats.tokenFile: "/run/secrets/two": impossible value: expected a file with one line, the secret`},
		"call outlives claim":     {"hive: {timeout: 20s}", nil, `forager.yaml: line 1, column 17: hive.timeout: "20s": impossible value: 20s must be at most two thirds of ledger.lease (15s): a claim must outlive a call`},
		"settle below a call":     {"hive: {settle: 9s}", nil, `forager.yaml: line 1, column 16: hive.settle: "9s": impossible value: 9s must not be shorter than hive.timeout (10s): an answer that was lost may have taken that long`},
		"keep below window":       {"ledger: {keep: 1h}", nil, `forager.yaml: line 1, column 16: ledger.keep: "1h": impossible value: 1h must not be shorter than case.window (24h): the ledger would forget cases that still take events`},
		"file above a ZIP":        {"files: {zip: always, maxBytes: 5GiB}", nil, `forager.yaml: line 1, column 32: files.maxBytes: "5GiB": impossible value: 5GiB must be at most 4095MiB with files.zip always: a ZIP holds no more`},
		"password of archives":    {"files: {zipPassword: 'open sesame'}", nil, `forager.yaml: line 1, column 22: files.zipPassword: "[redacted]": impossible value: expected a password of 1 to 64 visible ASCII characters, no backtick`},
		"held below messages":     {"pipeline: {maxBytesHeld: 1MiB}", nil, `forager.yaml: line 1, column 26: pipeline.maxBytesHeld: "1MiB": impossible value: 1MiB must be at least four times pipeline.maxMessageBytes (1MiB): one key may hold a quarter`},
		"in flight below calls":   {"pipeline: {maxInFlight: 3}", nil, `forager.yaml: line 1, column 25: pipeline.maxInFlight: "3": impossible value: must not be below hive.concurrency: calls would stand idle`},
		"address without scheme":  {"", []string{"FORAGER_HIVE_URL=thehive:9000"}, `FORAGER_HIVE_URL: "thehive:9000": impossible value: expected an address that begins with http://, https://`},
		"credentials in address":  {"", []string{"FORAGER_HIVE_PROXY=http://me:hunter2@n"}, `FORAGER_HIVE_PROXY: "[redacted]": impossible value: credentials do not belong into an address: it is logged; use the user, password and file keys`},
		"operations address":      {"ops: {addr: 8080}", nil, `forager.yaml: line 1, column 13: ops.addr: "8080": impossible value: expected host:port or :port`},
		"two ways to log in":      {"nats: {user: u, password: p, credsFile: c}", nil, `nats: impossible value: give one of user, token, credsFile and nkeyFile`},
		"user without password":   {"nats: {user: u}", nil, `nats.password: missing: needed with nats.user`},
		"domain and prefix":       {"nats: {domain: hub, apiPrefix: $JS.hub.API}", nil, `forager.yaml: line 1, column 32: nats.apiPrefix: "$JS.hub.API": impossible value: give nats.domain or nats.apiPrefix, not both: a domain is a prefix, too ($JS.<domain>.API)`},
		"domain of two words":     {"nats: {domain: eu.hub}", nil, `forager.yaml: line 1, column 16: nats.domain: "eu.hub": impossible value: a name has no spaces, dots, wildcards or slashes`},
		"prefix with a wildcard":  {"nats: {apiPrefix: $JS.*.API}", nil, `forager.yaml: line 1, column 19: nats.apiPrefix: "$JS.*.API": impossible value: expected words parted by dots, no wildcards`},
		"key without certificate": {"nats: {keyFile: k}", nil, `nats.certFile: missing: needed with nats.keyFile`},
		"key and user":            {"", []string{"FORAGER_HIVE_USER=u", "FORAGER_HIVE_PASSWORD=p"}, `FORAGER_HIVE_USER: "u": impossible value: give an API key or a user, not both`},
		"managed without subject": {"nats: {subjects: [], manage: true}", nil, `forager.yaml: line 1, column 18: nats.subjects: missing: a new stream listens to something: needed with nats.manage`},
		"subject":                 {"nats: {subjects: [a..b]}", nil, `forager.yaml: line 1, column 18: nats.subjects: impossible value: a..b is no subject: words parted by dots, * for one word, > for the rest`},
		"pinned subject":          {"formats: {pins: [{subject: 'a b', format: x}]}", nil, `forager.yaml: line 1, column 28: formats.pins[0].subject: "a b": impossible value: expected words parted by dots, * for one word, > for the rest`},
		"name":                    {"nats: {stream: a.b}", nil, `forager.yaml: line 1, column 16: nats.stream: "a.b": impossible value: a name has no spaces, dots, wildcards or slashes`},
	}
	base := []string{"FORAGER_NATS_URL=nats://n", "FORAGER_HIVE_URL=http://h", "FORAGER_HIVE_API_KEY_FILE=/run/secrets/key"}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(tt.text, append(base, tt.env...)...)
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.ReplaceAll(err.Error(), "configuration: ", "")
			if d := cmp.Diff(tt.want, strings.ReplaceAll(got, "FORAGER_HIVE_API_KEY_FILE: ", "hive.apiKeyFile: ")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEveryProblemIsNamedAtOnce(t *testing.T) {
	_, err := load("hive: {timeout: x, batch: 0}\nlog: {level: loud}\nfoo: 1", "FORAGER_BAR=1")
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, p := range e.Problems {
		got = append(got, fmt.Sprintf("%s %v", p.Key, p.Err))
	}
	want := []string{
		"hive.timeout impossible value", "hive.batch impossible value", "log.level impossible value", "foo unknown",
		"FORAGER_BAR unknown", "nats.url missing", "hive.url missing", "hive.apiKey missing",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, kind := range []error{ErrUnknown, ErrValue, ErrMissing} {
		if !errors.Is(err, kind) {
			t.Errorf("errors.Is does not see %v", kind)
		}
	}
}

func TestOfflineNeedsNeitherAddressesNorSecrets(t *testing.T) {
	_, err := Load(Source{Text: []byte("hive: {apiKeyFile: /not/there}\ncase: {window: 1h}"), ReadFile: readFile})
	if err != nil {
		t.Error(err)
	}
}

func TestOnlyWhatIsConnectedToIsNeeded(t *testing.T) {
	for to, want := range map[string]error{ToNATS: nil, ToHive: ErrMissing} {
		_, err := Load(Source{Text: []byte("nats: {url: nats://n}\nhive: {apiKeyFile: /not/there}"), Connects: []string{to}, ReadFile: readFile})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestEmptyTextsAreNoConfiguration(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "null\n", "hive:\n"} {
		if _, err := Load(Source{Text: []byte(text)}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(enough, "FORAGER_HIVE_TIMEOUT=3s")
	f.Add("formats: {pins: [{subject: a, format: b}]}\n---\n? [a]\n: b", "FORAGER_FORMATS_PINS=[{subject: a}]")
	f.Add("hive: &a {<<: *a}", "FORAGER_X=1")
	f.Fuzz(func(t *testing.T, text, env string) {
		c, err := load(text, env)
		if e, ok := errors.AsType[*Error](err); err != nil && (!ok || len(e.Problems) == 0) {
			t.Errorf("no problem is named: %v", err)
		}
		if err == nil && (3*c.Hive.Timeout > 2*c.Ledger.Lease || c.Hive.Concurrency < 1 || c.Hive.URL == "") {
			t.Errorf("accepted what cannot work: %+v", c)
		}
	})
}

func TestProblemsComeInTheOrderOfTheFile(t *testing.T) {
	_, err := load("ops: {addr: nowhere}\nwebhook: {addr: nowhere}\nformats: {pins: [{subject: a..b, format: f}]}\nhive: {apiKeyFile: /not/there, url: ftp://h, batch: x}\nnats: {url: nats://n}")
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	var got []string
	for _, p := range e.Problems {
		got = append(got, fmt.Sprintf("%d %s", p.Line, p.Key))
	}
	want := []string{"1 ops.addr", "2 webhook.addr", "3 formats.pins[0].subject", "4 hive.apiKeyFile", "4 hive.url", "4 hive.batch"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestOfAGarbledFileNothingIsMissing: the keys may well stand in it.
func TestOfAGarbledFileNothingIsMissing(t *testing.T) {
	for _, text := range []string{"hive: {url: http://h", "- a", "hive:\n\turl: x", "\xff\xfe"} {
		if _, err := load(text); err == nil || errors.Is(err, ErrMissing) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestMistakesOfOthersJoinThoseOfLoading: Wrong knows the places of what Load refused as a whole.
func TestMistakesOfOthersJoinThoseOfLoading(t *testing.T) {
	c, loaded := load(enough + "\nroutes:\n  - {name: a, when: nonsense}\n  - {name: a, when: more}\nlog: {level: loud}\n")
	if loaded == nil || c == nil {
		t.Fatalf("%v, %v", c, loaded)
	}
	other := errors.New("other")
	err := Join(loaded, nil, c.Wrong(
		Mistake{Key: "routes[0].when", Err: errors.New("no condition")},
		Mistake{Key: "routes[0].when", Err: errors.New("nor anything else")},
		Mistake{Key: "routes[1].name", Err: errors.New("said already")},
	), nil, other)
	var got []string
	for line := range strings.Lines(err.Error()) {
		_, after, _ := strings.Cut(strings.TrimSpace(line), "column ")
		got = append(got, after)
	}
	want := []string{
		"21: routes[0].when: impossible value: no condition", "21: routes[0].when: impossible value: nor anything else",
		`12: routes[1].name: "a": impossible value: is the name of routes[0], too`, `14: log.level: "loud": impossible value: expected one of debug, info, warn, error`, "",
	}
	if d := cmp.Diff(want, got); d != "" || !errors.Is(err, other) {
		t.Errorf("%v\n%s", err, d)
	}
	if err := Join(nil, nil); err != nil {
		t.Errorf("nothing is wrong, and %v", err)
	}
	if err := Join(nil, loaded); err == nil || err.Error() != loaded.Error() {
		t.Errorf("%v became %v", loaded, err)
	}
}
