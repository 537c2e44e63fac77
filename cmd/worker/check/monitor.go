package check

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"forager/cmd/worker/shell"
	"forager/pipeline/inspect"
	"forager/pipeline/stream"
)

// mostVarz bounds an answer of a server's monitoring port.
const mostVarz = 4 << 20

// defaultSync is how long a server takes to write to its disk what it confirmed, unless sync_interval says otherwise.
const defaultSync = 2 * time.Minute

// Monitored asks the monitoring port of a NATS server (http_port, often 8222) how soon it writes to its disk what it
// confirmed; one server is asked, of a cluster each has its own. It fails with a UsageError on what is no address.
func Monitored(ctx context.Context, address string) ([]inspect.Finding, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, shell.Misuse(fmt.Errorf("--nats-monitor %q: no http:// or https:// address of a server's monitoring port", address))
	}
	about := "NATS' disk at " + u.Host
	sync, always, err := askSync(ctx, u)
	if err != nil {
		return []inspect.Finding{{
			Server: inspect.ServerNATS, Level: inspect.LevelNote, About: about, What: "sync_interval is not known: " + stream.OneLine(err.Error()),
			Why: "how much a power failure costs cannot be said", Remedy: "name the server's monitoring port (http_port), as http://host:8222",
		}}, nil
	}
	if always {
		return []inspect.Finding{{Server: inspect.ServerNATS, Level: inspect.LevelOK, About: about, What: "it writes before it confirms (sync_interval always)"}}, nil
	}
	return []inspect.Finding{{
		Server: inspect.ServerNATS, Level: inspect.LevelHurts, About: about, What: "it writes to its disk every " + stream.Duration(sync) + " (sync_interval)",
		Why:    "a power failure costs what it confirmed since, detections and ledger alike; with three replicas only one of all nodes at once",
		Remedy: "sync_interval: always in the server's jetstream block; else three replicas, on nodes that do not lose power together, and a short sync_interval",
	}}, nil
}

// askSync reads what the server says of its store.
func askSync(ctx context.Context, u *url.URL) (sync time.Duration, always bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	u = u.JoinPath("varz")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, false, fmt.Errorf("ask %s: %w", u.Redacted(), err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return 0, false, fmt.Errorf("%s answers %s", u.Redacted(), strings.ToLower(answer.Status))
	}
	var varz struct {
		JetStream struct {
			Config *struct {
				Sync   time.Duration `json:"sync_interval"`
				Always bool          `json:"sync_always"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostVarz)).Decode(&varz); err != nil {
		return 0, false, fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	if varz.JetStream.Config == nil {
		return 0, false, fmt.Errorf("%s: the server has no JetStream", u.Redacted())
	}
	if varz.JetStream.Config.Sync <= 0 {
		varz.JetStream.Config.Sync = defaultSync
	}
	return varz.JetStream.Config.Sync, varz.JetStream.Config.Always, nil
}
