package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func loadIntake(text string, env ...string) (*Config, error) {
	return Load(Source{
		Name: "/etc/forager/worker.yaml", Text: []byte("nats: {url: \"nats://127.0.0.1:4222\"}\n" + text), Env: env, Connects: []string{ToNATS, ToIntake},
		ReadFile: func(name string) ([]byte, error) {
			if name == "/etc/forager/secrets/kibana" {
				return []byte("from the file\n"), nil
			}
			return readFile(name)
		},
	})
}

func TestSourcesOfTheIntake(t *testing.T) {
	c, err := loadIntake(`
intake:
  sources:
    - {name: kibana, subject: detections.kibana, tokenFile: secrets/kibana, rate: 50}
    - {name: splunk, subject: detections.splunk, user: s, passwordFile: /run/secrets/key}
    - {name: github, subject: detections.github, key: k, signatureHeader: X-Hub-Signature-256}
`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Intake.Sources {
		got = append(got, strings.Join([]string{s.Name, s.Subject, s.Token.Reveal(), s.User, s.Password.Reveal(), s.Key.Reveal()}, "|"))
	}
	want := []string{"kibana|detections.kibana|from the file|||", "splunk|detections.splunk||s|s3cr3t|", "github|detections.github||||k"}
	if d := cmp.Diff(want, got); d != "" || c.Intake.Addr != ":8082" || c.Intake.Sources[0].Rate != 50 {
		t.Error(d, c.Intake.Addr)
	}
}

func TestWrongSourcesAreRefusedWithoutTheirSecrets(t *testing.T) {
	const secret = "hunter2"
	for name, c := range map[string]struct{ source, want string }{
		"no secret":              {`{name: a, subject: b}`, "intake.sources[0].token: missing"},
		"two secrets":            {`{name: a, subject: b, token: hunter2, key: k}`, "give one of token, user and key"},
		"a user alone":           {`{name: a, subject: b, user: u}`, "intake.sources[0].password: missing"},
		"a password alone":       {`{name: a, subject: b, password: hunter2}`, "intake.sources[0].user: missing"},
		"a secret twice":         {`{name: a, subject: b, token: hunter2, tokenFile: /run/secrets/key}`, "give token or tokenFile, not both"},
		"no file":                {`{name: a, subject: b, tokenFile: /nowhere}`, "intake.sources[0].tokenFile"},
		"two lines":              {`{name: a, subject: b, tokenFile: /run/secrets/two}`, "one line, the secret"},
		"a wildcard":             {`{name: a, subject: "b.>", token: hunter2}`, "no wildcards"},
		"a space":                {`{name: a, subject: "b c", token: hunter2}`, "intake.sources[0].subject"},
		"no subject":             {`{name: a, token: hunter2}`, "intake.sources[0].subject: missing"},
		"a name twice":           {`{name: a, subject: b, token: hunter2}, {name: a, subject: c, token: d}`, "is the name of intake.sources[0], too"},
		"a secret of two":        {`{name: a, subject: b, token: hunter2}, {name: c, subject: c, token: hunter2}`, "cannot be told apart"},
		"a name of lines":        {`{name: "a\nb", subject: b, token: hunter2}`, "visible ASCII"},
		"a header without a key": {`{name: a, subject: b, token: hunter2, signatureHeader: X-Sig}`, "goes with key"},
		"a header that is none":  {`{name: a, subject: b, key: hunter2, signatureHeader: "X Sig"}`, "name of an HTTP header"},
		"an unknown key":         {`{name: a, subject: b, secret: hunter2}`, "no such key"},
	} {
		_, err := loadIntake("intake: {sources: [" + c.source + "]}")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		_, err = loadIntake("", "FORAGER_INTAKE_SOURCES=["+c.source+"]")
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s, from the environment: %v", name, err)
		}
	}
	if _, err := loadIntake("intake: {addr: 8082, maxBytesHeld: 1MiB, sources: [{name: a, subject: b, token: c}]}"); err == nil ||
		!strings.Contains(err.Error(), "intake.addr") || !strings.Contains(err.Error(), "at least twice pipeline.maxMessageBytes") {
		t.Errorf("address and size: %v", err)
	}
}

// TestSecretsOfSourcesTurnWithoutARestart: the file is the same, what it holds is not.
func TestSecretsOfSourcesTurnWithoutARestart(t *testing.T) {
	text := func(token string) string {
		return "intake: {sources: [{name: a, subject: b, token: " + token + "}]}"
	}
	first, err := loadIntake(text("one"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadIntake(text("two"))
	if err != nil {
		t.Fatal(err)
	}
	if _, restart := first.WithRulesOf(second); !cmp.Equal(restart, []string{"intake"}) {
		t.Errorf("a token in the configuration: restart for %v", restart)
	}
	for _, c := range []*Config{first, second} {
		c.Intake.Sources[0].TokenFile = "/run/secrets/token"
	}
	merged, restart := first.WithRulesOf(second)
	if len(restart) > 0 || merged.Intake.Sources[0].Token.Reveal() != "two" || first.Intake.Sources[0].Token.Reveal() != "one" {
		t.Errorf("a token of a file: restart for %v", restart)
	}
}
