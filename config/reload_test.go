package config

import (
	"slices"
	"testing"
)

func TestOnlyRulesChangeWithoutARestart(t *testing.T) {
	old, err := load(enough + "routes: [{name: a}]\ncase: {window: 1h}\n")
	if err != nil {
		t.Fatal(err)
	}
	same, err := load(enough + "case: {window: 1h}\nroutes: [{name: b}]\nsilences: []\nformats: {directories: [x]}\nrules: {reload: 1s}\n")
	if err != nil {
		t.Fatal(err)
	}
	merged, restart := old.WithRulesOf(same)
	if len(restart) != 0 || merged.Routes[0].Name != "b" || len(merged.Formats.Directories) != 1 || old.Routes[0].Name != "a" {
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
