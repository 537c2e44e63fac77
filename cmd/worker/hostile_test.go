package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"forager/cmd/worker/shell"
)

// hostileText is what terminals obey.
const hostileText = "\x1b]0;owned\x07\u009b2J\u202egnp.exe\x7f\r"

func TestNoCommandLetsAnEventOrANameSteerTheTerminal(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "a\x1b[2J\u202e\u009b.json")
	event, err := json.Marshal(map[string]any{
		"schema": "forager.detection/v1", "id": "x" + hostileText, "time": "2026-11-28T04:00:00Z", "title": hostileText, "host": "h" + hostileText, "tags": []string{hostileText},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, event, 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(dir, "w\x1b[31m\u009b.yaml")
	if err := os.WriteFile(wrong, []byte("nats: {\"u\x1b\u009b\": 1}\nlog: {level: \"\u009b2J\u202e\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"explain", name}, {"explain", name + "none"}, {"check", "--config", wrong}, {"check", "--config", wrong + "none"}, {"dlq", "show", hostileText},
		{"explain", "--format", hostileText, name}, {hostileText}, {"attack", "resolve", hostileText}, {"run", "--config", wrong},
	} {
		var out, errs bytes.Buffer
		run(t.Context(), args, nil, strings.NewReader(""), &out, &errs)
		for _, r := range out.String() + errs.String() {
			if shell.Acts(r) || r == utf8.RuneError && !strings.Contains(fmt.Sprint(args), "\ufffd") && r != '\ufffd' {
				t.Errorf("%q wrote %q: %q", args, r, out.String()+errs.String())
				break
			}
		}
		if out.Len()+errs.Len() == 0 {
			t.Errorf("%q says nothing", args)
		}
	}
}

func TestAFileWithoutAnEndIsRefusedWhereverOneIsNamed(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("this system has no /dev/zero")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Fatal(err)
	}
	base := "nats: {url: nats://127.0.0.1:1}\nhive: {url: http://127.0.0.1:1}\n"
	keys := []string{
		"NATS_PASSWORD_FILE", "NATS_TOKEN_FILE", "NATS_CREDS_FILE", "NATS_NKEY_FILE", "NATS_CA_FILE", "NATS_CERT_FILE", "NATS_KEY_FILE", "HIVE_API_KEY_FILE",
		"HIVE_PASSWORD_FILE", "HIVE_CA_FILE", "HIVE_CERT_FILE", "HIVE_KEY_FILE", "WEBHOOK_TOKEN_FILE", "WEBHOOK_PASSWORD_FILE", "FILES_ZIP_PASSWORD_FILE", "RULES_FILES", "ATTACK_BUNDLES",
	}
	config := filepath.Join(t.TempDir(), "worker.yaml")
	if err := os.WriteFile(config, []byte(base), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 8<<30); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	for _, command := range []string{"check", "run"} {
		for _, key := range keys {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var out bytes.Buffer
			code := run(t.Context(), []string{command, "--config", config}, append(without(key), "FORAGER_"+key+"="+link), strings.NewReader(""), &out, &out)
			runtime.ReadMemStats(&after)
			if code != exitUsage || !strings.Contains(out.String(), "neither a file nor a pipe") {
				t.Errorf("%s with %s ends with %d: %s", command, key, code, out.String())
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
				t.Errorf("%s with %s takes %d MiB", command, key, used)
			}
		}
	}
	for key, most := range boundsOf(keys) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var out bytes.Buffer
		code := run(t.Context(), []string{"check", "--config", config}, append(without(key), "FORAGER_"+key+"="+large), strings.NewReader(""), &out, &out)
		runtime.ReadMemStats(&after)
		if code != exitUsage || !strings.Contains(out.String(), large+" is too large: more than "+most) {
			t.Errorf("%s ends with %d: %s", key, code, out.String())
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
			t.Errorf("%s takes %d MiB", key, used)
		}
	}
	for _, args := range [][]string{{"check", "--config", link}, {"explain", link}} {
		var out bytes.Buffer
		if code := run(t.Context(), args, nil, strings.NewReader(""), &out, &out); code == exitDone || !strings.Contains(out.String(), "neither a file nor a pipe") {
			t.Errorf("%v ends with %d: %s", args, code, out.String())
		}
	}
}

// without is an environment that lacks what a key says.
func without(key string) []string {
	if key == "HIVE_API_KEY_FILE" {
		return nil
	}
	return []string{"FORAGER_HIVE_API_KEY=x"}
}

// boundsOf are the bounds of what files may hold, as errors say them: rules and bundles are long, secrets are not.
func boundsOf(keys []string) map[string]string {
	all := map[string]string{}
	for _, key := range keys {
		all[key] = "1 MiB"
	}
	all["RULES_FILES"], all["ATTACK_BUNDLES"] = "64 MiB", "256 MiB"
	return all
}
