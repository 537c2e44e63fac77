package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEveryKeyIsDescribed(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Reference() {
		if k.Doc == "" || strings.Contains(k.Doc, "|") {
			t.Errorf("%s: needs a description that fits a table", k.Name)
		}
		if other, twice := seen[k.Env]; twice && k.Env != "" {
			t.Errorf("%s and %s share %s", k.Name, other, k.Env)
		}
		seen[k.Env] = k.Name
	}
	for env, key := range map[string]string{
		"FORAGER_HIVE_API_KEY_FILE": "hive.apiKeyFile", "FORAGER_OPS_ADDR": "ops.addr",
		"FORAGER_NATS_TLS_FIRST": "nats.tlsFirst", "FORAGER_PIPELINE_MAX_MESSAGE_BYTES": "pipeline.maxMessageBytes",
	} {
		if seen[env] != key {
			t.Errorf("%s is the variable of %q, want %s", env, seen[env], key)
		}
	}
}

// Defaults are read back from how the reference shows them, so that it can be copied into a file.
func TestDefaultsCanBeWrittenAsTheReferenceShowsThem(t *testing.T) {
	c := Default()
	for f := range leaves("", reflect.ValueOf(&c).Elem()) {
		if f.tag.Get("show") != "" || isItems(f.value) {
			continue
		}
		again := reflect.New(f.value.Type()).Elem()
		if err := setText(again, f.tag, defaultOf(f)); err != nil && !f.value.IsZero() {
			t.Errorf("%s: %v", f.key, err)
		} else if err == nil && again.Kind() != reflect.Slice && again.Interface() != f.value.Interface() {
			t.Errorf("%s: shown as %q, read as %v", f.key, defaultOf(f), again)
		}
	}
}

func TestSizesAndDurationsInTheirUnits(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "512": 512, "512 B": 512, "1KiB": 1024, " 32 MiB ": 32 << 20, "1GB": 1e9, "2kb": 2000} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5MiB", "9223372036854775807KiB", "1TiB", "MiB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q: accepted as %d", text, got)
		}
	}
	for text, want := range map[string]time.Duration{"90d": 2160 * time.Hour, "1h30m": 90 * time.Minute, "0": 0, "0d": 0} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "1", "-3s", "100001d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: accepted as %v", text, got)
		}
	}
}
