package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestSecretShowsItselfToNobody(t *testing.T) {
	const text = "hunter2"
	c := Default()
	c.Hive.APIKey = NewSecret(text)
	type hidden struct{ inner Secret }

	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+"\n", c)
		fmt.Fprintf(&out, verb+"\n", c.Hive.APIKey)
		fmt.Fprintf(&out, verb+"\n", hidden{c.Hive.APIKey})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", c.Hive.APIKey, "config", c)
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return yaml.Marshal(v) }} {
		b, err := marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, leak := range []string{text, fmt.Sprintf("%x", text)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is shown in:\n%s", leak, out.String())
		}
	}
	if c.Hive.APIKey.Reveal() != text || !strings.Contains(out.String(), redacted) {
		t.Error("the secret is lost, or not said to be there")
	}
}

func TestErrorsDoNotShowSecrets(t *testing.T) {
	_, err := load("hive: {apiKey: hunter2, apiKeyFile: /run/secrets/key}\nnats: {password: hunter2}")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}
