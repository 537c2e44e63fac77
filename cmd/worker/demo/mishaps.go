package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/shell"
	"forager/hive/hivetest"
)

// mishapsEvery is after how many events of the stream everything goes wrong again.
const mishapsEvery = 130

// mishap is something that goes wrong, and when, in events of the stream.
type mishap struct {
	at      int
	says    string
	happens func(context.Context)
}

// How bad things get.
const (
	stormOf   = 200 // detections of one host
	outageFor = 6 * time.Second
	deadFor   = 20 * time.Second // of the replica that was killed
)

// mishaps are what goes wrong, in their order. A second replica is started at once, to be killed.
func (s *stage) mishaps(ctx context.Context, sh *shell.Shell) []mishap {
	var replica atomic.Pointer[os.Process] // nil: there is none
	replica.Store(s.replica(ctx, sh))
	return []mishap{
		{15, "a storm: 200 detections of one host", s.storm},
		{40, "a poison message: nobody can read it", func(ctx context.Context) { s.send(ctx, `{"this": "ends in the middle`) }},
		{60, "an outage: TheHive is away for six seconds", s.outage},
		{85, "a replica is killed; its work is taken over", func(ctx context.Context) {
			if killed := replica.Swap(nil); killed != nil {
				_ = killed.Kill() // it may have ended by itself
			}
			s.running.Go("replica", func() {
				if s.pause(ctx, deadFor); ctx.Err() == nil {
					replica.Store(s.replica(ctx, sh))
				}
			})
		}},
		{115, "an analyst removes the newest procedure; it stays away", func(ctx context.Context) {
			if err := s.remove(ctx); err != nil && ctx.Err() == nil {
				sh.Say("demo: %v", err)
			}
		}},
	}
}

func (s *stage) storm(ctx context.Context) {
	for i := range stormOf {
		at := time.Now().UTC()
		s.send(ctx, fmt.Sprintf(`{"schema":"forager.detection/v1","id":"storm-%d-%d","time":%q,"title":"Port scan","severity":2,"host":"fw-edge","techniques":["T1046"],"observables":[{"dataType":"ip","data":"203.0.113.%d"}]}`,
			at.UnixNano(), i, at.Format(time.RFC3339), 1+i%200))
	}
}

// outage refuses every connection to TheHive for a while; the stream goes on.
func (s *stage) outage(ctx context.Context) {
	s.hive.Set(hivetest.Misbehaviour{Outage: true})
	s.running.Go("outage", func() {
		s.pause(ctx, outageFor)
		s.hive.Set(rough())
	})
}

// replica is another worker, a process of its own, that shares the work.
func (s *stage) replica(ctx context.Context, sh *shell.Shell) *os.Process {
	own, err := os.Executable()
	if err != nil {
		own = os.Args[0]
	}
	cmd := exec.CommandContext(ctx, own, "run") //nolint:gosec // it is this program
	cmd.Args[0] = os.Args[0]
	neverAlone(cmd)
	cmd.Env = append(os.Environ(), append(servers.Config(s.nats.URL(), s.server.URL()), "FORAGER_OPS_ADDR=", "FORAGER_WEBHOOK_ADDR=")...)
	if err := cmd.Start(); err != nil {
		sh.Say("demo: there is no second replica: %v", err)
		return nil
	}
	s.running.Go("wait for the replica", func() { _ = cmd.Wait() }) // it is killed
	return cmd.Process
}

// remove takes a procedure away, as an analyst does in TheHive.
func (s *stage) remove(ctx context.Context) error {
	var newest []struct {
		ID string `json:"_id"`
	}
	query := `{"query":[{"_name":"listProcedure"},{"_name":"sort","_fields":[{"_createdAt":"desc"}]},{"_name":"page","from":0,"to":1}]}`
	if err := s.ask(ctx, http.MethodPost, "/api/v1/query", query, &newest); err != nil || len(newest) == 0 {
		return err
	}
	return s.ask(ctx, http.MethodDelete, "/api/v1/procedure/"+newest[0].ID, "", nil)
}

// ask asks the simulated TheHive as anybody with its key.
func (s *stage) ask(ctx context.Context, method, path, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.server.URL()+path, bytes.NewBufferString(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// rough is how the simulated TheHive behaves where it is not to be calm.
func rough() hivetest.Misbehaviour {
	return hivetest.Misbehaviour{Latency: 2 * time.Millisecond, Jitter: 8 * time.Millisecond, Refuse: 0.03, Ambiguous: 0.02}
}
