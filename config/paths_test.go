package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPathsOfTheFileAreRelativeToIt: whoever starts the worker from another folder means the same
// files. A variable's are relative to the folder in which it is set.
func TestPathsOfTheFileAreRelativeToIt(t *testing.T) {
	t.Parallel()
	const text = `
nats: {url: "nats://n", caFile: ca.pem}
hive: {url: "http://h", apiKeyFile: /run/key, certFile: tls/crt.pem, keyFile: tls/key.pem}
formats: {directories: [mine, /theirs]}
attack: {bundles: [ics.json]}
files: {spool: spool}
`
	load := func(name string, env ...string) [][]string {
		c, err := Load(Source{Name: name, Text: []byte(text), Env: env})
		if err != nil {
			t.Fatal(err)
		}
		return [][]string{
			{c.NATS.CAFile, c.Hive.APIKeyFile, c.Hive.CertFile, c.Hive.KeyFile, c.Files.Spool, c.Hive.CAFile},
			c.Formats.Directories, c.Attack.Bundles,
		}
	}
	for name, want := range map[string][][]string{
		"/etc/forager/forager.yaml": {
			{"/etc/forager/ca.pem", "/run/key", "/etc/forager/tls/crt.pem", "/etc/forager/tls/key.pem", "/etc/forager/spool", ""},
			{"/etc/forager/mine", "/theirs"},
			{"/etc/forager/ics.json"},
		},
		"forager.yaml": {{"ca.pem", "/run/key", "tls/crt.pem", "tls/key.pem", "spool", ""}, {"mine", "/theirs"}, {"ics.json"}},
	} {
		if diff := cmp.Diff(want, load(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got := load("/etc/forager/forager.yaml", "FORAGER_NATS_CA_FILE=other.pem", "FORAGER_FORMATS_DIRECTORIES=here", "FORAGER_HIVE_CA_FILE=hive.pem")
	if got[0][0] != "other.pem" || got[0][5] != "hive.pem" || !cmp.Equal(got[1], []string{"here"}) {
		t.Errorf("of variables: %v", got)
	}
}
