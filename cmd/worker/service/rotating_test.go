package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"forager/cmd/worker/workertest"
	"forager/config"
)

// exchange puts a text in place of a file in one moment, as Kubernetes does; empty takes it away.
func exchange(t *testing.T, file, text string) {
	t.Helper()
	if text == "" {
		workertest.Must(t, os.Remove(file))
		return
	}
	workertest.Must(t, os.WriteFile(file+".next", []byte(text), 0o600))
	workertest.Must(t, os.Rename(file+".next", file))
}

// TestARotatingSecretIsWhatItsFileHolds: looked at once a second, and the last good one while there
// is no other. What happened is said once, without the secret.
func TestARotatingSecretIsWhatItsFileHolds(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	exchange(t, file, "s3cr3t-1\n")
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.InfoLevel)
		r := newRotating("hive.apiKeyFile", file, config.NewSecret("s3cr3t-1"), zap.New(core))
		want := func(text string) {
			t.Helper()
			if got := r.text(); got != text {
				t.Errorf("it is %s, want %s", got, text)
			}
		}
		want("s3cr3t-1")
		for _, step := range []struct{ holds, is string }{
			{"s3cr3t-2\n", "s3cr3t-2"}, {"", "s3cr3t-2"}, {"s3cr3t-2", "s3cr3t-2"}, {"\n", "s3cr3t-2"},
			{"s3cr3t-3\ns3cr3t-4\n", "s3cr3t-2"}, {" s3cr3t-5 ", "s3cr3t-5"},
		} {
			before := r.text()
			exchange(t, file, step.holds)
			want(before) // looked at a moment ago
			time.Sleep(lookEvery)
			want(step.is)
			time.Sleep(lookEvery)
			want(step.is)
		}
		var said []string
		for _, e := range logged.All() {
			said = append(said, e.Level.String()+" "+e.Message)
			for name, value := range e.ContextMap() {
				if text, _ := value.(string); strings.Contains(text, "s3cr3t") {
					t.Errorf("the log says %s", name)
				}
			}
		}
		const anew, last = "info hive.apiKeyFile holds a new secret: it is used from now on", "warn hive.apiKeyFile cannot be read again: the last secret is used"
		if diff := cmp.Diff([]string{anew, last, last, anew}, said); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
	})
}

func TestASecretWithoutAFileStays(t *testing.T) {
	t.Parallel()
	if got := newRotating("hive.apiKeyFile", "", config.NewSecret("k"), zap.NewNop()).text(); got != "k" {
		t.Errorf("it is %q", got)
	}
}

// TestNATSIsToldTheSecretThatTheFileHolds: with a user its password, without one the token.
func TestNATSIsToldTheSecretThatTheFileHolds(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	for name, n := range map[string]config.NATS{
		"password": {User: "u", PasswordFile: file, Password: config.NewSecret("old")},
		"token":    {TokenFile: file, Token: config.NewSecret("old")},
	} {
		exchange(t, file, "new\n")
		o := Connection(&config.Config{NATS: n}, zap.NewNop())
		if got := o.Secret(); got != "new" || o.Password+o.Token != "old" {
			t.Errorf("%s: %q is sent, %q and %q of the start", name, got, o.Password, o.Token)
		}
	}
}
