package config

import (
	"slices"
	"strings"
	"testing"
)

func TestOnlyRulesChangeWithoutARestart(t *testing.T) {
	old, err := load(enough + "routes: [{name: a}]\ncase: {window: 1h}\n")
	if err != nil {
		t.Fatal(err)
	}
	same, err := load(enough + "case: {window: 1h}\nroutes: [{name: b}]\nsilences: []\nfiles: {objects: [{subject: a.>, bucket: B}]}\nformats: {directories: [x]}\nrules: {reload: 1s}\n")
	if err != nil {
		t.Fatal(err)
	}
	merged, restart := old.WithRulesOf(same)
	if len(restart) != 0 || merged.Routes[0].Name != "b" || len(merged.Formats.Directories) != 1 || len(merged.Files.Objects) != 1 || old.Routes[0].Name != "a" {
		t.Errorf("restart for %v, merged %+v", restart, merged.Routes)
	}
	other, err := load(enough+"routes: [{name: c}]\ncase: {window: 2h}\n", "FORAGER_HIVE_CONCURRENCY=4", "FORAGER_NATS_TOKEN=x")
	if err != nil {
		t.Fatal(err)
	}
	merged, restart = old.WithRulesOf(other)
	if !slices.Equal(restart, []string{"nats", "hive", "pipeline", "case"}) || merged.Case.Window != old.Case.Window || merged.Routes[0].Name != "c" {
		t.Errorf("restart for %v, window %v", restart, merged.Case.Window)
	}
}

func TestTheLevelOfTheLogChangesWithoutARestartItsFormatWithOne(t *testing.T) {
	old, err := load(enough + "log: {level: info, format: text}\n")
	if err != nil {
		t.Fatal(err)
	}
	louder, err := load(enough + "log: {level: debug, format: text}\n")
	if err != nil {
		t.Fatal(err)
	}
	if merged, restart := old.WithRulesOf(louder); len(restart) != 0 || merged.Log.Level != "debug" || old.Log.Level != "info" {
		t.Errorf("restart for %v, level %s", restart, merged.Log.Level)
	}
	other, err := load(enough + "log: {level: debug, format: json}\n")
	if err != nil {
		t.Fatal(err)
	}
	if merged, restart := old.WithRulesOf(other); !slices.Equal(restart, []string{"log"}) || merged.Log != (Log{Level: "debug", Format: "text"}) {
		t.Errorf("restart for %v, %+v", restart, merged.Log)
	}
}

// TestSecretsOfFilesTurnWithoutARestart: who uses them reads those files again.
func TestSecretsOfFilesTurnWithoutARestart(t *testing.T) {
	text := `
nats: {url: nats://n:4222, user: u, passwordFile: nats}
hive: {url: http://h, apiKeyFile: hive}
files: {zipPasswordFile: zip}
webhook: {tokenFile: hook, user: u, passwordFile: hook}
`
	turned := func(text, suffix string) *Config {
		t.Helper()
		c, err := Load(Source{
			Text: []byte(text), Connects: []string{ToNATS, ToHive, ToWebhook},
			ReadFile: func(name string) ([]byte, error) { return []byte(name + suffix + "\n"), nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := turned(text, "-1")
	merged, restart := old.WithRulesOf(turned(text, "-2"))
	if !slices.Equal(restart, []string{"files"}) { // its password is one that people agreed on
		t.Errorf("restart for %v", restart)
	}
	for _, s := range []Secret{merged.NATS.Password, merged.Hive.APIKey, merged.Webhook.Token, merged.Webhook.Password} {
		if got := s.Reveal(); !strings.HasSuffix(got, "-2") {
			t.Errorf("the next reload compares with %s", got)
		}
	}
	_, restart = old.WithRulesOf(turned(strings.Replace(text, "apiKeyFile: hive", "apiKeyFile: other", 1), "-1"))
	if !slices.Equal(restart, []string{"hive"}) {
		t.Errorf("another file: restart for %v", restart)
	}
}
