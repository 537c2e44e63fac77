package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forager/config"
)

// TestWhatPassesReadableIsTold: plain connections that leave the host, with something to hide.
func TestWhatPassesReadableIsTold(t *testing.T) {
	t.Parallel()
	secret := func(text string) config.Secret {
		s, err := config.ParseSecret([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, c := range map[string]struct {
		hive string
		nats config.NATS
		told []string
	}{
		"encrypted":              {"https://thehive.acme.test", config.NATS{URL: "tls://nats.acme.test", Password: secret("p")}, nil},
		"loopback":               {"http://127.0.0.1:9000", config.NATS{URL: "nats://[::1]:4222", Password: secret("p")}, nil},
		"loopback by name":       {"http://localhost:9000", config.NATS{URL: "localhost:4222", Token: secret("p")}, nil},
		"all of 127":             {"http://127.9.9.9", config.NATS{URL: "nats://127.0.0.2"}, nil},
		"looks like loopback":    {"http://localhost.acme.test", config.NATS{URL: "nats://127.0.0.1.acme.test", Password: secret("p")}, []string{"hive.url", "nats.url"}},
		"capitals":               {"HTTP://thehive.acme.test", config.NATS{URL: "nats://n"}, []string{"hive.url"}},
		"password":               {"https://h", config.NATS{URL: "nats://n:4222", Password: secret("p")}, []string{"a password"}},
		"password in a file":     {"https://h", config.NATS{URL: "nats://n:4222", PasswordFile: "/nowhere"}, []string{"a password"}},
		"token":                  {"https://h", config.NATS{URL: "n:4222", TokenFile: "/nowhere"}, []string{"a token"}},
		"password in an address": {"https://h", config.NATS{URL: "nats://u:hunter2@n:4222"}, []string{"a password"}},
		"token in an address":    {"https://h", config.NATS{URL: "nats://hunter2@n:4222"}, []string{"a token"}},
		"websocket":              {"https://h", config.NATS{URL: "ws://n:80", Token: secret("p")}, []string{"ws://"}},
		"second of a cluster":    {"https://h", config.NATS{URL: "tls://a, nats://b", Token: secret("p")}, []string{"nats:// to b "}},
		"certificates ask TLS":   {"https://h", config.NATS{URL: "nats://n", Token: secret("p"), CAFile: "/ca"}, nil},
		"no secret":              {"https://h", config.NATS{URL: "nats://n"}, nil},
		"a signature alone":      {"https://h", config.NATS{URL: "nats://n", NKeyFile: "/nowhere"}, nil},
	} {
		got := Exposed(&config.Config{Hive: config.Hive{URL: c.hive}, NATS: c.nats})
		if len(got) != len(c.told) {
			t.Errorf("%s: told %q, want %q", name, got, c.told)
			continue
		}
		for i, want := range c.told {
			if !strings.Contains(got[i], want) || strings.Contains(got[i], "hunter2") || strings.Contains(got[i], "\n") {
				t.Errorf("%s: told %q, want %q", name, got[i], want)
			}
		}
	}
}

// TestSecretFilesThatOthersReadAreTold: each key that names one, and none for its owner alone.
func TestSecretFilesThatOthersReadAreTold(t *testing.T) {
	t.Parallel()
	for mode, open := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o644: true, 0o444: true} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		c := &config.Config{
			NATS: config.NATS{PasswordFile: file, TokenFile: file, CredsFile: file, NKeyFile: file, KeyFile: file, CertFile: file, CAFile: file},
			Hive: config.Hive{APIKeyFile: file, PasswordFile: file, KeyFile: file, CertFile: file, CAFile: file},
		}
		c.Webhook.TokenFile, c.Webhook.PasswordFile = file, file
		got, want := Exposed(c), 0
		if open {
			want = 10
		}
		if len(got) != want {
			t.Errorf("mode %04o: %d told, want %d: %q", mode, len(got), want, got)
		}
		for _, line := range got {
			if !strings.Contains(line, "defaultMode") || !strings.Contains(line, "chmod") {
				t.Errorf("no remedy: %s", line)
			}
		}
	}
}
