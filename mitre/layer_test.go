package mitre

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLayerIsOneForTheNavigator(t *testing.T) {
	got, err := Layer("Procedures in TheHive", map[string]map[string]int{
		"T1685":     {"defense-impairment": 3},
		"T1055.011": {"stealth": 12, "privilege-escalation": 1},
		"T1059":     {"": 2},
	}, "19.0", Enterprise)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/layer.json", got)
}

func TestLayerOfNothingIsALayer(t *testing.T) {
	got, err := Layer("<b>", nil, "", Mobile)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/layer_empty.json", got)
}

func TestLayerRefusesWhatTheNavigatorWould(t *testing.T) {
	for _, tt := range []struct {
		counts map[string]map[string]int
		domain string
	}{
		{nil, "attack"},
		{map[string]map[string]int{"1059": {"": 1}}, Enterprise},
		{map[string]map[string]int{"T1059": {"": -1}}, Enterprise},
	} {
		if _, err := Layer("x", tt.counts, "19.0", tt.domain); err == nil {
			t.Errorf("%v of %s is accepted", tt.counts, tt.domain)
		}
	}
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
