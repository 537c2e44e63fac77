package service

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/workertest"
)

// TestTheHivesCredentialsRotateWithoutARestart: TheHive refuses the old ones, the gate closes, somebody
// exchanges the file, and everything that waited lands once, none of it as a dead letter.
func TestTheHivesCredentialsRotateWithoutARestart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env    func(file string) []string
		revoke func(p *provider) (next string)
	}{
		"key": {
			func(file string) []string { return []string{"FORAGER_HIVE_API_KEY_FILE=" + file} },
			func(p *provider) string { return p.administer(http.MethodPost, "/user/forager/key/renew", "") },
		},
		"password": {
			func(file string) []string {
				return []string{"FORAGER_HIVE_USER=forager", "FORAGER_HIVE_PASSWORD_FILE=" + file}
			},
			func(p *provider) string {
				p.administer(http.MethodPost, "/user/forager/password/set", `{"password":"another"}`)
				return "another"
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "secret")
			exchange(t, file, "forager\n")
			p := newProviderAs(t, c.env(file)...)
			const each = hostsOfAKind
			p.detect("old", each)
			p.until("acme", each)
			p.until("initech", each)

			next := c.revoke(p)
			p.detect("new", each)
			p.wait("the gate to close", func() bool { ready, _ := p.service.Ready(); return !ready })
			exchange(t, file, "") // it may be away for a while
			if status, text := p.shows("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "gate is closed: blocked") {
				t.Errorf("readyz %d: %s", status, text)
			}
			if got := len(p.ended("acme")) + len(p.ended("initech")); got != 2*each {
				t.Errorf("%d messages ended, of which %d could", got, 2*each)
			}
			mended := time.Now()
			exchange(t, file, next)
			p.until("acme", 2*each)
			p.until("initech", 2*each)
			t.Logf("all landed within %v of the new secret", time.Since(mended))
			p.judge(each)
			if gates := p.closings(); !slices.Contains(gates, "blocked") {
				t.Errorf("the gate said %q", gates)
			}
		})
	}
}

// TestTheIntakesCredentialsRotateWithoutARestart: the old ones open no more.
func TestTheIntakesCredentialsRotateWithoutARestart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, next string }{
		"token":    {"Bearer first", "Bearer second"},
		"password": {"Basic dTpmaXJzdA==", "Basic dTpzZWNvbmQ="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "secret")
			exchange(t, file, "first\n")
			p := newProviderAs(t, "FORAGER_HIVE_API_KEY=forager")
			w := p.service.parts.clients.config.Webhook
			w.Addr = "127.0.0.1:0"
			if name == "token" {
				w.TokenFile = file
			} else {
				w.User, w.PasswordFile = "u", file
			}
			cfg := *p.service.parts.clients.config
			cfg.Webhook = w
			h, err := Network{}.openHooks(t.Context(), &cfg, p.service.Link, p.service.applier, nil, p.service.parts.measures.metrics, zap.NewNop())
			workertest.Must(t, err)
			t.Cleanup(h.Close)
			workertest.Must(t, h.audits.Ensure(t.Context()))
			answers := func(authorization string) int {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+h.server.addr+"/hooks/thehive", strings.NewReader(document))
				workertest.Must(t, err)
				r.Header.Set("Authorization", authorization)
				resp, err := http.DefaultClient.Do(r)
				workertest.Must(t, err)
				workertest.Must(t, resp.Body.Close())
				return resp.StatusCode
			}
			p.wait("the old ones", func() bool { return answers(c.old) == http.StatusNoContent }) // a busy stream answers 503 first
			if next := answers(c.next); next != http.StatusUnauthorized {
				t.Errorf("before: the new ones %d", next)
			}
			exchange(t, file, "second\n")
			p.wait("the new ones", func() bool { return answers(c.next) == http.StatusNoContent })
			if old := answers(c.old); old != http.StatusUnauthorized {
				t.Errorf("afterwards the old ones %d", old)
			}
		})
	}
}
