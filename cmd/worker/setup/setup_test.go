package setup

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forager/cmd/worker/shell"
	"forager/config"
)

// interview gives answers line by line.
func interview(lines, secret string) (*questions, *strings.Builder) {
	var shown strings.Builder
	return &questions{in: bufio.NewReader(strings.NewReader(lines)), out: &shown, hidden: func() (string, error) { return secret, nil }}, &shown
}

func TestWhatNoFlagToldIsAsked(t *testing.T) {
	for name, c := range map[string]struct {
		told          answers
		lines, secret string
		want          answers
		asked         int
	}{
		"everything": {lines: "nats://n:4222\nhttps://hive.example\nno\nsoc\nwazuh\nforager:9000\n", secret: "k",
			want: answers{nats: "nats://n:4222", hive: "https://hive.example", key: "k", ownStreams: true, organisation: "soc", forwarder: "wazuh", intake: "forager:9000"}, asked: 7},
		"nothing but what is usual": {lines: "\n\n\n\n\n", want: answers{nats: defaultNATS, hive: defaultHive}, asked: 6},
		"the rest": {told: answers{nats: "n", keyFile: "f", ownStreams: true, organisation: "o", forwarder: "vector"}, lines: "h\n",
			want: answers{nats: "n", hive: "h", keyFile: "f", ownStreams: true, organisation: "o", forwarder: "vector"}, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			q, shown := interview(c.lines, c.secret)
			got := c.told
			if err := got.ask(q); err != nil || got != c.want {
				t.Errorf("%v: %+v, want %+v", err, got, c.want)
			}
			if n := strings.Count(shown.String(), ": "); n < c.asked || c.secret != "" && strings.Contains(shown.String(), c.secret+"\n") {
				t.Errorf("shown: %q", shown)
			}
		})
	}
	q, _ := interview("nats://n:4222\n", "")
	if err := (&answers{}).ask(q); !errors.Is(err, errEnded) {
		t.Errorf("a terminal that was closed: %v", err)
	}
}

// TestSecretsAreForTheirOwnerAlone, and programs can be run.
func TestSecretsAreForTheirOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	a := answers{dir: dir, key: "a-key", forwarder: "wazuh", ownStreams: true}
	if err := a.complete(); err != nil {
		t.Fatal(err)
	}
	files, err := a.files()
	if err != nil {
		t.Fatal(err)
	}
	if err := write(dir, files); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		"forager.yaml": 0o644, "thehive.key": 0o600, "wazuh.token": 0o600, "forwarders/wazuh/ossec.conf": 0o600,
		"forwarders/wazuh/custom-forager": 0o755, "forwarders/wazuh/sample.json": 0o644, "make-streams.sh": 0o755,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if got := info.Mode().Perm(); got&^want != 0 || got&0o700 != want&0o700 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestNothingIsOverwrittenAndNothingHalfIsLeft.
func TestNothingIsOverwrittenAndNothingHalfIsLeft(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := write(dir, []file{{name: "a"}, {name: "b"}})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), ": b") {
		t.Errorf("%v", err)
	}
	err = write(dir, []file{{name: "a"}, {name: "b/c"}}) // b is no folder
	if err == nil {
		t.Error("a file below a file was written")
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half of it was left: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "b")); err != nil || string(text) != "mine" {
		t.Errorf("%q %v", text, err)
	}
}

// TestConfigurationsOfAllForwardersAreRight: what is written is read, with the sender in it.
func TestConfigurationsOfAllForwardersAreRight(t *testing.T) {
	for _, name := range append(forwarderNames(), "") {
		a := answers{dir: ".", nats: `nats://"quoted":4222`, forwarder: name, intake: "[::1]:9999"}
		a.nats = "nats://h:4222,nats://i:4222"
		if err := a.complete(); err != nil {
			t.Fatal(err)
		}
		files, err := a.files()
		if err != nil {
			t.Fatal(err)
		}
		secret := func(string) ([]byte, error) { return []byte("s"), nil }
		c, err := config.Load(config.Source{Name: "forager.yaml", Text: files[0].content, ReadFile: secret, ReadSecret: secret, Connects: []string{config.ToNATS, config.ToHive, config.ToIntake}})
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, files[0].content)
			continue
		}
		if name != "" && (len(c.Intake.Sources) != 1 || c.Intake.Sources[0].Subject != "detections."+name || c.Intake.Addr != ":9999") {
			t.Errorf("%s: %+v", name, c.Intake)
		}
		for _, f := range files[1:] {
			if text := string(f.content); strings.Contains(text, "THE TOKEN OF") || strings.Contains(text, "forager-intake") {
				t.Errorf("%s: still has what was to be filled in", f.name)
			}
		}
	}
}

// TestNobodyIsAskedWithoutATerminal.
func TestNobodyIsAskedWithoutATerminal(t *testing.T) {
	dir := t.TempDir()
	var out, said strings.Builder
	sh := &shell.Shell{In: strings.NewReader("nats://asked:1\n"), Out: &out, Err: &said}
	cmd := Command(sh, func(context.Context, *shell.Shell, string) error { t.Error("looked"); return nil })
	cmd.SetArgs([]string{"--dir", dir, "--no-check"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "forager.yaml"))
	if err != nil || !strings.Contains(string(text), defaultNATS) || said.Len() > 0 {
		t.Errorf("%v, said %q\n%s", err, said.String(), text)
	}
}
