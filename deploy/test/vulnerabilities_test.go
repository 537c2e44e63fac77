package deploytest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Tiny databases of vulnerabilities: files by their path, as govulncheck asks for them.
var (
	emptyDatabase = map[string]string{
		"index/db":      `{"modified":"2026-03-01T00:00:00Z"}`,
		"index/modules": `[]`,
		"index/vulns":   `[]`,
	}
	// Every version of the reader of YAML is vulnerable here, in everything it does. The package
	// config calls it.
	fullDatabase = map[string]string{
		"index/db":      `{"modified":"2026-03-01T00:00:00Z"}`,
		"index/modules": `[{"path":"github.com/goccy/go-yaml","vulns":[{"id":"GO-2026-9999","modified":"2026-03-01T00:00:00Z"}]}]`,
		"index/vulns":   `[{"id":"GO-2026-9999","modified":"2026-03-01T00:00:00Z"}]`,
		"ID/GO-2026-9999": `{"schema_version":"1.3.1","id":"GO-2026-9999","modified":"2026-03-01T00:00:00Z","published":"2026-03-01T00:00:00Z",
			"summary":"made up for a test","details":"made up for a test","affected":[{"package":{"name":"github.com/goccy/go-yaml","ecosystem":"Go"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],"ecosystem_specific":{"imports":[{"path":"github.com/goccy/go-yaml"}]}}],
			"database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-9999","review_status":"REVIEWED"}}`,
	}
)

func TestAVulnerabilityThatIsReachedFails(t *testing.T) {
	for kind, database := range map[string]string{"served": served(t, fullDatabase), "file": stored(t, fullDatabase)} {
		out, code := vulnerabilities(t, "GOVULNDB="+database)
		if code != 3 || !strings.Contains(out, "GO-2026-9999") || !strings.Contains(out, "config/") {
			t.Errorf("%s: exit %d\n%s", kind, code, out)
		}
	}
}

func TestNoVulnerabilityPasses(t *testing.T) {
	for kind, database := range map[string]string{"served": served(t, emptyDatabase), "file": stored(t, emptyDatabase)} {
		out, code := vulnerabilities(t, "GOVULNDB="+database)
		if code != 0 || !strings.Contains(out, "No vulnerabilities found") {
			t.Errorf("%s: exit %d\n%s", kind, code, out)
		}
	}
}

// TestOnlyAMissingConnectionIsSkipped: whoever answers, and be it with a refusal, is there.
func TestOnlyAMissingConnectionIsSkipped(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(refusing.Close)
	for name, c := range map[string]struct {
		env  string
		code int
		says string
	}{
		"no connection":               {"HTTPS_PROXY=http://127.0.0.1:1", 0, "skipped: the database of vulnerabilities cannot be reached"},
		"refused on the way":          {"HTTPS_PROXY=" + refusing.URL, 1, "Forbidden"},
		"refused by the database":     {"GOVULNDB=" + refusing.URL, 1, "vulndb"},
		"a database that is none":     {"GOVULNDB=file://" + t.TempDir(), 1, "no database of vulnerabilities in"},
		"another database, not there": {"GOVULNDB=http://127.0.0.1:1", 1, "vulndb"},
	} {
		if out, code := vulnerabilities(t, c.env); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s: exit %d, want %d and %q\n%s", name, code, c.code, c.says, out)
		}
	}
}

// vulnerabilities looks at one small package with a variable set, and gives what was said.
func vulnerabilities(t *testing.T, variable string) (said string, code int) {
	t.Helper()
	script, err := filepath.Abs("../../.ci/vulnerabilities")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), script, "./config")
	cmd.Env = append(os.Environ(), "GOVULNDB=", "NO_PROXY=", "no_proxy=", variable)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// stored writes a database into a folder.
func stored(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name)+".json")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + filepath.ToSlash(dir)
}

// served serves a database on loopback, as its public one is: compressed.
func served(t *testing.T, files map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), ".json.gz")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprint(z, text)
		_ = z.Close() // into memory
		_, _ = w.Write(b.Bytes())
	}))
	t.Cleanup(server.Close)
	return server.URL
}
